"""Turn checked entries into the rows of each table, a thousand at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from healthplus.country import HERE
from healthplus.directory.service_text import Service
from healthplus.imports.cities import city_of, city_rows, city_slugs
from healthplus.imports.emptied import emptied_clinics, emptied_providers
from healthplus.imports.entries import Clinic, Entry, PostalCode
from healthplus.imports.one_city import KnownCities, alias_rows
from healthplus.imports.specialities import as_stored
from healthplus.names import service_slug

_ROWS_A_STEP = 1000

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """What is put into a table, or a query that is run for rows; without `items` once, for none.

    `row` makes the row of an item only when it is about to be stored: all of them at once would fill the memory.
    `concerns` tells whether an entry cannot be stored without a row.
    """

    name: str
    items: Sequence[Any]
    row: Callable[[Any], Row]
    concerns: Callable[[Row, Entry], bool] = lambda row, entry: entry.provider.identifier == row["provider"]
    once: bool = False

    @property
    def step_count(self) -> int:
        """How many steps there will be."""
        return 1 if self.once else -(-len(self.items) // _ROWS_A_STEP)

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows of each step."""
        if self.once:
            yield []
        for start in range(0, len(self.items), _ROWS_A_STEP):
            yield list(map(self.row, self.items[start : start + _ROWS_A_STEP]))


def tables_of(
    entries: Sequence[Entry],
    with_new_shifts: Sequence[Entry],
    cities: KnownCities,
    source: str,
    time_zone: str,
    hashes: Mapping[str, str],
) -> list[Table]:
    """Return what to store, those that others refer to first.

    `with_new_shifts` are the entries whose shifts are to be stored; `source` is where the file is from; `hashes` are
    those of pictures by their addresses.
    """
    clinics = list({entry.clinic.identifier: entry.clinic for entry in entries}.values())
    providers = list({entry.provider.identifier: entry.provider for entry in entries}.values())
    slugs = city_slugs(clinics, cities.stored, cities.aliases)
    has: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for entry in entries:
        for text in entry.specialities:
            has[entry.provider.identifier, as_stored(text).slug][text] = None
    return [
        Table(
            "cities",
            city_rows(clinics, slugs, time_zone),
            dict,
            lambda row, entry: slugs[city_of(entry.clinic)] == row["slug"],
        ),
        Table(
            "city_aliases",
            alias_rows(cities.other_names, slugs),
            dict,
            lambda row, entry: slugs[city_of(entry.clinic)] == row["city_slug"],
        ),
        *_tables_of_kinds(entries),
        Table(
            "emptied_clinics",
            emptied_clinics(entries),
            dict,
            lambda row, entry: entry.clinic.identifier == row["clinic"],
        ),
        Table("emptied_providers", emptied_providers(entries), dict),
        Table(
            "clinics",
            clinics,
            lambda one: (
                msgspec.structs.asdict(one) | {"city_slug": slugs[city_of(one)], "home_currency": HERE.currency}
            ),
            lambda row, entry: entry.clinic.identifier == row["identifier"],
        ),
        Table(
            "providers",
            providers,
            msgspec.structs.asdict,
            lambda row, entry: entry.provider.identifier == row["identifier"],
        ),
        _query("analyze_directory", providers),
        Table(
            "photos",
            [one for one in providers if one.photo == "" or one.photo in hashes],
            lambda one: {"provider": one.identifier, "source": one.photo, "hash": hashes.get(one.photo or "")},
        ),
        Table(
            "pictures",
            [clinic for clinic in clinics if _has_pictures(clinic, hashes)],
            lambda clinic: _pictures(clinic, hashes),
            lambda row, entry: entry.clinic.identifier == row["clinic"],
        ),
        Table("provider_specialities", sorted(has), lambda pair: _speciality(pair[0], pair[1], tuple(has[pair]))),
        *_tables_of_posts(entries, with_new_shifts, source),
    ]


