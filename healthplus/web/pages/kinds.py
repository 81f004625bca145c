"""The kinds of a test that is done in several: an MRI is of the brain, the knee or the spine, and one is needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs

from healthplus.database import Database, Record
from healthplus.web.pages.free_times import queries
from healthplus.web.pages.searches import Search


class Kinds(NamedTuple):
    """What there is to choose from, each kind with the search for it; nothing where there are no two.

    `offers` are what providers at clinics offer of them.
    """

    choices: Sequence[tuple[Record, Search]] = ()
    offers: dict[tuple[int, int], list[Record]] = {}  # noqa: RUF012 - nobody changes it


async def kinds_of(database: Database, search: Search, type_ids: Sequence[int], rows: Sequence[Record]) -> Kinds:
    """Return the kinds among `type_ids`, of which a search means any, and what the providers of `rows` offer."""
    if len(type_ids) < 2 or not rows:
        return Kinds()
    offered = await database.fetch(queries.kinds, list(type_ids), search.city["city_id"] if search.city else None)
    if len(offered) < 2:
        return Kinds()
    offers: defaultdict[tuple[int, int], list[Record]] = defaultdict(list)
    locations = [row["provider_id"] for row in rows], [row["clinic_id"] for row in rows]
    for one in await database.fetch(queries.kinds_at, *locations, list(type_ids)):
        offers[one["provider_id"], one["clinic_id"]].append(one)
    return Kinds([(one, structs.replace(search, need="", services=(one,))) for one in offered], dict(offers))
