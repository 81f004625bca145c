"""The font of this machine that has the letters of Hindi, for files that are drawn here."""

from __future__ import annotations

import logging
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

_ASK = ("fc-list", "-f", "%{file}\t%{family[0]}\t%{weight}\n", ":lang=hi:scalable=true")
"""Lists the fonts that have the letters of Hindi."""
_BOLD = "200"
"""What fontconfig calls the weight of bold letters."""
_ASK_SECONDS_MAX = 10
"""The first time ever, fontconfig looks through all fonts of the machine."""
_PREFERRED = ("Noto Sans Devanagari", "Lohit Devanagari")
NO_FONT = "receipts are in English only: this machine has no font for Hindi (Debian: fontconfig and fonts-lohit-deva)"


class Font(NamedTuple):
    """A family of fonts by its name, the folders that its files are in, and whether it has bold letters."""

    family: str
    folders: tuple[Path, ...]
    has_bold: bool


@cache
def hindi_font() -> Font | None:
    """Return a font with Devanagari letters; None where this machine has none, or does not say so.

    The first time in a process it takes some tenths of a second, so call it in a thread.
    """
    try:
        told = subprocess.run(_ASK, capture_output=True, text=True, timeout=_ASK_SECONDS_MAX, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # without fontconfig
        return None
    rows = [line.split("\t") for line in told.splitlines() if line.count("\t") == 2]
    found = {family for file, family, _ in rows if Path(file).is_file()}
    if not found:
        return None
    family = next((one for one in _PREFERRED if one in found), min(found))
    folders = {Path(file).parent for file, name, _ in rows if name == family}
    return Font(family, tuple(sorted(folders)), any(name == family and weight == _BOLD for _, name, weight in rows))


def warn_without_font() -> None:
    """Log where this machine has no such font."""
    if hindi_font() is None:
        logger.warning("%s", NO_FONT)
