"""Parse what people type into a query of the text index: `skin doctor bombay` means dermatologists in Mumbai.

The index's lexemes are the plain words of a listing, the words of its names with `n:` before them, and `city:<id>`,
`speciality:<id>`, `service:<id>`, `type:<type>` and `pin:<postal code>`. A phrase with a meaning may also be part of a
name, so either is searched for: `heart` finds cardiologists and the Heart Care Hospital. A word in Devanagari that
means nothing else is searched for as the directory's words that sound like it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path

from healthplus.database import Database, load
from healthplus.search.devanagari import alike, is_devanagari
from healthplus.search.vocabulary import TITLES, VOCABULARY, Meaning, normal_words, runs
from healthplus.text import is_postal_code

_queries = load(Path(__file__).with_name("queries.sql"))

_PREFIX_LENGTH_MIN = 3
_WAYS_MAX = 9
"""In how many ways abbreviations are looked up in names."""
_NO_MEANING = Meaning()


@dataclass(frozen=True)
class ParsedKeyword:
    """A keyword as texts to cast to `tsquery`: `terms` to find by, `name_terms` to rank by; "" where there are none.

    `name_terms` requires all words in the names, whatever they mean. It is "" for a single word that has a meaning:
    a search for `dentist` should not put people of that name first.
    `own_ids` are the providers whose own names the keyword has, the longest of such, or else, after a title, their
    first or last name; none where `name_terms` is "".
    `city_id` is the one city that the keyword names. `service_groups` are the types of services that it names: of each
    phrase those of which any will do, and no type in two of them. `words` are those that were looked at, in order.
    """

    terms: str
    name_terms: str
    city_id: int | None
    service_groups: tuple[tuple[int, ...], ...]
    words: tuple[str, ...]
    own_ids: tuple[int, ...]


@dataclass
class Part:
    """Words of the keyword that belong together, and what they mean in this database."""

    words: Sequence[str]
    cities: set[int] = field(default_factory=set)
    specialities: set[int] = field(default_factory=set)
    services: set[int] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    services_named: set[int] = field(default_factory=set)
    is_dropped: bool = False

    @property
    def has_meaning(self) -> bool:
        return self.is_dropped or bool(self.cities or self.specialities or self.services or self.types)


async def parse_keyword(database: Database, keyword: str, city_id: int | None) -> ParsedKeyword:
    """Parse any text at all, in two round trips, or five for names in Devanagari; `city_id` is the city searched in."""
    split = await split_keyword(database, keyword, city_id)
    kept = [part for part in split.parts if not part.is_dropped]
    named = {frozenset(part.cities) for part in kept if part.cities and not split.is_mostly_a_name(part)}
    cities = next(iter(named)) if len(named) == 1 else frozenset()
    plain = [word for part in kept for word in part.words]
    name_terms = "" if len(plain) == 1 and kept[0].has_meaning else " & ".join(map(split.name_query, plain))
    return ParsedKeyword(
        terms=" & ".join(_alternatives(part, split.word_query) for part in kept),
        name_terms=name_terms,
        city_id=next(iter(cities)) if len(cities) == 1 else None,
        service_groups=_service_groups(part.services for part in kept if part.services),
        words=tuple(word for part in split.parts for word in part.words),
        own_ids=split.own_ids if name_terms else (),
    )


class SplitKeyword:
    """A keyword split into parts, longest phrases first, with which of its words the directory has."""

    def __init__(self, words: list[str], city_id: int | None, found: _LookUp) -> None:
        self._known = found.known_words(city_id)
        self._found = found
        self.parts = list(_parts(words, found, city_id))
        named = found.named or found.titled  # a whole name tells more
        self.own_ids = tuple(sorted(named.get(max(named, key=len, default=""), ())))

    def has_word(self, word: str) -> bool:
        """Return whether words.toml or the directory has a word of the keyword, or one that sounds like it."""
        return word in self._known or word in self._found.alike

    def frequency_of(self, word: str) -> int:
        """Return how often the directory has a word."""
        return self._found.frequency[word].get(0, 0)

    def word_query(self, word: str) -> str:
        """Return the query of a word: itself or, if no listing has it, all words that start or sound like it."""
        return self._spelt_in_any_way(word, "")

    def name_query(self, word: str) -> str:
        """Return the query of a word in a name."""
        return self._spelt_in_any_way(word, "n:")

    def is_mostly_a_name(self, part: Part) -> bool:
        """Return whether a city's name occurs mostly in other cities, as that of Krishna district does."""
        if len(part.words) > 1 or len(part.cities) != 1:
            return False
        word, city_id = part.words[0], next(iter(part.cities))
        by_city = self._found.frequency[word]
        return by_city.get(0, 0) > 2 * by_city.get(city_id, 0) and word not in VOCABULARY.phrases

    def _spelt_in_any_way(self, word: str, prefix: str) -> str:
        own = _quoted(prefix + word) + self._star(word)
        others = [_quoted(prefix + other) for other in self._found.alike.get(word, ())]
        others += [_all_of(other.split(), prefix) for other in VOCABULARY.same.get(word, ())]
        return f"({' | '.join([own, *others])})" if others else own

    def _star(self, word: str) -> str:
        is_whole = word in self._known or len(word) < _PREFIX_LENGTH_MIN or word.isdecimal()
        return "" if is_whole else ":*"


