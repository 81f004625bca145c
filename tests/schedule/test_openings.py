"""Openings against an oracle that does the same sum with zoneinfo, in zones with and without daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.database import Database
from tests.fixtures.directory import make_city, make_clinic, make_provider, make_shift

ZONES = ["Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AROUND_CHANGES = [date(2026, 3, 5), date(2026, 3, 26), date(2026, 4, 2), date(2026, 10, 1), date(2026, 10, 22)]


def instant(day: date, wall: time, zone: str) -> datetime:
    """Return the instant of a wall-clock time as PostgreSQL does.

    A time that does not exist counts by the offset before the change; of one that comes twice, the second is meant.
    """
    local = datetime.combine(day, wall, ZoneInfo(zone))
    exists = local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None)
    return local.replace(fold=1 if exists else 0).astimezone(UTC)


async def add_shift(db: Database, zone: str, weekday: int, starts: time, ends: time, slot_minutes: int) -> int:
    """Make a provider who works one shift a week, in a city of that zone; return its id."""
    clinic_id = await make_clinic(db, await make_city(db, zone))
    provider_id = await make_provider(db, {clinic_id: (100, "clinic")}, max_booking_days=366)
    await make_shift(db, provider_id, clinic_id, weekday, starts, ends, slot_minutes)
    return provider_id


async def starts_of_runs(db: Database, provider_id: int, first: datetime, last: datetime) -> list[datetime]:
    rows = await db.fetch(
        "SELECT starts_at FROM booking.obtainable_runs($1, NULL, $2, $3, 1, $4) ORDER BY starts_at",
        provider_id,
        first,
        last,
        NOW,
    )
    return [row["starts_at"] for row in rows]


@pytest.mark.timeout(120)
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    zone=st.sampled_from(ZONES),
    weekday=st.integers(1, 7),
    minutes=st.tuples(st.integers(0, 1439), st.integers(0, 1439)).filter(lambda pair: abs(pair[0] - pair[1]) >= 45),
    slot_minutes=st.sampled_from([5, 10, 15, 45]),
    first_day=st.sampled_from(AROUND_CHANGES) | st.dates(date(2026, 1, 6), date(2026, 12, 20)),
    days=st.integers(1, 12),
)
async def test_slots_are_those_of_the_wall_clock(
    db: Database,
    zone: str,
    weekday: int,
    minutes: tuple[int, int],
    slot_minutes: int,
    first_day: date,
    days: int,
) -> None:
    starts, ends = (time(*divmod(minute, 60)) for minute in sorted(minutes))
    provider_id = await add_shift(db, zone, weekday, starts, ends, slot_minutes)
    first = datetime.combine(first_day, time(), UTC)
    last = first + timedelta(days=days)

    expected = []
    for offset in range(-1, days + 2):
        day = first_day + timedelta(days=offset)
        if day.isoweekday() != weekday:
            continue
        slot_start, closes = instant(day, starts, zone), instant(day, ends, zone)
        while (slot_end := slot_start + timedelta(minutes=slot_minutes)) <= closes:
            if slot_start >= first and slot_end <= last:
                expected.append(slot_start)
            slot_start = slot_end

    assert await starts_of_runs(db, provider_id, first, last) == expected


async def test_a_spring_night_has_an_hour_less(db: Database) -> None:
    """Berlin's clocks go from 2 to 3 on 29 March 2026, a Sunday: a shift from 1 to 5 has three hours of slots."""
    provider_id = await add_shift(db, "Europe/Berlin", 7, time(1), time(5), 60)
    day = datetime(2026, 3, 29, tzinfo=UTC)
    found = await starts_of_runs(db, provider_id, day - timedelta(days=1), day + timedelta(days=1))
    assert found == [day, day + timedelta(hours=1), day + timedelta(hours=2)]


async def test_a_shift_that_a_spring_night_swallows_is_empty(db: Database) -> None:
    """2:30 does not exist that night and counts as 3:30, which is after 3:10."""
    provider_id = await add_shift(db, "Europe/Berlin", 7, time(2, 30), time(3, 10), 10)
    day = datetime(2026, 3, 29, tzinfo=UTC)
    assert await starts_of_runs(db, provider_id, day - timedelta(days=1), day + timedelta(days=1)) == []


async def test_a_shift_may_last_until_midnight(db: Database) -> None:
    provider_id = await add_shift(db, "Asia/Kolkata", 1, time(23), time(23, 59), 10)
    await db.execute("UPDATE schedule.shift SET ends = '24:00' WHERE provider_id = $1", provider_id)
    monday = datetime(2026, 2, 2, 17, 30, tzinfo=UTC)  # 23:00 in India
    found = await starts_of_runs(db, provider_id, monday - timedelta(days=1), monday + timedelta(days=1))
    assert found == [monday + timedelta(minutes=10 * n) for n in range(6)]
