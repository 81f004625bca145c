"""Which specialities search knows, and which of a file's remain unknown."""

from __future__ import annotations


def is_known_speciality(text: str) -> bool:
    """Return whether search knows a speciality by this name."""
    return False
