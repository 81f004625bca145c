"""What was understood of a search, and which of its words were not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs

from healthplus.country import HERE
from healthplus.database import Database, Record
from healthplus.search.asked import untold
from healthplus.search.find import SearchRequest, find
from healthplus.search.keyword import Part, SplitKeyword, split_keyword
from healthplus.search.vocabulary import plain_words
from healthplus.web.languages import N_, Language
from healthplus.web.pages.other_searches import cities_with_part
from healthplus.web.pages.searches import Search

_UNTOLD = {
    "open": N_("We can’t tell who is open right now. Each card shows the next free times."),
    "day_and_night": N_("We can’t tell who is open at night. In an emergency, call %(number)s."),
    "part_of_day": N_("We can’t search by the time of day. Each card shows the next free times."),
    "home": N_("Visits and samples at home can’t be booked here: you go to the clinic or lab."),
    "video": N_("Video appointments can’t be booked here: you go to the clinic."),
    "insurance": N_("We don’t know which insurance a clinic takes. Please ask it before you book."),
    "urgent": N_(
        "We can’t tell who takes emergencies. In an emergency, call %(number)s or go to the nearest hospital."
    ),
    "not_here": N_("Only doctors, clinics, hospitals and labs can be booked here."),
    "near": N_("To see who is nearest, press “Near me” in the search, or type your area."),
}


class LeftOut(NamedTuple):
    """A search without words with which nobody is found: those that nobody here has, and others.

    `texts` say why, of those that ask for what no search can tell.
    """

    search: Search
    unknown: Sequence[str]
    others: Sequence[str]
    untold: Sequence[str]


async def searches_without(database: Database, search: Search) -> list[LeftOut]:
    """Return the search without its unknown words, then without all that mean nothing; none where nothing is left."""
    if not search.need:
        return []
    split = await split_keyword(database, search.need, search.city["city_id"] if search.city else None)
    asked = _untold(split)
    told = {word for phrase in asked for word in phrase.split()}
    loose = [word for part in split.parts if not part.has_meaning for word in part.words if word not in told]
    unknown = await _unknown(database, split, loose)
    known = [word for word in loose if word not in unknown]
    # A part of a city says where: that is not left out.
    if any([await cities_with_part(database, word) for word in known]):
        known = []
    found: list[LeftOut] = []
    for others in ([], known):
        out = {*told, *unknown, *others}
        kept = [part for part in split.parts if not out.intersection(part.words)]
        is_about_something = any(part.specialities or part.services or part.types for part in kept) or bool(
            search.speciality or search.services
        )
        if out and (is_about_something or (asked and not unknown and not others)):
            need = " ".join(word for part in kept for word in part.words) if is_about_something else ""
            left = LeftOut(structs.replace(search, need=need), unknown, others, list(dict.fromkeys(asked.values())))
            found += [left] if not found or left != found[-1] else []
    return found


async def _unknown(database: Database, split: SplitKeyword, words: Sequence[str]) -> list[str]:
    """Return those of the words that nobody here has; the count of all words may be an hour old."""
    return [
        word
        for word in words
        if not split.has_word(word) and not await find(database, SearchRequest(keyword=word), 0, 1)
    ]


async def unknown_texts(database: Database, language: Language, search: Search) -> list[str]:
    """Return in words which words of a need nobody here has, where nobody is found."""
    split = await split_keyword(database, search.need, search.city["city_id"] if search.city else None)
    loose = [word for part in split.parts if not part.has_meaning for word in part.words]
    unknown = {"words": " ".join(await _unknown(database, split, loose))}
    return [language.gettext("Nothing here is known as “%(words)s”.") % unknown] if unknown["words"] else []


def _untold(split: SplitKeyword) -> dict[str, str]:
    """Return what no search can tell among words that mean nothing else: a nursing home is none of a visit at home."""
    return untold([word if _is_loose(part) else "" for part in split.parts for word in part.words])


def _is_loose(part: Part) -> bool:
    return part.is_dropped or not part.has_meaning


def left_out_texts(language: Language, left: LeftOut, shown: str) -> list[str]:
    """Return in words what was left out; `shown` is what results are for, "" for everybody."""
    _ = language.gettext
    texts = []
    if left.unknown:
        unknown = {"words": " ".join(left.unknown)}
        texts.append(_("Nothing here is known as “%(words)s”.") % unknown)
    if left.others:
        others = {"words": " ".join(left.others)}
        texts.append(_("Nobody is found with “%(words)s” as well.") % others)
    if shown and texts:
        texts.append(_("Showing results for %(need)s.") % {"need": shown})
    return [
        *(_(_UNTOLD[one]) % {"number": HERE.emergency.number} for one in left.untold),
        *filter(None, [" ".join(texts)]),
    ]


async def names_a_part(database: Database, search: Search, rows: Sequence[Record]) -> bool:
    """Return whether a need has words besides what it is for, and these are in the addresses of all who are found."""
    parts = (await split_keyword(database, search.need, None)).parts if search.need else []
    loose = [word for part in parts if not part.is_dropped and not part.has_meaning for word in part.words]
    return bool(loose and rows) and all(word in (row["address"] or "").casefold() for row in rows for word in loose)


def hint_of_nearness(language: Language, search: Search) -> str:
    """Return how to see who is near, where somebody asks for that without saying where they are; else ""."""
    if search.is_placed or "near" not in untold(plain_words(search.need)).values():
        return ""
    return language.gettext(_UNTOLD["near"])
