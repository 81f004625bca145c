"""The font of this machine that has the letters of both languages, for files that are drawn here."""

from __future__ import annotations

import logging
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fontTools.ttLib import TTFont, TTLibError

logger = logging.getLogger(__name__)

_ASK = ("fc-match", "-s", "-f", "%{file}\n", "sans:lang=hi")
"""Lists the fonts, those that suit Hindi best first."""
_ASK_SECONDS_MAX = 10
"""The first time ever, fontconfig looks through all fonts of the machine."""
_TRIED_MAX = 10
_NEEDED = frozenset(map(ord, "aक₹"))
NO_FONT = "invoices are in English only: this machine has no font for Hindi (Debian: fontconfig and fonts-lohit-deva)"


class Font(NamedTuple):
    """A font's file, and the characters that it can show."""

    file: Path
    letters: frozenset[int]


@cache
def hindi_font() -> Font | None:
    """Return a font with Latin and Devanagari letters and the rupee's sign; None where this machine has none.

    The first time in a process it takes some tenths of a second, so call it in a thread.
    """
    try:
        told = subprocess.run(_ASK, capture_output=True, text=True, timeout=_ASK_SECONDS_MAX, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # without fontconfig
        return None
    # Of a collection of fonts in one file, or an outline that is no TrueType, a PDF would need more than its name.
    files = [line for line in told.splitlines() if line.lower().endswith(".ttf")]
    return next((font for font in map(_read, files[:_TRIED_MAX]) if font and font.letters >= _NEEDED), None)


def warn_without_font() -> None:
    """Log where this machine has no such font."""
    if hindi_font() is None:
        logger.warning("%s", NO_FONT)


def _read(file: str) -> Font | None:
    try:
        with Path(file).open("rb") as opened, TTFont(opened, lazy=True) as font:
            return Font(Path(file), frozenset(font.getBestCmap() or ()))
    except (OSError, TTLibError, KeyError):
        return None
