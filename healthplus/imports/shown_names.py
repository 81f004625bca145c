"""Whether a name can be found, and how one in capitals is shown."""

from __future__ import annotations

import re
import unicodedata

_TITLES = {
    "dr", "doctor", "prof", "professor", "mr", "mrs", "ms", "miss", "shri", "smt", "sri", "डॉ", "श्री",
    "श्रीमती",
}  # fmt: skip
"""As search leaves them out where names begin."""
# Written in capitals where everything else is not. Those without a vowel are known by that.
_ABBREVIATIONS = {
    "AIIMS", "AIMS", "ALS", "AMRI", "AYUSH", "BAMS", "BARC", "CGHS", "CMO", "CT", "ECG", "ECHS", "EEG", "ENT",
    "ESI", "ESIC", "GI", "ICU", "IGMIS", "II", "III", "IMS", "INHS", "IPD", "IV", "IVF", "KEM", "KIMS",
    "NIMHANS", "NICU", "OPD", "PGI", "PGIMER", "PICU", "RIMS", "SIMS", "UPHC", "USG", "UT", "UK", "USA", "VI",
    "VII", "VIII", "XI",
}  # fmt: skip
_WORDS_WITHOUT_VOWELS = {"DR", "MR", "MRS", "MS", "ST", "PVT", "LTD", "SMT", "MT"}
_SMALL = {"AND", "OF", "THE", "AT", "IN", "FOR"}
_WORDS = re.compile(r"(?:\w|[\u0300-\u036f\u0900-\u0dff\u200c\u200d])+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SHORT_MAX, _SHORT_PLACE_MAX = 5, 2
"""How long a single word in capitals may be an abbreviation: AIIMS of names, UP of places."""


def has_letters(name: str) -> bool:
    """Return whether a name has a letter, and is more than a title."""
    words = _WORDS.findall(name.casefold())
    return any(word not in _TITLES for word in words) and any(unicodedata.category(one)[0] == "L" for one in name)


def mixed_case(name: str, *, is_place: bool = False) -> str:
    """Return a name that is all in capitals with the usual ones: `DR K.V. RAO` as `Dr K.V. Rao`; others as they are."""
    if not name.isupper() or (" " not in name and len(name) <= (_SHORT_PLACE_MAX if is_place else _SHORT_MAX)):
        return name
    return _WORD.sub(lambda found: _shown(found[0], is_first=found.start() == 0), name)


def _shown(word: str, *, is_first: bool) -> str:
    if word in _ABBREVIATIONS or len(word) == 1:
        return word
    if word in _SMALL and not is_first:
        return word.lower()
    if word not in _WORDS_WITHOUT_VOWELS and word.isascii() and not set(word) & set("AEIOUY"):
        return word
    first, mark, rest = word.partition("'" if "'" in word else "’")
    # O'Neill, but Children's.
    return first.capitalize() + mark + (rest.capitalize() if len(rest) > 1 else rest.lower())
