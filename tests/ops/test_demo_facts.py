"""The facts of the demo, and that what is drawn from them is as they say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.ops.demo_data import Scale, create_demo_data
from healthplus.ops.demo_facts import FACTS
from healthplus.ops.demo_services import NOT_FOR_EVERYBODY, SERVICE_TYPES, TESTS

CITIES = {city["name"]: city for city in FACTS["cities"]}

# By road maps: a little more or less than as the crow flies, in kilometres.
DISTANCES = [
    ("Pune", "Hadapsar", "Kothrud", 10, 14),
    ("Pune", "Aundh", "Baner", 1, 4),
    ("Pune", "Viman Nagar", "Kothrud", 11, 15),
    ("Mumbai", "Bandra", "Andheri West", 7, 10),
    ("Mumbai", "Borivali", "Dadar", 21, 27),
    ("Delhi", "Saket", "Dwarka", 14, 18),
    ("Bengaluru", "Koramangala", "Whitefield", 12, 16),
    ("Hyderabad", "Ameerpet", "Banjara Hills", 2, 4),
    ("Chennai", "Adyar", "Mylapore", 2, 5),
    ("Kolkata", "Behala", "Salt Lake", 12, 16),
    ("Ahmedabad", "Paldi", "Navrangpura", 2, 4),
    ("Chandigarh", "Sector 17", "Sector 22", 0.5, 2),
]


def kilometres(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how far one latitude and longitude is from another."""
    north, east = (math.radians(b - a) for a, b in zip(one, other, strict=True))
    return 6371 * math.hypot(north, east * math.cos(math.radians((one[0] + other[0]) / 2)))


def offers() -> Iterator[tuple[str, str, dict[str, object]]]:
    """Return all services and tests, with the speciality that they belong to."""
    for kind in ("services", "tests"):
        for speciality, offered in FACTS[kind].items():
            for name, fact in offered.items():
                yield speciality, name, fact


def test_every_speciality_has_services() -> None:
    per_speciality = Counter(speciality for speciality, *_ in offers())
    assert per_speciality.keys() == FACTS["specialities"].keys()
    assert {name for name in FACTS["services"] if not 3 <= per_speciality[name] <= 6} == set()
    assert len(TESTS) > 20
    slugs = {type_slug for type_slug, *_ in SERVICE_TYPES}
    assert len(slugs) == sum(per_speciality.values())  # none is named twice
    assert slugs > NOT_FOR_EVERYBODY
    for _, name, fact in offers():
        low, high = fact["rupees"]  # type: ignore[misc]
        assert 0 <= low <= high <= 200_000, name  # type: ignore[has-type]
        assert fact["minutes"] % 5 == fact.get("buffer", 0) % 5 == 0, name  # type: ignore[operator]
        # An evening of a hospital is six hours, and one of a doctor is three.
        assert fact["minutes"] + fact.get("buffer", 0) <= (360 if fact.get("hospital") else 180), name  # type: ignore[operator]


def test_terms_are_ladders() -> None:
    for terms in FACTS["terms"]:
        steps = terms["steps"]
        assert all(("percent" in step) != ("rupees" in step) for step in steps)
        assert [step["hours"] for step in steps] == sorted({step["hours"] for step in steps}, reverse=True)
        percents = [step["percent"] for step in steps if "percent" in step]
        assert percents == sorted(percents)


@pytest.mark.parametrize(("city", "one", "other", "least", "most"), DISTANCES)
def test_localities_are_as_far_apart_as_they_are(city: str, one: str, other: str, least: float, most: float) -> None:
    localities = CITIES[city]["localities"]
    assert least <= kilometres(localities[one]["position"], localities[other]["position"]) <= most


