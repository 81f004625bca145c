"""SearchDoctors over HTTP: the brief's parameters and keys to the letter, what is wrong with a bad one, and pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import httpx
import pytest

from healthplus.accounts.keys import add_key
from healthplus.database import Database
from healthplus.search.word_counts import count_words
from tests.fixtures.clock import product_now
from tests.web.problem import problem

pytestmark = pytest.mark.breaks_invariants  # ratings that nobody gave

Search: TypeAlias = Callable[..., Coroutine[Any, Any, httpx.Response]]

BRIEF_KEYS = [
    "id",
    "fname",
    "sname",
    "sal_name",
    "spec_name",
    "bio",
    "img_url",
    "max_bok_day",
    "city_name",
    "email",
    "tel",
    "ful_name",
    "full_name",
    "first_avl_day",
]
DIRECTORY = """
INSERT INTO directory.city (slug, name, latitude, longitude) VALUES ('mumbai', 'Mumbai', 19.07, 72.88);
UPDATE directory.city SET latitude = 18.52, longitude = 73.86 WHERE slug = 'pune';
INSERT INTO directory.speciality (slug, name) VALUES ('dentistry', 'Dentistry'), ('cardiology', 'Cardiology');
UPDATE directory.clinic SET address = 'Kothrud', postal_code = '411038', latitude = 18.507, longitude = 73.807;
INSERT INTO directory.clinic (identifier, city_id, name, address, postal_code, latitude, longitude)
SELECT 'bandra', city_id, 'Sea View Clinic', 'Bandra West', '400050', 19.06, 72.83
FROM directory.city WHERE slug = 'mumbai';
UPDATE directory.provider SET salutation = 'Dr', given_name = 'Asha', family_name = 'Rao', name = 'Dr Asha Rao',
    gender = 'female', languages = '{Marathi,English}', practising_since = 2001, bio = 'Teeth.',
    email = 'asha@example.com', phone = '+912012345678',
    rating_total = 45, rating_count = 10 WHERE provider_id = 1;
UPDATE directory.provider SET name = 'Dr Vikram Shah', salutation = 'Dr', given_name = 'Vikram', family_name = 'Shah',
    gender = 'male', accepts_new_patients = false, rating_total = 5, rating_count = 1 WHERE provider_id = 2;
INSERT INTO directory.provider (identifier, type, name) VALUES ('sea', 'hospital', 'Sea View Hospital');
INSERT INTO directory.provider_clinic VALUES (3, 4, 70000, 'clinic');
INSERT INTO directory.provider_speciality VALUES (1, 1), (2, 2), (3, 1), (3, 2);
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
SELECT 3, 4, weekday, '00:00', '24:00', 30 FROM generate_series(1, 7) AS weekday;
INSERT INTO directory.service_type (slug, name, is_test)
VALUES ('root-canal', 'Root canal', false), ('cbc', 'CBC', true), ('lipid-profile', 'Lipid profile', true);
INSERT INTO directory.service (provider_id, clinic_id, service_type_id, length_minutes, fee_minor, funding, closed_at)
VALUES (1, NULL, 1, 60, 400000, 'clinic', NULL), (3, NULL, 1, 90, 900000, 'clinic', NULL),
    (3, NULL, 1, 30, 300, 'clinic', now()), (3, 4, 1, 90, 700000, 'clinic', NULL),
    (3, NULL, 2, 0, 26000, 'online', NULL), (3, NULL, 3, 10, 60000, 'clinic', NULL);
