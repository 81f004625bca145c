"""Find words of the directory, which is in Latin letters, by how they sound in Devanagari: वर्मा is Verma, or Varma.

A word is written in Latin letters by rule, as Hindi and Marathi are read, and compared with the directory's words that
are like it by their letters or sound. Names are spelt in many ways, so all that sound nearly alike are meant.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from healthplus.database import Database, Record, load

_queries = load(Path(__file__).with_name("queries.sql"))

_SCHWA = "ə"
"""The vowel that is not written: mostly a, in Verma, Menon and Dutta another."""
_NUKTA, _VIRAMA, _ANUSVARA = "\u093c", "\u094d", "\u0902"
_CONSONANTS = dict(
    zip(
        "कखगघङचछजझञटठडढणतथदधनपफबभमयरलळवशषसह",
        [
            "k",
            "kh",
            "g",
            "gh",
            "n",
            "ch",
            "chh",
            "j",
            "jh",
            "n",
            "t",
            "th",
            "d",
            "dh",
            "n",
            "t",
            "th",
            "d",
            "dh",
            "n",
            "p",
            "f",
            "b",
            "bh",
            "m",
            "y",
            "r",
            "l",
            "l",
            "v",
            "sh",
            "sh",
            "s",
            "h",
        ],
        strict=True,
    )
)
_VOWELS = dict(zip("अआइईउऊऋएऐओऔऑऍ", ["a", "a", "i", "i", "u", "u", "ri", "e", "ai", "o", "au", "o", "e"], strict=True))
_SIGNS = dict(zip("ािीुूृेैोौॉॅ", ["a", "i", "i", "u", "u", "ri", "e", "ai", "o", "au", "o", "e"], strict=True))
_OTHERS = {_ANUSVARA: "n", "\u0901": "n", "\u0903": "h"}
_LIPS = frozenset("पफबभम")
"""Before these the dot above is an m."""
_ENDS_SOUNDED = frozenset("रयवनणमल")
"""As the last of two consonants at the end these keep their vowel: Chandra, Aditya."""
_EXCEPTIONS = {"राव": "rao", "अय्यर": "iyer", "सिंह": "singh", "ज्ञ": "gy", "जी": "ji", "डिसूजा": "dsouza"}
"""Spelt unlike they are read, all over India."""

_FOLDS = (
    ("ck", "k"), ("ph", "f"), ("w", "v"), ("q", "k"), ("z", "j"), ("x", "ks"), ("ee", "i"), ("oo", "u"), ("aa", "a"),
    ("ou", "au"), ("ov", "au"), ("th", "t"), ("dh", "d"), ("sh", "s"), ("bh", "b"), ("kh", "k"), ("gh", "g"),
    ("chh", "ch"), ("ie", "i"),
)  # fmt: skip
"""What is written for one another."""
_WORDS_MAX = 5
"""How many words of a keyword are looked up."""
_FOUND_MAX = 6
_COST_MAX, _COST_A_LETTER_MAX = 0.35, 0.12
_COST_BEHIND_MAX = 0.35
"""How much less alike than the nearest a word may be."""


def is_devanagari(text: str) -> bool:
    return any("\u0900" <= letter <= "\u097f" for letter in text)


def in_latin(word: str) -> str:
    """Return a word in Latin letters, other letters as they are."""
    return _read(word).replace(_SCHWA, "a")


def beginnings(start: str) -> list[str]:
    """Return how names in Latin letters may begin that are begun in Devanagari."""
    read = _read(start)
    plain = read.replace(_SCHWA, "a")
    long = re.sub("u(?![aeiou])", "oo", re.sub("i(?![aeiou])", "ee", plain))
    ways = (plain, long, read.replace(_SCHWA, "e"), plain.replace("v", "w"), plain.replace("f", "ph"))
    return list(dict.fromkeys(ways))


async def alike(database: Database, words: Sequence[str], city_id: int | None) -> dict[str, list[str]]:
    """Return the directory's words that sound like each of these, the nearest first; those of the city, if any are."""
    typed = {way: word for word in words[:_WORDS_MAX] for way in beginnings(word)}
    if not typed:
        return {}
    rows = await database.fetch(_queries.near_words, list(typed), [], [], city_id)
    near: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    for row in rows:
        if row["frequency"]:
            near[typed[row["typed"]]][row["word"]] = row
    return {word: found for word in words if (found := _nearest(word, near[word]))}


