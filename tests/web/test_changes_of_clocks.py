"""Where clocks change: what charts, holds, search and lines say of a day of 23 hours, of one of 25, and of today."""

from __future__ import annotations

import html
import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from icalendar import Calendar
from litestar import Litestar

from healthplus.accounts.keys import add_key
from healthplus.database import Database
from healthplus.web.languages import ENGLISH
from healthplus.web.pages.queue_windows import PARTS, SPANS, QueueWindow, window_between
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.test_holds import hold

ZONE = ZoneInfo("America/New_York")
HALF_HOUR, LEAD, DAY = timedelta(minutes=30), timedelta(minutes=10), timedelta(days=1)
# The first is there day and night; the other for the hour that a night in spring does not have.
_DIRECTORY = f"""
UPDATE directory.city SET time_zone = '{ZONE.key}';
DELETE FROM schedule.shift;
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
SELECT provider_id, clinic_id, weekday, starts::time, ends::time, 30
FROM generate_series(1, 7) AS weekday, (VALUES ({PROVIDER}, {ONLINE}, '00:00', '24:00'),
    ({OTHER_PROVIDER}, {AT_CLINIC}, '02:00', '03:00')) AS shift (provider_id, clinic_id, starts, ends);
"""
CHART = f"/doctor/{PROVIDER}/dr-1/{ONLINE}"


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE)


def hours(day: date) -> float:
    return (midnight(day + DAY).astimezone(UTC) - midnight(day).astimezone(UTC)) / timedelta(hours=1)


def slots(day: date) -> list[datetime]:
    """Return the starts of all half hours of a day, in UTC: an hour that is there twice equals none in another zone."""
    first = midnight(day).astimezone(UTC)
    return [first + HALF_HOUR * number for number in range(int(hours(day) * 2))]


def there(at: datetime) -> datetime:
    return at.astimezone(ZONE)


def zones(starts: list[datetime]) -> str:
    return " / ".join(dict.fromkeys(f"{there(at):%Z}" for at in starts))


def clock(at: datetime) -> str:
    """Write a time of day; with its zone where that day has it twice."""
    text = f"{there(at):%-I:%M %p}".lower()
    same = [other for other in slots(there(at).date()) if f"{there(other):%-I:%M %p}".lower() == text]
    return text + (f" {there(at):%Z}" if len(same) > 1 else "")


@pytest.fixture(params=[pytest.param("as it is", marks=pytest.mark.dates), "the eve of spring", "the eve of autumn"])
async def city(environment: Environment, app: Litestar, request: pytest.FixtureRequest) -> Environment:
    """A city in New York's zone, at the moment of the tests, or at eight in the evening before its clocks change."""
    await environment.db.execute(_DIRECTORY)
    if request.param != "as it is":
        now = (await environment.now()).astimezone(ZONE)
        ahead = (now.date() + DAY * number for number in range(2, 400))
        change = next(day for day in ahead if hours(day) == (23 if "spring" in request.param else 25))
        await environment.pass_until(midnight(change) - timedelta(hours=4))
    await app.state.services.clock.follow()
    return environment


async def days(city: Environment) -> list[date]:
    today = (await city.now()).astimezone(ZONE).date()
    return [today, today + DAY, today + 2 * DAY]


async def test_a_chart_has_each_slot_once_and_says_which_it_is(city: Environment, app: Litestar) -> None:
    client = Browser(app)
    for day in await days(city):
        page = ""
        while "data-count" not in page:  # on a busy machine a page does not wait for its days' counts
            before = await city.now() + LEAD
            page = html.unescape((await client.get(f"{CHART}?day={day}")).text)
            after = await city.now() + LEAD
        free = [datetime.fromisoformat(value) for value in re.findall(r' value="([^"]+)"\s+data-from', page)]
        assert free in [[at for at in slots(day) if at > edge] for edge in (before, after)]
        assert re.findall(r'data-from="([^"]+)"', page) == [clock(at) for at in free]
        assert re.findall(r'data-dial="([^"]+)"', page) == [re.sub(" [ap]m", "", clock(at)) for at in free]
        [heading] = re.findall(r'<h2 id="day"[^>]*>(.*)</h2>', page)
        assert not free or f" · {zones(free)}<" in heading
        by_part = Counter(
            part for at in free for part, (begins, ends) in PARTS.items() if begins <= there(at).hour < ends
        )
        counts = re.findall(r'<h3 id="(\w+)">.*?data-of-part>(\d+) free', page)
        assert {part: int(count) for part, count in counts} == by_part
        [of_day] = re.findall(rf'day={day}"[^>]*>[^<]*<b>\d+</b> <i><span data-count>(\d+|full)<', page)
        assert of_day == (str(len(free)) if free else "full")


async def test_each_slot_of_the_night_is_held_by_itself(city: Environment, app: Litestar, asha: Client) -> None:
    client = Browser(app, city.tokens["asha"])
    _, day, _ = await days(city)
    for at in slots(day)[1:8]:
        held = await hold(asha, {"clinic_id": ONLINE, "start": at.isoformat()})
        assert datetime.fromisoformat(held["start"]) == at
        assert datetime.fromisoformat(held["end"]) == at + HALF_HOUR
        page = await client.get(f"/doctor/{PROVIDER}/hold/{held['id']}")
        ends = there(at + HALF_HOUR)
        start, end = clock(at), f"{f'{ends:%-I:%M %p}'.lower()} {ends:%Z}"
        if f"{there(at):%p %Z}" == f"{ends:%p %Z}":  # said once
            start = re.sub(" [ap]m", "", start)
        said = f"{ENGLISH.day(there(at))}, {start} to {end}"
        assert said in " ".join(re.sub("<[^>]+>", "", html.unescape(page.text)).split())
        await asha.delete(held["url"])


