"""Searches to try instead of one that finds nothing."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from msgspec import structs

from healthplus.database import Database
from healthplus.errors import BadInput
from healthplus.search.fewer_words import cities_with_part
from healthplus.search.find import (
    Order,
    SearchCriteria,
    city_named,
    count_matching,
    find,
    parse_request,
)
from healthplus.search.keyword import split_keyword
from healthplus.web.languages import N_, Language
from healthplus.web.pages.searches import Filters, Search

COUNT_MAX, FREE_COUNT_MAX = 200, 50
"""How far results are counted; less far with a day, since then each result's free times are looked at."""

_ANY = {
    "day": N_("Any day"),
    "type": N_("Any type"),
    "fee": N_("Any fee"),
    "gender": N_("Any gender"),
    "language": N_("Any language"),
    "rating": N_("Any rating"),
    "experience": N_("Any experience"),
}
"""A search without one of its filters, in words."""


class OtherSearch(NamedTuple):
    """A search to try instead of one that found nothing; `found`: how many results it has, up to `count_max` + 1."""

    text: str
    path: str
    found: int
    count_max: int


async def criteria_of(database: Database, search: Search) -> SearchCriteria | None:
    """Return the criteria of a search; None where its PIN code, or the place to be near, is not known."""
    try:
        return await parse_request(database, search.request())
    except BadInput:
        return None


async def other_searches(database: Database, language: Language, search: Search) -> list[OtherSearch]:
    """Return searches with results: the search without each of its filters, on another day, and in a wider place."""
    _ = language.gettext
    tried: list[tuple[str, Search]] = [
        (_(_ANY[name]), search.without(name))
        for name in search.filters.active()
        if name != "type" or search.speciality or search.services or search.need
    ]
    if search.filters.day and (day := await _other_day(database, search)):
        tried.append((_("On %(day)s") % {"day": language.day(day)}, search.but(day=day.isoformat())))
    if len(list(search.filters.active())) > 1:
        tried.append((_("Without any filter"), structs.replace(search, filters=Filters(near=search.filters.near))))
    if (wider := await _in_all_of_the_city(database, search)) and wider.city:
        city = {"city": language.known_name("city", wider.city["name"])}
        tried.append((_("In all of %(city)s") % city, wider))
    if search.is_located or search.place:
        tried.append((_("Everywhere"), structs.replace(search.but(near="", within=0), city=None, place="")))
    others = []
    for text, wider in tried:
        count_max = FREE_COUNT_MAX if wider.filters.day else COUNT_MAX
        criteria = await criteria_of(database, wider)
        if criteria and (found := await count_matching(database, criteria, count_max + 1)):
            others.append(OtherSearch(text, wider.path(), found, count_max))
    return others


async def _in_all_of_the_city(database: Database, search: Search) -> Search | None:
    """Return the search without the part of a city that it names, in all of that city; None where it names none."""
    if search.city and search.place:
        return structs.replace(search, place="")
    need, place = search.need, search.place
    if not place:
        parts = [part for part in (await split_keyword(database, need, None)).parts if not part.is_dropped]
        need, place = (
            " ".join(word for part in parts if part.has_meaning is has_meaning for word in part.words)
            for has_meaning in (True, False)
        )
    if not place or search.postal_code or not (need or search.speciality or search.services or search.filters.type):
        return None
    slugs = await cities_with_part(database, place, search.city["slug"] if search.city else "")
    known = await city_named(database, slugs.pop()) if len(slugs) == 1 else None
    return None if known is None else structs.replace(search, need=need, place="", city=known)


async def _other_day(database: Database, search: Search) -> date | None:
    """Return the first day on which the search has a result, if any."""
    rows = await find(database, structs.replace(search.without("day").request(), order=Order.DATE_ASC), 0, 1)
    return rows[0]["first_free_on"] if rows else None
