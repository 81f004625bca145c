"""What was understood of a search, and which of its words were not used."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from healthplus.database import Database, Record
from healthplus.search.asked import untold
from healthplus.search.fewer_words import LeftOut, needs_without, unknown_words
from healthplus.search.keyword import split_keyword
from healthplus.search.vocabulary import as_written, plain_words
from healthplus.web.languages import N_, Language
from healthplus.web.pages.searches import Search

_UNTOLD = {
    "open": N_("We can’t tell who is open right now. Each card shows the next free times."),
    "day_and_night": N_("We can’t tell who is open at night. In an emergency, call 112."),
    "part_of_day": N_("We can’t search by the time of day. Each card shows the next free times."),
    "home": N_("Visits and samples at home can’t be booked here: you go to the clinic or lab."),
    "video": N_("Video appointments can’t be booked here: you go to the clinic."),
    "insurance": N_("We don’t know which insurance a clinic takes. Please ask it before you book."),
    "urgent": N_("We can’t tell who takes emergencies. In an emergency, call 112 or go to the nearest hospital."),
    "not_here": N_("Only doctors, clinics, hospitals and labs can be booked here."),
    "near": N_("To see who is nearest, press “Near me” in the search, or type your area."),
}


async def searches_without(database: Database, search: Search) -> list[tuple[Search, LeftOut]]:
    """Return the search with ever fewer of its words, and which are left out; none where nothing is left."""
    if not search.need:
        return []
    city_id = search.city["city_id"] if search.city else None
    is_for_known = bool(search.speciality or search.services)
    found = await needs_without(database, search.need, city_id, is_for_known=is_for_known)
    return [(structs.replace(search, need=left.need), left) for left in found]


async def unknown_texts(database: Database, language: Language, search: Search) -> list[str]:
    """Return in words which words of a need nobody here has, where nobody is found."""
    split = await split_keyword(database, search.need, search.city["city_id"] if search.city else None)
    loose = [word for part in split.parts if not part.has_meaning for word in part.words]
    unknown = {"words": as_written(await unknown_words(database, split, loose), search.need)}
    return [language.gettext("Nothing here is known as “%(words)s”.") % unknown] if unknown["words"] else []


def left_out_texts(language: Language, left: LeftOut, typed: str, shown: str) -> list[str]:
    """Return in words what was left out of what was typed; `shown` is what results are for, "" for everybody."""
    _ = language.gettext
    texts = []
    if left.unknown:
        unknown = {"words": as_written(left.unknown, typed)}
        texts.append(_("Nothing here is known as “%(words)s”.") % unknown)
    if left.others:
        others = {"words": as_written(left.others, typed)}
        texts.append(_("Nobody is found with “%(words)s” as well.") % others)
    if shown and texts:
        texts.append(_("Showing results for %(need)s.") % {"need": shown})
    return [*(_(_UNTOLD[one]) for one in left.untold), *filter(None, [" ".join(texts)])]


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
