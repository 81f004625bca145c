"""A need without some of its words, where nobody is found with all of them: nothing found is not the last word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from healthplus.database import Database
from healthplus.search.asked import untold
from healthplus.search.find import SearchRequest, find
from healthplus.search.keyword import Part, SplitKeyword, split_keyword
from healthplus.search.vocabulary import as_written

_PLACES_COMPARED = 20
_LOOSE_MAX = 4
"""Of so many words that mean nothing else each is left out, and kept, by itself."""


class LeftOut(NamedTuple):
    """A need without words with which nobody is found: those that nobody here has, and others.

    `untold` are kinds of what no search can tell, which the need asks for.
    """

    need: str
    unknown: Sequence[str]
    others: Sequence[str]
    untold: Sequence[str]


async def needs_without(
    database: Database, need: str, city_id: int | None, *, is_for_known: bool = False
) -> list[LeftOut]:
    """Return a need without its unknown words, then without all that mean nothing, then with ever fewer of its words.

    `is_for_known`: what it is for is said elsewhere, so that nothing may be left of it. None where nothing is left.
    """
    split = await split_keyword(database, need, city_id)
    asked = untold_of(split)
    told = {word for phrase in asked for word in phrase.split()}
    loose = [word for part in split.parts if not part.has_meaning for word in part.words if word not in told]
    unknown = await unknown_words(database, split, loose)
    known = [word for word in loose if word not in unknown]
    # A part of a city says where: that is not left out.
    names_a_place = any([await cities_with_part(database, word) for word in known])
    found: list[LeftOut] = []
    for others in ([], [] if names_a_place else known):
        out = {*told, *unknown, *others}
        kept = [part for part in split.parts if not out.intersection(part.words)]
        is_about_something = is_for_known or any(part.specialities or part.services or part.types for part in kept)
        if out and (is_about_something or (asked and not unknown and not others)):
            text = as_written((word for part in kept for word in part.words), need) if is_about_something else ""
            found.append(LeftOut(text, unknown, others, list(dict.fromkeys(asked.values()))))
    # Who is somewhere, or on other days, is found by other filters, with all words.
    if (len(known) > 1 or not names_a_place) and not await find(database, SearchRequest(keyword=need), 0, 1):
        found += _with_fewer_names(split, need, known, unknown, told)
    return [one for at, one in enumerate(found) if one not in found[:at]]


def _with_fewer_names(
    split: SplitKeyword, need: str, known: Sequence[str], unknown: Sequence[str], told: set[str]
) -> list[LeftOut]:
    """Return the need with all of the words that somebody has, then with all but one of them, then with one."""
    if len(known) > _LOOSE_MAX or not known:
        return []
    words = [word for part in split.parts if not part.is_dropped for word in part.words]
    names = sorted(known, key=split.frequency_of)  # what few have says most
    all_but_one = [[one for one in names if one != left] for left in reversed(names)] if len(names) > 1 else []
    keeping = [names, *all_but_one, *([one] for one in names)]
    found = []
    for kept in keeping:
        others = [word for word in known if word not in kept]
        out = {*told, *unknown, *others}
        text = as_written((word for word in words if word not in out), need)
        if text and (unknown or others):
            found.append(LeftOut(text, unknown, others, []))
    return found


async def unknown_words(database: Database, split: SplitKeyword, words: Sequence[str]) -> list[str]:
    """Return those of the words that nobody here has; the count of all words may be an hour old."""
    return [
        word
        for word in words
        if not split.has_word(word) and not await find(database, SearchRequest(keyword=word), 0, 1)
    ]


def untold_of(split: SplitKeyword) -> dict[str, str]:
    """Return what no search can tell among words that mean nothing else: a nursing home is none of a visit at home."""
    return untold([word if _is_loose(part) else "" for part in split.parts for word in part.words])


def _is_loose(part: Part) -> bool:
    return part.is_dropped or not part.has_meaning


async def cities_with_part(database: Database, place: str, city: str = "") -> set[str]:
    """Return the cities, by slug, where clinics have a place in their addresses; `city`: no other is looked at."""
    words = place.casefold().split()
    return {
        row["city_slug"]
        for row in await find(database, SearchRequest(keyword=place, city=city), 0, _PLACES_COMPARED)
        if all(word in (row["address"] or "").casefold() for word in words)
    }
