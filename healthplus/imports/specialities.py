"""Which specialities search knows, and which of a file's remain unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from healthplus.imports.entries import Entry


def is_known_speciality(text: str) -> bool:
    """Return whether search knows a speciality by this name."""
    return False


def unknown_specialities(entries: Iterable[Entry]) -> list[tuple[str, int, str | None]]:
    """Return the specialities that search does not know, the most frequent first, with their rows and the best guess."""
    counts = Counter(name for entry in entries for name in entry.specialities)
    return []
