"""Pictures of others become small squares of ours, and what is none is refused, with a reason."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from healthplus.directory.pictures import SIZES, encode
from healthplus.errors import BadInput
from tests.fixtures.pictures import bomb, moving, of_scans, picture, saved

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><script>alert(1)</script></svg>'
NOISE = Image.effect_noise((900, 900), 90)


def opened(webp: bytes) -> Image.Image:
    found = Image.open(BytesIO(webp))
    assert found.format == "WEBP"
    return found


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(96, 96), (97, 2000), (640, 480), (1600, 900)])
def test_pictures_become_small_squares(form: str, size: tuple[int, int]) -> None:
    encoded = encode(picture(form, size))
    sizes = [one for one in SIZES if one <= min(size)] or [96]
    assert list(SIZES) == [96, 320, 640]
    assert list(encoded.webp)[: len(sizes)] == sizes
    assert list(encoded.webp)[-1] >= min(*size, 640)  # none is larger than what it is made of
    assert len(encoded.webp) <= len(sizes) + 1
    for side, webp in encoded.webp.items():
        assert opened(webp).size == (min(side, *size),) * 2
        assert len(webp) <= SIZES[side]
    assert encode(picture(form, size)) == encoded  # the same picture is at the same address
    assert encode(picture(form, size, "navy")).hash != encoded.hash


def test_the_busiest_picture_is_small() -> None:
    assert [len(webp) <= SIZES[size] for size, webp in encode(saved(NOISE, "PNG")).webp.items()] == [True] * 3


def test_what_a_camera_writes_is_dropped_and_the_picture_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    exif[0x010F] = "A camera of Asha's"
    exif.get_ifd(0x8825)[2] = (18.0, 31.0, 12.0)  # where
    halves = Image.new("RGB", (400, 400), "red")
    halves.paste("blue", (200, 0, 400, 400))
    encoded = encode(saved(halves, "JPEG", exif=exif, comment=b"home"))
    for webp in encoded.webp.values():
        assert not opened(webp).getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & opened(webp).info.keys()
        assert b"Asha" not in webp
    small = opened(encoded.webp[96]).convert("RGB")
    assert small.getpixel((48, 8))[0] > 200  # type: ignore[index]
    assert small.getpixel((48, 88))[2] > 200  # type: ignore[index]


def test_what_is_transparent_is_white() -> None:
    for drawn in (Image.new("RGBA", (100, 100), (0, 0, 0, 0)), Image.new("LA", (100, 100), (0, 0))):
        assert opened(encode(saved(drawn, "PNG")).webp[96]).convert("RGB").getpixel((50, 50)) == (255, 255, 255)
    assert encode(saved(Image.new("CMYK", (100, 100)), "JPEG")).webp


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no picture"),
        (b"<html>not found</html>", "no picture"),
        (SVG, "no picture"),
        (picture()[:5000], "no picture"),
        (picture("PNG")[:900], "no picture"),
        (picture("GIF"), "no picture"),
        (moving("GIF"), "no picture"),
        (picture("BMP"), "no picture"),
        (picture("TIFF"), "no picture"),
        (picture("PDF"), "no picture"),
        (of_scans(1000), "too many parts"),
        (moving("WEBP"), "moves"),
        (moving("PNG"), "moves"),
        (bomb(), "no picture"),
        (bomb(9000), "at most 12 million"),
        (picture("PNG", (95, 300)), "each side needs 96"),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        encode(content)


@given(st.integers(0, 3000), st.binary(min_size=1, max_size=8))
@settings(deadline=None, max_examples=100)
def test_whatever_is_broken_is_refused_and_nothing_else_is_raised(at: int, bytes_: bytes) -> None:
    good = picture(size=(120, 120))
    try:
        encoded = encode(good[: at % len(good)] + bytes_ + good[at % len(good) + len(bytes_) :])
    except BadInput:
        return
    assert all(len(webp) <= SIZES[size] for size, webp in encoded.webp.items())


def test_a_jpeg_of_as_many_scans_as_programs_write_is_taken() -> None:
    assert encode(of_scans(0)).webp
    assert encode(picture("PNG") + b"\xff\xda" * 100).webp  # what marks a scan is chance in other files


@pytest.mark.parametrize(
    ("form", "size", "most"),
    [
        ("PNG", (3500, 3500), 220),
        ("PNG", (125_000, 100), 220),
        ("WEBP", (3500, 3500), 300),
        ("JPEG", (60_000, 400), 220),
    ],
)
def test_a_few_bytes_do_not_fill_the_memory(tmp_path: Path, form: str, size: tuple[int, int], most: int) -> None:
    """What is made of them takes no more than decoding does, however long the picture is."""
    path = tmp_path / "flat"
    kind, colour = ("RGB", (9, 8, 7)) if form == "JPEG" else ("RGBA", (9, 8, 7, 6))
    Image.new(kind, size, colour).save(path, form, **({"lossless": True} if form == "WEBP" else {}))
    script = """if True:
        import re, sys
        from pathlib import Path
        from healthplus.directory.pictures import encode
        encode(Path(sys.argv[1]).read_bytes())
        # Not getrusage: that begins with the memory of the process that started this one.
        print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
    """
    megabytes = int(subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=True).stdout)
    assert megabytes < most
