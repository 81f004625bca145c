"""Who is searched for by name comes first, before others at a clinic of that name, however well they are rated."""

from __future__ import annotations

import pytest

from healthplus.database import Database
from healthplus.search.find import Order, SearchRequest, find
from healthplus.search.keyword import parse_keyword

_DIRECTORY = """
INSERT INTO directory.city (slug, name) VALUES ('pune', 'Pune'), ('delhi', 'Delhi');
INSERT INTO directory.speciality (slug, name) VALUES ('dentistry', 'Dentistry');
INSERT INTO directory.clinic (identifier, city_id, name) VALUES
    ('a', 1, 'Joshi Clinic'), ('b', 1, 'Shah Hospital'), ('c', 2, 'Nirali Joshi Memorial Hospital');
INSERT INTO directory.provider (identifier, type, name, rating_total, rating_count, practising_since) VALUES
    ('1', 'doctor', 'Dr Nirali Shah', 50, 10, 2020), ('2', 'doctor', 'Dr Nirali Joshi', 1, 1, 2015),
    ('3', 'doctor', 'Dr Anil Joshi', 50, 10, 1990), ('4', 'doctor', 'Dr Nirali Joshi', 5, 1, NULL),
    ('5', 'doctor', 'Dr Nirali Joshi Rao', 50, 10, 1985), ('6', 'hospital', 'Shah Hospital', 0, 0, 1950);
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) VALUES
    (1, 1, 0, 'free'), (2, 2, 0, 'free'), (3, 3, 0, 'free'), (4, 3, 0, 'free'), (5, 2, 0, 'free'), (6, 2, 0, 'free');
"""


@pytest.fixture
async def directory(db: Database) -> Database:
    await db.execute(_DIRECTORY)
    return db


@pytest.mark.breaks_invariants  # ratings that nobody gave
@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("Dr. Nirali Joshi", [4, 2]),
        ("nirali joshi", [4, 2]),
        ("joshi nirali", [4, 2]),
        ("Dr Nirali Joshi Pune", [2]),
        ("nirali joshi rao", [5]),
        ("Shah Hospital", [6]),
    ],
)
async def test_whose_own_name_it_is_comes_first(directory: Database, keyword: str, expected: list[int]) -> None:
    found = [row["provider_id"] for row in await find(directory, SearchRequest(keyword=keyword), 0, 10)]
    assert found[: len(expected)] == expected
    if keyword == "Dr. Nirali Joshi":
        assert set(found) == {1, 2, 3, 4, 5}  # the others are found as well
    # Any other order is what it says.
    rated = await find(directory, SearchRequest(keyword=keyword, order=Order.RATING_DESC), 0, 10)
    assert {row["provider_id"] for row in rated} == set(found)


@pytest.mark.breaks_invariants
async def test_what_has_another_meaning_is_no_name(directory: Database) -> None:
    await directory.execute("UPDATE directory.provider SET name = 'Dentist' WHERE provider_id = 3")
    assert (await parse_keyword(directory, "dentist", None)).own_ids == ()
    assert (await parse_keyword(directory, "nirali joshi", 1)).own_ids == (2,)
    assert (await parse_keyword(directory, "", None)).own_ids == ()


@pytest.mark.breaks_invariants
async def test_who_practises_for_longest_comes_first(directory: Database) -> None:
    found = await find(directory, SearchRequest(types=["doctor"], order=Order.EXPERIENCE_DESC), 0, 10)
    assert [row["practising_since"] for row in found] == [1985, 1990, 2015, 2020, None]
