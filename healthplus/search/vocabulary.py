"""Load the phrases of words.toml and what they mean, and prepare texts to be compared with them."""

from __future__ import annotations

import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from healthplus.database import Database, load

_queries = load(Path(__file__).with_name("queries.sql"))

WORDS_MAX = 12
WORD_LENGTH_MAX = 50
_LENGTH_MAX = 1000  # of a text, before it is split into words


@dataclass
class Meaning:
    """What a phrase may mean, of each kind at once: `pathology lab` is a speciality and a type of provider."""

    cities: set[str] = field(
        default_factory=set
    )  # slugs, as of specialities and services; those that the database has count
    specialities: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    is_symptom: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """The content of words.toml by phrase. Its words are written as the SQL function search.words writes them."""

    dropped: frozenset[str]
    phrases: Mapping[str, Meaning]
    words: frozenset[str]  # all of them, one by one
    city_words: frozenset[str]
    places: frozenset[str]
    phrase_words_max: int

    def is_place(self, phrase: str) -> bool:
        """Return whether a phrase is the name of a city, whether or not the directory has it."""
        return phrase in self.places or bool(phrase in self.phrases and self.phrases[phrase].cities)


def _load(path: Path) -> Vocabulary:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    phrases: defaultdict[str, Meaning] = defaultdict(Meaning)
    for provider_type, words in content["types"].items():
        for phrase in words:
            phrases[phrase].types.add(provider_type)
    for slug, others in content["cities"].items():
        names = [slug.replace("-", " "), *others]
        for phrase in names:
            phrases[phrase].cities.update(name.replace(" ", "-") for name in names if name.isascii())
    for kind in ("specialities", "services"):
        for meant in content[kind].values():
            for phrase in meant["words"]:
                getattr(phrases[phrase], kind).update(meant["slugs"])
    for phrase, specialities in content["symptoms"].items():
        phrases[phrase].is_symptom = True
        for speciality in specialities:
            phrases[phrase].specialities.update(content["specialities"][speciality]["slugs"])
    dropped = frozenset(content["dropped"])
    words = frozenset(word for phrase in (*phrases, *dropped) for word in phrase.split())
    city_words = frozenset(word for phrase, meaning in phrases.items() if meaning.cities for word in phrase.split())
    longest = max(len(phrase.split()) for phrase in phrases)
    places = frozenset(content["places"])
    return Vocabulary(dropped, MappingProxyType(dict(phrases)), words, city_words, places, longest)


VOCABULARY = _load(Path(__file__).with_name("words.toml"))


def sendable(text: str) -> str:
    """Return any text at all as one that the database accepts, with each letter written in one way."""
    # A letter with its sign may be one character or two, and Latin letters may be of full width.
    return unicodedata.normalize("NFKC", text[:_LENGTH_MAX].encode("utf-8", "ignore").decode().replace("\0", " "))


async def normal_words(database: Database, text: str) -> list[str]:
    """Return the first words of any text at all, as they are compared."""
    if not text or text.isspace():
        return []
    words = await database.fetch_value(_queries.words, sendable(text))
    return [word[:WORD_LENGTH_MAX] for word in words[:WORDS_MAX]]


def runs(words: list[str]) -> Iterable[tuple[int, int, str]]:
    """Yield all words in a row that may be a phrase, with their start and end, longest first from each start."""
    for start in range(len(words)):
        for end in range(min(len(words), start + VOCABULARY.phrase_words_max), start, -1):
            yield start, end, " ".join(words[start:end])
