"""Who comes first of those found: doctors before clinics that offer the same, labs where tests are meant."""

from __future__ import annotations

from collections.abc import Sequence

from healthplus.database import Database, Record
from healthplus.search.find import (
    Order,
    SearchCriteria,
    SearchRequest,
    count_matching,
    find_matching,
    labs_first,
    of_types,
    parse_request,
    seen_first,
)
from healthplus.search.vocabulary import VOCABULARY, first_specialities, is_doctor, known_phrases, plain_words, runs

OF_LABORATORIES = frozenset({"pathology", "radiology"})


async def find_ranked(database: Database, request: SearchRequest, skip: int, count: int) -> list[Record]:
    """Parse a request and return whom it finds as `find` does, in the order for what it names if it asks for the best.

    Raises BadInput as `parse_request` does.
    """
    criteria = await parse_request(database, request)
    if criteria is None:
        return []
    is_free = request.order is Order.BEST and not request.types and not criteria.own_ids
    if is_free and (request.specialities or is_for_doctors(request.keyword)):
        if OF_LABORATORIES.isdisjoint(request.specialities):
            return await in_stages(database, await doctors_first(database, request.keyword, criteria), skip, count)
    elif is_free and not request.services and is_for_labs(request.keyword):
        return await in_stages(database, labs_first(criteria), skip, count)
    return await find_matching(database, criteria, skip, count)


def is_for_doctors(need: str) -> bool:
    """Return whether a text is for a doctor of some kind, so that others come after them."""
    words = plain_words(need)
    return any(map(is_doctor, words)) or _is_for_specialities(words)


def is_for_labs(need: str) -> bool:
    """Return whether a text is for what laboratories do, so that others come after them."""
    meant = [VOCABULARY.phrases[phrase] for phrase in known_phrases(plain_words(need))]
    kinds = [bool(OF_LABORATORIES & one.specialities) for one in meant if one.specialities or one.types]
    return bool(kinds) and all(kinds)


async def doctors_first(database: Database, need: str, criteria: SearchCriteria) -> list[SearchCriteria]:
    """Return the criteria of doctors, those first who see first to the symptoms of the need, then those of others."""
    doctors, others = of_types(criteria, ["doctor"]), of_types(criteria, ["hospital", "clinic", "lab"])
    slugs = first_specialities(need)
    return [*(await seen_first(database, doctors, slugs) if slugs else (doctors,)), others]


async def in_stages(database: Database, stages: Sequence[SearchCriteria], skip: int, limit: int) -> list[Record]:
    """Return a page of those found by the first criteria, after the last of them those by the next, and so on."""
    rows: list[Record] = []
    for stage in stages:
        if len(rows) >= limit:
            break
        found = await find_matching(database, stage, skip, limit - len(rows))
        skip = 0 if found or not skip else skip - await count_matching(database, stage, skip)
        rows += found
    return rows


def _is_for_specialities(words: list[str]) -> bool:
    """Return whether words name symptoms or specialities that doctors see to, and nothing else."""
    if any(VOCABULARY.phrases[word].types for word in words if word in VOCABULARY.phrases):
        return False  # as in: skin clinic
    done, is_for_any = 0, False
    for start, end, phrase in runs(words):
        if start < done:
            continue
        meaning = VOCABULARY.phrases.get(phrase)
        if meaning and meaning.services and not meaning.is_treatment:
            return False
        if meaning and not OF_LABORATORIES.isdisjoint(meaning.specialities):
            return False
        if meaning or phrase in VOCABULARY.dropped:
            done, is_for_any = end, is_for_any or bool(meaning and meaning.specialities)
        elif end == start + 1:
            return False
    return is_for_any
