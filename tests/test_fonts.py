"""Which font of the machine is taken for files that are drawn here, and what is said where there is none."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus import fonts
from healthplus.fonts import hindi_font, warn_without_font
from healthplus.monitoring.status import Status, lines_of


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    hindi_font.cache_clear()
    yield
    hindi_font.cache_clear()


def answers(monkeypatch: pytest.MonkeyPatch, *files: str) -> None:
    """Let these be the files that fontconfig names."""
    monkeypatch.setattr(fonts, "_ASK", (sys.executable, "-c", f"print({chr(10).join(files)!r})"))


def test_a_font_has_the_letters_of_both_languages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = hindi_font()
    assert found is not None, "install Debian's packages fontconfig, fonts-lohit-deva"
    assert found.letters >= set(map(ord, "aZकक्षि₹"))
    assert hindi_font() is found

    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    hindi_font.cache_clear()
    answers(monkeypatch, str(tmp_path / "gone.ttf"), str(broken), str(tmp_path / "bitmap.pcf"), str(found.file))
    assert hindi_font() == found


def test_a_machine_without_fonts_has_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    warn_without_font()
    assert not caplog.records
    for ask in (("no-such-program",), (sys.executable, "-c", "raise SystemExit(1)"), (sys.executable, "-c", "")):
        monkeypatch.setattr(fonts, "_ASK", ask)
        hindi_font.cache_clear()
        assert hindi_font() is None
    with caplog.at_level(logging.WARNING):
        warn_without_font()
    assert "fonts-lohit-deva" in caplog.text
    assert "fonts-lohit-deva" in "".join(text for _, text, _ in lines_of(Status([], has_hindi_font=False)))
    assert "fonts-lohit-deva" not in "".join(text for _, text, _ in lines_of(Status([])))


def test_a_font_without_the_letters_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = hindi_font()
    assert found is not None
    answers(monkeypatch, str(found.file))
    monkeypatch.setattr(fonts, "_NEEDED", frozenset({*map(ord, "aक₹"), 0x0B95}))  # a letter of Tamil
    hindi_font.cache_clear()
    assert hindi_font() is None
