"""A visit's calendar file: what calendars make of it, also after the visit was moved or cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest
from icalendar import Calendar

from healthplus.accounts.actors import Staff
from healthplus.booking.numbers import number_of
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web.client import Client
from tests.web.test_appointments_pages import sign_in, visit_of
from tests.web.test_holds import PAY, hold
from tests.web.test_pages import submit

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.dates]

LONG = "Dr Venkatanarasimharajuvaripeta श्रीनिवासराघवन, M.D.; (Pædiatrics)\\ and so on, to more than seventy-five octets"


async def entry(http: httpx.AsyncClient, path: str) -> tuple[Any, Any]:
    """Return a visit's calendar file, read back."""
    answer = await http.get(f"{path}/visit.ics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    calendar = Calendar.from_ical(answer.content)
    [event] = calendar.walk("VEVENT")
    return calendar, event


async def test_the_calendar_file(http: httpx.AsyncClient, asha: Client, environment: Environment) -> None:
    await environment.db.execute(
        "INSERT INTO directory.speciality (slug, name) VALUES ('oncology', 'Oncology'); "
        "INSERT INTO directory.provider_speciality VALUES (1, 1)"
    )
    await environment.db.execute("UPDATE directory.provider SET name = $1 WHERE provider_id = 1", LONG)
    await environment.db.execute(
        "UPDATE directory.clinic SET address = $1, postal_code = '411004', latitude = 18.52, longitude = 73.84 "
        "WHERE clinic_id = 1",
        "Shop 3, “Sai; Krupa”,\nमहात्मा गांधी मार्ग",
    )
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    page = (await http.get(path)).text
    assert "Oncology" in page
    assert "https://www.openstreetmap.org/directions?to=18.52%2C73.84" in page

    calendar, event = await entry(http, path)
    assert event.summary == f"Appointment: {LONG}"
    assert "Oncology" not in calendar.to_ical().decode()
    assert event.start == environment.instant(9)
    assert event.end == environment.instant(9, 30)
    assert event["dtstart"].params["TZID"] == "Asia/Kolkata"
    assert [zone.tz_name for zone in calendar.timezones] == ["Asia/Kolkata"]
    assert calendar.get_missing_tzids() == set()
    assert event.location == "Clinic 1, Shop 3, “Sai; Krupa”,\nमहात्मा गांधी मार्ग, Pune, 411004"
    assert (event["geo"].latitude, event["geo"].longitude) == (18.52, 73.84)
    assert event.url.endswith(path)
    assert path in event.description
    assert number_of(UUID(event.uid)) in event.description
    assert (event.uid, event.sequence, event.status) == (path.rpartition("/")[2], 0, "CONFIRMED")
    before = [alarm["trigger"].dt for alarm in event.walk("VALARM")]
    assert before == [-timedelta(days=1), -timedelta(hours=2)]

    await submit(http, f"{path}/move", {"key": "k", "start": environment.at(11)})
    _, moved = await entry(http, path)
    assert (moved.uid, moved.sequence, moved.start) == (event.uid, 1, environment.instant(11))
    assert moved.stamp >= event.stamp
    await environment.book.add_leave(
        PROVIDER, ONLINE, environment.day, environment.day + timedelta(days=1), "", Staff(1), flag_for_rebooking=True
    )
    _, stranded = await entry(http, path)
    assert (stranded.sequence, stranded.status) == (2, "TENTATIVE")
    await submit(http, f"{path}/cancel", {"key": "k"})
    _, cancelled = await entry(http, f"/hi{path}")
    assert (cancelled.uid, cancelled.sequence, cancelled.status) == (event.uid, 3, "CANCELLED")
    assert cancelled.summary == f"अपॉइंटमेंट: {LONG}"
    assert cancelled.walk("VALARM") == []
    assert cancelled.url.endswith(f"/hi{path}")


async def test_the_calendar_file_where_clocks_change(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    await environment.db.execute("UPDATE directory.city SET time_zone = 'Europe/London'")
    sign_in(http, environment, "asha")
    zone = ZoneInfo("Europe/London")
    nine = (environment.day + timedelta(days=1)).astimezone(zone).replace(hour=9, minute=0)
    held = await hold(asha, {"clinic_id": ONLINE, "start": nine.isoformat()})
    await asha.post(f"{held['url']}/payment", PAY)
    calendar, event = await entry(http, f"/appointments/{PROVIDER}/{held['id']}")
    assert event["dtstart"].to_ical() == nine.strftime("%Y%m%dT090000").encode()
    assert event.start == nine
    [known] = calendar.timezones
    assert len(known.daylight) >= 1
    assert known.to_tz().utcoffset(nine.replace(tzinfo=None)) == nine.utcoffset()
