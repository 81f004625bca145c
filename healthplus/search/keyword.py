"""From what people type to a query of the text index: `skin doctor bombay` asks for dermatologists in Mumbai.

The index's lexemes are the plain words of a listing, the words of its names with `n:` before them, and `city:<id>`,
`speciality:<id>`, `type:<type>` and `pin:<postal code>`. A phrase that means something may also be part of a name, so
it is asked for either way: `heart` finds cardiologists and the Heart Care Hospital.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from healthplus.database import Database, load
from healthplus.search.vocabulary import VOCABULARY, Meaning, normal_words, runs

_queries = load(Path(__file__).with_name("queries.sql"))

_PREFIX_LENGTH_MIN = 3
_NO_MEANING = Meaning()


@dataclass(frozen=True)
class Understood:
    """A keyword as texts to cast to `tsquery`: `terms` to find by, `name_terms` to rank by; "" when it says nothing.

    `name_terms` wants all its words in the names, whatever they mean; "" where it is but one word that means something:
    who asks for a dentist does not want whoever is called so first.
    `city_id` is the one city that the keyword names. `words` are those that were considered, in order.
    """

    terms: str
    name_terms: str
    city_id: int | None
    words: tuple[str, ...]


@dataclass
class Part:
    """A run of the keyword's words that belong together, and what the database knows for it."""

    words: Sequence[str]
    cities: set[int] = field(default_factory=set)
    specialities: set[int] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    is_dropped: bool = False

    @property
    def has_meaning(self) -> bool:
        return self.is_dropped or bool(self.cities or self.specialities or self.types)


async def understand(database: Database, keyword: str, city_id: int | None) -> Understood:
    """Understand any text whatever, in two round trips; `city_id` is the city searched in, if any."""
    reading = await read(database, keyword, city_id)
    kept = [part for part in reading.parts if not part.is_dropped]
    named = {frozenset(part.cities) for part in kept if part.cities and not reading.is_mostly_a_name(part)}
    cities = next(iter(named)) if len(named) == 1 else frozenset()
    plain = [word for part in kept for word in part.words]
    return Understood(
        terms=" & ".join(_alternatives(part, reading.plain) for part in kept),
        name_terms="" if len(plain) == 1 and kept[0].has_meaning else " & ".join(map(reading.name, plain)),
        city_id=next(iter(cities)) if len(cities) == 1 else None,
        words=tuple(word for part in reading.parts for word in part.words),
    )


class Reading:
    """A keyword taken apart into parts, longest phrases first, and which of its words the directory has."""

    def __init__(self, words: list[str], city_id: int | None, found: _Found) -> None:
        self._known = found.known_words(city_id)
        self._found = found
        self.parts = list(_parts(words, found, city_id))

    def plain(self, word: str) -> str:
        """Give the query of a word: itself, or if nobody is called so, whatever starts with it."""
        return _quoted(word) + self._star(word)

    def name(self, word: str) -> str:
        """Give the query of a word in a name."""
        return _quoted(f"n:{word}") + self._star(word)

    def is_mostly_a_name(self, part: Part) -> bool:
        """Tell whether a city's name is said elsewhere more than there, as that of Krishna district is."""
        if len(part.words) > 1 or len(part.cities) != 1:
            return False
        said = self._found.frequency[part.words[0]]
        return said.get(0, 0) > 2 * said.get(next(iter(part.cities)), 0) and part.words[0] not in VOCABULARY.phrases

    def _star(self, word: str) -> str:
        is_whole = word in self._known or len(word) < _PREFIX_LENGTH_MIN or word.isdecimal()
        return "" if is_whole else ":*"


async def read(database: Database, keyword: str, city_id: int | None) -> Reading:
    """Take a keyword apart, with what the database and words.toml know."""
    words = await normal_words(database, keyword)
    if not words:
        return Reading(words, city_id, _Found())
    phrases = [phrase for _, _, phrase in runs(words)]
    meanings = [VOCABULARY.phrases[phrase] for phrase in phrases if phrase in VOCABULARY.phrases]
    rows = await database.fetch(
        _queries.look_up,
        sorted(set().union(*(meaning.cities for meaning in meanings))),
        sorted(set().union(*(meaning.specialities for meaning in meanings))),
        phrases,
        words,
        city_id,
    )
    found = _Found()
    for row in rows:
        if row["kind"] == "word":
            found.frequency[row["phrase"]][row["id"]] = row["frequency"]
        else:
            found.ids[row["kind"], row["slug"], row["phrase"]].add(row["id"])
    return Reading(words, city_id, found)


@dataclass
class _Found:
    # By kind, slug and phrase, of which a row has one.
    ids: defaultdict[tuple[str, str | None, str | None], set[int]] = field(default_factory=lambda: defaultdict(set))
    frequency: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))  # by word and city

    def known_words(self, city_id: int | None) -> frozenset[str]:
        return VOCABULARY.words | {word for word, said in self.frequency.items() if said.get(city_id or 0)}

    def by_slugs(self, kind: str, slugs: Iterable[str]) -> set[int]:
        return set().union(*(self.ids.get((kind, slug, None), ()) for slug in slugs))

    def by_name(self, kind: str, phrase: str) -> set[int]:
        return self.ids.get((kind, None, phrase), set())


def _parts(words: list[str], found: _Found, city_id: int | None) -> Iterable[Part]:
    done = 0
    for start, end, phrase in runs(words):
        if start < done:
            continue
        meaning = VOCABULARY.phrases.get(phrase, _NO_MEANING)
        # A city that is called so in the database is meant before one whose other name it is.
        cities = found.by_name("city", phrase) or found.by_slugs("city", meaning.cities)
        specialities = found.by_name("speciality", phrase) | found.by_slugs("speciality", meaning.specialities)
        part = Part(words[start:end], cities & {city_id} or cities, specialities, meaning.types)
        part.is_dropped = not part.has_meaning and phrase in VOCABULARY.dropped
        if part.has_meaning or end == start + 1:
            done = end
            yield part


def _alternatives(part: Part, query: Callable[[str], str]) -> str:
    options = [_quoted(f"city:{city_id}") for city_id in sorted(part.cities)]
    options += [_quoted(f"speciality:{speciality_id}") for speciality_id in sorted(part.specialities)]
    options += [_quoted(f"type:{provider_type}") for provider_type in sorted(part.types)]
    if len(part.words) == 1 and _is_postal_code(part.words[0]):
        options.append(_quoted(f"pin:{part.words[0]}"))
    plain = " & ".join(map(query, part.words))
    options.append(f"({plain})" if len(part.words) > 1 else plain)
    return f"({' | '.join(options)})" if len(options) > 1 else options[0]


def _is_postal_code(word: str) -> bool:
    return len(word) == 6 and word.isascii() and word.isdigit()


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
