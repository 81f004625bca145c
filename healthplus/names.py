"""Whether a name shows anything, which every entrance where people write texts asks; and its form in URLs."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_SHOWN = frozenset("LNPS")
"""Letters, numbers, punctuation and symbols, by the first letter of Unicode's category."""
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159")
"""Letters and symbols that show nothing: fillers of Hangul, Braille without dots, a note without a head."""
_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))
"""Invisible characters that are needed to write names in several Indian scripts."""


def shows_something(text: str) -> bool:
    """Return whether something of a text can be seen; marks and joiners show nothing without a letter."""
    return any(letter not in _BLANK and unicodedata.category(letter)[0] in _SHOWN for letter in text)


def is_name(text: str, length_max: int) -> bool:
    """Return whether a text can stand as a name: it shows something, on one line, in so many characters at most."""
    return len(text) <= length_max and text.translate(_JOINERS).isprintable() and shows_something(text)


def slug(text: str) -> str:
    """Return the ASCII name used in URLs, or a digest where nothing of the text is Latin."""
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", latin).strip("-") or hashlib.sha256(text.encode()).hexdigest()[:12]


def service_slug(text: str) -> str:
    """Return the slug of a service of this name. It is never all digits: that would be a service's id."""
    name = slug(text)
    return f"service-{name}" if name.isdecimal() else name
