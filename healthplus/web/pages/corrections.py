"""What is meant by a search that finds few: by a word that is misspelt, and by a place that nobody is in."""

from __future__ import annotations

from itertools import product

from msgspec import structs

from healthplus.database import Database
from healthplus.search.fewer_words import cities_with_part
from healthplus.search.find import SearchRequest, city_named, count_matching, find
from healthplus.search.spelling import did_you_mean
from healthplus.search.vocabulary import VOCABULARY, normal_words, runs
from healthplus.web.pages.other_searches import criteria_of
from healthplus.web.pages.searches import Search

_MEANINGS_MAX = 3


async def meanings(database: Database, search: Search) -> list[Search]:
    """Return what may be meant instead of misspelt words, the likeliest first: searches that find somebody.

    A place is corrected to places only: a town that we lack is no doctor of a like name.
    """
    needs = await _needs(database, search)
    places = await _places(database, search)
    # Where both are misspelt, both are corrected.
    choices = [structs.replace(place, **need) for place, need in product(places or [search], needs or [{}])]
    found = []
    for choice in choices[:_MEANINGS_MAX] if needs or places else []:
        criteria = await criteria_of(database, choice)
        if criteria and await count_matching(database, criteria, 1):
            found.append(choice)
    return found


async def respelt(database: Database, search: Search) -> Search | None:
    """Return the search with its need spelt as it was likeliest meant, whether that finds somebody or not."""
    needs = await _needs(database, search)
    return structs.replace(search, **needs[0]) if needs else None


async def _needs(database: Database, search: Search) -> list[dict[str, object]]:
    if not search.need:
        return []
    city_id = search.city["city_id"] if search.city else None
    meant = await did_you_mean(database, search.need, city_id)
    return [{"need": text, "speciality": None, "services": ()} for text in meant]


async def _places(database: Database, search: Search) -> list[Search]:
    if not search.place or search.postal_code:
        return []
    found = []
    for place in await did_you_mean(database, search.place, search.city["city_id"] if search.city else None):
        if not search.city and (city := await city_named(database, place)):
            found.append(structs.replace(search, city=city, place=""))
        elif await cities_with_part(database, place, search.city["slug"] if search.city else ""):
            found.append(structs.replace(search, place=place.title()))
    return found


async def unknown_place(database: Database, search: Search) -> tuple[str, Search] | None:
    """Return the place in which a search looks where there is nobody at all, and the search without it; else None."""
    if search.city or search.filters.near or search.postal_code:
        return None
    if search.place:
        is_known = await find(database, SearchRequest(keyword=search.place), 0, 1)
        return None if is_known else (search.place, structs.replace(search, place=""))
    words = await normal_words(database, search.need)
    for start, end, phrase in runs(words):
        if not VOCABULARY.is_place(phrase) or await city_named(database, phrase):
            continue
        if await find(database, SearchRequest(keyword=phrase), 0, 1):
            return None
        return phrase.title(), structs.replace(search, need=" ".join([*words[:start], *words[end:]]))
    return None
