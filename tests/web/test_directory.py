"""Browsing: cities, specialities, laboratory tests, and the pages of clinics and of providers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from healthplus.accounts.actors import Staff
from tests.fixtures.clock import look_again
from tests.fixtures.environment import AT_CLINIC, FREE, IST, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.services import offer_service
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import hold, hold_body

LAB = 3

# A laboratory at two places of Pune and one of Mumbai, another in Pune, a city without anyone; facts about a doctor.
_MORE = """
INSERT INTO directory.city (slug, name, state, latitude, longitude)
VALUES ('mumbai', 'Mumbai', 'Maharashtra', 19.07, 72.88), ('goa', 'Goa', 'Goa', NULL, NULL);
INSERT INTO directory.clinic (identifier, city_id, name, address, postal_code, phone, latitude, longitude)
VALUES ('lab-pune', 1, 'Kothrud Lab', '3, Paud Road', '411038', '+910000000001', 18.5, 73.8),
    ('lab-mumbai', 2, 'Bandra Lab', '', NULL, NULL, NULL, NULL);
INSERT INTO directory.provider (identifier, type, name)
VALUES ('lab-1', 'lab', 'Kothrud Pathology'), ('lab-2', 'lab', 'Baner Pathology'),
    ('hospital', 'hospital', 'City Hospital');
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
VALUES (3, 4, 0, 'free'), (3, 1, 0, 'free'), (3, 5, 0, 'free'), (4, 4, 0, 'clinic'), (5, 1, 0, 'clinic');
INSERT INTO directory.service_type (slug, name, is_test) VALUES
    ('hba1c', 'HbA1c', true), ('lipid-profile', 'Lipid Profile', true), ('widal', 'Widal', true);
INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
VALUES (3, 1, 0, 45000, 'clinic'), (4, 1, 0, 39950, 'clinic'), (4, 2, 0, 0, 'free');
INSERT INTO directory.speciality (slug, name) VALUES ('cardiology', 'Cardiology'), ('urology', 'Urology');
INSERT INTO directory.provider_speciality (provider_id, speciality_id) VALUES (1, 2), (1, 1), (2, 1);
UPDATE directory.provider SET salutation = 'Dr', given_name = 'Meera', family_name = 'Joshi', gender = 'female',
    languages = '{Marathi,English}', practising_since = 2010, email = 'dr@example.com', max_booking_days = 30