def _tables_of_kinds(entries: Sequence[Entry]) -> list[Table]:
    """Return what to store of the specialities, services and tests that entries name."""
    specialities = dict(as_stored(text) for entry in reversed(entries) for text in entry.specialities)
    types = {(service_slug(s.name), s.is_test): s.name for e in reversed(entries) for s in (*e.tests, *e.services)}
    return [
        Table(
            "specialities",
            sorted(specialities.items()),
            lambda pair: {"slug": pair[0], "name": pair[1]},
            lambda row, entry: row["slug"] in [as_stored(text).slug for text in entry.specialities],
        ),
        Table(
            "service_types",
            sorted(types.items()),
            lambda item: {"slug": item[0][0], "name": item[1], "is_test": item[0][1]},
            lambda row, entry: row["slug"] in [service_slug(one.name) for one in (*entry.tests, *entry.services)],
        ),
    ]


def _tables_of_posts(entries: Sequence[Entry], with_new_shifts: Sequence[Entry], source: str) -> list[Table]:
    """Return what to store of providers at clinics: that they are there, what they offer, and when."""
    books = sorted({entry.provider.identifier for entry in with_new_shifts})
    return [
        Table("posts", entries, _post, _is_post),
        Table("source_rows", entries, lambda entry: _post(entry) | {"source": source}, _is_post),
        Table("services", _services(entries), dict),
        Table("lock_books", books, _book),
        Table("shifts", _shifts(with_new_shifts), _shift, _is_post),
        _query("analyze_schedule", entries),
        Table("offer_new_times", books, _book),
        _query("count_words", entries),
    ]


def postal_code_tables(codes: Sequence[PostalCode]) -> list[Table]:
    """Return what to store of a list of postal codes."""
    return [Table("postal_codes", codes, msgspec.structs.asdict)]


def _query(name: str, wanted_for: Sequence[Any]) -> Table:
    return Table(name, (), dict, once=bool(wanted_for))


def _book(provider: str) -> Row:
    return {"provider": provider}


def _has_pictures(clinic: Clinic, hashes: Mapping[str, str]) -> bool:
    """Return whether a file says anything about a clinic's pictures: where none could be fetched, those stored stay."""
    return clinic.pictures is not None and (not clinic.pictures or any(one in hashes for one in clinic.pictures))


def _pictures(clinic: Clinic, hashes: Mapping[str, str]) -> Row:
    fetched = [one for one in clinic.pictures or () if one in hashes]
    return {"clinic": clinic.identifier, "sources": fetched, "picture_hashes": [hashes[one] for one in fetched]}


def _speciality(provider: str, slug: str, texts: Sequence[str]) -> Row:
    is_name = texts == (as_stored(texts[0]).name,)
    return {"provider": provider, "slug": slug, "written_name": None if is_name else "; ".join(texts)}


def _services(entries: Sequence[Entry]) -> list[Row]:
    offered: dict[tuple[str, str, str, bool], tuple[Service, str]] = {}
    for entry in entries:
        provider, clinic = entry.provider.identifier, entry.clinic.identifier
        for at, services in ((None, entry.tests), (clinic, entry.services)):
            for s in services:
                offered[provider, at or "", service_slug(s.name), s.is_test] = s, entry.currency
    return [
        {"provider": provider, "clinic": at or None, "service_type": s, "currency": currency}
        | msgspec.structs.asdict(service)
        for (provider, at, s, _), (service, currency) in sorted(offered.items(), key=lambda item: item[0])
    ]


def _shifts(entries: Sequence[Entry]) -> list[tuple[Entry, int]]:
    return [(entry, number) for entry in entries for number in range(len(entry.shifts))]


def _shift(one: tuple[Entry, int]) -> Row:
    entry, number = one
    shift = entry.shifts[number]
    times = {"starts": _time(shift.starts), "ends": _time(shift.ends)}
    return (
        {"provider": entry.provider.identifier, "clinic": entry.clinic.identifier}
        | msgspec.structs.asdict(shift)
        | times
    )


def _post(entry: Entry) -> Row:
    return {
        "provider": entry.provider.identifier,
        "clinic": entry.clinic.identifier,
        "fee_minor": entry.fee_minor,
        "funding": entry.funding,
    }


def _is_post(row: Row, entry: Entry) -> bool:
    return (entry.provider.identifier, entry.clinic.identifier) == (row["provider"], row["clinic"])


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
