"""Times that the desk has for itself: always, or until some hours before the shift begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.active_reservations import ActiveReservations
from healthplus.booking.book import Book, Shift
from healthplus.booking.outcomes import Refused
from healthplus.database import Database
from tests.fixtures.clock import days_ahead, freeze_clock, move_clock_to, set_clock
from tests.fixtures.directory import DAILY, make_city, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients

pytestmark = pytest.mark.dates

DESK = Staff(7)
HALF = timedelta(minutes=30)


async def share(db: Database, provider_id: int, release_hours: int | None, starts: time = time()) -> None:
    await db.execute(
        "UPDATE schedule.shift SET release_hours = $2, released_until = NULL WHERE provider_id = $1 AND starts >= $3",
        provider_id,
        release_hours,
        starts,
    )


async def a_doctor(db: Database, release_hours: int | None, starts: time = time()) -> tuple[int, int, datetime]:
    """Make a doctor with two slots a day in the morning and two at noon; return ids, and the first of the third day."""
    clinic = await make_clinic(db)
    provider = await make_provider(db, {clinic: (40000, "clinic")})
    await make_shift(db, provider, clinic, DAILY, time(9), time(10), 30)
    await make_shift(db, provider, clinic, DAILY, time(12), time(13), 30)
    await share(db, provider, release_hours, starts)
    return provider, clinic, await days_ahead(db, 3, time(9))


async def next_free(db: Database, provider_id: int) -> datetime | None:
    at: datetime | None = await db.fetch_value(
        "SELECT next_free_at FROM booking.book WHERE provider_id = $1", provider_id
    )
    return at


@pytest.mark.parametrize("release_hours", [0, 24])
async def test_only_the_desk_gives_a_time_that_it_has_for_itself(db: Database, release_hours: int) -> None:
    provider, clinic, start = await a_doctor(db, release_hours)
    patient, caller = await make_patients(db, 2)
    book = Book(db)
    refused = await book.hold(provider, clinic, start, 1, patient, Patient(patient))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.reason) == ("no_such_slot", "desk_only")
    waiting = await book.join_queue(provider, clinic, start, start + 2 * HALF, 1, patient, Patient(patient))
    assert waiting.code == "no_such_slot"
    chart = "SELECT count(*) FROM booking.chart($1, $2, $3, $4, 1, NULL, NULL, public.app_now())"
    assert await db.fetch_value(chart, provider, clinic, start, start + timedelta(days=1)) == 0
    held = await book.hold(provider, clinic, start, 1, caller, DESK)
    assert held.code == "reserved"
    assert (await book.hold(provider, clinic, start, 1, patient, DESK)).code == "slot_held"
    assert held.booking_id
    assert (await book.reschedule(provider, held.booking_id, start + HALF, DESK)).code == "moved"
    own = await book.reschedule(provider, held.booking_id, start, Patient(caller))
    assert isinstance(own, Refused)
    assert own.reason == "desk_only"


async def test_times_are_released_to_those_who_wait_first(db: Database) -> None:
    provider, clinic, start = await a_doctor(db, 24, time(12))
    noon = start + timedelta(hours=3)
    first, second, waiter, late = await make_patients(db, 4)
    book = Book(db)
    await freeze_clock(db)
    await set_clock(db, noon - timedelta(hours=24, seconds=20))
    for patient, at in ((first, start), (second, start + HALF)):
        assert (await book.hold(provider, clinic, at, 1, patient, Patient(patient))).code == "reserved"
    ticket = await book.join_queue(provider, clinic, start, noon + 2 * HALF, 1, waiter, Patient(waiter))
    assert ticket.code == "waiting"
    assert ticket.ticket_id
    await set_clock(db, noon - timedelta(hours=24, seconds=1))
    await ActiveReservations(db, book).advance_due()
    assert (await book.hold(provider, clinic, noon, 1, late, Patient(late))).code == "no_such_slot"
    await set_clock(db, noon - timedelta(hours=24))
    # It is the loop that releases, so that what is free changes with the book and never with the clock alone.
    assert (await book.hold(provider, clinic, noon, 1, late, Patient(late))).code == "no_such_slot"
    await book.advance(provider)
    accepted = await book.accept(provider, ticket.ticket_id, Patient(waiter))
    assert (accepted.code, accepted.starts_at) == ("accepted", noon)
    assert (await book.hold(provider, clinic, noon + HALF, 1, late, Patient(late))).code == "reserved"
    kinds = "SELECT kind::text, actor FROM booking.event WHERE provider_id = $1 AND kind = 'times_released'"
    assert {tuple(row) for row in await db.fetch(kinds, provider)} == {("times_released", "system:release")}


async def test_what_is_released_is_found(db: Database) -> None:
    provider, _, start = await a_doctor(db, 48)
    await db.execute("SELECT search.refresh_listings(ARRAY[$1::bigint])", provider)
    book = Book(db)
    await book.advance(provider)
    today = await days_ahead(db, 0, time())
    free_at = await next_free(db, provider)
    assert free_at is None or free_at < today + timedelta(days=3)
    await move_clock_to(db, start - timedelta(hours=48) + timedelta(seconds=1))
    seen = await ActiveReservations(db, book).advance_due()
    assert seen > 0
    released = await db.fetch_value(
        "SELECT max(released_until) FROM schedule.shift WHERE provider_id = $1 AND starts = '09:00'", provider
    )
    assert released == start.astimezone(ZoneInfo("Asia/Kolkata")).date()
    assert await next_free(db, provider) is not None
    regular = "SELECT bool_or(regular) FROM search.listing WHERE provider_id = $1"
    assert await db.fetch_value(regular, provider) is False


async def test_a_change_of_a_shift_keeps_what_was_released(db: Database) -> None:
    provider, clinic, start = await a_doctor(db, 200)
    book = Book(db)
    digest = "SELECT schedule.shift_digest(shift) FROM schedule.shift WHERE provider_id = $1 AND shift_id = $2"
    query = "SELECT shift_id, released_until FROM schedule.shift "
    query += "WHERE provider_id = $1 AND weekday = $2 AND starts = '9:00'"
    weekday = start.astimezone(ZoneInfo("Asia/Kolkata")).isoweekday()
    shift = Shift(provider, None, clinic, weekday, time(9), time(10), 30)
    [(shift_id, _)] = await db.fetch(query, provider, weekday)
    before = await db.fetch_value(digest, provider, shift_id)
    await book.advance(provider)
    # A release is no change that who has the shift's form open must know of.
    assert await db.fetch_value(digest, provider, shift_id) == before
    for release_hours, released in ((100, True), (None, False), (0, False), (200, True)):
        changed = msgspec.structs.replace(shift, shift_id=shift_id, release_hours=release_hours)
        assert (await book.change_shift(changed, DESK)).code == "changed"
        assert [row["released_until"] is not None for row in await db.fetch(query, provider, weekday)] == [released]


async def test_a_shift_that_goes_on_as_another_keeps_those_who_wait(db: Database) -> None:
    provider, clinic, start = await a_doctor(db, 200)
    holder, second, waiter = await make_patients(db, 3)
    book = Book(db)
    await book.advance(provider)
    for patient, at in ((holder, start), (second, start + HALF)):
        assert (await book.hold(provider, clinic, at, 1, patient, Patient(patient))).code == "reserved"
    ticket = await book.join_queue(provider, clinic, start, start + 2 * HALF, 1, waiter, Patient(waiter))
    assert ticket.code == "waiting"
    day = start.astimezone(ZoneInfo("Asia/Kolkata")).date()
    query = "SELECT shift_id FROM schedule.shift WHERE provider_id = $1 AND weekday = $2 AND starts = '9:00'"
    shift_id = await db.fetch_value(query, provider, day.isoweekday())
    old = {"weekday": day.isoweekday(), "starts": "09:00", "ends": "10:00", "slot_minutes": 30, "seats": 1}
    shifts = [
        {**old, "shift_id": shift_id, "slots_max": 1, "valid": f"(,{day})", "release_hours": 200},
        {**old, "ends": "11:00", "shift_id": None, "slots_max": 1, "valid": f"[{day},)", "release_hours": 200},
    ]
    changed = await db.fetch_row(
        """SELECT code FROM booking.change_shifts($1::bigint, $2::bigint, '{}', array(
            SELECT jsonb_populate_record(
                NULL::schedule.shift, one || jsonb_build_object('provider_id', $1::bigint, 'clinic_id', $2::bigint))
            FROM jsonb_array_elements($3::jsonb) AS one), false, 'staff:7')""",
        provider,
        clinic,
        shifts,
    )
    assert changed is not None
    assert changed["code"] == "changed"
    state = await db.fetch_value("SELECT state::text FROM booking.ticket WHERE ticket_id = $1", ticket.ticket_id)
    assert state == "waiting"


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(["Asia/Kolkata", "America/New_York", "Pacific/Kiritimati"]),
    weekday=st.integers(1, 7),
    starts=st.integers(0, 22 * 60),
    hours=st.integers(1, 720),
    valid_days=st.none() | st.integers(1, 30),
    at=st.datetimes(datetime(2026, 1, 5), datetime(2026, 12, 20)),  # noqa: DTZ001
)
async def test_due_releases_are_the_last_day_whose_shift_begins_in_time(
    db: Database, zone: str, weekday: int, starts: int, hours: int, valid_days: int | None, at: datetime
) -> None:
    clinic = await make_clinic(db, await make_city(db, zone))
    provider = await make_provider(db, {clinic: (100, "clinic")})
    opens = time(starts // 60, starts % 60)
    await make_shift(db, provider, clinic, weekday, opens, time(23, 59), 10)
    await share(db, provider, hours)
    now = at.replace(tzinfo=UTC)
    today = now.astimezone(ZoneInfo(zone)).date()
    until = None if valid_days is None else today + timedelta(days=valid_days)
    await db.execute("UPDATE schedule.shift SET valid = daterange(NULL, $2) WHERE provider_id = $1", provider, until)
    query = "SELECT day FROM schedule.due_releases($1) WHERE provider_id = $2"
    due = [row["day"] for row in await db.fetch(query, now, provider)]
    begun = (now + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    days: list[date] = [today + timedelta(days=ahead) for ahead in range(valid_days or 40)]
    released = [day for day in days if day.isoweekday() == weekday and datetime.combine(day, opens) <= begun]
    assert due == released[-1:]
    await db.execute("UPDATE schedule.shift SET released_until = $2 WHERE provider_id = $1", provider, today)
    assert await db.fetch_value(f"SELECT count(*) FROM ({query}) AS due", now, provider) == len(
        [day for day in released[-1:] if day > today]
    )
