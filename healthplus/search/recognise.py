"""Recognise the speciality that a directory means, however it writes it: MS OBG, MD (Psychiatry), B.D.S., dentist.

specialities.toml has the qualifications and other names, words.toml the specialities and what people call them.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from healthplus.search.spelling import edit_cost
from healthplus.search.vocabulary import SPECIALITY_NAMES, folded, plain_words
from healthplus.words_file import own_words

_PHRASE_WORDS_MAX = 6
_SURE_COST_A_LETTER = 0.1
_GUESS_COST_A_LETTER = 0.25
"""A guess is offered to somebody who decides, so it may be farther off."""
_FUZZY_LENGTH_MIN, _FUZZY_WORDS_MAX = 6, 4
_UNLIKE_LETTERS_MAX = 3
"""Of what may be meant: all others are looked at no closer."""
_TEXT_MAX = 200


class Recognised(NamedTuple):
    """A speciality by its slug, as words.toml names it: `slug` where it is sure, and the best `guess`, or None."""

    slug: str | None
    guess: str | None


@functools.lru_cache(maxsize=10_000)
def recognise_speciality(text: str) -> Recognised:
    """Return the known speciality that any text at all names; the text itself is for the caller to keep."""
    words = [_in_one_spelling(word) for word in plain_words(text[:_TEXT_MAX])]
    if not words:
        return Recognised(None, None)
    slug = _whole(words) or _before(words) or _whole(_meaningful(words))
    slug = slug or _within(words)
    if slug:
        return Recognised(slug, slug)
    likely, cost = _nearest(_meaningful(words) or words)
    return Recognised(likely if cost <= _SURE_COST_A_LETTER else None, likely if cost <= _GUESS_COST_A_LETTER else None)


def speciality_name(slug: str) -> str:
    """Return how the directory writes a speciality of words.toml, in English."""
    return " ".join(word if word == "and" else word.capitalize() for word in slug.split("-"))


def _in_one_spelling(word: str) -> str:
    """Return a word as Britain writes it, with one sign for what is written in two ways all over the trade."""
    for american, british in _BRITISH:
        if word.startswith(american):
            word = british + word[len(american) :]
    return word


_BRITISH = (
    ("pediatr", "paediatr"), ("orthoped", "orthopaed"), ("gynec", "gynaec"), ("hemat", "haemat"), ("anesth", "anaesth"),
    ("neuroanesth", "neuroanaesth"), ("urogynec", "urogynaec"), ("fetal", "foetal"),
    ("hematooncology", "haematooncology"),
    ("behavior", "behaviour"), ("immunohemat", "immunohaemat"), ("homeop", "homoeop"), ("counseling", "counselling"),
)  # fmt: skip


def _whole(words: list[str]) -> str | None:
    if not words:
        return None
    # The letters of a degree may each be a word of its own, or have the branch joined to them.
    return (
        _BY_PHRASE.get(" ".join(words)) or _QUALIFICATIONS.get(" ".join(words)) or _QUALIFICATIONS.get("".join(words))
    )


def _before(words: list[str]) -> str | None:
    return next((_BEFORE[word] for word in words if word in _BEFORE), None)


def _meaningful(words: list[str]) -> list[str]:
    return [word for word in words if word not in _SKIPPED and not word.isdecimal()]


def _within(words: list[str]) -> str | None:
    """Return the speciality of the longest known phrase in the words, of several equally long ones the first."""
    found = [
        (-(end - start), start, slug)
        for start in range(len(words))
        for end in range(start + 1, min(len(words), start + _PHRASE_WORDS_MAX) + 1)
        if (slug := _BY_PHRASE.get(phrase := " ".join(words[start:end]))) and phrase not in _WEAK
    ]
    if found:
        return min(found)[2]
    return next((_QUALIFICATIONS[word] for word in words if word in _QUALIFICATIONS and word not in _WEAK), None)


def _nearest(words: list[str]) -> tuple[str | None, float]:
    """Return the speciality of the phrase most alike to the words, or to one of them, and how unlike a letter it is."""
    typed = {one for one in (" ".join(words), *words[:_FUZZY_WORDS_MAX]) if len(one) >= _FUZZY_LENGTH_MIN}
    costs = [
        (edit_cost(one, phrase) / len(one), slug)
        for one in typed
        for phrase, slug, letters in _BY_FIRST_LETTER.get(one[0], ())
        if abs(len(phrase) - len(one)) <= _UNLIKE_LETTERS_MAX
        if len(letters.symmetric_difference(one)) <= _UNLIKE_LETTERS_MAX
    ]
    cost, slug = min(costs, default=(1.0, None))
    return slug, cost


def _by_phrase(*kinds: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    return {
        " ".join(_in_one_spelling(word) for word in folded(phrase).split()): slug
        for kind in kinds
        for slug, phrases in kind
        for phrase in phrases
    }


_CONTENT = tomllib.loads(Path(__file__).with_name("specialities.toml").read_text("utf-8"))
# A name of its own comes before what people call it, and that before the other names.
_BY_PHRASE = _by_phrase(
    _CONTENT["names"].items(),
    SPECIALITY_NAMES.items(),
    ((slug, (slug.replace("-", " "),)) for slug in SPECIALITY_NAMES),
)
_BY_FIRST_LETTER: dict[str, list[tuple[str, str, frozenset[str]]]] = {}
for _phrase, _slug in _BY_PHRASE.items():
    if len(_phrase) >= _FUZZY_LENGTH_MIN and _phrase.isascii():
        _BY_FIRST_LETTER.setdefault(_phrase[0], []).append((_phrase, _slug, frozenset(_phrase)))
_QUALIFICATIONS = _by_phrase(_CONTENT["qualifications"].items(), own_words().qualifications.items())
_BEFORE = _by_phrase(_CONTENT["before"].items())
_SKIPPED = frozenset(_CONTENT["skipped"]["words"])
_WEAK = frozenset({"mbbs", "general"})
"""What says something only where nothing else stands beside it: the degree that all have, and any hospital."""