async def split_keyword(database: Database, keyword: str, city_id: int | None) -> SplitKeyword:
    """Split a keyword into parts that the database or words.toml give a meaning."""
    words = await normal_words(database, keyword)
    if not words:
        return SplitKeyword(words, city_id, _LookUp())
    phrases = [phrase for _, _, phrase in runs(words)]
    meanings = [VOCABULARY.phrases[phrase] for phrase in phrases if phrase in VOCABULARY.phrases]
    phrases += sorted(_in_full(words))
    rows = await database.fetch(
        _queries.look_up,
        sorted(set().union(*(meaning.cities for meaning in meanings))),
        sorted(set().union(*(meaning.specialities for meaning in meanings))),
        phrases,
        words,
        city_id,
        sorted(set().union(*(meaning.services for meaning in meanings))),
        sorted(_titled(words)),
    )
    found = _LookUp()
    for row in rows:
        if row["kind"] == "provider":
            found.named[row["phrase"]].add(row["id"])
        elif row["kind"] == "titled":
            found.titled[row["phrase"]].add(row["id"])
        elif row["kind"] == "word":
            found.frequency[row["phrase"]][row["id"]] = row["frequency"]
        else:
            found.ids[row["kind"], row["slug"], row["phrase"]].add(row["id"])
    split = SplitKeyword(words, city_id, found)
    unread = [word for part in split.parts if not part.has_meaning for word in part.words if is_devanagari(word)]
    if unread and (alike_words := await alike(database, list(dict.fromkeys(unread)), city_id)):
        found.alike = alike_words
        # Whose name it is, the directory knows in Latin letters only.
        latin = " ".join(alike_words[word][0] if word in alike_words else word for word in words)
        split.own_ids = (await split_keyword(database, latin, city_id)).own_ids
    return split


def _in_full(words: list[str]) -> set[str]:
    """Return the phrases of the words with their abbreviations in full, or cut short: a name may be written so."""
    ways = [(word, *VOCABULARY.same.get(word, ())[:2]) for word in words]
    return {
        phrase for written in islice(product(*ways), _WAYS_MAX) for _, _, phrase in runs(" ".join(written).split())
    } - {phrase for _, _, phrase in runs(words)}


def _titled(words: list[str]) -> set[str]:
    """Return the phrases that may be somebody's name, since a title stands before them."""
    return {
        phrase
        for start, _, phrase in runs(words)
        if start and words[start - 1] in TITLES and words[start] not in VOCABULARY.dropped
        if phrase not in VOCABULARY.phrases
    }