def _nearest(word: str, near: dict[str, Record]) -> list[str]:
    said = _folded(_read(word))
    within = _COST_MAX + _COST_A_LETTER_MAX * len(said)
    costs = {other: cost for other in near if (cost := _cost(said, _folded(other))) <= within}
    if here := [other for other in costs if near[other]["frequency_here"]]:
        costs = {other: costs[other] for other in here}
    least = min(costs.values(), default=0.0)
    likely = [(cost, -near[other]["frequency"], other) for other, cost in costs.items()]
    return [other for cost, _, other in sorted(likely) if cost <= least + _COST_BEHIND_MAX][:_FOUND_MAX]


def _read(text: str) -> str:
    return " ".join(_EXCEPTIONS.get(word) or _read_word(word) for word in text.split())


def _read_word(word: str) -> str:
    # Pairs of what is heard and its vowel; "" is none, and the schwa one that may be silent.
    sounds: list[list[str]] = []
    word = word.replace("ज्ञ", "ग्य")
    for at, letter in enumerate(word):
        following = word[at + 1 : at + 2]
        if letter in _CONSONANTS:
            sounds.append([_CONSONANTS[letter], _SCHWA])
        elif letter == _NUKTA and sounds:
            sounds[-1][0] = {"j": "z", "kh": "kh", "gh": "gh"}.get(sounds[-1][0], sounds[-1][0])
        elif letter == _VIRAMA and sounds:
            sounds[-1][1] = ""
        elif letter in _SIGNS and sounds:
            sounds[-1][1] = _SIGNS[letter]
        elif letter in _VOWELS:
            sounds.append(["", _VOWELS[letter]])
        elif letter in _OTHERS:
            sounds.append(["m" if _OTHERS[letter] == "n" and following in _LIPS else _OTHERS[letter], ""])
        else:
            sounds.append([letter, ""])
    _silence(sounds, word)
    return "".join(consonant + vowel for consonant, vowel in sounds)


def _silence(sounds: list[list[str]], word: str) -> None:
    """Take out the vowels that are not spoken: at the end, and between a vowel and a consonant with a vowel."""
    if len(sounds) > 1 and sounds[-1][1] == _SCHWA and not (sounds[-2][1] == "" and word[-1] in _ENDS_SOUNDED):
        sounds[-1][1] = ""
    for at in range(len(sounds) - 2, 0, -1):
        if sounds[at][1] == _SCHWA and sounds[at - 1][1] and sounds[at + 1][0] and sounds[at + 1][1]:
            sounds[at][1] = ""


def _folded(word: str) -> str:
    for written, same in _FOLDS:
        word = word.replace(written, same)
    word = re.sub(r"(?<=[aeiou])y|y$", "i", word)
    return re.sub(r"(.)\1", r"\1", word)


def _cost(said: str, other: str) -> float:
    """Return how unlike a word is to one that is read from Devanagari: 1 for each consonant that is another."""
    rows = [[0.0]]
    for letter in other:
        rows[0].append(rows[0][-1] + _gap_cost(letter))
    for letter in said:
        row = [rows[-1][0] + _gap_cost(letter)]
        for at, there in enumerate(other):
            row.append(
                min(
                    rows[-1][at] + _change_cost(letter, there),
                    rows[-1][at + 1] + _gap_cost(letter),
                    row[at] + _gap_cost(there),
                )
            )
        rows.append(row)
    return rows[-1][-1]


def _gap_cost(letter: str) -> float:
    return {_SCHWA: 0.2, "a": 0.3, "h": 0.3}.get(letter, 0.6 if letter in "eiouy" else 1.0)


def _change_cost(letter: str, other: str) -> float:
    if letter == other or {letter, other} == {_SCHWA, "a"}:
        return 0.0
    if letter == _SCHWA:
        return 0.3 if other in "eiou" else 1.0
    if letter in "aeiou" and other in "aeiou":
        return 0.4 if {letter, other} in ({"i", "e"}, {"u", "o"}, {"a", "o"}) else 0.8
    return 0.4 if {letter, other} == {"y", "i"} else 1.0