async def test_an_appointment_is_moved_across_the_change(city: Environment, app: Litestar, asha: Client) -> None:
    client = Browser(app, city.tokens["asha"])
    _, day, _ = await days(city)
    held = await hold(asha, {"clinic_id": ONLINE, "start": slots(day)[0].isoformat()})
    await asha.post(f"{held['url']}/payment", {"method": "sandbox-ok"})
    path = f"/appointments/{PROVIDER}/{held['id']}"
    page = html.unescape((await client.get(f"{path}/move?day={day}")).text)
    found = re.findall(r' value="([^"]+)"\s+data-from="([^"]+)"', page)
    assert [(datetime.fromisoformat(value), text) for value, text in found] == [
        (at, clock(at)) for at in slots(day)[1:]
    ]
    assert zones(slots(day)[1:]) in page[page.index('<h2 id="day"') :].partition("</h2>")[0]
    moved = await client.fill(f"{path}/move?day={day}", start=slots(day)[-1].isoformat())
    assert moved.status_code == 303
    assert f"{clock(slots(day)[-1])} to 12:00 am" in (await client.get(path)).text


async def test_a_calendar_reads_back_the_hour_that_is_there_twice(
    city: Environment, app: Litestar, asha: Client, bina: Client
) -> None:
    _, day, _ = await days(city)
    # In autumn from half past one to one, and the second one o'clock.
    for (name, whose), at in zip((("asha", asha), ("bina", bina)), slots(day)[3:5], strict=True):
        client = Browser(app, city.tokens[name])
        held = await hold(whose, {"clinic_id": ONLINE, "start": at.isoformat()})
        await whose.post(f"{held['url']}/payment", {"method": "sandbox-ok"})
        file = await client.get(f"/appointments/{PROVIDER}/{held['id']}/visit.ics")
        event: Any
        [event] = Calendar.from_ical(file.text).walk("VEVENT")
        assert (event.start.astimezone(UTC), event.end.astimezone(UTC)) == (at, at + HALF_HOUR)


async def test_search_knows_which_hours_a_day_has(city: Environment, http: httpx.AsyncClient, db: Database) -> None:
    _, key = await add_key(db, "tests", ["search"], 1000, 1000)

    async def found(**params: str) -> dict[int, str]:
        answer = await http.get("/api/v1/doctors", params={"api_dev_key": key, "city": "Pune", **params})
        assert answer.status_code == 200, answer.text
        return {doctor["id"]: doctor["first_avl_day"] for doctor in answer.json()}

    _, tomorrow, _ = await days(city)
    has_night = any(there(at).hour == 2 for at in slots(tomorrow))
    assert has_night == (hours(tomorrow) != 23)
    assert await found(available="tomorrow") == {
        PROVIDER: f"{tomorrow}T00:00:00",
        **({OTHER_PROVIDER: f"{tomorrow}T00:00:00"} if has_night else {}),
    }
    # From one midnight to the next, without offsets, it is the same day.
    whole = {"start_datetime": f"{tomorrow}T00:00:00", "end_datetime": f"{tomorrow + DAY}T00:00:00"}
    assert await found(**whole) == await found(available="tomorrow")
    assert set(await found(available="week")) == {PROVIDER, OTHER_PROVIDER}
    for at in slots(tomorrow)[1:8]:
        minute = {"start_datetime": at.isoformat(), "end_datetime": (at + timedelta(minutes=1)).isoformat()}
        assert set(await found(**minute)) == ({PROVIDER, OTHER_PROVIDER} if there(at).hour == 2 else {PROVIDER})


async def test_a_queue_for_a_day_is_one_for_all_its_hours(city: Environment, app: Litestar) -> None:
    client = Browser(app, city.tokens["asha"])
    _, day, _ = await days(city)
    joined = await client.fill(f"{CHART}/line?day={day}&part=morning", what="day")
    assert joined.status_code == 303, joined.text
    wanted = await city.db.fetch_value("SELECT queue_window FROM booking.ticket")
    assert (wanted.lower, wanted.upper) == (midnight(day), midnight(day + DAY))
    offer = await city.db.fetch_value("SELECT lower(during) FROM booking.booking WHERE state = 'reserved'")
    assert offer == slots(day)[0]
    for part in PARTS:
        for what in SPANS:
            window_wanted = QueueWindow(day, part, what).bounds(ZONE.key)
            assert window_between(*window_wanted, ZONE.key) == (
                QueueWindow(day, part, what) if what == "part" else QueueWindow(day, "morning", what)
            )


async def test_it_is_open_day_and_night(city: Environment, app: Litestar) -> None:
    page = html.unescape((await Browser(app).get(f"/clinic/{ONLINE}/clinic-1")).text)
    assert "Open now, until 12:00 am E" in re.sub("<[^>]+>", "", page)
    about = html.unescape((await Browser(app).get(f"/doctor/{PROVIDER}/dr-1?about")).text)
    assert "12:00 am – 12:00 am" in about
