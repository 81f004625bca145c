"""Encode pictures of others: square, small, and without what a camera or an editor wrote into them."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageOps

from healthplus.errors import BadInput

SIZES = {96: 4 * 1024, 320: 24 * 1024, 640: 112 * 1024}
"""Pixels of a side, and how many bytes a picture of that size may have."""
_SMALLEST = min(SIZES)
_FORMATS = ("JPEG", "PNG", "WEBP")
_PIXELS_MAX = {
    "JPEG": 25_000_000,
    "PNG": 12_500_000,
    "WEBP": 12_500_000,
}  # which take up to 16 bytes each, but in a JPEG
_SCANS_MAX = 50
"""Of a JPEG; programs write some ten. Each is decoded over the whole picture, and takes a few bytes."""
_RATIO_MAX = 4
"""Longer than so many times its other side, the rest is cut off: it is made no smaller than the other side allows."""
_QUALITIES = (82, 70, 58, 46, 34, 22, 10)
_CENTRE = (0.5, 0.35)  # of what is kept of a picture that is no square: faces are in its upper half


class Encoded(NamedTuple):
    """A picture in WebP by the pixels of its side, as far as it is that large, and the hash of these files."""

    hash: str
    webp: dict[int, bytes]


def encode(content: bytes) -> Encoded:
    """Return a picture as we store it. Raises BadInput where it is none, or is too small, too large or moves."""
    try:
        # Only these decoders look at it; what it says of itself, or its address ends in, counts for nothing.
        with Image.open(BytesIO(content), formats=_FORMATS) as opened:
            _require_fit(opened, content)
            opened.draft("RGB", (2 * max(SIZES), 2 * max(SIZES)))  # a JPEG is read no larger than is needed
            picture = _upright(opened)
    except BadInput:
        raise
    except Exception as error:  # decoders raise whatever a broken file makes them
        raise BadInput("it is no picture that can be read: JPEG, PNG and WebP can") from error
    webp: dict[int, bytes] = {}
    for size, bytes_max in SIZES.items():
        if min(picture.size) > max(webp, default=0):
            webp[size] = _webp(picture, size, bytes_max)
    return Encoded(hashlib.sha256(b"".join(webp.values())).hexdigest()[:32], webp)


def _require_fit(picture: Image.Image, content: bytes) -> None:
    width, height = picture.size
    pixels_max = _PIXELS_MAX.get(picture.format or "", min(_PIXELS_MAX.values()))
    if width * height > pixels_max:
        raise BadInput(f"it has {width} by {height} pixels; at most {pixels_max // 1_000_000} million are taken")
    if min(width, height) < _SMALLEST:
        raise BadInput(f"it has {width} by {height} pixels; each side needs {_SMALLEST}")
    if getattr(picture, "n_frames", 1) > 1:
        raise BadInput("it moves")
    if picture.format == "JPEG" and content.count(b"\xff\xda") > _SCANS_MAX:
        raise BadInput("it was saved in too many parts")


def _upright(picture: Image.Image) -> Image.Image:
    """Return a picture the way up that it is shown, on white where it is transparent, in plain colours."""
    is_transparent = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    kind = "RGBA" if is_transparent else "RGB"
    # Made smaller before anything else, as some bytes of a file may be a picture that fills the memory.
    cut = _middle(picture)
    shrink = max(1, min(cut.size) // (2 * max(SIZES)))
    small = (cut if cut.mode == kind else cut.convert(kind)).reduce(shrink)
    turned = ImageOps.exif_transpose(small)
    if is_transparent:
        turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
    return turned.convert("RGB")


def _middle(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    longest = _RATIO_MAX * min(width, height)
    across, down = max(0, width - longest) // 2, max(0, height - longest) // 2
    return picture.crop((across, down, width - across, height - down)) if across or down else picture


def _webp(picture: Image.Image, size: int, bytes_max: int) -> bytes:
    side = min(size, *picture.size)  # never larger than it is
    square = ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS, centering=_CENTRE)
    square.info.clear()
    for quality in _QUALITIES:
        file = BytesIO()
        square.save(file, "WEBP", quality=quality, method=4)
        if file.tell() <= bytes_max:
            break
    return file.getvalue()
