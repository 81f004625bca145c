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


def answers(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let fontconfig say this."""
    monkeypatch.setattr(fonts, "_ASK", (sys.executable, "-c", f"print({chr(10).join(lines)!r})"))


def test_the_machines_font_for_hindi_is_found() -> None:
    found = hindi_font()
    assert found is not None, "install Debian's packages fontconfig, fonts-lohit-deva"
    assert all(any(folder.glob("*.[to]tf")) for folder in found.folders)
    assert hindi_font() is found


def test_known_fonts_are_taken_before_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("a.ttf", "lohit.ttf", "noto.ttf", "noto-bold.ttf"):
        (tmp_path / name).touch()
    gone = f"{tmp_path}/gone.ttf\tNoto Sans Devanagari\t80"
    others = (f"{tmp_path}/a.ttf\tAnother\t80", "nonsense", f"{tmp_path}/lohit.ttf\tLohit Devanagari\t80")
    answers(monkeypatch, gone, *others)
    assert hindi_font() == ("Lohit Devanagari", (tmp_path,), False)
    hindi_font.cache_clear()
    noto = "Noto Sans Devanagari"
    answers(monkeypatch, *others, f"{tmp_path}/noto.ttf\t{noto}\t80", f"{tmp_path}/noto-bold.ttf\t{noto}\t200")
    assert hindi_font() == (noto, (tmp_path,), True)


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
