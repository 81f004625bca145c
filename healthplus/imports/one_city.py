"""See to it that what files say is in one city is stored in one, whatever they call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from healthplus.database import Transaction, load
from healthplus.imports.cities import City, StoredCity, city_key
from healthplus.imports.entries import Entry
from healthplus.names import slug
from healthplus.search.vocabulary import VOCABULARY, plain_words

_queries = load(Path(__file__).with_name("import.sql"))


class KnownCities:
    """The `stored` cities; by their addresses the `aliases` that lead to them; and `other_names` that a file has.

    The latter are, by the addresses they would have, what tells the cities that they name from others.
    """

    def __init__(self, stored: Sequence[StoredCity], aliases: Mapping[str, str]) -> None:
        self.stored = stored
        self.aliases = aliases
        self.other_names: dict[str, City] = {}
        by_slug = {one.slug: one for one in stored}
        self._stored = {city_key(one.name, one.state): one for one in stored}
        self._former = {
            (alias, city_key("", by_slug[address].state)[1]): by_slug[address] for alias, address in aliases.items()
        }

    @classmethod
    async def read(cls, tx: Transaction) -> KnownCities:
        """Return the cities that there are."""
        stored = [StoredCity(*row) for row in await tx.fetch(_queries.stored_cities)]
        return cls(stored, {row["slug"]: row["city_slug"] for row in await tx.fetch(_queries.stored_city_aliases)})

    def in_one_city(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the entries with the one name of each city, and keep the other names.

        It is the name of a stored city of the same state which has the file's name, has it as an alias, or as another
        name by words.toml; else the first name there.
        """
        names: dict[tuple[str, str], str] = {}
        result = []
        for entry in entries:
            clinic = entry.clinic
            name = names.setdefault((clinic.city, clinic.state), "") or self._one_name(clinic.city, clinic.state)
            names[clinic.city, clinic.state] = name
            if name != clinic.city:
                if slug(name) != slug(clinic.city):
                    self.other_names[slug(clinic.city)] = city_key(name, clinic.state)
                clinic = msgspec.structs.replace(clinic, city=name)
            result.append(entry if clinic is entry.clinic else msgspec.structs.replace(entry, clinic=clinic))
        return result

    def _one_name(self, city: str, state: str) -> str:
        key = city_key(city, state)
        if key in self._stored:
            return city
        if former := self._former.get((slug(city), key[1])):
            return former.name
        first = VOCABULARY.city_names.get(" ".join(plain_words(city)))
        if first is None:
            return city
        others = (name for name, its_first in VOCABULARY.city_names.items() if its_first == first)
        stored = (self._stored.get(city_key(name, state)) for name in (first, *others))
        return next((one.name for one in stored if one), first)


def alias_rows(other_names: Mapping[str, City], slugs: Mapping[City, str]) -> list[dict[str, object]]:
    """Return the addresses under which cities with these slugs are found by other names."""
    return [
        {"slug": address, "city_slug": slugs[city]} for address, city in sorted(other_names.items()) if city in slugs
    ]
