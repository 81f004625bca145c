"""What cannot wait for an appointment, misspelt or not, and whom to call then.

A word is taken for an urgent one only where one slip makes it so, by the costs of spelling.py, and where neither
words.toml nor the directory has it: a patient who looks for Dr Stroke has none.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from healthplus.country import HERE
from healthplus.database import Database
from healthplus.search.keyword import split_keyword
from healthplus.search.spelling import edit_cost
from healthplus.search.vocabulary import VOCABULARY, UrgentKind, plain_words, urgency, urgent_phrase

_WORD_LENGTH_MIN = 4
_ALONE_LENGTH_MIN = 6
"""Of a word that is urgent by itself: a short one is one slip from many names."""
_COST_MAX = {"body": 0.9, "mind": 1.0, "violence": 0.9, "child": 0.9}
"""One letter too many or too few, two the wrong way round, or one beside the right one; for the mind, any one."""


class Urgent(NamedTuple):
    """What a text tells of: `kind` is "" for nothing urgent; `text` is the text, spelt right."""

    kind: UrgentKind
    text: str

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return whom to call in this country, the first first."""
        return tuple(call.number for call in HERE.emergency.of(self.kind).calls) if self.kind else ()


def _urgent_words() -> dict[str, dict[str, str]]:
    """Return the words of what is urgent, by first letter, each with its kind."""
    words: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for phrase, meaning in VOCABULARY.phrases.items():
        for word in phrase.split() if meaning.urgent and phrase.isascii() else ():
            if len(word) >= _WORD_LENGTH_MIN and word not in VOCABULARY.dropped:
                words[word[0]][word] = meaning.urgent
    for one in VOCABULARY.together:
        for word in frozenset().union(*one.words):
            if word.isascii() and len(word) >= _ALONE_LENGTH_MIN:
                words[word[0]].setdefault(word, VOCABULARY.phrases[one.means].urgent)
    for word in VOCABULARY.alone:
        words[word[0]].pop(word, None)  # one slip from too many
    return words


_WORDS = _urgent_words()
_PHRASES = {phrase for phrase, meaning in VOCABULARY.phrases.items() if meaning.urgent}


async def urgent_need(database: Database, text: str) -> Urgent:
    """Return what any text at all tells of that cannot wait, also where its words are misspelt."""
    if kind := urgency(text):
        return Urgent(kind, text)
    words = plain_words(text)
    slips = {word: right for word in dict.fromkeys(words) if (right := _right_word(word))}
    corrected = " ".join(slips.get(word, word) for word in words)
    phrase = urgent_phrase(corrected) if slips else ""
    if not phrase or (" " not in phrase and len(phrase) < _ALONE_LENGTH_MIN):
        return Urgent("", text)
    split = await split_keyword(database, " ".join(slips), None)
    return Urgent("", text) if any(map(split.has_word, slips)) else Urgent(urgency(corrected), corrected)


def _right_word(word: str) -> str:
    """Return the urgent word, or the two that lack a space, that a word was likely meant to be; else ""."""
    if any(
        word in right for right in (VOCABULARY.words, VOCABULARY.places, VOCABULARY.genders, _WORDS.get(word[:1], {}))
    ):
        return ""
    if not (word.isascii() and word.isalpha()) or len(word) < _WORD_LENGTH_MIN - 1 or word in VOCABULARY.ordinary:
        return ""
    for at in range(_WORD_LENGTH_MIN, len(word) - 2):
        if f"{word[:at]} {word[at:]}" in _PHRASES:
            return f"{word[:at]} {word[at:]}"
    costs = {
        right: edit_cost(word, right)
        for right, kind in _WORDS.get(word[0], {}).items()
        if abs(len(word) - len(right)) <= 1
    }
    likely = [(cost, right) for right, cost in costs.items() if cost <= _COST_MAX[_WORDS[word[0]][right]]]
    return min(likely)[1] if likely else ""
