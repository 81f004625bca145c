"""When patients are told that their doctor runs late, what that costs them, and how far off it was."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.notices.delays import Delays
from healthplus.web.languages import ENGLISH, HOME_ZONE
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.fixtures.terms import make_terms
from tests.web.client import Browser
from tests.web.staff import log_in, words

pytestmark = pytest.mark.dates
NAMES = ("asha", "bina", "chand")
_TOLD = "SELECT patient_id, count(*) AS notices FROM notices.notice WHERE kind = 'running_late' GROUP BY 1 ORDER BY 1"


@pytest.fixture
async def bookings(environment: Environment, db: Database) -> dict[str, UUID]:
    """Appointments at one, half past one and two, paid at the clinic, of patients with phones; it is five to one."""
    found = {}
    for name, minute in zip(NAMES, (0, 30, 60), strict=True):
        held = await environment.hold(environment.instant(13, minute), AT_CLINIC, name)
        assert held.booking_id, held
        booked = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
        assert booked.code == "booked"
        found[name] = held.booking_id
    await db.execute("UPDATE accounts.patient SET takes_sms = true, phone = '+91981234567' || (patient_id % 10)")
    await environment.pass_until(environment.instant(12, 55))
    return found


async def record(environment: Environment, booking: UUID, *acts: str) -> None:
    for act in acts:
        code = await environment.db.fetch_value(
            "SELECT code FROM reception.record($1, $2, $3, $4, 'staff:1')", PROVIDER, booking, AT_CLINIC, act
        )
        assert code == "recorded", act


async def expected(environment: Environment) -> dict[UUID, datetime]:
    rows = await environment.db.fetch(
        "SELECT booking_id, expected_at FROM reception.session, reception.expected_of(session, public.app_now())"
    )
    return {row["booking_id"]: row["expected_at"] for row in rows}


async def call_asha_late(environment: Environment, bookings: dict[str, UUID], minute: int) -> None:
    """Have her be called and go in at so many minutes past one."""
    await record(environment, bookings["asha"], "arrive")
    await environment.pass_until(environment.instant(13, minute))
    await record(environment, bookings["asha"], "call", "enter")


async def test_starts_are_expected_by_the_slot_and_then_by_the_visits_of_the_session(
    environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    await call_asha_late(environment, bookings, 5)
    found = await expected(environment)
    late = {name: found[bookings[name]] - environment.instant(13, 0) for name in ("bina", "chand")}
    # A slot is half an hour; she went in at five past, and who comes then is seen when they are free.
    assert {name: round(one / timedelta(minutes=1)) for name, one in late.items()} == {"bina": 35, "chand": 65}
    # With three visits of four minutes each, those say how long one takes.
    pace = "SELECT reception.pace_of(session, public.app_now()) FROM reception.session"
    await environment.pass_time(minutes=4)
    await record(environment, bookings["asha"], "finish")
    for name in ("bina", "chand"):
        assert await db.fetch_value(pace) == timedelta(minutes=30)
        await record(environment, bookings[name], "arrive", "call", "enter")
        await environment.pass_time(minutes=4)
        await record(environment, bookings[name], "finish")
    assert timedelta(minutes=4) <= await db.fetch_value(pace) < timedelta(minutes=5)


async def test_a_patient_is_told_once_by_text_and_on_their_page_and_is_then_not_late(
    app: Litestar, environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    await call_asha_late(environment, bookings, 22)
    delays = Delays(db)
    await delays.tell()  # or the app itself is at it
    await until(partial(db.fetch_value, f"SELECT count(*) = 2 FROM ({_TOLD}) AS told"))
    told = await db.fetch(_TOLD)
    # Both are expected 22 minutes after their time; who is in the room is told nothing.
    assert [tuple(row) for row in told] == [(environment.ids["bina"], 1), (environment.ids["chand"], 1)]
    come = await db.fetch_value("SELECT come_at FROM reception.told WHERE booking_id = $1", bookings["bina"])
    assert come == environment.instant(13, 50)
    browser = Browser(app, environment.tokens["bina"])
    said = f"Running 22 min late: come at {ENGLISH.clock(come, HOME_ZONE)}."
    for path in (f"/appointments/{PROVIDER}/{bookings['bina']}", "/appointments"):
        assert said in words(await browser.get(path))
    own = words(await browser.get(f"/appointments/{PROVIDER}/{bookings['bina']}"))
    assert f"Arrive by {ENGLISH.clock(come, HOME_ZONE)} Give" in own
    await environment.pass_time(minutes=2)
    await delays.tell()
    assert [row["notices"] for row in await db.fetch(_TOLD)] == [1, 1]
    # They are waited for a while after that, when their time is over: it is not past.
    waited = "SELECT reception.waited_for_until(booking, public.app_now()) FROM booking.booking WHERE booking_id = $1"
    assert await db.fetch_value(waited, bookings["bina"]) == environment.instant(14, 5)
    # At five to two she is in time, as she was told ten to; without that, twenty-five minutes would be late.
    await environment.pass_until(environment.instant(13, 55))
    await record(environment, bookings["bina"], "arrive")
    line = (
        "SELECT line FROM reception.session, reception.lines_of(provider_id, session_id) AS lines WHERE booking_id = $1"
    )
    assert await db.fetch_value(line, bookings["bina"]) == "booked"
    assert await db.fetch_value("SELECT come_at FROM reception.call_entry WHERE kind = 'arrived' AND token = 2") == come
    page = await browser.get(f"/appointments/{PROVIDER}/{bookings['bina']}")
    assert "A-002" in page.text
    assert f"/doctor/{PROVIDER}/calls/" in page.text
    assert "Running" not in words(page)
    # Afterwards it is known how far off that was.
    await record(environment, bookings["asha"], "finish")
    await record(environment, bookings["bina"], "call")
    off = await db.fetch_row(
        "SELECT patients, minutes_off FROM reception.told_errors($1, tstzrange(NULL, NULL))", AT_CLINIC
    )
    assert off is not None
    assert off["patients"] == 1
    assert 0 <= off["minutes_off"] < 10


_LEAVE_HOME = "SELECT come_at FROM reception.leave_home($1, $2)"


async def test_who_was_told_a_later_time_keeps_it_whatever_their_page_says_then(
    environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    await call_asha_late(environment, bookings, 29)
    await Delays(db).tell()
    chand = PROVIDER, bookings["chand"]
    told = "SELECT come_at FROM reception.told WHERE booking_id = $1"
    assert await db.fetch_value(told, bookings["chand"]) == environment.instant(14, 25)
    # Asha was quick, and Bina is, too.
    await record(environment, bookings["asha"], "finish")
    await record(environment, bookings["bina"], "arrive", "call", "enter")
    await environment.pass_until(environment.instant(13, 45))
    assert await db.fetch_value(_LEAVE_HOME, *chand) is None
    await environment.pass_until(environment.instant(14, 12))
    await record(environment, bookings["bina"], "finish")
    await db.execute("SELECT reception.tell($1, $2, $3, $3, false, public.app_now())", *chand, environment.instant(14))
    assert await db.fetch_value(told, bookings["chand"]) == environment.instant(14, 25)
    # Who comes a quarter of an hour after what they were texted is in time.
    await environment.pass_until(environment.instant(14, 39))
    await record(environment, bookings["chand"], "arrive")
    line = "SELECT line FROM reception.session, reception.lines_of(provider_id, session_id)"
    assert await db.fetch_value(line) == "booked"


async def test_a_clinic_that_records_no_calls_tells_nobody_to_come_late(
    environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    async def nobody_is_told() -> bool:
        await Delays(db).tell()
        assert await db.fetch_value(_LEAVE_HOME, PROVIDER, bookings["chand"]) is None
        rows = "SELECT (SELECT count(*) FROM reception.told) + (SELECT count(*) FROM booking.delay)"
        return bool(await db.fetch_value(rows) == 0 and not await db.fetch(_TOLD))

    for name, minute in (("asha", 0), ("bina", 30)):
        await environment.pass_until(environment.instant(13, minute))
        await record(environment, bookings[name], "arrive")
    await environment.pass_until(environment.instant(13, 59))
    assert await nobody_is_told()
    # Nor is it believed for long: of what was called two hours ago, somebody has forgotten to say that it is over.
    await db.execute("UPDATE reception.attendance SET calls = ARRAY[public.app_now() - interval '2 hours']")
    assert await nobody_is_told()
    await db.execute("UPDATE reception.attendance SET calls = ARRAY[public.app_now() - interval '20 minutes']")
    await environment.pass_time(minutes=1)
    await Delays(db).tell()
    assert [row["patient_id"] for row in await db.fetch(_TOLD)] == [environment.ids["chand"]]


async def test_a_page_and_the_texts_note_the_same_delay_in_one_order(
    environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    await call_asha_late(environment, bookings, 25)
    await environment.pass_until(environment.instant(13, 29))
    await record(environment, bookings["bina"], "arrive")
    await environment.pass_until(environment.instant(14, 2))
    chand = PROVIDER, bookings["chand"]
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )

    async def is_waiting() -> bool:
        return bool(await db.fetch_value(waiting))

    # The two steps of those who text, and a page that is opened in between.
    async with db.transaction() as texts:
        await texts.execute("SELECT booking.note_delay($1, ARRAY[$2::uuid], public.app_now())", *chand)
        page = asyncio.create_task(db.fetch_value(_LEAVE_HOME, *chand))
        await until(is_waiting)
        come = environment.instant(14, 40)
        await texts.execute("SELECT reception.tell($1, $2, $3, $3, true, public.app_now())", *chand, come)
    assert await page is not None


async def test_the_desk_sees_the_times_that_patients_see(
    app: Litestar, environment: Environment, bookings: dict[str, UUID], db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    await call_asha_late(environment, bookings, 22)
    for minute, told in ((23, ("bina", "chand")), (75, ("chand",))):  # by then bina is late herself
        await environment.pass_until(environment.instant(13, minute))
        desk = await log_in(app, db, "desk", AT_CLINIC, f"desk.{minute}")
        order = words(await desk.get(f"/desk/{AT_CLINIC}/order/{PROVIDER}"))
        for name, hour in (("bina", "1:30"), ("chand", "2:00")):
            page = words(await Browser(app, environment.tokens[name]).get(f"/appointments/{PROVIDER}/{bookings[name]}"))
            own = re.search(r"Running \d+ min late: come at ([\d:]+)", page)
            shown = re.search(rf"{name}.{{0,20}}{hour} pm, expected at ([\d:]+)", order)
            assert (own and own[1]) == (shown and shown[1])
            assert bool(own) == (name in told)


async def test_who_has_turned_reminders_off_is_not_texted(
    environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    await db.execute(
        "INSERT INTO notices.preference (patient_id, language, reminds_by_text) VALUES ($1, 'en', false)",
        environment.ids["bina"],
    )
    await call_asha_late(environment, bookings, 22)
    await Delays(db).tell()
    assert [row["patient_id"] for row in await db.fetch(_TOLD)] == [environment.ids["chand"]]
    assert await db.fetch_value("SELECT array_agg(booking_id) FROM reception.told") == [bookings["chand"]]


_KEPT = """
SELECT (booking.cancelling(
    jsonb_populate_record(booking, jsonb_build_object('funding', 'online', 'terms_id', $2::bigint)), $3)).kept_minor
FROM booking.booking WHERE booking_id = $1
"""


async def test_more_than_half_an_hour_late_costs_nothing(
    environment: Environment, bookings: dict[str, UUID], db: Database
) -> None:
    chand = bookings["chand"], await make_terms(db, {48: "100%"}), environment.instant(13, 30)
    await call_asha_late(environment, bookings, 25)
    await Delays(db).tell()
    assert await db.fetch_value(_KEPT, *chand) > 0
    # She is still in there when her slot's time is over: who comes at two is seen half an hour after the next.
    await environment.pass_until(environment.instant(13, 29))
    await record(environment, bookings["bina"], "arrive")
    await environment.pass_until(environment.instant(13, 59))
    await Delays(db).tell()
    assert await db.fetch_value("SELECT count(*) FROM booking.delay") == 0  # by twenty-nine minutes
    await environment.pass_until(environment.instant(14, 2))
    await Delays(db).tell()
    assert await db.fetch_value(_KEPT, *chand) == 0