@dataclass
class _LookUp:
    # By kind, slug and phrase; a row has either a slug or a phrase.
    ids: defaultdict[tuple[str, str | None, str | None], set[int]] = field(default_factory=lambda: defaultdict(set))
    frequency: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))  # by word and city
    named: defaultdict[str, set[int]] = field(
        default_factory=lambda: defaultdict(set)
    )  # providers, by their whole names
    titled: defaultdict[str, set[int]] = field(
        default_factory=lambda: defaultdict(set)
    )  # providers, by a first or last name that has a title before it
    alike: dict[str, list[str]] = field(default_factory=dict)  # words of the directory that sound like a word

    def known_words(self, city_id: int | None) -> frozenset[str]:
        return VOCABULARY.words | {word for word, by_city in self.frequency.items() if by_city.get(city_id or 0)}

    def by_slugs(self, kind: str, slugs: Iterable[str]) -> set[int]:
        return set().union(*(self.ids.get((kind, slug, None), ()) for slug in slugs))

    def by_name(self, kind: str, phrase: str) -> set[int]:
        return self.ids.get((kind, None, phrase), set())


def _parts(words: list[str], found: _LookUp, city_id: int | None) -> Iterable[Part]:
    done = 0
    for start, end, phrase in runs(words):
        if start < done:
            continue
        meaning = VOCABULARY.phrases.get(phrase, _NO_MEANING)
        # A city that the database has by this name comes before one that has it as another name.
        cities = found.by_name("city", phrase) or found.by_slugs("city", meaning.cities)
        named = found.by_name("service", phrase)
        services = named | found.by_slugs("service", meaning.services)
        specialities = found.by_name("speciality", phrase)
        if not services:  # which are nearer to what is meant than all that see to it
            specialities |= found.by_slugs("speciality", meaning.specialities)
        part = Part(words[start:end], cities & {city_id} or cities, specialities, services, meaning.types, named)
        part.is_dropped = not part.has_meaning and phrase in VOCABULARY.dropped
        is_one = end == start + 1 or phrase in VOCABULARY.same or is_postal_code(phrase.upper())
        if part.has_meaning or is_one:
            done = end
            yield part


def _service_groups(phrases: Iterable[set[int]]) -> tuple[tuple[int, ...], ...]:
    groups: list[set[int]] = []
    for services in phrases:
        # Phrases that share services say the same twice, and mean those: `mri mri brain` is one visit.
        same = next((group for group in groups if group & services), None)
        if same is None:
            groups.append(set(services))
        else:
            same &= services
    return tuple(tuple(sorted(group)) for group in groups)


def _alternatives(part: Part, query: Callable[[str], str]) -> str:
    options = [_quoted(f"city:{city_id}") for city_id in sorted(part.cities)]
    options += [_quoted(f"speciality:{speciality_id}") for speciality_id in sorted(part.specialities)]
    # All who offer what is called just so have its words: less is to be looked up without it.
    options += [
        _quoted(f"service:{service_type_id}") for service_type_id in sorted(part.services - part.services_named)
    ]
    options += [_quoted(f"type:{provider_type}") for provider_type in sorted(part.types)]
    if is_postal_code(code := " ".join(part.words).upper()):
        options.append(_quoted(f"pin:{code}"))
    plain = " & ".join(map(query, part.words))
    options.append(f"({plain})" if len(part.words) > 1 else plain)
    if len(part.words) > 1:
        options += [_all_of(other.split()) for other in VOCABULARY.same.get(" ".join(part.words), ())]
    return f"({' | '.join(options)})" if len(options) > 1 else options[0]


def _all_of(words: Sequence[str], prefix: str = "") -> str:
    query = " & ".join(_quoted(prefix + word) for word in words)
    return f"({query})" if len(words) > 1 else query


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
