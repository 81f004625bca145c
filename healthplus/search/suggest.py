"""Complete the beginning of a keyword to specialities, services, symptoms, cities, and names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from healthplus.database import Database, Record, load
from healthplus.search.vocabulary import VOCABULARY, WORD_LENGTH_MAX, WORDS_MAX, sendable

_queries = load(Path(__file__).with_name("queries.sql"))

LIMIT_MAX = 10
_PHRASES_MAX = 40  # how many of words.toml are looked at
_SYMPTOMS_MAX = 5


class Suggestion(Struct, omit_defaults=True):
    """A completion: the `text` to show and, by `kind`, what it leads to.

    Kinds are speciality, service, symptom, city, clinic and provider. A symptom is a keyword to search for. `matched`
    is the other name of what the text names, if that was typed. `city`, `speciality` and `service` are slugs; a
    provider or clinic has the city it is in, and `details` tell it from namesakes.
    """

    kind: str
    text: str
    matched: str | None = None
    speciality: str | None = None
    service: str | None = None
    city: str | None = None
    clinic_id: int | None = None
    provider_id: int | None = None
    details: list[str] = []


# Every phrase that means one of these, with each of its words put first: `pain` completes to `back pain`.
_STARTS = sorted(
    (" ".join(words[at:] + words[:at]), at, phrase)
    for phrase, meaning in VOCABULARY.phrases.items()
    if meaning.specialities or meaning.services or meaning.cities
    if meaning.urgent in {"", "body"}  # the others to nobody who types something else
    for words in [phrase.split()]
    if not meaning.urgent or VOCABULARY.dropped.isdisjoint(words)  # `pain in chest` is chest pain said in other words
    for at in range(len(words))
    if at == 0 or words[at] not in VOCABULARY.dropped
)


async def suggest(database: Database, typed: str, city_id: int | None, limit: int) -> list[Suggestion]:
    """Return at most `limit` completions of any text; with `city_id`, providers and clinics of that city only.

    Half of them are names, the preferred ones first, and half the rest; what one half does not fill, the other may.
    """
    words = await database.fetch_value(_queries.name_words, sendable(typed))
    start = " ".join(word[:WORD_LENGTH_MAX] for word in words[:WORDS_MAX])
    if not start:
        return []
    phrases = _phrases(start)
    rows = await database.fetch(
        _queries.suggested_terms,
        start,
        sorted({slug for phrase in phrases for slug in VOCABULARY.phrases[phrase].cities}),
        sorted({slug for phrase in phrases for slug in VOCABULARY.phrases[phrase].specialities}),
        sorted({slug for phrase in phrases for slug in VOCABULARY.phrases[phrase].services}),
    )
    terms = _terms(phrases, rows)
    names = [_name(row) for row in await database.fetch(_queries.suggested_names, start, city_id, limit)]
    return [*terms[: max(limit - len(names), (limit + 1) // 2)], *names][:limit]


def _phrases(start: str) -> list[str]:
    first = bisect_left(_STARTS, (start,))
    found = [entry for entry in _STARTS[first : first + _PHRASES_MAX] if entry[0].startswith(start)]
    # Phrases that start with what was typed, the shorter first, then those with another word that does.
    return list(dict.fromkeys(phrase for _, _, phrase in sorted(found, key=lambda e: (e[1] > 0, len(e[0]), e[0]))))


def _terms(phrases: Iterable[str], rows: list[Record]) -> list[Suggestion]:
    known = {(row["kind"], row["slug"]): row["name"] for row in rows}
    # By their own names first, then by other names, then symptoms.
    matched: dict[tuple[str, str], str | None] = {
        (row["kind"], row["slug"]): None for row in rows if row["from_first_word"] is not None
    }
    symptoms = []
    for phrase in phrases:
        meaning = VOCABULARY.phrases[phrase]
        services = {("service", slug) for slug in meaning.services} & known.keys()
        meant = {("speciality", slug) for slug in meaning.specialities} | {("city", slug) for slug in meaning.cities}
        if services:  # as in a search, these come before all that see to it
            meant = services
        if meaning.is_symptom and not services:
            symptoms += [Suggestion("symptom", phrase)] if meant & known.keys() else []
        else:
            for pair in sorted(meant & known.keys()):
                matched.setdefault(pair, phrase)
    terms = [
        Suggestion(
            kind,
            known[kind, slug],
            matched=phrase,
            speciality=slug if kind == "speciality" else None,
            service=slug if kind == "service" else None,
            city=slug if kind == "city" else None,
        )
        for (kind, slug), phrase in matched.items()
    ]
    return [*terms, *symptoms[:_SYMPTOMS_MAX]]


def _name(row: Record) -> Suggestion:
    return Suggestion(
        row["kind"],
        row["name"],
        city=row["city"],
        clinic_id=row["id"] if row["kind"] == "clinic" else None,
        provider_id=row["id"] if row["kind"] == "provider" else None,
        details=[*row["specialities"], row["city_name"]],
    )
