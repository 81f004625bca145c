from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import healthplus_bench
from healthplus.database import Database
from healthplus.imports.import_file import import_file
from healthplus.ops.demo_data import Scale, create_demo_data
from healthplus.search.keyword import parse_keyword
from healthplus.search.spelling import did_you_mean, edit_cost
from healthplus.search.vocabulary import VOCABULARY
from healthplus.search.word_counts import WordCounter, count_words
from tests.fixtures.clock import move_clock
from tests.search.directory import add_provider, make_directory

MISSPELLINGS = tomllib.loads((Path(healthplus_bench.__file__).parent / "misspellings.toml").read_text("utf-8"))[
    "misspelling"
]
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "nhd_hospitals_india.csv"


async def city_ids(db: Database) -> dict[str, int]:
    return {row["slug"]: row["city_id"] for row in await db.fetch("SELECT slug, city_id FROM directory.city")}


async def test_misspellings_in_the_demo(db: Database) -> None:
    """At least 16 of 18 are right at rank one; what is right is left alone, and no misspelling is a word of ours."""
    await create_demo_data(db, Scale(cities=10, providers_per_city=60, patients=50))
    cities = await city_ids(db)
    missed = []
    for case in MISSPELLINGS:
        city_id = cities.get(case.get("city", ""))
        suggestions = await did_you_mean(db, case["wrong"], city_id)
        assert len(suggestions) <= 3
        if suggestions[:1] != [case["right"]]:
            missed.append((case, suggestions))
        assert await did_you_mean(db, case["right"], city_id) == []
        wrong = set(case["wrong"].split()) - set(case["right"].split())
        assert wrong
        assert wrong.isdisjoint(VOCABULARY.words)
    # Neither a city that nobody is in, nor an illness, is a misspelt name or word.
    for right in ("Noida", "dentist Noida", "covid", "covid test"):
        assert await did_you_mean(db, right, None) == [], right
    assert len(MISSPELLINGS) >= 30
    assert len(missed) * 18 <= len(MISSPELLINGS) * 2, missed


async def test_the_directory_misspells_too(db: Database) -> None:
    cities = await make_directory(db)
    for number in range(40):
        facts = ("doctor", "dermatology", f"House {number}", "Hadapsar" if number > 1 else "Hadpsar", "411028", "pune")
        await add_provider(db, f"Number{number}", *facts)
    await add_provider(db, "Bandara Trust", "hospital", "cardiology", "Bandara Trust", "Fort", "520001", "krishna")
    assert await did_you_mean(db, "hadpsar", cities["pune"]) == []  # nothing has been counted
    await count_words(db)
    assert await did_you_mean(db, "hadpsar", cities["pune"]) == ["hadapsar"]
    assert await did_you_mean(db, "hadpsar", None) == ["hadapsar"]
    assert await did_you_mean(db, "skin hadapsar", cities["pune"]) == []
    # A word elsewhere, but hardly what somebody means who searches in Mumbai.
    assert await did_you_mean(db, "bandara", cities["mumbai"]) == ["bandra"]
    assert await did_you_mean(db, "bandara", cities["krishna"]) == []
    assert await did_you_mean(db, "bandara", None) == []

    for keyword in (
        "",
        "best doctor",
        "दाात",
        "411028",
        "xyzzyplugh",
        "asha rao",
        "dr a b",
        "🦷",
        "\0\ud800",
        "'|&!:*",
    ):
        assert await did_you_mean(db, keyword, None) == [], keyword
    # What is far from every word is another word, and no misspelling.
    for keyword in ("chemist", "speech", "lisp", "hand", "ankle", "smoking", "groin", "gupt", "gym", "hello"):
        assert await did_you_mean(db, keyword, None) == [], keyword
    long = " ".join(f"dermatolgist{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert len(await did_you_mean(db, long, None)) <= 3
    assert await did_you_mean(db, "a" * 10_000, None) == []
    assert await did_you_mean(db, "त्वचा dermatolgist", None) == ["त्वचा dermatologist"]
    assert await did_you_mean(db, "derma tologist pune", None) == ["dermatologist pune"]
    assert (await did_you_mean(db, "dermatolgist in bandara", cities["mumbai"]))[0] == "dermatologist in bandra"

    # What has left the directory is no word any more, and what is curated stays one when others count.
    await db.execute("DELETE FROM directory.provider")
    await db.execute("DELETE FROM directory.clinic")
    await db.execute("SELECT search.count_words()")
    assert await did_you_mean(db, "hadpsar", None) == []
    assert await did_you_mean(db, "dermatolgist", None) == ["dermatologist"]
    assert await db.fetch_value("SELECT bool_and(curated AND city_id = 0) FROM search.word")


async def test_words_are_counted_when_it_is_due(db: Database) -> None:
    await make_directory(db)

    async def look() -> datetime:
        await WordCounter(db).count_if_due()
        at: datetime = await db.fetch_value("SELECT at FROM search.words_counted")
        return at

    first = await look()
    assert await did_you_mean(db, "kothrood", None) == ["kothrud"]
    await db.execute("UPDATE directory.clinic SET address = 'Wakad'")
    assert await look() == first
    await move_clock(db, minutes=61)
    second = await look()
    assert second - first > timedelta(minutes=60)
    assert await did_you_mean(db, "wakkad", None) == ["wakad"]
    # A version with other words of its own does not wait for the hour.
    await db.execute("UPDATE search.word SET curated = false WHERE word = 'dentist'")
    assert await look() > second


def test_what_an_error_costs() -> None:
    assert edit_cost("dentist", "dentist") == 0
    for likely, unlikely in (
        (("kavita", "kavitha"), ("kavita", "kavista")),  # a mute letter
        (("depresion", "depression"), ("deprssion", "depression")),  # one of two
        (("haert", "heart"), ("hexrt", "heart")),  # transposed
        (("dermatalogist", "dermatologist"), ("dermatplogist", "dermatologist")),  # a vowel
        (("dentisr", "dentist"), ("dentisb", "dentist")),  # a neighbour on the keyboard
        (("skim", "skin"), ("zkin", "skin")),  # not the first letter
    ):
        assert 0 < edit_cost(*likely) < edit_cost(*unlikely)


@pytest.mark.long
@pytest.mark.skipif(not REAL.exists(), reason="the hospital directory is not here")
async def test_the_real_directory(db: Database) -> None:
    await import_file(db, REAL)
    await count_words(db)
    cities = await city_ids(db)
    for keyword, city, right in (
        ("hadpsar", "pune", "hadapsar"),
        ("gynacologist", "mumbai", "gynaecologist"),
        ("bandara", "mumbai", "bandra"),
        ("ruby hal clinic", "pune", "ruby hall clinic"),
        ("lilavathi hospital", "mumbai", "lilavati hospital"),
    ):
        assert (await did_you_mean(db, keyword, cities[city]))[:1] == [right]
        assert await did_you_mean(db, right, cities[city]) == []
    assert (await parse_keyword(db, "bangalore", None)).city_id == cities["bengaluru-urban"]

    # Most hospitals are called as their city spells it.
    rows = await db.fetch(
        """SELECT clinic.name, city_id FROM directory.clinic TABLESAMPLE bernoulli (2) REPEATABLE (1)"""
    )
    doubted = [row["name"] for row in rows if await did_you_mean(db, row["name"], row["city_id"])]
    assert len(rows) > 100
    assert len(doubted) <= len(rows) * 0.05, doubted
