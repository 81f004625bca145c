"""Complete the beginning of a keyword to specialities, services, symptoms, cities, and names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from healthplus.database import Database, Record, load
from healthplus.search.devanagari import beginnings, is_devanagari
from healthplus.search.spelling import SOUNDS
from healthplus.search.vocabulary import TITLES, VOCABULARY, WORD_LENGTH_MAX, WORDS_MAX, plain_words, sendable

_queries = load(Path(__file__).with_name("queries.sql"))

LIMIT_MAX = 10
_PHRASES_MAX = 40  # how many of words.toml are looked at
_SYMPTOMS_MAX = 5
_SLIPPED_LENGTH_MIN = 3
_NOTHING = chr(0x10FFFF)  # that no name begins with


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
    words = await database.fetch_value(_queries.name_words, sendable(typed)) or plain_words(typed)
    start = " ".join(word[:WORD_LENGTH_MAX] for word in words[:WORDS_MAX] if word not in TITLES)
    if not start:
        return []
    terms = await _terms_begun(database, start, _phrases(start))
    names = await _names_begun(database, start, city_id, limit)
    if not terms and not names and (phrases := _phrases_with_a_slip(start)):
        terms = await _terms_begun(database, "", phrases)
    return [*terms[: max(limit - len(names), (limit + 1) // 2)], *names][:limit]


async def _terms_begun(database: Database, start: str, phrases: list[str]) -> list[Suggestion]:
    """Return what begins so, unless "", and what the phrases mean."""
    rows = await database.fetch(
        _queries.suggested_terms,
        start or _NOTHING,
        sorted({slug for phrase in phrases for slug in VOCABULARY.phrases[phrase].cities}),
        sorted({slug for phrase in phrases for slug in VOCABULARY.phrases[phrase].specialities}),
        sorted({slug for phrase in phrases for slug in VOCABULARY.phrases[phrase].services}),
    )
    return _terms(phrases, rows)


async def _names_begun(database: Database, start: str, city_id: int | None, limit: int) -> list[Suggestion]:
    """Return providers and clinics whose names begin so, or, in Devanagari, sound so."""
    names: dict[tuple[str, int], Suggestion] = {}
    for way in [start, *(beginnings(start) if is_devanagari(start) else [])]:
        if len(names) < limit:
            rows = await database.fetch(_queries.suggested_names, way, city_id, limit)
            names = {(row["kind"], row["id"]): _name(row) for row in rows} | names
    return list(names.values())[:limit]


def _phrases(start: str) -> list[str]:
    first = bisect_left(_STARTS, (start,))
    found = [entry for entry in _STARTS[first : first + _PHRASES_MAX] if entry[0].startswith(start)]
    # Phrases that start with what was typed, the shorter first, then those with another word that does.
    return list(dict.fromkeys(phrase for _, _, phrase in sorted(found, key=lambda e: (e[1] > 0, len(e[0]), e[0]))))


def _phrases_with_a_slip(start: str) -> list[str]:
    """Return the phrases that begin so but for one letter: left out, of two the wrong way round, too many, another."""
    found: dict[str, tuple[int, bool, int, str]] = {}
    for key, at, phrase in _STARTS:
        slip = _slip(start, key)
        if slip is not None:
            found.setdefault(phrase, (slip, at > 0, len(phrase), phrase))
    return sorted(found, key=lambda phrase: found[phrase])[:_PHRASES_MAX]


def _slip(typed: str, key: str) -> int | None:
    """Return which slip was made where a key begins as typed but for it, the likeliest is 0; else None."""
    length = len(typed)
    at = next((at for at, (one, other) in enumerate(zip(typed, key, strict=False)) if one != other), length)
    if length < _SLIPPED_LENGTH_MIN or at >= min(length, len(key)):
        return None
    if at and key.startswith(typed[at:], at + 1):
        return 0
    is_turned = typed[at : at + 2] == key[at : at + 2][::-1] and key.startswith(typed[at + 2 :], at + 2)
    if is_turned and (at or length > _SLIPPED_LENGTH_MIN + 1):
        return 1
    if at and length > _SLIPPED_LENGTH_MIN and key.startswith(typed[at + 1 :], at):
        return 2
    is_likely = length > _SLIPPED_LENGTH_MIN + 1 if at else frozenset((typed[0], key[0])) in SOUNDS
    return 3 if is_likely and key.startswith(typed[at + 1 :], at + 1) else None


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
            symptoms += [Suggestion("symptom", VOCABULARY.written.get(phrase, phrase))] if meant & known.keys() else []
        else:
            for pair in sorted(meant & known.keys()):
                matched.setdefault(pair, phrase)
    terms = [
        Suggestion(
            kind,
            known[kind, slug],
            matched=_other_name(phrase, known[kind, slug]),
            speciality=slug if kind == "speciality" else None,
            service=slug if kind == "service" else None,
            city=slug if kind == "city" else None,
        )
        for (kind, slug), phrase in matched.items()
    ]
    return [*terms, *symptoms[:_SYMPTOMS_MAX]]


def _other_name(phrase: str | None, name: str) -> str | None:
    if not phrase or phrase.casefold() == name.casefold():
        return None
    return VOCABULARY.written.get(phrase, phrase)


def _name(row: Record) -> Suggestion:
    return Suggestion(
        row["kind"],
        row["name"],
        city=row["city"],
        clinic_id=row["id"] if row["kind"] == "clinic" else None,
        provider_id=row["id"] if row["kind"] == "provider" else None,
        details=[*row["specialities"], row["city_name"]],
    )
