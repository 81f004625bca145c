"""What the pages of providers and clinics say to do first, and what they say of whom they are about."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.actors import Staff
from healthplus.ops.demo_facts import FACTS
from healthplus.search.vocabulary import VOCABULARY
from healthplus.web.languages import ENGLISH, HINDI
from healthplus.web.pages.conditions import CONDITIONS, conditions_of
from healthplus.web.pages.kinds_of_tests import by_kind, named_like
from healthplus.web.pages.opening import has_emergency
from healthplus.web.pages.whereabouts import whereabouts
from tests.fixtures.environment import PROVIDER, Environment
from tests.web.client import forget_shared_reads
from tests.web.pune import look, words

pytestmark = pytest.mark.dates


def test_conditions_are_found_by_a_search_that_leads_to_the_speciality() -> None:
    for speciality, conditions in CONDITIONS.items():
        for condition in conditions:
            meaning = VOCABULARY.phrases[condition.lower()]
            assert meaning.is_symptom, condition
            assert not meaning.urgent, condition
            assert speciality in meaning.specialities, (speciality, condition)
            assert HINDI.known_name("symptom", condition) != condition, condition
    shown = conditions_of(["dermatology", "general-medicine"], ENGLISH)
    assert [one.name for one in shown][:3] == ["Acne", "Fever", "Eczema"]
    assert conditions_of(["endocrinology"], ENGLISH)[2] == ("PCOS", "pcos")
    assert conditions_of(["nobody-knows"], ENGLISH) == []


def test_tests_are_in_groups_once_there_are_several() -> None:
    names = [name for tests in FACTS["tests"].values() for name in tests]
    tests = [{"name": name} for name in names]
    groups = dict(by_kind(tests, ENGLISH))
    assert list(groups) == ["Blood", "Scans and X-rays", "Heart", "Urine and stool", "Tissue and swabs"]
    assert sorted(one["name"] for some in groups.values() for one in some) == sorted(names)
    assert [one["name"] for one in groups["Urine and stool"]] == ["Urine Routine and Microscopy", "Urine Culture"]
    assert [one["name"] for one in groups["Heart"]] == ["ECG"]
    assert by_kind(tests[:3], ENGLISH) == [("", tests[:3])]
    assert by_kind([], ENGLISH) == []
    assert dict(by_kind([*tests, {"name": "Qi balance"}], ENGLISH))["Other tests"] == [{"name": "Qi balance"}]
    assert [one["name"] for one in named_like(tests, " sugar FASTING", ENGLISH)] == ["Fasting Blood Sugar"]
    assert named_like(tests, HINDI.known_name("service", "Lipid Profile"), HINDI) == [{"name": "Lipid Profile"}]
    assert named_like(tests, "nothing like it", ENGLISH) == []


def test_only_what_takes_emergencies_at_every_hour_is_an_emergency_ward() -> None:
    for facility in ("Emergency, day and night", "24x7 Emergency", "24-hour casualty", "Emergency round the clock"):
        assert has_emergency(["Lift", facility]), facility
    for facility in ("Emergency exit", "Pharmacy, day and night", "24-hour pharmacy"):
        assert not has_emergency([facility]), facility


def test_where_a_clinic_lies_is_said_from_the_middle_of_its_city() -> None:
    middle = {"latitude": 18.52, "longitude": 73.86}

    def said(north: float, east: float) -> str:
        here = {"latitude": 18.52 + north, "longitude": 73.86 + east}
        return whereabouts({"position": here, "city": {"name": "Pune", "position": middle}}, ENGLISH)

    assert said(0.01, -0.01) == "1.5 km north-west of the middle of Pune"
    assert said(0, 0.2) == "21 km east of the middle of Pune"
    assert said(-0.05, 0.001) == "5.6 km south of the middle of Pune"
    assert said(0.001, 0) == "In the middle of Pune"
    assert said(5, 0) == ""
    assert whereabouts({"position": None, "city": {"name": "Pune", "position": middle}}, ENGLISH) == ""


async def test_a_hospital_that_is_the_place_itself_has_one_page(
    http: httpx.AsyncClient, app: Litestar, city: Environment
) -> None:
    await city.db.execute(
        "UPDATE directory.clinic SET name = 'Baner Hospital', facilities = '{Lift,\"Emergency, day and night\"}' "
        "WHERE name = 'Baner Care'; UPDATE directory.provider SET bio = 'Ten wards.' WHERE type = 'hospital'"
    )
    ids = await city.db.fetch_row(
        "SELECT provider_id, clinic_id FROM directory.provider JOIN directory.provider_clinic USING (provider_id) "
        "WHERE type = 'hospital'"
    )
    assert ids is not None
    about, path = f"/doctor/{ids['provider_id']}/baner-hospital?about", f"/clinic/{ids['clinic_id']}/baner-hospital"
    assert (await http.get(about)).headers["location"] == path
    assert f'href="{path}">About' in await look(http, f"/doctor/{ids['provider_id']}/baner-hospital/{ids['clinic_id']}")
    page = await look(http, path)
    for said in ("Emergency open now", "appointments ", "Ten wards.", "What patients say", "Any doctor here"):
        assert said in words(page), said
    assert page.index('href="tel:') < page.index("/directions?to=")
    assert "8.9 km north-west of the middle of Pune" in page
    # Where nobody else can be booked there, it is not listed at its own page.
    await city.db.execute(
        "UPDATE directory.provider_clinic SET closed_since = '2020-01-01' WHERE clinic_id = $1 AND provider_id <> $2",
        ids["clinic_id"],
        ids["provider_id"],
    )
    alone = await _page(http, app, path)
    assert "Any doctor here" not in alone
    assert "Who can be booked here" not in alone
    # With another clinic, it is not that place alone.
    await city.db.execute(
        "INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) "
        "VALUES ($1, 1, 0, 'clinic')",
        ids["provider_id"],
    )
    forget_shared_reads(app)
    assert "Ten wards." in await look(http, about)
    assert "Ten wards." not in await _page(http, app, path)


async def _page(http: httpx.AsyncClient, app: Litestar, path: str = "/doctor/1/dr-1") -> str:
    forget_shared_reads(app)
    return words(await look(http, path))


def _filled(page: str) -> list[str]:
    return re.findall(r'class="button(?: wide)?"[^>]*>(?:<svg.*?</svg>)?([^<]+)<', page)


async def test_the_next_free_time_is_one_press_away(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    await app.state.services.clock.follow()
    page = await look(http, "/doctor/1/dr-1")
    assert _filled(page) == ["Book 9:00 am"]
    [path] = re.findall(r'class="button wide" href="([^"]+)"', page)
    chart = await look(http, path)
    assert "checked" in chart
    # Who is away can be booked ahead; who is away for good, cannot.
    for days, says, filled in (
        (3, "Away now, back on", "Book 9:00 am"),
        (400, "No free time in the next", "Other doctors"),
    ):
        began = await city.now() - timedelta(hours=1)
        during = began, began + timedelta(days=days)
        away = await city.book.add_leave(PROVIDER, None, *during, "", Staff(1))
        assert away.code == "changed"
        assert says in await _page(http, app)
        page = await look(http, "/doctor/1/dr-1")
        assert "Away until" in page
        assert _filled(page) == [filled]
        leave_id = await city.db.fetch_value("SELECT leave_id FROM schedule.leave")
        await city.book.remove_leave(PROVIDER, leave_id, Staff(1))
    # Whoever is new is led to others.
    await city.db.execute("UPDATE directory.provider SET accepts_new_patients = false WHERE provider_id = 1")
    said = await _page(http, app)
    assert "Takes no new patients at present. Have you been here before?" in said
    assert _filled(await look(http, "/doctor/1/dr-1")) == ["Other doctors"]


async def test_who_has_no_hours_is_booked_by_phone(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    await city.db.execute("DELETE FROM schedule.shift WHERE provider_id = 1")
    await city.db.execute("UPDATE directory.provider SET phone = '+912025550000' WHERE provider_id = 1")
    said = await _page(http, app)
    assert "Booked by phone only" in said
    assert _filled(await look(http, "/doctor/1/dr-1")) == ["Call +912025550000"]
    await city.db.execute("UPDATE directory.provider SET phone = NULL WHERE provider_id = 1")
    assert "we know no phone number" in await _page(http, app)
    assert _filled(await look(http, "/doctor/1/dr-1")) == ["Other doctors"]


async def test_what_a_profile_says(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    bare = await look(http, "/doctor/1/dr-1")
    for missing in ("Trained at", "Registered", 'class="prose"'):
        assert missing not in bare
    await city.db.execute(
        "UPDATE directory.provider SET training = 'B.J. College, Pune', registration = '2012/48803', "
        "council = 'Maharashtra Medical Council', bio = E'First line.\\n\\nSecond <b>line</b>.' WHERE provider_id = 1"
    )
    forget_shared_reads(app)
    page = await http.get("/doctor/1/dr-1")
    assert "<p>First line.</p><p>Second &lt;b&gt;line&lt;/b&gt;.</p>" in re.sub(r">\s+<", "><", page.text)
    assert "Registered: 2012/48803, Maharashtra Medical Council" in words(page.text)
    assert "B.J. College, Pune" in page.text
    assert '"identifier":{"@type":"PropertyValue","value":"2012/48803"' in page.text
    await city.db.execute(
        "UPDATE directory.clinic SET facilities = ARRAY['Parking', 'Roof garden'] WHERE clinic_id = 1"
    )
    clinic = await look(http, "/hi/clinic/1/clinic-1")
    assert "पार्किंग" in clinic
    assert "Roof garden" in clinic


async def test_tests_are_searched_without_a_script(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    await city.db.execute(
        "INSERT INTO directory.service_type (slug, name, is_test) "
        "SELECT 'blood-' || n, 'Blood test ' || n, true FROM generate_series(1, 15) AS n; "
        "INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding) "
        "SELECT provider_id, service_type_id, 0, 45000, 'clinic'::directory.funding "
        "FROM directory.provider, directory.service_type WHERE type = 'lab' AND slug LIKE 'blood-%'"
    )
    lab = await city.db.fetch_value("SELECT provider_id FROM directory.provider WHERE type = 'lab'")
    path = f"/doctor/{lab}/baner-lab?about"
    assert "All 17 tests" not in await _page(http, app, path)
    found = await look(http, f"{path}&test=test+15")
    assert "1 test found" in words(found)
    assert re.findall(r">(Blood test \d+)<", found) == ["Blood test 15"]
    assert "No test here is called so." in await _page(http, app, f"{path}&test=%00%3Cx%3E")
