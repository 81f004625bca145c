"""Load the phrases of words.toml and what they mean, and prepare texts to be compared with them."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from healthplus.database import Database, load
from healthplus.text import with_postal_codes
from healthplus.words_file import OwnWords, own_words

UrgentKind: TypeAlias = Literal["", "body", "mind", "violence", "child"]
"""Of what cannot wait; "" is nothing."""
_KINDS: tuple[UrgentKind, ...] = get_args(UrgentKind)
"""Of several, the last counts: its notice says most."""

_queries = load(Path(__file__).with_name("queries.sql"))

WORDS_MAX = 12
WORD_LENGTH_MAX = 50
_LENGTH_MAX = 1000  # of a text, before it is split into words

_DOCTOR_ENDINGS = ("ist", "ists", "ian", "ians", "geon", "geons", "practitioner", "practitioners")
"""Of words for a doctor of some speciality: dentist, physician, dietitian, surgeon."""
_SURE_DOCTOR_ENDINGS = ("ologist", "ologists", "ician", "icians")
"""Of those that are such words even where words.toml has none of them."""


class Together(NamedTuple):
    """Words that mean an urgent phrase beside each other, in any order: one of each set."""

    means: str
    words: tuple[frozenset[str], ...]


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
    is_treatment: bool = False
    has_kinds: bool = False  # of services: one of them has to be chosen
    first: frozenset[str] = frozenset()  # of the specialities that see to a symptom, the one that sees it first
    urgent: UrgentKind = ""  # what cannot wait for an appointment


@dataclass(frozen=True)
class Vocabulary:
    """The content of words.toml by phrase. Its words are written as the SQL function search.words writes them."""

    dropped: frozenset[str]
    phrases: Mapping[str, Meaning]
    words: frozenset[str]  # all of them, one by one
    city_words: frozenset[str]
    city_names: Mapping[str, str]  # the one name of a city or of a district that belongs to it, by each of its names
    places: frozenset[str]
    phrase_words_max: int
    genders: Mapping[str, str]  # by a word that asks for a doctor of this gender
    ordinary: frozenset[str]  # one slip from a word for what is urgent
    together: tuple[Together, ...]
    alone: Mapping[str, str]  # the urgent phrase that a word means where nothing else is asked for
    same: Mapping[str, tuple[str, ...]]  # what a phrase that is shortened, or is short for another, is one with
    written: Mapping[str, str]  # phrases and words as people write them, by how they are compared

    def is_place(self, phrase: str) -> bool:
        """Return whether a phrase is the name of a city, whether or not the directory has it."""
        return phrase in self.places or bool(phrase in self.phrases and self.phrases[phrase].cities)


def _load(content: dict[str, Any]) -> Vocabulary:
    phrases: defaultdict[str, Meaning] = defaultdict(Meaning)
    for provider_type, words in content["types"].items():
        for phrase in map(folded, words):
            phrases[phrase].types.add(provider_type)
    for slug, others in content["cities"].items():
        names = [slug.replace("-", " "), *map(folded, others)]
        for phrase in names:
            phrases[phrase].cities.update(name.replace(" ", "-") for name in names if name.isascii())
    city_names = {
        folded(name): city.replace("-", " ").title()
        for kind in ("cities", "districts")
        for city, others in content[kind].items()
        for name in (city.replace("-", " "), *others)
    }
    for kind in ("specialities", "services"):
        for meant in content[kind].values():
            for phrase in map(folded, meant["words"]):
                getattr(phrases[phrase], kind).update(meant["slugs"])
                phrases[phrase].has_kinds |= meant.get("has_kinds", False)
    _add_symptoms_and_treatments(phrases, content)
    same = _same(content, phrases)
    dropped = frozenset(map(folded, content["dropped"]))
    words = frozenset(word for phrase in (*phrases, *dropped, *same) for word in phrase.split())
    city_words = frozenset(word for phrase, meaning in phrases.items() if meaning.cities for word in phrase.split())
    longest = max(len(phrase.split()) for phrase in (*phrases, *same))
    places = frozenset(map(folded, content["places"]))
    genders = {folded(word): gender for gender, words in content["genders"].items() for word in words}
    ordinary = frozenset(content["ordinary"])
    together = tuple(
        Together(one["means"], tuple(frozenset(map(folded, some)) for some in one["words"]))
        for one in content["together"]
    )
    return Vocabulary(
        dropped,
        MappingProxyType(dict(phrases)),
        words,
        city_words,
        MappingProxyType(city_names),
        places,
        longest,
        genders,
        ordinary,
        together,
        MappingProxyType(content["alone"]),
        MappingProxyType(same),
        MappingProxyType(_written(content)),
    )


def _add_own(content: dict[str, Any], own: OwnWords) -> None:
    """Add the words of the installation's own file; what it has for no emergency goes."""
    content["abbreviations"] += [[one.lower() for one in row] for row in own.abbreviations]
    for slug, names in own.specialities.items():
        speciality = content["specialities"].setdefault(slug, {"slugs": [slug], "words": [slug.replace("-", " ")]})
        speciality["words"] += [name.lower() for name in names]
    for kind, phrases in own.urgent.items():
        content["urgent"][kind] |= {
            phrase.lower(): [slug for slug in slugs if slug in content["specialities"]] or ["general-medicine"]
            for phrase, slugs in phrases.items()
        }
    gone = {folded(phrase.lower()) for phrase in own.not_urgent}
    for kind, phrases in content["urgent"].items():
        content["urgent"][kind] = {phrase: slugs for phrase, slugs in phrases.items() if folded(phrase) not in gone}
    content["together"] = [one for one in content["together"] if folded(one["means"]) not in gone]
    content["alone"] = {word: means for word, means in content["alone"].items() if folded(means) not in gone}


