"""See to it that what a file says is in one city is stored in one, whatever the file calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from healthplus.imports.formats import Entry
from healthplus.names import slug
from healthplus.search.vocabulary import VOCABULARY, plain_words


class StoredCity(NamedTuple):
    """A stored city; `address` is its slug, or a former one of it."""

    address: str
    slug: str
    name: str
    state: str


def in_one_city(
    entries: Sequence[Entry], stored: Iterable[StoredCity]
) -> tuple[list[Entry], dict[tuple[str, str], tuple[str, str]]]:
    """Return the entries with the one name of each city, and which it is by each other name, with the states.

    It is the name of a stored city of the same state which has the file's name as its address, now or formerly, or
    as another name by words.toml; else the first name there.
    """
    known = _Names(stored)
    names = {(entry.clinic.city, entry.clinic.state): "" for entry in entries}
    names = {(city, state): known.one_name(city, state) for city, state in names}
    result = []
    for entry in entries:
        name = names[entry.clinic.city, entry.clinic.state]
        clinic = entry.clinic if name == entry.clinic.city else msgspec.structs.replace(entry.clinic, city=name)
        result.append(entry if clinic is entry.clinic else msgspec.structs.replace(entry, clinic=clinic))
    return result, {(city, state): (name, state) for (city, state), name in names.items() if slug(name) != slug(city)}


def alias_rows(
    other_names: Mapping[tuple[str, str], tuple[str, str]], slugs: Mapping[tuple[str, str], str]
) -> list[dict[str, object]]:
    """Return the addresses under which cities are found by other names; `slugs` are theirs by name and state."""
    rows = {slug(city): slugs.get((slug(name), slug(state))) for (city, state), (name, _) in other_names.items()}
    return [{"slug": address, "city_slug": city} for address, city in sorted(rows.items()) if city is not None]


class _Names:
    def __init__(self, stored: Iterable[StoredCity]) -> None:
        self._by_address = {(self._plain(one), slug(one.state)): one for one in stored}

    @staticmethod
    def _plain(one: StoredCity) -> str:
        """Return an address without the state that cities have in it whose name is another's, too."""
        return slug(one.name) if one.address == one.slug else one.address

    def one_name(self, city: str, state: str) -> str:
        if same := self._by_address.get((slug(city), slug(state))):
            return city if slug(same.name) == slug(city) else same.name
        first = VOCABULARY.city_names.get(" ".join(plain_words(city)))
        if first is None:
            return city
        others = (name for name, its_first in VOCABULARY.city_names.items() if its_first == first)
        found = (self._by_address.get((slug(name), slug(state))) for name in (first, *others))
        return next((one.name for one in found if one), first)
