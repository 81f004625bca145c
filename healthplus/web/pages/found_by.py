"""Who is found by a search: one page of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from healthplus.database import Database, Record
from healthplus.search.find import count_matching, find_matching, labs_first
from healthplus.search.ranking import doctors_first, in_stages
from healthplus.search.vocabulary import has_kinds
from healthplus.web.http.paging import PAGE_MAX, limit_and_offset
from healthplus.web.pages.other_searches import COUNT_MAX, FREE_COUNT_MAX, criteria_of
from healthplus.web.pages.searches import Search

_CARDS = 10


class Found(NamedTuple):
    """A page of results; `total` are all of them, up to one more than `total_max`. Distances are from the `centre`.

    `kind_ids` are the types of services of which any will do, where the need names one thing by them.
    """

    rows: list[Record]
    total: int
    total_max: int
    has_more: bool
    is_place_known: bool
    centre: tuple[float, float] | None = None
    kind_ids: Sequence[int] = ()


async def found_by(database: Database, search: Search, number: int) -> Found:
    criteria = await criteria_of(database, search)
    if criteria is None:
        return Found([], 0, COUNT_MAX, has_more=False, is_place_known=False)
    limit, skip = limit_and_offset(number, _CARDS)
    # A provider whose own name was searched for comes first, of any kind.
    if search.is_for_doctors and not criteria.own_ids:
        rows = await in_stages(database, await doctors_first(database, search.need, criteria), skip, limit)
    elif search.is_for_labs and not criteria.own_ids:
        rows = await in_stages(database, labs_first(criteria), skip, limit)
    else:
        rows = await find_matching(database, criteria, skip, limit)
    total_max = FREE_COUNT_MAX if search.filters.day else COUNT_MAX
    # The last page shows by itself how many there are.
    has_more = len(rows) > _CARDS
    total = await count_matching(database, criteria, total_max + 1) if has_more else skip + len(rows)
    around = criteria.latitude, criteria.longitude
    centre = None if around[0] is None or around[1] is None else (around[0], around[1])
    more = has_more and number < PAGE_MAX
    type_ids = criteria.service_type_ids or ()
    is_one_thing = len(type_ids) > 1 and max(criteria.service_groups or (0,)) == 1
    kind_ids = type_ids if is_one_thing and has_kinds(search.need) else ()
    return Found(rows[:_CARDS], total, total_max, more, is_place_known=True, centre=centre, kind_ids=kind_ids)