def _same(content: dict[str, Any], phrases: dict[str, Meaning]) -> dict[str, tuple[str, ...]]:
    """Return each abbreviation and full form with the others of its row, which mean all that one of them does."""
    same: dict[str, tuple[str, ...]] = {}
    for row in ([folded(one) for one in row] for row in content["abbreviations"]):
        same |= {phrase: tuple(one for one in row if one != phrase) for phrase in row}
        if known := next((phrases[phrase] for phrase in row if phrase in phrases), None):
            for phrase in row:
                phrases.setdefault(phrase, known)
    return same


def _written(content: dict[str, Any]) -> dict[str, str]:
    """Return the phrases, and each of their words, that are not compared as they are written."""
    listed = [name for kind in ("types", "cities") for names in content[kind].values() for name in names]
    listed += [
        *content["symptoms"],
        *content["treatments"],
        *(one for kind in content["urgent"].values() for one in kind),
    ]
    listed += [word for kind in ("specialities", "services") for one in content[kind].values() for word in one["words"]]
    written: dict[str, str] = {}
    for phrase in (*content["dropped"], *listed):
        for one in (phrase, *phrase.split()):
            if folded(one) != one:
                written.setdefault(folded(one), one)
    return written


def _add_symptoms_and_treatments(phrases: defaultdict[str, Meaning], content: dict[str, Any]) -> None:
    slugs = {name: speciality["slugs"] for name, speciality in content["specialities"].items()}
    for urgent, symptoms in {"": content["symptoms"], **content["urgent"]}.items():
        for phrase, specialities in symptoms.items():
            meaning = phrases[folded(phrase)]
            meaning.is_symptom, meaning.urgent, meaning.first = True, urgent, frozenset(slugs[specialities[0]])
            meaning.specialities.update(*(slugs[speciality] for speciality in specialities))
    for phrase, specialities in content["treatments"].items():
        meaning = phrases[folded(phrase)]
        meaning.is_treatment = True
        meaning.specialities.update(*(slugs[speciality] for speciality in specialities))


def folded(text: str) -> str:
    """Return a text with one spelling of what scripts write in several ways: जाँच is जांच, ख़ून is खून, हिन्दी is हिंदी.

    As the SQL function search.folded does, whose comment says what is alike.
    """
    return _NASALS.sub("\u0902", unicodedata.normalize("NFKC", text).translate(_SIGNS))


