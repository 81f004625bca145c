"""A file of a picture, and one that something else opens, too."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from healthplus.directory.picture_files import _end_of, is_only_picture

KINDS: dict[str, dict[str, Any]] = {
    "JPEG": {},
    "JPEG, progressive": {"progressive": True, "optimize": True},
    "JPEG with restarts": {"restart_marker_blocks": 1},
    "PNG": {},
    "WEBP": {},
}


def picture(kind: str) -> bytes:
    file = BytesIO()
    Image.effect_noise((300, 300), 80).convert("RGB").save(file, kind.partition(" ")[0].strip(","), **KINDS[kind])
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_picture_is_found(kind: str) -> None:
    plain = picture(kind)
    assert _end_of(plain) == len(plain)
    assert is_only_picture(plain)
    for also in (b"<svg onload=x>", b"\n<!DOCTYPE html>", b"%PDF-1.4"):
        assert _end_of(plain + also) == len(plain)
        assert not is_only_picture(plain + also)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_compressed_data_by_chance_is_nothing_else(kind: str) -> None:
    plain = picture(kind)
    middle = len(plain) // 2
    assert is_only_picture(plain[:middle] + b"<svg" + plain[middle + 4 :])


def test_what_stands_at_the_beginning_is_found() -> None:
    file = BytesIO()
    Image.new("RGB", (100, 100)).save(file, "JPEG", comment=b"<script>alert(1)</script>")
    assert not is_only_picture(file.getvalue())


@pytest.mark.parametrize("kind", KINDS)
def test_broken_files_have_some_end(kind: str) -> None:
    plain = picture(kind)
    for content in (b"", b"\xff\xd8", b"\x89PNG", b"RIFF", *(plain[:size] for size in range(1, 4000, 37))):
        assert is_only_picture(content + b"<svg") == (len(content) >= 1024), len(content)
