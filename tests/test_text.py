"""Text as it comes in: whatever Unicode has, each function gives one form of it."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthplus import text

_ALL = [text.name, text.identifier, text.comparable, text.number, text.phone, text.code, text.postal_code, text.line,
        text.lines, text.with_postal_codes]  # fmt: skip
_READ = [text.identifier, text.comparable, text.number, text.phone, text.code, text.postal_code]
_SIGNS = [chr(point) for point in range(sys.maxunicode + 1)]
_ZEROS = [sign for sign in _SIGNS if unicodedata.decimal(sign, -1) == 0]
_SPACES = [sign for sign in _SIGNS if unicodedata.category(sign) == "Zs"]
_DASHES = [sign for sign in _SIGNS if unicodedata.category(sign) == "Pd"]
_VISIBLE_FORMATS = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_INVISIBLE = [sign for sign in _SIGNS if unicodedata.category(sign) == "Cf" and sign not in _VISIBLE_FORMATS]
_INVISIBLE += ["\u034f", "\u180b", "\u3164", "\ufe0f", "\U000e0100"]
_JOINERS = ("\u200c", "\u200d")

_OTHERS = "\u094d\u0915\u0c4d\u0627\u0301\xb4`\u2019\ufdfa\xbd\xaa\uff21\ufb019+ \n1PIN"
_awkward = st.text(
    st.sampled_from([*_INVISIBLE, *_SPACES, *_DASHES, *_ZEROS, *_OTHERS]) | st.characters(exclude_categories=["Cs"]),
    max_size=12,
)
_words = st.text(st.sampled_from("Asha Rao-09'.करमलഅവن\u094d\u093f"), min_size=1, max_size=12)


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
@given(typed=_awkward)
@settings(max_examples=300)
def test_what_a_kind_gives_it_gives_again(kind: Callable[[str], str], typed: str) -> None:
    assert kind(kind(typed)) == kind(typed)


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
@given(typed=_awkward)
@settings(max_examples=300)
def test_nothing_is_added(kind: Callable[[str], str], typed: str) -> None:
    """Only what a sign stands for, in Unicode's own tables, is longer than the sign."""
    found = kind(typed)
    assert len(found) <= len(unicodedata.normalize("NFKD", typed.casefold()))
    assert found.strip() == found
    assert not any(unicodedata.category(sign) == "Cc" and sign != "\n" for sign in found)
    if kind in _READ:
        assert not set(found) & {*_INVISIBLE, *_SPACES} - {" "}
        assert all(sign.isascii() for sign in found if sign.isdecimal())


@given(typed=_awkward)
def test_a_name_that_stands_shows_something(typed: str) -> None:
    found = text.name(typed)
    if text.is_name(found, 200):
        assert text.comparable(found)
        assert any(unicodedata.category(sign)[0] in "LNPS" for sign in found)
        assert not set(found) & {*_INVISIBLE, *_SPACES} - {" ", *_JOINERS}


@pytest.mark.parametrize(
    "sign", ["\u2800", "\u3164", "\u115f", "\ufffc", "\u0301", "\u202e", "\xa0", "\x00", *_JOINERS]
)
def test_a_name_that_shows_nothing_is_none(sign: str) -> None:
    assert not text.is_name(text.name(sign), 200)
    assert not text.is_name(text.name(f" {sign}{sign} "), 200)
    assert not text.is_name(text.line(sign), 200)


@given(_words, st.sampled_from(_INVISIBLE), st.integers(0, 12))
@settings(max_examples=300)
def test_an_invisible_mark_anywhere_changes_nothing(typed: str, mark: str, at: int) -> None:
    marked = typed[:at] + mark + typed[at:]
    for kind in _READ:
        assert kind(marked) == kind(typed)
    if mark not in _JOINERS:
        assert text.name(marked) == text.name(typed)
        assert text.is_name(text.name(marked), 200) == text.is_name(text.name(typed), 200)


def test_digits_of_every_script_are_digits() -> None:
    for zero in _ZEROS:
        typed = "".join(chr(ord(zero) + int(sign)) if sign.isdigit() else sign for sign in "+91 98765-43210")
        assert text.phone(typed) == "+91 98765-43210"
        assert text.code(typed[4:]) == "9876543210"
        assert text.number(typed[4:9]) == "98765"
        assert text.postal_code(f"PIN {''.join(chr(ord(zero) + digit) for digit in (4, 1, 1, 0, 3, 8))}") == "411038"


def test_spaces_and_dashes_of_every_kind_are_one() -> None:
    for space in _SPACES:
        assert text.name(f"{space}Asha{space}{space}Rao{space}") == "Asha Rao" == text.line(f"Asha{space}Rao")
        assert text.phone(f"+91{space}98765{space}43210") == "+91 98765 43210"
        assert text.code(f"HP{space}7k3m{space}2qxd") == "HP7K3M2QXD"
    for dash in _DASHES:
        assert text.phone(f"020{dash}2543") == "020-2543"
        assert text.code(f"hp{dash}7k3m{dash}2qxd") == "HP7K3M2QXD"
        assert text.postal_code(f"411{dash}038") == "411038"
    assert (
        text.name("O\u2019Neil O\xb4Neil O`Neil \u201cRao\u201d Anne\u2011Marie")
        == "O'Neil O'Neil O'Neil \"Rao\" Anne-Marie"
    )


@pytest.mark.parametrize(
    "word",
    [
        "\u0915\u094d\u200d\u0937",  # half a ka, and not the one sign for both
        "\u0915\u094d\u200c\u0937",
        "\u0d05\u0d35\u0d28\u0d4d\u200d",  # a chillu of Malayalam as it was written before 2008
        "\u09b0\u200d\u09cd\u09af",  # a Bengali ra with its ya
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
    ],
)
def test_joiners_by_which_a_word_is_drawn_stay(word: str) -> None:
    assert text.name(f"Dr {word}") == f"Dr {word}" == text.line(f"Dr {word}")
    assert text.comparable(word) == text.comparable(word.replace("\u200c", "").replace("\u200d", ""))
    assert text.name("As\u200dha\u200c") == "Asha"


@pytest.mark.parametrize(
    "typed",
    ["411038", "411 038", "411-038", "PIN 411038", "PIN: 411 038", "Pin code - 411038", "pincode 411\xa0038",
     "P.I.N. 411038", "\u200e411038\u200f", "पिन कोड ४११०३८", "\uff14\uff11\uff11\uff10\uff13\uff18",
     "postal code no. 411038", "PIN411038"],
)  # fmt: skip
def test_postal_codes_as_they_are_written(typed: str) -> None:
    assert text.postal_code(typed) == "411038"
    assert text.with_postal_codes(f"dentist {text.line(typed)}, now") == "dentist 411038, now"


@pytest.mark.parametrize(
    "typed", ["+91 98411 038112", "98 411 038", "411 038 11", "1411038", "011 038", "PIN 4110381", "T411038", "411,038"]
)
def test_other_numbers_are_no_postal_codes(typed: str) -> None:
    assert text.with_postal_codes(typed) == typed


def test_free_text_keeps_the_signs_that_were_chosen() -> None:
    said = "H\u2082O \u2013 \u201cgood\u201d, 5 m\xb2 \u2764\ufe0f \U0001f469\u200d\u2695\ufe0f"
    assert text.line(f"\u202e  {said}\x00\n ") == said == text.lines(said)
    assert text.lines("one\u2028 two  \r\n\r\nthree\n") == "one\ntwo\n\nthree"
