"""What is searched for where nobody is found: the nearest spelling, a part of the words, another city or none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from msgspec import structs

from healthplus.database import Database, Record
from healthplus.search.fewer_words import needs_without
from healthplus.search.find import SearchRequest, city_named
from healthplus.search.ranking import find_ranked
from healthplus.search.spelling import did_you_mean
from healthplus.text import is_postal_code, postal_code

_TRIES_MAX = 12
"""Of requests that may be meant instead; each costs some queries, and where many find nobody, so do the others."""


class Found(NamedTuple):
    """Those found, and the request that found them: another than was asked for where that finds nobody at all."""

    rows: list[Record]
    request: SearchRequest


async def find_or_instead(database: Database, request: SearchRequest, skip: int, count: int) -> Found:
    """Return who is found, or else by the nearest request that finds somebody: its keyword or city are others then.

    Filters stay: those who ask for a day or a fee mean it. Raises BadInput as `parse_request` does.
    """
    rows = await find_ranked(database, request, skip, count)
    if rows or (skip and await find_ranked(database, request, 0, 1)):
        return Found(rows, request)
    tried = [request]
    async for other in _others(database, request):
        if other in tried:
            continue
        if len(tried) > _TRIES_MAX:
            break
        tried.append(other)
        if rows := await find_ranked(database, other, skip, count):
            return Found(rows, other)
        if skip and await find_ranked(database, other, 0, 1):
            return Found([], other)
    return Found([], request)


async def _others(database: Database, request: SearchRequest) -> AsyncIterator[SearchRequest]:
    """Yield the requests that may be meant, the nearest first."""
    city = await city_named(database, request.city) if request.city else None
    if request.city and city is None:
        city = await _city_meant(database, request.city)
        request = structs.replace(request, city=city["slug"] if city else "")
        if city or request.keyword or request.specialities or request.services:
            yield request
    if is_postal_code(code := postal_code(request.keyword)):
        yield structs.replace(request, keyword=f"near {code}")
    elif request.keyword:
        async for other in _with_other_words(database, request, city["city_id"] if city else None):
            yield other


async def _city_meant(database: Database, name: str) -> Record | None:
    for meant in await did_you_mean(database, name, None):
        if city := await city_named(database, meant):
            return city
    return None


async def _with_other_words(
    database: Database, request: SearchRequest, city_id: int | None
) -> AsyncIterator[SearchRequest]:
    likely = await did_you_mean(database, request.keyword, city_id)
    for keyword in likely:
        yield structs.replace(request, keyword=keyword)
    if city_id and request.latitude is None and request.radius_km is None:
        yield structs.replace(request, city="")
    is_for_known = bool(request.specialities or request.services)
    for keyword in dict.fromkeys((request.keyword, *likely[:1])):
        for left in await needs_without(database, keyword, city_id, is_for_known=is_for_known):
            if left.need or is_for_known:
                yield structs.replace(request, keyword=left.need)