def _signs() -> dict[int, int | None]:
    signs: dict[int, int | None] = dict(zip(map(ord, _WRITTEN), map(ord, _MEANT), strict=True))
    signs |= {zero + digit: ord("0") + digit for zero in (0x660, 0x6F0, 0x966, 0x9E6) for digit in range(10)}
    return signs | dict.fromkeys([*map(ord, _GONE), *range(0x64B, 0x653)])


# Devanagari, and signs of the scripts beside it; Malayalam; Arabic.
_WRITTEN = (
    "\u0901\u0981\u0a81\u0b01\u0c00\u0911\u0949\u090d\u0945\u0908\u0940\u090a\u0942"
    "\u0d7a\u0d7b\u0d7c\u0d7d\u0d7e\u0d7f"
    "\u0622\u0623\u0625\u0671\u0643\u0649\u064a\u06c0\u0647\u0629"
)
_MEANT = (
    "\u0902\u0982\u0a82\u0b02\u0c02\u0913\u094b\u090f\u0947\u0907\u093f\u0909\u0941"
    "\u0d23\u0d28\u0d30\u0d32\u0d33\u0d15"
    "\u0627\u0627\u0627\u0627\u06a9\u06cc\u06cc\u06c1\u06c1\u06c1"
)
_GONE = (
    "'`\u2018\u2019"
    + "\u200b\u200c\u200d\u200e\u200f\u00ad\u2060\ufeff\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc\u0d4d\u0640\u0670"
)
_SIGNS = _signs()
_NASALS = re.compile(
    "\u0919\u094d(?=[\u0915-\u0918])|\u091e\u094d(?=[\u091a-\u091d])|\u0923\u094d(?=[\u091f-\u0922])"
    "|\u0928\u094d(?=[\u0924-\u0927])|\u092e\u094d(?=[\u092a-\u092d])"
)
_DOTTED_LETTERS = re.compile(r"(?<!\w)([a-z])\.(?=[a-z](?!\w))")
_LONE_LETTERS = re.compile(r"(?<!\w)([a-z])[. ]+(?=[a-z](?!\w))")
_BETWEEN_WORDS = re.compile(
    "[\u0001-\u002f\u003a-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u0589\u05be\u060c"
    "\u061b\u061d-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u0df4\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\ue000-\uf8ff"
    "\ufffc\ufffd\U0001f000-\U0001faff]+"
)

_CONTENT = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
_add_own(_CONTENT, own_words())
VOCABULARY = _load(_CONTENT)
SPECIALITY_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name: (*(slug.replace("-", " ") for slug in one["slugs"]), *one["words"])
        for name, one in _CONTENT["specialities"].items()
    }
)
"""What each speciality is called, by its own slug."""


TITLES = frozenset(map(folded, ("dr", "drs", "doctor", "prof", "professor", "डॉ", "डॉक्टर", "डाक्टर", "प्रो")))
"""Before a name: a person's, then."""
_DOCTORS = TITLES | set(map(folded, ("doctors", "doc", "specialist", "specialists", "चिकित्सक", "विशेषज्ञ", "सर्जन")))


def sendable(text: str) -> str:
    """Return any text at all as one that the database accepts, with each letter written in one way."""
    # A letter with its sign may be one character or two, and Latin letters may be of full width.
    return unicodedata.normalize("NFKC", text[:_LENGTH_MAX].encode("utf-8", "ignore").decode().replace("\0", " "))


async def normal_words(database: Database, text: str) -> list[str]:
    """Return the first words of any text at all, as they are compared."""
    if not text or text.isspace():
        return []
    words = await database.fetch_value(_queries.words, sendable(with_postal_codes(text[:_LENGTH_MAX])))
    return [word[:WORD_LENGTH_MAX] for word in words[:WORDS_MAX]]


def plain_words(text: str) -> list[str]:
    """Return nearly the same as `normal_words`, without the database: accents stay."""
    plain = _LONE_LETTERS.sub(r"\1", _DOTTED_LETTERS.sub(r"\1", folded(sendable(text).lower())))
    return [word for word in _BETWEEN_WORDS.split(plain) if word]


