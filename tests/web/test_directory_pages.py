"""The pages of a provider and of a clinic."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from litestar import Litestar

from healthplus.web.languages import ENGLISH
from healthplus.web.services import AppServices
from tests.fixtures.environment import IST, PROVIDER, Environment
from tests.web.client import forget_shared_reads
from tests.web.pune import led, look, words

pytestmark = pytest.mark.dates


async def test_a_provider(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    for path, status, location in (
        ("/doctor/1", 301, "/doctor/1/dr-1"),
        ("/doctor/1/", 301, "/doctor/1/dr-1"),
        ("/hi/doctor/1/wrong?day=2026-11-27", 301, "/hi/doctor/1/dr-1?day=2026-11-27"),
        ("/doctor/999/x", 404, ""),
        ("/doctor/0/x", 404, ""),
        (f"/doctor/{10**20}/x", 404, ""),
        ("/doctor/x/y", 404, ""),
    ):
        assert await led(http, path) == (status, location), path
    text = await look(http, "/doctor/1/dr-1")
    assert [name for name in ("Clinic 1", "Clinic 2", "Clinic 3") if f">{name}</a>" in text] == [
        "Clinic 1", "Clinic 2", "Clinic 3",
    ]  # fmt: skip
    for clinic_id in (1, 2, 3):
        assert f'href="/doctor/1/dr-1/{clinic_id}"' in text
    assert re.findall(r'class="time" href="/doctor/1/dr-1/(\d)\?', text) == list("111222333")
    assert "9:00 am – 12:00 pm" in text
    assert "No ratings yet" in text
    await _rate(city)
    forget_shared_reads(app)
    text = await look(http, "/doctor/1/dr-1")
    assert "3.7 of 5, from 3 patients who came" in text
    assert re.findall(r"</meter> (\d+)<", text) == ["1", "0", "2", "0", "0"]
    # One clinic: straight to the chart there, on the day that was asked for.
    lab = await city.db.fetch_row(
        "SELECT provider_id, clinic_id FROM directory.provider JOIN directory.provider_clinic USING (provider_id) "
        "WHERE type = 'lab'"
    )
    assert lab is not None
    path = f"/doctor/{lab['provider_id']}/baner-lab"
    assert await led(http, path) == (303, f"{path}/{lab['clinic_id']}")
    assert await led(http, f"/hi{path}?day=2026-11-27") == (303, f"/hi{path}/{lab['clinic_id']}?day=2026-11-27")
    about = await look(http, f"{path}?about")
    assert "HbA1c" in about
    assert "₹450" in about
    assert re.search(rf'href="{path}/{lab["clinic_id"]}\?service=\d+">HbA1c<', about)
    assert "Fee: </span><b>Prices by test" not in about
    await city.db.execute(
        "UPDATE directory.provider SET rating_total = 0, rating_count = 0; DELETE FROM reviews.rating; "
        "DELETE FROM schedule.shift; DELETE FROM directory.provider_clinic"
    )
    forget_shared_reads(app)
    assert "They see nobody at a clinic" in await look(http, "/doctor/1/dr-1")


async def _rate(environment: Environment) -> None:
    await environment.db.execute(
        "INSERT INTO reviews.rating (provider_id, patient_id, booking_id, stars, rated_at) "
        "SELECT 1, patient_id, gen_random_uuid(), CASE WHEN patient_id = 1 THEN 5 ELSE 3 END, app_now() "
        "FROM accounts.patient"
    )
    await environment.db.execute(
        "UPDATE directory.provider SET rating_total = 11, rating_count = 3 WHERE provider_id = 1"
    )


async def test_a_clinic(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    for path, status, location in (
        ("/clinic/1", 301, "/clinic/1/clinic-1"),
        ("/clinic/1/x", 301, "/clinic/1/clinic-1"),
        ("/clinic/999/x", 404, ""),
        (f"/clinic/{10**20}", 404, ""),
        ("/clinic/1/clinic-1?page=50", 303, "/clinic/1/clinic-1"),
    ):
        assert await led(http, path) == (status, location), path
    for hours, said in ((0, "opens today at 9:00 am IST"), (4, "Open now, until 12:00 pm IST"), (6, "opens ")):
        await city.pass_time(hours=hours)
        services: AppServices = app.state.services
        await services.clock.follow()
        forget_shared_reads(app)
        assert said in words(await look(http, "/clinic/1/clinic-1")), hours
    tomorrow = city.day + timedelta(days=1, hours=9)
    opens = ENGLISH.moment(tomorrow, "Asia/Kolkata").striptags()
    assert f"opens {opens}" in words(await look(http, "/clinic/1/clinic-1"))
    text = await look(http, "/clinic/1/clinic-1")
    assert "openstreetmap" not in text
    assert re.findall(r'href="/doctor/(\d)/dr-\d">', text) == ["1", "2"]
    assert f'href="/doctor/{PROVIDER}/dr-1/1?day={tomorrow + IST:%Y-%m-%d}' in text
    clinic = await city.db.fetch_value("SELECT clinic_id FROM directory.clinic WHERE name = 'Baner Care'")
    text = await look(http, f"/hi/clinic/{clinic}/baner-care")
    assert "https://www.openstreetmap.org/?mlat=18.559&mlon=73.7868#map=17/18.559/73.7868" in text
    assert 'href="tel:+912025000002"' in text
    assert "HbA1c" in text
    first = re.findall(r'<h3 lang="en"><a href="/hi/doctor/(\d+)/', text)
    assert 'rel="next" href="?page=2"' in text
    second = re.findall(
        r'<h3 lang="en"><a href="/hi/doctor/(\d+)/', await look(http, f"/hi/clinic/{clinic}/baner-care?page=2")
    )
    working = await city.db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE clinic_id = $1", clinic)
    assert len(first) == 20
    # One speciality, by itself, with the count that the page gave it; a page of it leads on within it.
    path = f"/clinic/{clinic}/baner-care"
    text = await look(http, path)
    counts = dict(re.findall(r'\?speciality=([a-z-]+)#doctors"><span>[^<]+</span> <small>(\d+)<', text))
    assert f'href="{path}#doctors">All <small>{working}<' in text
    assert counts == {
        row["slug"]: str(row["count"])
        for row in await city.db.fetch(
            "SELECT slug, count(*) FROM directory.provider_clinic JOIN directory.provider_speciality "
            "USING (provider_id) JOIN directory.speciality USING (speciality_id) WHERE clinic_id = $1 GROUP BY slug",
            clinic,
        )
    }
    for slug, count in counts.items():
        seen: list[str] = []
        query = f"?speciality={slug}"
        while query:
            chosen = await look(http, path + query)
            assert f'class="chip on" aria-current="true" href="{path}?speciality={slug}#doctors"' in chosen
            seen += re.findall(r'<h3 lang="en"><a href="/doctor/(\d+)/', chosen)
            following = re.search(r'rel="next" href="([^"]+)"', chosen)
            query = following[1].replace("&amp;", "&") if following else ""
        assert len(set(seen)) == len(seen) == int(count)
        assert 'content="noindex"' in chosen
    for unknown in ("none", "x" * 300):
        assert await led(http, f"{path}?speciality={unknown}") == (303, path)
    assert "?speciality=" not in await look(http, "/clinic/1/clinic-1")  # two doctors
    assert len({*first, *second}) == working
