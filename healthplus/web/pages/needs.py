"""What the words of a need say on pages: the gender asked for, and what it is called in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import structs

from healthplus.database import Record
from healthplus.search.asked import asked, needs_a_doctor
from healthplus.search.vocabulary import VOCABULARY, is_doctor, plain_words, runs
from healthplus.web.languages import Language
from healthplus.web.pages.home import known_names
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.searches import Filters, Search
from healthplus.web.services import AnyRequest


def with_asked(need: str, filters: Filters, today: date) -> tuple[str, Filters]:
    """Return a need without what it asks for besides whom, and filters with that: `lady doctor` is a filter alone."""
    found = asked(need)
    if not found.is_more_than_need:
        return need, filters
    day = found.day
    if day.isdecimal():
        day = (today + timedelta(days=(int(day) - today.isoweekday()) % 7)).isoformat()
    told = {"gender": found.gender, "language": found.language, "fee": found.fee, "day": day, "sort": found.order}
    filters = structs.replace(filters, **{name: value for name, value in told.items() if value})
    if not found.need or needs_a_doctor(found.need):
        is_for_doctors = bool(found.gender) or bool(found.need)
        return "", structs.replace(filters, type="doctor" if is_for_doctors else filters.type)
    return found.need, filters


class Heading(NamedTuple):
    """What a search is for, as pages say it, and the city that its need names; both may be ""."""

    what: str
    where: str = ""


async def heading(request: AnyRequest, search: Search) -> Heading:
    """Return what was understood of a search: its words for a speciality or symptom in the reader's language."""
    language = language_of(request)
    needed = search.needed(language)
    if not search.need:
        return Heading(needed)
    cities, specialities = await known_names(request)
    words = _without_edges(plain_words(search.need))
    slugs = {one["slug"]: one["name"] for one in cities} if not search.is_placed else {}
    parts, where = [], ""
    for phrase in _phrases(words):
        named = next((slugs[slug] for slug in sorted(_cities_of(phrase)) if slug in slugs), "")
        if named and not where and len(words) > len(phrase.split()):
            where = language.known_name("city", named)
        else:
            parts.append(phrase)
    meant = _without_edges(parts)
    telling = [phrase for phrase in meant if phrase not in VOCABULARY.dropped]
    if language.prefix and len(telling) == 1 and telling[0].isascii() and telling[0] in VOCABULARY.phrases:
        return Heading(_in_language(language, telling[0], specialities), where)
    said = [_said(phrase, search.need) for phrase in meant]
    what = " ".join(said)
    if not meant and any(map(is_doctor, plain_words(search.need))):
        what = language.gettext("Doctors")
    return Heading(what[:1].upper() + what[1:], where)


def _phrases(words: list[str]) -> Iterator[str]:
    """Yield the words, those of a known phrase together."""
    done = 0
    for start, end, phrase in runs(words):
        if start >= done and (phrase in VOCABULARY.phrases or end == start + 1):
            done = end
            yield phrase


def _cities_of(phrase: str) -> set[str]:
    known = VOCABULARY.phrases.get(phrase)
    return known.cities if known else {phrase.replace(" ", "-")}


def _without_edges(words: list[str]) -> list[str]:
    """Return words without those at the ends that say nothing about whom to find; a title stays before a name."""
    words = list(words)
    while words and words[-1] in VOCABULARY.dropped and not is_doctor(words[-1]):
        del words[-1]
    while words and words[0] in VOCABULARY.dropped and not (is_doctor(words[0]) and len(words) > 1):
        del words[0]
    return words


def _said(phrase: str, typed: str) -> str:
    """Return a phrase as pages write it: what is known in small letters or as it is usual, a name as it was typed."""
    if phrase in _WRITTEN:
        return _WRITTEN[phrase]
    if phrase in VOCABULARY.phrases or phrase in VOCABULARY.dropped:
        return phrase.title() if VOCABULARY.is_place(phrase) else VOCABULARY.written.get(phrase, phrase)
    own = next((word for word in typed.split() if "".join(plain_words(word)) == phrase), phrase)
    return own if own not in (own.lower(), own.upper()) else own.title() if own.isascii() else own


def _in_language(language: Language, phrase: str, specialities: list[Record]) -> str:
    meaning = VOCABULARY.phrases[phrase]
    if meaning.is_symptom:
        return phrase if meaning.urgent == "mind" else language.known_name("symptom", phrase)
    if meaning.services:
        return language.known_name("service", _WRITTEN.get(phrase, phrase))
    meant = (one["name"] for one in specialities if one["slug"] in meaning.specialities)
    return language.known_name("speciality", next(meant, _WRITTEN.get(phrase, phrase)))


_WRITTEN = {
    **{written.lower().replace("-", " "): written for written in (
        "ACL", "ADHD", "BP", "CBC", "CBT", "CRP", "CT", "ECG", "EEG", "EKG", "ENT", "ESR", "FBS", "GP", "HIV",
        "HRCT", "IUD", "IUI", "IVF", "KFT", "LASIK", "LFT", "MRI", "MTP", "NCV", "OPG", "PCOD", "PCOS", "PFT",
        "PPBS", "PRP", "PSA", "RCT", "TB", "TMT", "TSH", "USG", "UTI", "Dr", "CT scan", "MRI scan", "MRI brain",
        "MRI knee", "MRI spine", "X-ray", "X-rays", "chest X-ray", "dental X-ray", "HbA1c", "2D echo",
        "vitamin D", "vitamin B12", "B12", "COVID-19", "COVID", "C-section",
    )},
    "xray": "X-ray", "xrays": "X-rays", "chest xray": "chest X-ray", "dental xray": "dental X-ray",
}  # fmt: skip
"""How pages write what has capitals."""
