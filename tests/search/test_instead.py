"""Names and words as they are written in India, and what is shown where nobody has all that is asked for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.database import Database, Record
from healthplus.search import instead
from healthplus.search.find import SearchRequest
from healthplus.search.instead import find_or_instead
from healthplus.search.spelling import did_you_mean
from healthplus.search.vocabulary import folded, normal_words, plain_words
from healthplus.search.word_counts import count_words
from tests.search.directory import add_provider, make_directory

_MORE = [
    ("Dr.K.V.Ramachandra", "doctor", "cardiology", "Heart Point", "Aundh", "411007", "pune"),
    (
        "Govt. Dist. Hosp. Khadki",
        "hospital",
        "general-medicine",
        "Govt. Dist. Hosp. Khadki",
        "Khadki",
        "411003",
        "pune",
    ),
    ("PHC Wagholi", "clinic", "general-medicine", "PHC Wagholi", "Wagholi", "412207", "pune"),
    ("डॉ. कुसुम हिन्दलेकर", "doctor", "paediatrics", "बाल आरोग्य", "Dadar", "400014", "mumbai"),
    ("ڈاکٹر زینب قادری", "doctor", "dermatology", "شفا", "Fort", "400001", "mumbai"),
    ("Dermatology Clinic", "clinic", "dermatology", "Dermatology Clinic", "Fort", "400001", "mumbai"),
]


async def _found(db: Database, keyword: str, city: str = "", **other: object) -> tuple[list[str], str, str]:
    found = await find_or_instead(db, SearchRequest(keyword=keyword, city=city, **other), 0, 5)  # type: ignore[arg-type]
    return [row["name"] for row in found.rows], found.request.keyword, found.request.city


@pytest.fixture
async def directory(db: Database) -> Database:
    await make_directory(db)
    for facts in _MORE:
        await add_provider(db, *facts)
    await db.execute("UPDATE directory.clinic SET latitude = 18.5, longitude = 73.8 WHERE postal_code = '411038'")
    await count_words(db)
    return db


async def test_each_way_of_writing_it_finds_it(directory: Database) -> None:
    for name, ways in {
        "Dr.K.V.Ramachandra": [
            "Dr.K.V.Ramachandra", "K V Ramachandra", "KV Ramachandra", "Ramachandra K.V.", "ramachandra",
            "Prof. K. V. RAMACHANDRA",
            "doctor ramachandra pune",
        ],
        "Govt. Dist. Hosp. Khadki": ["government district hospital khadki", "govt hosp khadki", "सरकारी अस्पताल khadki"],
        "PHC Wagholi": ["primary health center wagholi", "Primary Health Centre, Wagholi", "P.H.C. wagholi"],
        "डॉ. कुसुम हिन्दलेकर": ["कुसुम हिंदलेकर", "डॉ॰ कुसुम हिन्दलेकर।", "डॉक्टर कुसूम हिन्द\u200dलेकर"],
        "ڈاکٹر زینب قادری": ["زینب قادری", "زينب", "ڈاکٹر زینب"],
    }.items():  # fmt: skip
        for typed in ways:
            assert (await _found(directory, typed))[0][:1] == [name], typed
    # Another script is a word, which here nobody has; it does not find everybody.
    assert (await _found(directory, "শিশু"))[0] == []


async def test_doctors_come_before_clinics_that_have_the_speciality(directory: Database) -> None:
    await directory.execute(
        "UPDATE directory.provider SET rating_total = 50, rating_count = 10 WHERE name = 'Dermatology Clinic'"
    )
    names, *_ = await _found(directory, "dermatologist", "mumbai")
    assert names == ["Dr Meera Joshi", "ڈاکٹر زینب قادری", "Dermatology Clinic"]
    await directory.execute("UPDATE directory.provider SET rating_total = 0, rating_count = 0")  # nobody gave them


async def test_nobody_found_is_not_the_last_word(directory: Database) -> None:
    for typed, city, found, keyword, where in [
        # all is there
        ("dermatologist", "pune", "Dr Rohan Patil", "dermatologist", "pune"),
        # a word nobody has, and words that nobody has together
        ("ramachandra xyzzyq", "", "Dr.K.V.Ramachandra", "ramachandra", ""),
        ("dermatologist xyzzyq", "pune", "Dr Rohan Patil", "dermatologist", "pune"),
        ("asha rohan", "", "Dr Rohan Patil", "rohan", ""),
        # another city, a city misspelt, and one that nobody knows
        ("ramachandra", "mumbai", "Dr.K.V.Ramachandra", "ramachandra", ""),
        ("dermatologist", "mumbay", "Dr Meera Joshi", "dermatologist", "mumbai"),
        ("ramachandra", "atlantis", "Dr.K.V.Ramachandra", "ramachandra", ""),
        # misspelt
        ("ramachandar", "", "Dr.K.V.Ramachandra", "ramachandra", ""),
    ]:
        names, *instead = await _found(directory, typed, city)
        assert (found in names, *instead) == (True, keyword, where), typed
    assert await _found(directory, "xyzzyq plughw") == ([], "xyzzyq plughw", "")
    # A filter is meant, and stays.
    assert (await _found(directory, "ramachandra", fee_min=100_000))[0] == []


async def test_nobody_at_all_is_soon_known(directory: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[SearchRequest] = []

    async def none(_: Database, request: SearchRequest, skip: int, count: int) -> list[Record]:
        tried.append(request)
        return []

    monkeypatch.setattr(instead, "find_ranked", none)
    assert (await _found(directory, "asha rohan meera joshi", "pune"))[0] == []
    assert 8 < len(tried) <= 13
    assert all(one not in tried[:at] for at, one in enumerate(tried))


async def test_what_only_looks_alike_is_not_meant(directory: Database) -> None:
    await add_provider(
        directory, "Dr Naidu Cavity", "doctor", "general-dentistry", "Cavity Care", "Fort", "400001", "mumbai"
    )
    await count_words(directory)
    for typed in ("covid", "noida", "covid noida"):
        assert await did_you_mean(directory, typed, None) == [], typed
        assert "Dr Naidu Cavity" not in (await _found(directory, typed))[0], typed


async def test_a_postal_code_without_anybody_has_neighbours(directory: Database) -> None:
    for typed in ("dentist near 411039", "near 411038 dentist", "dentist 411039 ke paas"):
        assert (await _found(directory, typed))[0][:1] == ["Dr Asha Rao"], typed
    assert "Dr Asha Rao" in (await _found(directory, "411040"))[0]
    assert "Dr Asha Rao" in (await _found(directory, "411038"))[0]


_SIGNS = (
    "abk.- '1,"
    "\u0915\u0924\u094d\u093c\u0928\u0926\u0940\u0901\u0949\u0964\u0970\u0966\u092e\u092a\u200d\u200c\u06cc\u064a\u0647"
    "\u064e\u060c\u0663\u0d7b\u0d28\u0d4d\u09bc\u09e7\u0b95\u5317\U0001f642\u2019\u00a0"
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from(_SIGNS), max_size=12))
async def test_words_are_the_same_typed_and_stored(db: Database, text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert await normal_words(db, text) == plain_words(text)