WHERE provider_id = 1;
"""


@pytest.fixture
async def directory(environment: Environment) -> Environment:
    await environment.db.execute(_MORE)
    return environment


async def shown(client: Client, path: str, **query: Any) -> Any:
    response = await client.get(path, params=query or None)
    assert response.status_code == 200, response.text
    return response.json()


async def test_lists_with_counts(anyone: Client, directory: Environment) -> None:
    cities = (await shown(anyone, "cities"))["cities"]
    assert [(city["slug"], city["providers"]) for city in cities] == [
        ("mumbai", {"doctor": 0, "hospital": 0, "clinic": 0, "lab": 1}),
        # The doctors work at three clinics here, a laboratory at two: each counts once.
        ("pune", {"doctor": 2, "hospital": 1, "clinic": 0, "lab": 2}),
    ]
    assert cities[0] == {
        "slug": "mumbai",
        "name": "Mumbai",
        "state": "Maharashtra",
        "time_zone": "Asia/Kolkata",
        "position": {"latitude": 19.07, "longitude": 72.88},
        "providers": cities[0]["providers"],
    }
    assert cities[1]["position"] is None
    assert (await shown(anyone, "specialities"))["specialities"] == [
        {"slug": "cardiology", "name": "Cardiology", "providers": 2},
        {"slug": "urology", "name": "Urology", "providers": 1},
    ]
    tests = (await shown(anyone, "lab-tests"))["lab_tests"]
    assert [(test["slug"], test["providers"]) for test in tests] == [("hba1c", 2), ("lipid-profile", 1), ("widal", 0)]


async def test_answers_may_be_kept_by_caches_that_many_share(
    asha: Client, anyone: Client, directory: Environment
) -> None:
    lists = ["cities", "specialities", "lab-tests"]
    pages = [f"providers/{PROVIDER}", f"clinics/{ONLINE}", "lab-tests/hba1c/providers?city=pune"]
    for path in lists + pages:
        first = await anyone.get(path)
        assert first.headers["cache-control"] == ("public, max-age=10" if path in lists else "public, no-cache")
        assert "vary" not in first.headers
        # Everybody gets the same, and not twice.
        again = await asha.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    before = await anyone.get(pages[0])
    await directory.db.execute("UPDATE directory.provider SET bio = 'New' WHERE provider_id = $1", PROVIDER)
    after = await anyone.get(pages[0], headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()["bio"]) == (200, "New")


def price(paise: int) -> dict[str, object]:
    funding = "clinic" if paise else "free"
    return {"price_minor": paise, "currency": "INR", "price_paise": paise, "funding": funding}


@pytest.mark.dates
async def test_a_providers_page(anyone: Client, directory: Environment) -> None:
    page = await shown(anyone, f"providers/{PROVIDER}")
    clinics = page.pop("clinics")
    assert page == {
        "id": PROVIDER,
        "type": "doctor",
        "name": "Dr 1",
        "salutation": "Dr",
        "given_name": "Meera",
        "family_name": "Joshi",
        "gender": "female",
        "specialities": [{"slug": "cardiology", "name": "Cardiology"}, {"slug": "urology", "name": "Urology"}],
        "languages": ["Marathi", "English"],
        "qualifications": None,
        "registration": None,
        "council": None,
        "training": None,
        "photo": None,
        "bio": None,
        "image_url": None,
        "email": "dr@example.com",
        "phone": None,
        "practising_since": 2010,
        "experience_years": (await directory.now()).year - 2010,
        "accepts_new_patients": True,
        "max_booking_days": 30,
        "rating": None,
        "rating_count": 0,
        "lab_tests": [],
        "services": [],
    }
    assert [(clinic["id"], clinic["fee_paise"], clinic["funding"]) for clinic in clinics] == [
        (ONLINE, 50000, "online"),
        (AT_CLINIC, 30000, "clinic"),
        (FREE, 0, "free"),
    ]
    assert [(clinic["fee_minor"], clinic["currency"]) for clinic in clinics] == [
        (50000, "INR"),
        (30000, "INR"),
        (0, "INR"),
    ]
    assert clinics[0]["city"]["slug"] == "pune"
    assert clinics[0]["opening_times"] == [
        {"weekday": day, "start": "09:00", "end": "12:00", "slot_minutes": 30} for day in range(1, 8)
    ]
    slots = await shown(anyone, clinics[0]["slots_url"])
    assert slots["provider_id"] == PROVIDER
    assert {slot["clinic_id"] for slot in slots["slots"]} == {ONLINE}
    lab = await shown(anyone, f"providers/{LAB}")
    assert lab["lab_tests"] == [{"slug": "hba1c", "name": "HbA1c", **price(45000)}]
    assert (lab["experience_years"], lab["email"]) == (None, None)
    place = lab["clinics"][-1]
    assert (place["name"], place["address"], place["postal_code"], place["phone"], place["position"]) == (
        "Kothrud Lab",
        "3, Paud Road",
        "411038",
        "+910000000001",
        {"latitude": 18.5, "longitude": 73.8},
    )
    assert (place["opening_times"], place["next_free"]) == ([], [])


async def next_free(anyone: Client, directory: Environment, provider_id: int = PROVIDER) -> dict[int, list[str]]:
    """Return the next free times by clinic, checked to be the first three that the charts of a month show as free."""
    while True:
        page = await shown(anyone, f"providers/{provider_id}")
        found = {clinic["id"]: clinic["next_free"] for clinic in page["clinics"]}
        now = await directory.now() - timedelta(minutes=1)
        charts = {}
        for clinic in page["clinics"]:
            window = {"from": now.isoformat(), "to": (now + timedelta(days=31)).isoformat(), "clinic_id": clinic["id"]}
            slots = (await shown(anyone, f"providers/{provider_id}/slots", **window))["slots"]
            free = dict.fromkeys(slot["start"] for slot in slots if slot["state"] == "free")
            charts[clinic["id"]] = list(free)[:3]
        again = await shown(anyone, f"providers/{provider_id}")
        if again == page:  # no slot's time has come in between
            assert found == charts
            return found


@pytest.mark.dates
async def test_the_next_free_times_are_those_of_the_chart(asha: Client, anyone: Client, directory: Environment) -> None:
    today = directory.day - timedelta(days=1)
    await directory.pass_until(today + timedelta(hours=6))
    first = await next_free(anyone, directory)
    assert [len(times) for times in first.values()] == [3, 3, 3]
    # A hold takes its slot out, until it lapses.
    start = first[ONLINE][1]
    await hold(asha, hold_body(directory) | {"start": start})
    held = await next_free(anyone, directory)
    assert held[ONLINE][:2] == [first[ONLINE][0], first[ONLINE][2]]
    assert held[AT_CLINIC] == first[AT_CLINIC]
    await directory.db.execute("UPDATE booking.booking SET deadline = deadline - interval '1 hour'")
    await look_again(directory.db)
    assert await next_free(anyone, directory) == first
    # Away from one clinic for three days, then from all for three weeks.
    book = directory.book
    for clinic_id, days in ((ONLINE, 3), (None, 21)):
        away = await book.add_leave(PROVIDER, clinic_id, today, today + timedelta(days=days), "", Staff(1))
        assert away.code == "changed"
        times = await next_free(anyone, directory)
        for clinic in (ONLINE, AT_CLINIC, FREE):
            if clinic_id in (None, clinic):
                assert datetime.fromisoformat(times[clinic][0]) >= today + timedelta(days=days)
            else:
                assert times[clinic] == first[clinic]
    # As far ahead as can be booked, and no further.
    await directory.db.execute("UPDATE directory.provider SET max_booking_days = 22 WHERE provider_id = $1", PROVIDER)
    assert [len(times) for times in (await next_free(anyone, directory)).values()] == [3, 3, 2]
    await directory.db.execute("UPDATE directory.provider SET max_booking_days = 20 WHERE provider_id = $1", PROVIDER)
    assert [len(times) for times in (await next_free(anyone, directory)).values()] == [0, 0, 0]
    # Another's calendar is another's; with several seats a time counts once.
    await directory.db.execute("UPDATE schedule.shift SET seats = 3 WHERE provider_id = $1", OTHER_PROVIDER)
    assert (await next_free(anyone, directory, OTHER_PROVIDER))[FREE] == first[FREE]
    await directory.db.fetch("SELECT booking.refresh_availability(provider_id, app_now()) FROM booking.book")


@pytest.mark.dates
async def test_a_clinics_page(anyone: Client, directory: Environment) -> None:
    page = await shown(anyone, "clinics/4")
    assert (page["id"], page["name"], page["city"]["slug"], page["opening_times"], page["open_now"]) == (
        4,
        "Kothrud Lab",
        "pune",
        [],
        False,
    )
    assert page["lab_tests"] == [
        {"slug": "hba1c", "name": "HbA1c", **price(39950), "provider_id": 4},
        {"slug": "hba1c", "name": "HbA1c", **price(45000), "provider_id": 3},
        {"slug": "lipid-profile", "name": "Lipid Profile", **price(0), "provider_id": 4},
    ]
    page = await shown(anyone, f"clinics/{ONLINE}")
    # The hospital and the laboratory first, then the doctors.
    assert [one["name"] for one in page["providers"]] == ["City Hospital", "Kothrud Pathology", "Dr 1", "Dr 2"]
    assert page["providers"][2] == {
        "id": PROVIDER,
        "type": "doctor",
        "name": "Dr 1",
        "specialities": [{"slug": "cardiology", "name": "Cardiology"}, {"slug": "urology", "name": "Urology"}],
        "rating": None,
        "rating_count": 0,
        "accepts_new_patients": True,
        "fee_minor": 50000,
        "currency": "INR",
        "fee_paise": 50000,
        "funding": "online",
        "qualifications": None,
        "photo": None,
        "languages": ["Marathi", "English"],
        "practising_since": 2010,
    }


@pytest.mark.dates
async def test_opening_times_are_those_of_all_who_work_there(anyone: Client, directory: Environment) -> None:
    await directory.pass_until(directory.day - timedelta(hours=18))  # in the morning: until midnight, this is today
    today = (directory.day - timedelta(days=1) + IST).date()
    monday = today + timedelta(days=-today.weekday() % 7)
    await directory.db.execute(
        """INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes, valid) VALUES
        (3, 1, 1, '12:00', '12:30', 30, '(,)'), -- touches
        (5, 1, 1, '11:00', '12:15', 15, '(,)'), -- overlaps
        (5, 1, 1, '22:00', '24:00', 30, '(,)'), (5, 1, 7, '00:00', '01:00', 30, '(,)')"""
    )
    await directory.db.execute(
        """INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes, valid) VALUES
        (3, 1, 1, '14:00', '15:00', 30, daterange($1::date, $1 + 1)), -- this coming Monday
        (3, 1, 1, '16:00', '17:00', 30, daterange(NULL, $1)), -- no longer
        (3, 1, 1, '18:00', '19:00', 30, daterange($1 + 1, NULL)) -- not yet""",
        monday,
    )
    times = (await shown(anyone, f"clinics/{ONLINE}"))["opening_times"]
    by_day = {day: [(t["start"], t["end"]) for t in times if t["weekday"] == day] for day in range(1, 8)}
    assert by_day == {
        1: [("09:00", "12:30"), ("14:00", "15:00"), ("22:00", "24:00")],
        **{day: [("09:00", "12:00")] for day in range(2, 7)},
        7: [("00:00", "01:00"), ("09:00", "12:00")],
    }


@pytest.mark.dates
async def test_open_now_is_a_matter_of_who_is_there(anyone: Client, directory: Environment) -> None:
    async def is_open(clinic_id: int = ONLINE) -> bool:
        return bool((await shown(anyone, f"clinics/{clinic_id}"))["open_now"])

    for hour, opened in ((8.9, False), (9.1, True), (11.9, True), (12.1, False)):
        await directory.pass_until(directory.day + timedelta(hours=hour))
        assert await is_open() is opened, hour
    tomorrow = directory.day + timedelta(days=1)
    book, whole_day = directory.book, (tomorrow, tomorrow + timedelta(days=1))
    await directory.pass_until(tomorrow + timedelta(hours=10))
    for provider_id, clinic_id, opened in (
        (PROVIDER, ONLINE, True),  # the other is there
        (OTHER_PROVIDER, AT_CLINIC, True),
        (OTHER_PROVIDER, None, False),
    ):
        await book.add_leave(provider_id, clinic_id, *whole_day, "", Staff(1))
        assert await is_open() is opened
    # Where the clinic is, it is another time.
    await directory.db.execute("UPDATE directory.city SET time_zone = 'America/New_York' WHERE slug = 'pune'")
    await directory.pass_until(tomorrow + timedelta(days=1, hours=10))
    assert not await is_open()


async def test_who_offers_a_test(anyone: Client, directory: Environment) -> None:
    found = await shown(anyone, "lab-tests/hba1c/providers", city="pune")
    assert found["lab_test"] == {"slug": "hba1c", "name": "HbA1c"}
    assert [(one["id"], one["price_paise"]) for one in found["providers"]] == [(4, 39950), (3, 45000)]
    assert [[place["id"] for place in one["clinics"]] for one in found["providers"]] == [[4], [1, 4]]
    # With a price of its own at one of two clinics, each of them comes with its own.
    await offer_service(directory.db, 3, "hba1c", 50000, is_test=True, clinic_id=4, funding="clinic")
    found = await shown(anyone, "lab-tests/hba1c/providers", city="pune")
    assert [
        (one["id"], one["price_paise"], [place["id"] for place in one["clinics"]]) for one in found["providers"]
    ] == [(4, 39950, [4]), (3, 45000, [1]), (3, 50000, [4])]
    elsewhere = (await shown(anyone, "lab-tests/hba1c/providers", city="mumbai"))["providers"]
    assert [(one["id"], [place["name"] for place in one["clinics"]]) for one in elsewhere] == [(3, ["Bandra Lab"])]
    assert (await shown(anyone, "lab-tests/widal/providers", city="pune"))["providers"] == []
    assert (await shown(anyone, "lab-tests/hba1c/providers", city="goa"))["providers"] == []


async def test_pages_are_linked(anyone: Client, directory: Environment) -> None:
    """Following the links gives each row once, and leads back."""

    def links(header: str) -> dict[str, str]:
        return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', header)}

    names, urls = [], []
    url: str | None = f"/api/v1/clinics/{ONLINE}?x=%26%C3%A9&results_per_page=2&page=1&empty="
    while url:
        urls.append(url)
        response = await anyone.get(url)
        names.append([one["name"] for one in response.json()["providers"]])
        found = links(response.headers["link"])
        assert found["first"] == f"/api/v1/clinics/{ONLINE}?x=%26%C3%A9&results_per_page=2&empty=&page=1"
        assert found.get("prev") == (f"{found['first'][:-1]}{len(urls) - 1}" if len(urls) > 1 else None)
        url = found.get("next")
    assert names == [["City Hospital", "Kothrud Pathology"], ["Dr 1", "Dr 2"]]
    beyond = await anyone.get(f"clinics/{ONLINE}?page=66")
    assert beyond.json()["providers"] == []
    assert links(beyond.headers["link"]).keys() == {"first", "prev"}


async def test_what_is_not_there_or_makes_no_sense(anyone: Client, directory: Environment) -> None:
    for path in (
        *(f"{kind}/{one}" for kind in ("clinics", "providers") for one in ("99", "0", "-1", str(2**63), "x", "%00")),
        *(f"lab-tests/{slug}/providers?city=pune" for slug in ("nothing", "HbA1c", "%00", "a%2Fb", "x" * 400)),
    ):
        problem(await anyone.get(path), 404)
    for path in (f"clinics/{ONLINE}", "lab-tests/hba1c/providers"):
        for name, value in (
            ("page", "0"),
            ("page", "1001"),
            ("page", "x"),
            ("results_per_page", "0"),
            ("results_per_page", "31"),
        ):
            answer = problem(await anyone.get(path, params={"city": "pune", name: value}), 400)
            assert answer["detail"].startswith(f"{name}: ")
    for query, status in (({}, 400), ({"city": "Pune"}, 400), ({"city": "\x00"}, 400), ({"city": "nowhere"}, 422)):
        assert "city" in problem(await anyone.get("lab-tests/hba1c/providers", params=query), status)["detail"]
