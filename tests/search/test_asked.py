"""What is asked for besides whom."""

from __future__ import annotations

import pytest

from healthplus.database import Database
from healthplus.search.asked import Asked, asked, untold
from healthplus.search.find import SearchRequest, find, parse_request
from healthplus.search.vocabulary import plain_words
from tests.search.directory import make_directory

_ASKED = [
    ("dentist under 500", Asked("dentist", fee=500)),
    ("dentist below ₹1,500", Asked("dentist", fee=1500)),
    ("500 rupees dentist", Asked("dentist", fee=500)),
    ("dentist 500 se kam", Asked("dentist", fee=500)),
    ("दांत का डॉक्टर ५०० रुपये से कम", Asked("दांत का डॉक्टर", fee=500)),
    ("marathi speaking doctor", Asked("doctor", language="Marathi")),
    ("Marathi-speaking dentist", Asked("dentist", language="Marathi")),
    ("doctor who speaks Tamil", Asked("doctor", language="Tamil")),
    ("मराठी बोलने वाले डॉक्टर", Asked("डॉक्टर", language="Marathi")),
    ("female gynecologist", Asked("gynecologist", "female")),
    ("skin doctor tomorrow", Asked("skin doctor", day="tomorrow")),
    ("आज दांत का डॉक्टर", Asked("दांत का डॉक्टर", day="today")),
    ("dentist this weekend", Asked("dentist", day="weekend")),
    ("dentist on sunday", Asked("dentist", day="7")),
    ("cheap dentist", Asked("dentist", order="price")),
    (
        "best hindi speaking lady dentist under rs. 800 tomorrow in Kothrud",
        Asked("best dentist in Kothrud", "female", "Hindi", 800, "tomorrow"),
    ),
]
# Names, ages, distances, PIN codes and tests are none of these.
_LEFT = [
    "Dr Punjabi", "Dr Monday", "marathi", "child under 5", "child under 12 years", "dentist within 500 m",
    "skin 411038", "vitamin b12", "dentist", "", "🦷", "\0", "x" * 10_000, "9" * 500,
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), _ASKED)
def test_filters_in_words_are_read(text: str, meant: Asked) -> None:
    assert asked(text) == meant


def test_all_else_stays() -> None:
    for text in _LEFT:
        assert asked(text) == Asked(text), text


def test_what_no_search_can_tell_is_known() -> None:
    for text, kinds in (
        ("open now", ["open"]),
        ("cbc home collection", ["home"]),
        ("24 hours", ["day_and_night"]),
        ("dentist near me", ["near"]),
        ("doctor", []),
    ):
        assert list(untold(plain_words(text)).values()) == kinds, text


async def test_a_search_filters_by_what_its_words_ask(db: Database) -> None:
    await make_directory(db)
    await db.execute(
        "UPDATE directory.provider SET languages = '{Marathi}', gender = 'female' WHERE name = 'Dr Meera Joshi'"
    )
    for keyword in ("marathi speaking skin doctor", "lady skin doctor", "मराठी बोलने वाली त्वचा का डॉक्टर"):
        found = await find(db, SearchRequest(keyword=keyword), 0, 10)
        assert [row["name"] for row in found] == ["Dr Meera Joshi"], keyword
    criteria = await parse_request(db, SearchRequest(keyword="dentist under 500 on sunday", fee_max=300))
    assert criteria
    assert criteria.fee_max == 300  # what the request says itself
    assert criteria.starts_from
    assert criteria.starts_before
    assert (criteria.starts_before - criteria.starts_from).days == 1