def test_localities_lie_in_their_city() -> None:
    for city in FACTS["cities"]:
        assert len(city["localities"]) >= 4
        for name, locality in city["localities"].items():
            assert kilometres(city["position"], locality["position"]) < 25, name
            # A sorting district is one of its state: the cities of the metropolitan areas begin alike.
            assert locality["pin"][:2] == next(iter(city["localities"].values()))["pin"][:2], name
            assert len(locality["pin"]) == 6


async def test_clinics_are_in_their_locality_with_its_postal_code(db: Database) -> None:
    await create_demo_data(db, Scale(cities=3, providers_per_city=60, patients=20))
    clinics = await db.fetch(
        """SELECT clinic.address, clinic.postal_code, clinic.latitude, clinic.longitude, city.name AS city,
            known.latitude AS pin_latitude, known.longitude AS pin_longitude
        FROM directory.clinic JOIN directory.city USING (city_id)
        LEFT JOIN directory.postal_code AS known USING (postal_code)"""
    )
    assert len(clinics) == 3 * 11
    seen = set()
    for clinic in clinics:
        *_, locality, city = clinic["address"].split(", ")
        place = CITIES[city]["localities"][locality]
        position = clinic["latitude"], clinic["longitude"]
        assert clinic["postal_code"] == place["pin"]
        assert kilometres(position, place["position"]) < 0.5
        assert kilometres(position, (clinic["pin_latitude"], clinic["pin_longitude"])) < 2
        seen.add((city, locality))
    assert len(seen) > 12
    codes = {row["postal_code"] for row in await db.fetch("SELECT postal_code FROM directory.postal_code")}
    assert codes == {place["pin"] for city in FACTS["cities"][:3] for place in (city, *city["localities"].values())}
    assert "411001" in codes  # the middle of Pune


async def test_services_are_as_the_facts_say(db: Database) -> None:
    await create_demo_data(db, Scale(cities=2, providers_per_city=60, patients=20))
    rows = await db.fetch(
        """SELECT service.*, provider.type::text AS kind, service_type.name, is_test
        FROM directory.service JOIN directory.service_type USING (service_type_id)
        JOIN directory.provider USING (provider_id)"""
    )
    facts = {name: fact for _, name, fact in offers()}
    for row in rows:
        fact = facts[row["name"]]
        low, high = fact["rupees"]  # type: ignore[misc]
        assert row["is_test"] == (row["name"] in TESTS) == (row["kind"] == "lab")
        assert row["length_minutes"] == fact["minutes"]
        assert (row["fee_minor"] == 0) if row["funding"] == "free" else low <= row["fee_minor"] / 100 <= high  # type: ignore[has-type]
        assert row["kind"] == "hospital" or not fact.get("hospital")
    counts = Counter(row["provider_id"] for row in rows)
    kinds = {row["provider_id"]: row["kind"] for row in rows}
    assert {count for one, count in counts.items() if kinds[one] == "lab"} == {20}
    assert min(counts.values()) >= 3
    without = await db.fetch_value("SELECT count(*) FROM directory.provider") - len(counts)
    assert 2 * 2 <= without <= 2 * 60 // 4


async def test_a_visit_of_a_quarter_of_an_hour_can_start_twelve_times_a_shift(db: Database) -> None:
    await create_demo_data(db, Scale(cities=1, providers_per_city=40, patients=20))
    book = Book(db)
    tomorrow = (await book.now()) + timedelta(days=20)
    service = await db.fetch_row(
        """SELECT * FROM directory.service
        WHERE length_minutes = 15 AND buffer_minutes = 0 AND clinic_id IS NULL AND weekdays = 127
            AND EXISTS (SELECT FROM schedule.shift WHERE shift.provider_id = service.provider_id AND slot_minutes = 5)
        ORDER BY service_id LIMIT 1"""
    )
    assert service is not None
    starts = await book.chart(
        service["provider_id"], None, tomorrow, tomorrow + timedelta(days=1), 1, None, [service["service_id"]]
    )
    assert len([row for row in starts if row["fits"]]) == 2 * 12
