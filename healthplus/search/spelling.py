"""Suggest corrections of a misspelt keyword.

A word is right when words.toml has it, if only as a town, or when the directory has it and has no similar word far more
often: the directory's own texts have misspellings too. Of the words that might be meant, the one with most points
wins; `points` says how they are counted.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

from healthplus.database import Database, load
from healthplus.search.asked import UNTOLD_WORDS
from healthplus.search.keyword import Part, split_keyword
from healthplus.search.vocabulary import VOCABULARY, runs

_queries = load(Path(__file__).with_name("queries.sql"))

SUGGESTIONS_MAX = 3
_WORDS_MAX = 5  # that are corrected in one keyword
_LENGTHS = range(3, 26)  # of a word that is looked at
_EDITED_LENGTH_MAX = 14  # longer words share trigrams enough with their misspellings

# A word of the directory is doubted only when it is long, and a word this near is this many times as frequent.
_DOUBTED_LENGTH_MIN = 6
_DOUBTED_RATIO = 8
_DOUBTED_COST_MAX = 1.1
_HERE_FACTOR = 30  # how many mentions elsewhere one in the city searched in is worth
# How many mentions a word in words.toml is worth: without a city, and in one (where other cities' names gain nothing).
_CURATED_WEIGHT, _CURATED_WEIGHT_HERE = 200, 1200
_COST_POINTS = 5.0
_RIVALS_MAX = 8
_SECOND_POINTS = 4.0  # how far behind the best another suggestion may be
_COST_A_LETTER_MAX = 0.18
"""Of a word that nobody has: what is farther from it is another word, as chest is from chemist."""

_VOWELS = frozenset("aeiouy")
_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = frozenset(
    frozenset(pair)
    for row, below in zip(_KEYBOARD_ROWS, (*_KEYBOARD_ROWS[1:], ""), strict=True)
    for pair in (*itertools.pairwise(row), *zip(row, below, strict=False), *zip(row[1:], below, strict=False))
)
# Letters that sound alike, or are written for one another when Indian names and Greek terms are put into Latin letters.
SOUNDS = frozenset(frozenset(pair) for pair in ("ck", "cs", "sz", "vw", "bv", "kq", "gj", "td", "iy", "fp", "nm", "xk"))


class _Correction(NamedTuple):
    points: float
    old: str
    new: str


@dataclass(frozen=True)
class _Candidate:
    word: str
    frequency: int
    frequency_here: int
    curated: bool

    def weight(self, in_city: bool) -> float:
        """Return how likely the word is, whatever was typed, as a number of mentions."""
        if not in_city:
            return self.frequency + _CURATED_WEIGHT * self.curated
        curated = _CURATED_WEIGHT if self.word in VOCABULARY.city_words else _CURATED_WEIGHT_HERE
        return self.frequency + _HERE_FACTOR * self.frequency_here + curated * self.curated


async def did_you_mean(database: Database, keyword: str, city_id: int | None) -> list[str]:
    """Return up to three corrections of the keyword, the likeliest first; none when nothing seems wrong."""
    parts = (await split_keyword(database, keyword, city_id)).parts
    words = [word for part in parts for word in part.words]
    towns = {word for _, _, phrase in runs(words) if phrase in VOCABULARY.places for word in phrase.split()}
    doubtful = [word for word in _doubtful(parts) if word not in towns][:_WORDS_MAX]
    if not doubtful:
        return []
    near = await _near_words(database, words, doubtful, city_id)
    corrections = [_corrections(word, near[word], words, city_id is not None) for word in doubtful]
    return _corrected(" ".join(words), [found for found in corrections if found])


def _doubtful(parts: Iterable[Part]) -> list[str]:
    words = (word for part in parts if not part.has_meaning for word in part.words)
    return [
        word
        for word in dict.fromkeys(words)
        if len(word) in _LENGTHS and word.isascii() and word.isalpha()
        if word not in VOCABULARY.words and word not in VOCABULARY.genders and word not in UNTOLD_WORDS
    ]


async def _near_words(
    database: Database, words: Sequence[str], doubtful: Sequence[str], city_id: int | None
) -> dict[str, dict[str, _Candidate]]:
    pairs = [(word, edit) for word in doubtful for edit in _edits(word)]
    # The halves of a word where a space may be missing, and pairs of words with a space too many.
    pairs += [(word, half) for word in doubtful for halves in _halves(word) for half in halves]
    pairs += [(word, joined) for joined, both in _joined(words).items() for word in both if word in doubtful]
    rows = await database.fetch(
        _queries.near_words, doubtful, [typed for typed, _ in pairs], [edit for _, edit in pairs], city_id
    )
    near: dict[str, dict[str, _Candidate]] = defaultdict(dict)
    for row in rows:
        near[row["typed"]][row["word"]] = _Candidate(
            row["word"], row["frequency"], row["frequency_here"], row["curated"]
        )
    return near


def _edits(word: str) -> Iterable[str]:
    if len(word) > _EDITED_LENGTH_MAX:
        return
    for at in range(len(word) + 1):
        left, right = word[:at], word[at:]
        if right:
            yield left + right[1:]
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
        for letter in ascii_lowercase:
            yield left + letter + right
            if right:
                yield left + letter + right[1:]


def _halves(word: str) -> Iterable[tuple[str, str]]:
    return ((word[:at], word[at:]) for at in range(3, len(word) - 2))


def _joined(words: Sequence[str]) -> dict[str, tuple[str, str]]:
    return {first + second: (first, second) for first, second in itertools.pairwise(words)}


def _corrections(typed: str, near: dict[str, _Candidate], words: Sequence[str], in_city: bool) -> list[_Correction]:
    """Return what may be meant instead of a word, the best first; nothing when the word is right."""
    own = near.get(typed)
    weights = {word: found.weight(in_city) for word, found in near.items()}
    if own is None:
        choices = [*_respelt(typed, weights), *_split(typed, weights), *_joined_with_neighbour(typed, words, weights)]
    elif own.frequency_here or not in_city:
        choices = [
            _Correction(points(edit_cost(typed, word), weight), typed, word)
            for word, weight in weights.items()
            if len(typed) >= _DOUBTED_LENGTH_MIN and _is_doubted(typed, word, weights)
        ]
    else:
        # The directory has the word, but not in this city.
        choices = [
            _Correction(points(cost, weights[word]), typed, word)
            for word, found in near.items()
            if (found.curated or found.frequency_here) and (cost := edit_cost(typed, word)) <= _DOUBTED_COST_MAX
        ]
    choices.sort(key=lambda choice: (-choice.points, choice.new))
    # A choice may itself be a misspelling of another.
    rivals = choices[:_RIVALS_MAX]
    right = [choice for choice in rivals if not any(_is_doubted(choice.new, other.new, weights) for other in rivals)]
    return right[:SUGGESTIONS_MAX]


def _respelt(typed: str, weights: dict[str, float]) -> Iterable[_Correction]:
    for word, weight in weights.items():
        if (cost := edit_cost(typed, word)) <= _COST_A_LETTER_MAX * len(typed):
            yield _Correction(points(cost, weight), typed, word)


def _split(typed: str, weights: dict[str, float]) -> Iterable[_Correction]:
    for first, second in _halves(typed):
        if f"{first} {second}" in VOCABULARY.phrases:
            yield _Correction(points(0.2, _CURATED_WEIGHT), typed, f"{first} {second}")
        elif first in weights and second in weights:
            yield _Correction(points(0.8, min(weights[first], weights[second])), typed, f"{first} {second}")


def _joined_with_neighbour(typed: str, words: Sequence[str], weights: dict[str, float]) -> Iterable[_Correction]:
    for joined, both in _joined(words).items():
        if typed in both and joined in weights:
            yield _Correction(points(0.5, weights[joined]), " ".join(both), joined)


def _is_doubted(word: str, rival: str, weights: dict[str, float]) -> bool:
    if word == rival or not weights.keys() >= {word, rival}:
        return False
    return weights[rival] >= _DOUBTED_RATIO * weights[word] and edit_cost(word, rival) <= _DOUBTED_COST_MAX


def points(cost: float, weight: float) -> float:
    """Return what a word is worth as a correction: an error of cost 1 outweighs 150 times as many mentions."""
    return log(1 + weight) - _COST_POINTS * cost


def edit_cost(wrong: str, right: str) -> float:
    """Return how unlikely it is to write `wrong` for `right`: 1 for each letter that is unlike the right one.

    Letters are left out, added, changed for one another or transposed (the optimal string alignment distance); see
    `_gap_cost` and `_change_cost` for what is cheaper. Few people err in the first letter.
    """
    rows = [[0.0]]
    for at in range(len(right)):
        rows[0].append(rows[0][-1] + _gap_cost(right, at))
    for i, letter in enumerate(wrong, start=1):
        row = [rows[-1][0] + _gap_cost(wrong, i - 1)]
        for j, other in enumerate(right, start=1):
            cost = min(
                rows[i - 1][j - 1] + _change_cost(letter, other),
                rows[i - 1][j] + _gap_cost(wrong, i - 1),
                row[j - 1] + _gap_cost(right, j - 1),
            )
            if i > 1 and j > 1 and letter == right[j - 2] and wrong[i - 2] == other and letter != other:
                cost = min(cost, rows[i - 2][j - 2] + 0.6)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1] + (0.4 if wrong[0] != right[0] else 0)


def _gap_cost(word: str, at: int) -> float:
    """Return the cost of a letter that only one of two words has."""
    letter = word[at]
    if at and letter == word[at - 1]:
        return 0.3
    if letter in _VOWELS or letter == "h":  # Indian names have their h in many places: Kavita, Kavitha
        return 0.5
    return 0.9


def _change_cost(letter: str, other: str) -> float:
    if letter == other:
        return 0.0
    pair = frozenset((letter, other))
    if pair <= _VOWELS or pair in SOUNDS:
        return 0.5
    return 0.8 if pair in _NEIGHBOURS else 1.0


def _corrected(keyword: str, corrections: list[list[_Correction]]) -> list[str]:
    if not corrections:
        return []
    best = [found[0] for found in corrections]
    choices = [(0.0, best)]
    for at, found in enumerate(corrections):
        for second in found[1:]:
            behind = found[0].points - second.points
            if behind <= _SECOND_POINTS:
                choices.append((behind, [*best[:at], second, *best[at + 1 :]]))
    choices.sort(key=lambda choice: choice[0])
    return [_replaced(keyword, chosen) for _, chosen in choices[:SUGGESTIONS_MAX]]


def _replaced(keyword: str, corrections: Iterable[_Correction]) -> str:
    padded = f" {keyword} "
    for correction in corrections:
        padded = padded.replace(f" {correction.old} ", f" {correction.new} ")
    return padded.strip()
