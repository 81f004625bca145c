"""Read what people ask for besides whom: `marathi speaking dentist under 500 tomorrow` has three filters in it.

Only what a search can filter or order by is read, and only where it is said plainly; every other word stays in the
need. asked.toml has the words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from healthplus.search.vocabulary import VOCABULARY, folded, gender_asked, is_doctor, plain_words, runs, sendable
from healthplus.text import with_postal_codes

_CONTENT = tomllib.loads(Path(__file__).with_name("asked.toml").read_text("utf-8"))


def _by_phrase(kind: str) -> dict[str, str]:
    return {folded(phrase): name for name, phrases in _CONTENT[kind].items() for phrase in phrases}


_LANGUAGES, _DAYS, _ORDERS, _UNTOLD = map(_by_phrase, ("languages", "days", "orders", "untold"))
_TRIGGERS = frozenset(re.split("[- ]", phrase)[0] for phrase in (*_LANGUAGES, *_DAYS, *_ORDERS))
_PHRASE_WORDS_MAX = max(len(phrase.split()) for phrase in (*_DAYS, *_ORDERS, *_UNTOLD))
_TITLES = frozenset({"dr", folded("डॉ")})
"""What follows is a name: Dr Punjabi, Dr Monday."""
_SPEAK_BEFORE = frozenset({"speaks", "speaking", "speak", "knows", "knowing"})
_SPEAK_AFTER = frozenset({
    "speaking", "speaker", "speakers", "speak", "speaks", "knowing", "bolne", "bolnewala", "bolnewale", "बोलने",
})  # fmt: skip
_OF_SPEAKING = frozenset(map(folded, ("wala", "wale", "wali", "वाला", "वाले", "वाली", "bolne", "बोलने")))
_EDGES = frozenset({
    "on", "for", "in", "at", "by", "with", "who", "and", "the", "a", "an", "fee", "fees", "is", "ko", "se", "ke",
    "liye", "को", "से", "का", "के", "की", "लिए",
})  # fmt: skip
"""Words left over, at the ends, by what was read between them."""

_NUMBER = r"([0-9]{1,3}(?:,[0-9]{2,3})+|[0-9]{2,6})(?![0-9])"
_RUPEES = r"(?:₹|rs\.?|inr|rupees?|रु\.?|रुपये|रुपए)"
_NO_OTHER_UNIT = r"(?!\s*(?:km|k\.m|m\b|metre|meter|kilo|min|hour|hr|day|week|month|year|yr|%|किमी))"
_MOST = "|".join((
    r"under", r"below", r"less than", r"lower than", r"upto", r"up to", r"within", r"max(?:imum)?(?: of)?", r"at most",
    r"not more than", r"no more than", r"<=?",
))  # fmt: skip
_LEAST = r"(?:se kam|tak|ke andar|ke niche|ke neeche|से कम|तक|के अंदर|के नीचे|के भीतर)"
_FEES = [
    re.compile(pattern)
    for pattern in (
        rf"(?:\bfees?\s+)?(?<![\w])(?:{_MOST})\s*{_RUPEES}?\s*{_NUMBER}{_NO_OTHER_UNIT}(?:\s*(?:{_RUPEES}|/-))?(?:\s+fees?\b)?",
        rf"{_RUPEES}?\s*\b{_NUMBER}\s*(?:{_RUPEES}\s*)?{_LEAST}(?!\w)",
        rf"(?<!\w){_RUPEES}\s*{_NUMBER}(?:\s*/-)?",
        rf"\b{_NUMBER}\s*(?:{_RUPEES}(?!\w)|/-)",
    )
]
_DIGITS = {0x0966 + digit: str(digit) for digit in range(10)}
_FEE_MIN, _FEE_MAX = 20, 200_000
"""Others are no fees: under 5 is an age."""


UNTOLD_WORDS = frozenset(word for phrase in _UNTOLD for word in phrase.split())


class Asked(NamedTuple):
    """What a text asks for: `need` is whom, the rest of it; the others are "" or 0 where it does not say.

    `day` is today, tomorrow, week, weekend or a weekday from "1", Monday; `language` is named as in the directory;
    `order` is price, experience, rating or date.
    """

    need: str
    gender: str = ""
    language: str = ""
    fee: int = 0
    day: str = ""
    order: str = ""

    @property
    def is_more_than_need(self) -> bool:
        return any(self[1:])


def asked(text: str) -> Asked:
    """Return what any text at all asks for."""
    gender, need = gender_asked(text)
    if _TRIGGERS.isdisjoint(plain_words(need)) and not re.search(r"\d", need):
        return Asked(need, gender)
    rest, fee = _fee_asked(need)
    words = rest.split()
    plain = [" ".join(plain_words(word)) for word in words]
    language = _take_language(words, plain)
    day = _take(words, plain, _DAYS)
    order = _take(words, plain, _ORDERS)
    if not (fee or language or day or order):
        return Asked(need, gender)
    if not gender:
        gender, rest = gender_asked(" ".join(words))
        words = rest.split()
    while words and words[-1].lower() in _EDGES:
        del words[-1]
    while words and words[0].lower() in _EDGES:
        del words[0]
    return Asked(" ".join(words), gender, language, fee, day, order)


def near_postal_code(text: str) -> tuple[str, str]:
    """Return a text without the postal code that it asks to be near, and the code; all of it and "" without one."""
    text = with_postal_codes(text)
    found = _NEAR_POSTAL_CODE.search(text)
    return (" ".join(text.replace(found[0], " ").split()), found[1] or found[2]) if found else (text, "")


_NEAR_POSTAL_CODE = re.compile(
    r"(?<!\w)(?:(?:near|nearby|around|close to|next to)\s+(?:pin\s+|pincode\s+|pin code\s+)?([1-9][0-9]{5})"
    r"|([1-9][0-9]{5})\s+(?:ke paas|ke pas|के पास))(?!\w)",
    re.IGNORECASE,
)


def untold(words: Sequence[str]) -> dict[str, str]:
    """Return what plain words ask for that no search can tell, by the phrases that do, the longest first."""
    found: dict[str, str] = {}
    done = 0
    for start, end, phrase in _phrases(words):
        if start >= done and phrase in _UNTOLD:
            found[phrase] = _UNTOLD[phrase]
            done = end
    return found


def needs_a_doctor(need: str) -> bool:
    """Return whether a need is for doctors of any kind: it has a word for one, and none that says more."""
    words = plain_words(need)
    return VOCABULARY.dropped.issuperset(words) and any(map(is_doctor, words))


def _phrases(words: Sequence[str]) -> list[tuple[int, int, str]]:
    return [one for one in runs(list(words)) if one[1] - one[0] <= _PHRASE_WORDS_MAX]


def _fee_asked(text: str) -> tuple[str, int]:
    plain = sendable(text).lower().translate(_DIGITS)
    for pattern in _FEES:
        if found := pattern.search(plain):
            fee = int(found[1].replace(",", ""))
            if _FEE_MIN <= fee <= _FEE_MAX and len(plain) == len(text):
                return f"{text[: found.start()]} {text[found.end() :]}", fee
    return text, 0


def _take(words: list[str], plain: list[str], known: Mapping[str, str]) -> str:
    """Return what the first of the known phrases among the words means, and take it out of both lists; else ""."""
    for start, end, phrase in _phrases(plain):
        if phrase in known and not (start and plain[start - 1] in _TITLES):
            begins = start
            while begins and plain[begins - 1] in _EDGES:
                begins -= 1
            del words[begins:end], plain[begins:end]
            return known[phrase]
    return ""


def _take_language(words: list[str], plain: list[str]) -> str:
    """Do the same with a language: only with a word for speaking, or for a doctor, beside it."""
    for at, word in enumerate(plain):
        first, _, joined = word.partition(" ")  # marathi-speaking
        if first not in _LANGUAGES or (at and plain[at - 1] in _TITLES):
            continue
        before, after = (plain[at - 1] if at else ""), (plain[at + 1] if at + 1 < len(plain) else "")
        begins, ends = at, at + 1
        if before in _SPEAK_BEFORE:
            begins -= 1
        elif joined not in _SPEAK_AFTER and after in _SPEAK_AFTER:
            ends += 1
        elif joined not in _SPEAK_AFTER and not is_doctor(after) and not is_doctor(before):
            continue
        while ends < len(plain) and plain[ends] in _OF_SPEAKING:
            ends += 1
        while begins and plain[begins - 1] in _EDGES:
            begins -= 1
        del words[begins:ends], plain[begins:ends]
        return _LANGUAGES[first]
    return ""