"""


@pytest.fixture
async def search(http: httpx.AsyncClient, db: Database) -> Search:
    """SearchDoctors with a good key and these parameters."""
    await db.execute(DIRECTORY)
    await count_words(db)  # the app does so when it starts, perhaps before and perhaps after this
    _, key = await add_key(db, "tests", ["search"], 10_000, 10_000)

    async def search(**params: Any) -> httpx.Response:
        return await http.get("/api/v1/doctors", params={"api_dev_key": key, **params})

    return search


async def ids(answer: Coroutine[Any, Any, httpx.Response]) -> list[int]:
    response = await answer
    assert response.status_code == 200, response.text
    return [doctor["id"] for doctor in response.json()]


@pytest.mark.dates
async def test_each_result_has_the_briefs_keys(search: Search, db: Database) -> None:
    doctors = (await search(keyword="asha")).json()
    assert [doctor["id"] for doctor in doctors] == [1]
    doctor = doctors[0]
    assert list(doctor)[: len(BRIEF_KEYS)] == BRIEF_KEYS
    said = {key: doctor[key] for key in BRIEF_KEYS if key != "first_avl_day"}
    assert said == {
        "id": 1,
        "fname": "Asha",
        "sname": "Rao",
        "sal_name": "Dr",
        "spec_name": "Dentistry",
        "bio": "Teeth.",
        "img_url": "",
        "max_bok_day": 60,
        "city_name": "Pune",
        "email": "asha@example.com",
        "tel": "+912012345678",
        "ful_name": "Asha Rao",
        "full_name": "Asha Rao",
    }
    assert datetime.fromisoformat(doctor["first_avl_day"]).time().isoformat() == "00:00:00"
    today = await today_there(db)
    assert today <= date.fromisoformat(doctor["first_avl_day"][:10]) <= today + timedelta(days=1)
    assert (doctor["rating"], doctor["rating_count"], doctor["type"]) == (4.5, 10, "doctor")


async def today_there(db: Database) -> date:
    return (await product_now(db)).astimezone(ZoneInfo("Asia/Kolkata")).date()


# What is asked for, and who is found; {n} is the day so many days from today.
WISHES: dict[str, tuple[Any, set[int]]] = {
    "keyword": ("dentist", {1, 3}),
    "city": ("Pune", {1, 2}),
    "lat_long": ("19.06, 72.83", {3}),
    "start_datetime": ("{1}T00:00:00", {1, 2, 3}),
    "end_datetime": ("{3}T07:00:00+05:30", {1, 2, 3}),
    "postal_code": ("411038", {1, 2}),
    "speciality": ("cardiology", {2, 3}),
    "service": ("root-canal", {1, 3}),
    "tests": ("cbc", {3}),
    "type": ("hospital", {3}),
    "clinic_id": (4, {3}),
    "fee_min": (600, {3}),
    "fee_max": (600, {1, 2}),
    "experience_min": (10, {1}),
    "rating_min": (4.6, {2}),
    "language": ("marathi", {1}),
    "gender": ("male", {2}),
    "available": ("tomorrow", {1, 2, 3}),
    "accepts_new_patients": ("false", {2}),
    "includeSpellcheck": ("no", {1, 2, 3}),
    "results_per_page": (30, {1, 2, 3}),
}


@pytest.mark.dates
async def test_each_parameter_alone_and_every_pair(search: Search, db: Database) -> None:
    today = await today_there(db)
    days = [today + timedelta(days=ahead) for ahead in range(4)]
    wishes = {
        name: (value.format(*days) if isinstance(value, str) else value, found)
        for name, (value, found) in WISHES.items()
    }
    for name, (value, found) in wishes.items():
        assert set(await ids(search(**{name: value}))) == found, name
    for (one, (value, found)), (other, (other_value, other_found)) in itertools.combinations(wishes.items(), 2):
        if {one, other} in (
            {"start_datetime", "available"}, {"end_datetime", "available"}, {"lat_long", "city"}, {"service", "tests"},
            {"service", "fee_min"}, {"service", "fee_max"}, {"tests", "fee_min"}, {"tests", "fee_max"},
        ):  # fmt: skip
            continue  # compared below
        assert set(await ids(search(**{one: value, other: other_value}))) == found & other_found, (one, other)


async def test_places_combine(search: Search) -> None:
    assert await ids(search(lat_long="19.06,72.83", city="Pune")) == []
    assert set(await ids(search(lat_long="18.52,73.85", radius=300))) == {1, 2, 3}
    assert set(await ids(search(city="pune", radius=300))) == {1, 2, 3}  # around the city, not in it
    assert set(await ids(search(postal_code="411038", radius=1))) == {1, 2}
    doctors = (await search(lat_long="18.507,73.807", radius=300, sorting_order="distance,asc")).json()
    assert [doctor["id"] for doctor in doctors] == [1, 2, 3]
    assert doctors[0]["distance_km"] == 0
    assert 100 < doctors[2]["distance_km"] < 140
    assert await ids(search(city="Atlantis")) == []
    assert await ids(search(city="Poona")) == await ids(search(city="pune")) != []
    assert await ids(search(speciality="alchemy")) == []


ORDERS = {
    "rating,asc": [3, 2, 1],
    "rating,desc": [1, 2, 3],
    "distance,asc": [1, 2, 3],
    "type,date,asc": [1, 2, 3],
    "type,date,desc": [3, 1, 2],
}


@pytest.mark.dates
async def test_orders(search: Search) -> None:
    for order, expected in ORDERS.items():
        assert await ids(search(sorting_order=order, city="pune", radius=400)) == expected, order
    for order in ("date,asc", "date,desc", "date,type,asc", "date,type,desc"):
        days = [doctor["first_avl_day"] for doctor in (await search(sorting_order=order)).json()]
        assert days == sorted(days, reverse=order.endswith("desc"))


BAD: list[tuple[str, str]] = [
    ("radius", "0"),
    ("radius", "20000"),
    ("radius", "near"),
    ("lat_long", "91,0"),
    ("lat_long", "0,181"),
    ("lat_long", "here"),
    ("lat_long", "nan,nan"),
    ("start_datetime", "tomorrow"),
    ("start_datetime", "0001-01-01T00:00:00+14:00"),
    ("end_datetime", "2001-01-01T00:00:00Z"),
    ("postal_code", "41"),
    ("postal_code", "'; --"),
    ("includeSpellcheck", "maybe"),
    ("results_per_page", "31"),
    ("results_per_page", "0"),
    ("sorting_order", "price"),
    ("service", "x" * 101),
    ("page", "0"),
    ("page", "1e9"),
    ("type", "vet"),
    ("clinic_id", "-1"),
    ("fee_min", "-5"),
    ("experience_min", "200"),
    ("rating_min", "6"),
    ("gender", "m"),
    ("available", "soon"),
    ("accepts_new_patients", "perhaps"),
]


async def test_a_bad_parameter_names_itself_and_what_it_takes(search: Search) -> None:
    for name, value in BAD:
        response = await search(**{name: value})
        said = problem(response, 422 if response.status_code == 422 else 400)
        assert said["detail"].startswith(f"{name}: "), said
        assert "Expected" not in said["detail"]
        assert len(said["detail"]) > len(name) + 12
    for params in (
        {"start_datetime": "2099-01-02T00:00:00Z", "end_datetime": "2099-01-01T00:00:00Z"},
        {"sorting_order": "distance,asc"},
        {"radius": 5},
        {"fee_min": 9, "fee_max": 8},
        {"available": "today", "start_datetime": "2099-01-02T00:00:00Z"},
    ):
        problem(await search(**params), 422)


async def test_whatever_is_typed_is_only_looked_for(search: Search) -> None:
    for keyword in (
        "'; DROP TABLE directory.provider; --",
        "a' | 'b",
        "!!!(&|",
        "x" * 10_000,
        "dentist " * 1_500,
        "🦷🦷🦷",
        "दंत चिकित्सक",
        "\\'",
        "%_%",
        ":*",
        "<->",
        "\u0000",
        "\ud7ff",
        "Ångström",
        '"',
        "n:asha city:1",
    ):
        for name in ("keyword", "city", "language"):
            response = await search(**{name: keyword, "includeSpellcheck": "yes"})
            assert response.status_code == 200 or (name == "language" and response.status_code == 400), (
                name,
                keyword[:30],
            )
    assert await ids(search()) == [1, 2, 3]


async def test_pages_lead_to_each_other(search: Search, http: httpx.AsyncClient) -> None:
    first = await search(results_per_page=2, sorting_order="rating,desc")
    assert [doctor["id"] for doctor in first.json()] == [1, 2]
    assert set(first.links) == {"first", "next"}
    following = await http.get(first.links["next"]["url"])
    assert [doctor["id"] for doctor in following.json()] == [3]
    assert set(following.links) == {"first", "prev"}
    assert (await http.get(following.links["prev"]["url"])).json() == first.json()
    assert (await search(page=50)).json() == []


async def test_nobody_found_is_not_the_last_word(search: Search) -> None:
    """Those who may be meant are shown, and it is said."""
    response = await search(keyword="dentst")
    assert response.headers["Showing-Instead"] == "keyword=dentist"
    assert response.json() == (await search(keyword="dentist")).json() != []
    assert "Showing-Instead" not in (await search(keyword="dentist")).headers
    assert (await search(keyword="dentist", city="Atlantis")).headers["Showing-Instead"] == "city="
    assert await ids(search(keyword="xyzzyq")) == []


async def test_spelling_changes_no_list(search: Search, http: httpx.AsyncClient) -> None:
    plain = await search(keyword="dentst")
    assert "spelling-suggestions" not in plain.headers
    checked = await search(keyword="dentst", includeSpellcheck="YES")
    assert checked.json() == plain.json()
    assert checked.headers["vary"] == "Authorization, Prefer"
    assert unquote(checked.headers["spelling-suggestions"]).split(", ")[0] == "dentist"
    hindi = await search(keyword="दंत चिकितसक", includeSpellcheck="yes")
    assert hindi.status_code == 200  # whatever is suggested goes into a header as ASCII
    # For those who ask for it, the answer of before stays for a release.
    old = await http.get(checked.url, headers={"Prefer": "respond-async, Return=envelope"})
    assert old.headers["preference-applied"] == "return=envelope"
    assert old.json()["doctors"] == plain.json()
    assert old.json()["did_you_mean"][0] == "dentist"
    assert (await http.get(plain.url, headers={"Prefer": "return=envelope"})).json() == plain.json()


@pytest.mark.dates
async def test_what_is_typed_by_hand_is_read(search: Search, db: Database) -> None:
    tomorrow = await today_there(db) + timedelta(days=1)
    assert await ids(search(start_datetime=str(tomorrow), end_datetime=str(tomorrow))) == [1, 2, 3]  # the whole day
    basic = f"{tomorrow:%Y%m%d}"
    assert await ids(search(start_datetime=basic, end_datetime=basic)) == [1, 2, 3]
    assert await ids(search(start_datetime=f"{tomorrow}T10:00:00 05:30")) == [
        1,
        2,
        3,
    ]  # + was not encoded
    assert await ids(search(start_datetime=f"{tomorrow} 10:00")) == [1, 2, 3]
    for wanted in ("rating, desc", "Rating,DESC", " rating , desc "):
        assert await ids(search(sorting_order=wanted)) == await ids(search(sorting_order="rating,desc"))
    assert await ids(search(postal_code="411 038")) == await ids(search(postal_code="411038"))


async def test_what_is_not_known_is_named(search: Search) -> None:
    answer = await search(ciy="Pune", keyword="dentist", **{"लोग": 'a"b'})
    assert [doctor["id"] for doctor in answer.json()] == await ids(search(keyword="dentist"))
    parameters = answer.headers["search-warnings"].split(", ")
    assert parameters == [f'unknown-parameter;name="{name}"' for name in ("ciy", quote("लोग"))]
    lost = await search(city='Atlantis "1"')
    assert lost.headers["search-warnings"] == 'unknown-city;name="Atlantis%20%221%22"'
    assert "search-warnings" not in (await search(city="Pune", keyword="dentist")).headers


async def test_no_header_is_longer_than_proxies_pass_on(search: Search) -> None:
    odd = {"\U0001f9b7" * 90 + str(at): "" for at in range(20)}
    answer = await search(keyword="dentst" + "!\U0001f9b7" * 1_000, includeSpellcheck="yes", **odd)
    assert unquote(answer.headers["showing-instead"]) == "keyword=dentist"
    assert answer.headers["search-warnings"].startswith("unknown-parameter;name=")
    assert sum(map(len, answer.headers.values())) < 8_000


async def test_a_whole_name_is_taken_apart(search: Search, db: Database) -> None:
    """Of a person of whom no more is known; a place keeps its name."""
    for whole, expected in {
        "Dr. Meera Anand Joshi": ("Meera Anand", "Joshi", "Dr"),
        "Dr.K.V.Rao": ("K. V.", "Rao", "Dr"),
        "K V Rao": ("K V", "Rao", ""),
        "डॉ मीरा जोशी": ("मीरा", "जोशी", "डॉ"),
        "Drishti Shah": ("Drishti", "Shah", ""),
        "Madonna": ("Madonna", "", ""),
        "Dr Madonna": ("Madonna", "", "Dr"),
    }.items():
        await db.execute(
            "UPDATE directory.provider SET name = $1, given_name = '', family_name = '', salutation = '' "
            "WHERE provider_id = 1",
            whole,
        )
        (doctor,) = [one for one in (await search()).json() if one["id"] == 1]
        assert (doctor["fname"], doctor["sname"], doctor["sal_name"]) == expected, whole
    (place,) = [one for one in (await search()).json() if one["id"] == 3]
    assert (place["fname"], place["sname"], place["sal_name"]) == ("Sea View Hospital", "", "")


async def test_a_service_has_its_price_and_length(search: Search) -> None:
    """Named by a parameter or a keyword; the cheapest of the clinic counts, and a closed one never."""
    expected = {
        "service_id": 1,
        "service_ids": [1],
        "name": "Root canal",
        "fee": 4000.0,
        "fee_minor": 400000,
        "currency": "INR",
        "funding": "clinic",
        "is_fee_known": True,
        "length_minutes": 60,
    }
    for params in ({"service": "root-canal"}, {"keyword": "root canal"}, {"keyword": "rct near me"}):
        doctors = {doctor["id"]: doctor for doctor in (await search(**params)).json()}
        assert doctors[1]["service"] == expected, params
        assert doctors[1]["slots_url"].endswith("&service=1")
        assert (doctors[3]["service"]["service_id"], doctors[3]["service"]["fee"]) == (4, 7000.0)
    assert await ids(search(keyword="root canal", sorting_order="price,asc")) == [1, 3]
    assert await ids(search(service="root-canal", sorting_order="price,desc")) == [3, 1]
    assert await ids(search(service="root-canal", fee_min=5000)) == [3]
    assert await ids(search(keyword="root canal pune", fee_max=5000)) == [1]
    # Without a service, a visit's fee.
    assert await ids(search(sorting_order="price,asc")) == [1, 2, 3]
    assert [doctor["service"] for doctor in (await search(keyword="dentist")).json()] == [None, None]
    both = (await search(tests=["cbc", "lipid-profile"])).json()
    assert [
        (one["service"]["service_id"], one["service"]["fee"], one["service"]["length_minutes"]) for one in both
    ] == [(None, 860.0, 10)]
    assert (both[0]["service"]["funding"], both[0]["service"]["is_fee_known"]) == ("online", True)
    assert both[0]["slots_url"].endswith("&tests=5&tests=6")
    assert (await search(keyword="cbc and lipid test mumbai")).json()[0]["service"] == both[0]["service"]
    # By the id of any provider's, too, which names the type.
    assert await ids(search(service="4")) == await ids(search(service="root-canal"))
    assert (await search(tests=["5", "lipid-profile"])).json() == both
    for nobody in (
        {"service": "alchemy"},
        {"service": "999"},
        {"service": str(2**63)},
        {"service": "0"},
        {"tests": ["cbc", "alchemy"]},
        {"service": "\0"},
        {"service": "cbc", "city": "pune"},
    ):
        assert await ids(search(**nobody)) == [], nobody
    said = problem(await search(service="root-canal", tests="cbc"), 422)
    assert said["detail"].startswith("tests: only laboratory tests")
    problem(await search(tests=["cbc"] * 51), 400)


async def test_a_sum_of_which_a_part_is_not_known_is_no_price(search: Search, db: Database) -> None:
    await db.execute(
        """INSERT INTO directory.service_type (slug, name, is_test) VALUES ('biopsy', 'Biopsy', true);
        INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
        SELECT 3, service_type_id, 0, 0, 'clinic' FROM directory.service_type WHERE slug = 'biopsy'"""
    )
    [found] = (await search(tests=["cbc", "biopsy"])).json()
    assert (found["service"]["fee"], found["service"]["is_fee_known"]) == (260.0, False)


async def test_a_citys_providers(search: Search, http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/cities/pune/providers", params={"sorting_order": "rating,desc"})
    assert [doctor["id"] for doctor in answer.json()] == [1, 2]
    assert (await http.get("/api/v1/cities/pune/providers", params={"type": "hospital"})).json() == []
    problem(await http.get("/api/v1/cities/atlantis/providers"), 404)
