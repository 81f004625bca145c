"""Draws the pictures of the product's mark that browsers and other sites take: `python -m tests.web.pictures`.

They are kept as files: a server should not begin with drawing. A test compares them with what is drawn here.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont

import healthplus.web

FOLDER = Path(healthplus.web.__file__).parent / "static" / "pictures"

_BAND, _RING, _DOT, _SOFT = "#063f39", "#ffffff", "#ffb938", "#d5ebe6"
_FINER = 4
"""Drawn so many times as large, and then made smaller, which smooths the edges."""
_SIDE = 32
"""Of the mark, in the units of mark.svg."""
_RING_STARTS, _RING_ENDS = (math.degrees(math.atan2(y - 16, x - 16)) for x, y in ((28.4, 12), (20, 3.6)))


def pictures() -> dict[str, bytes]:
    """Return each picture by its file's name."""
    return {
        "favicon.ico": _file(_icon(32, margin=3, radius=7), "ICO"),
        # Phones cut these to their own shape, so the mark keeps to the middle and the ground reaches every edge.
        "touch.png": _file(_icon(180, margin=28), "PNG"),
        "icon-192.png": _file(_icon(192, margin=32), "PNG"),
        "icon-512.png": _file(_icon(512, margin=86), "PNG"),
        "share.png": _file(_share(), "PNG"),
    }


def is_like(one: bytes, other: bytes) -> bool:
    """Return whether two pictures look alike; the same, but for how a version of Pillow rounds."""
    first, second = (Image.open(io.BytesIO(data)).convert("RGBA") for data in (one, other))
    if first.size != second.size:
        return False
    red_green_blue_alpha = ImageChops.difference(first, second).split()
    return all(sum(channel.histogram()[25:]) == 0 for channel in red_green_blue_alpha)


def _file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "PNG":
        image.quantize(64, method=Image.Quantize.FASTOCTREE).save(file, kind, optimize=True)
    else:
        image.save(file, kind, bitmap_format="bmp", sizes=[image.size])
    return file.getvalue()


def _icon(side: int, margin: int, radius: int = 0) -> Image.Image:
    large = Image.new("RGBA", (side * _FINER,) * 2, _BAND if not radius else "#00000000")
    draw = ImageDraw.Draw(large)
    if radius:
        draw.rounded_rectangle((0, 0, side * _FINER - 1, side * _FINER - 1), radius * _FINER, _BAND)
    _mark(draw, margin * _FINER, margin * _FINER, (side - 2 * margin) * _FINER)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def _share() -> Image.Image:
    """Return what other sites show with a link: the mark, the name, and what it is for."""
    width, height = 1200, 630
    large = Image.new("RGB", (width * _FINER, height * _FINER), _BAND)
    draw = ImageDraw.Draw(large)
    _mark(draw, 120 * _FINER, 175 * _FINER, 280 * _FINER)
    for text, size, y, colour in (
        ("HealthPlus", 120, 210, _RING),
        ("Find a doctor. See free times. Book.", 42, 360, _SOFT),
    ):
        draw.text((460 * _FINER, y * _FINER), text, colour, ImageFont.load_default(size * _FINER))
    return large.resize((width, height), Image.Resampling.LANCZOS)


def _mark(draw: ImageDraw.ImageDraw, left: float, top: float, side: float) -> None:
    """Draw the mark of mark.svg: a ring that is open where its dot is, with a plus in it."""
    unit = side / _SIDE

    def box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
        return tuple(  # type: ignore[return-value]
            origin + unit * (middle + sign * radius) for sign in (-1, 1) for origin, middle in ((left, x), (top, y))
        )

    half = 1.75
    draw.arc(box(16, 16, 13 + half), _RING_STARTS, _RING_ENDS, _RING, round(2 * half * unit))
    for x, y in ((20, 3.6), (28.4, 12), (16, 10), (16, 22), (10, 16), (22, 16)):
        draw.ellipse(box(x, y, half), _RING)
    for (x0, y0, _, _), (_, _, x1, y1) in (
        (box(16 - half, 10, 0), box(16 + half, 22, 0)),
        (box(10, 16 - half, 0), box(22, 16 + half, 0)),
    ):
        draw.rectangle((x0, y0, x1, y1), _RING)
    draw.ellipse(box(25.2, 6.8, 2.4), _DOT)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in pictures().items():
        (FOLDER / name).write_bytes(data)
