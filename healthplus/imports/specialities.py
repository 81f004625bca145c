"""Which specialities search knows, and which of a file's remain unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from healthplus.imports.cells import items, word
from healthplus.imports.entries import Entry
from healthplus.names import slug
from healthplus.search.recognise import recognise_speciality, speciality_name


class Speciality(NamedTuple):
    """A speciality as it is stored."""

    slug: str
    name: str


def as_stored(text: str) -> Speciality:
    """Return the speciality that search knows by this text or, where it knows none, one of this name."""
    known = recognise_speciality(text).slug
    return Speciality(known, speciality_name(known)) if known else Speciality(slug(text), text)


def read_specialities(text: str) -> tuple[str, ...]:
    """Return the specialities of a cell. A comma parts them, but for what is one as a whole: Ear, Nose and Throat."""
    found: dict[str, None] = {}
    for part in items(text):
        pieces = items(part, ",")
        whole = recognise_speciality(part).slug
        is_one = whole is not None and {recognise_speciality(piece).slug for piece in pieces} in ({None}, {whole})
        for one in (part,) if is_one else pieces:
            found[word(one)] = None
    return tuple(found)


def unknown_specialities(entries: Iterable[Entry]) -> list[tuple[str, int, str | None]]:
    """Return what search does not know, the most frequent first, with how many rows have it and the best guess."""
    counts = Counter(name for entry in entries for name in entry.specialities)
    unknown = []
    for name, count in counts.most_common():
        recognised = recognise_speciality(name)
        if recognised.slug is None:
            unknown.append((name, count, speciality_name(recognised.guess) if recognised.guess else None))
    return unknown