def as_written(words: Iterable[str], text: str) -> str:
    """Return words that are compared as the text has them, or else words.toml, to be shown to people."""
    typed = {"".join(plain_words(word)): word for word in text.split()}
    return " ".join(typed.get(word) or VOCABULARY.written.get(word, word) for word in words)


def urgency(text: str) -> UrgentKind:
    """Return what that cannot wait a text tells of, "" for nothing; of several, that whose notice says most."""
    return max((VOCABULARY.phrases[phrase].urgent for phrase in _urgent_phrases(text)), key=_KINDS.index, default="")


def urgent_phrase(text: str) -> str:
    """Return the phrase for what a text tells of that cannot wait; "" for none."""
    return next(_urgent_phrases(text), "")


def _urgent_phrases(text: str) -> Iterator[str]:
    """Yield those that a text has, then those that its words mean together; `bleeding gums` leaves no `bleeding`."""
    words = plain_words(text)
    phrases = list(known_phrases(words))
    yield from (phrase for phrase in phrases if VOCABULARY.phrases[phrase].urgent)
    others = {
        word
        for phrase in phrases
        if " " in phrase and not VOCABULARY.phrases[phrase].urgent and not VOCABULARY.phrases[phrase].services
        for word in phrase.split()
    }
    loose = set(words) - others
    yield from (one.means for one in VOCABULARY.together if not any(map(loose.isdisjoint, one.words)))
    asked = loose - VOCABULARY.dropped - VOCABULARY.city_words - VOCABULARY.places
    if len(asked) == 1 and (means := VOCABULARY.alone.get(asked.pop())):
        yield means


def first_specialities(text: str) -> frozenset[str]:
    """Return the specialities, by slug, that see first to what a text names, where that is symptoms alone."""
    found = [VOCABULARY.phrases[phrase] for phrase in known_phrases(plain_words(text))]
    symptoms = [meaning for meaning in found if meaning.is_symptom]
    are_others = any(meaning.specialities for meaning in found if not meaning.is_symptom)
    return frozenset() if are_others else frozenset().union(*(meaning.first for meaning in symptoms))


def has_kinds(text: str) -> bool:
    """Return whether a text names a test of which there are kinds, and not which: an MRI."""
    return any(VOCABULARY.phrases[phrase].has_kinds for phrase in known_phrases(plain_words(text)))


def gender_asked(text: str) -> tuple[str, str]:
    """Return the gender that a text asks a doctor to have and the text without the word for it, or "" and all of it.

    Only with a word for a doctor, or by itself: male infertility is a patient's, and Lady Hardinge a name.
    """
    typed = [(word, "".join(plain_words(word))) for word in text.split()]
    asked = [VOCABULARY.genders[plain] for _, plain in typed if plain in VOCABULARY.genders]
    rest = [(word, plain) for word, plain in typed if plain not in VOCABULARY.genders]
    of_phrases = {word for phrase in known_phrases([plain for _, plain in typed]) for word in phrase.split()}
    if not asked or of_phrases & VOCABULARY.genders.keys() or (rest and not any(is_doctor(plain) for _, plain in rest)):
        return "", text
    return asked[0], " ".join(word for word, _ in rest)


def is_doctor(word: str) -> bool:
    """Return whether a word is one for doctors, or for those of some speciality."""
    if word in _DOCTORS or word.endswith(_SURE_DOCTOR_ENDINGS):
        return True
    meaning = VOCABULARY.phrases.get(word)
    return bool(meaning and meaning.specialities and word.endswith(_DOCTOR_ENDINGS))


def known_phrases(words: list[str]) -> Iterable[str]:
    """Yield the phrases of words.toml in a text, the longest from each word on."""
    done = 0
    for start, end, phrase in runs(words):
        if start >= done and phrase in VOCABULARY.phrases:
            done = end
            yield phrase


def runs(words: list[str]) -> Iterable[tuple[int, int, str]]:
    """Yield all words in a row that may be a phrase, with their start and end, longest first from each start."""
    for start in range(len(words)):
        for end in range(min(len(words), start + VOCABULARY.phrase_words_max), start, -1):
            yield start, end, " ".join(words[start:end])
