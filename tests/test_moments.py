"""The moments of `make test-dates`: each is what it says, and clocks begin there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from healthplus.database import Database
from tests.fixtures.clock import VARIABLE, move_clock, product_now, start_clock
from tests.moments import INDIA, MOMENTS, NEW_YORK, Moment

SOON = timedelta(seconds=10)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.text)
def test_each_is_a_time_of_day_in_one_of_the_two_zones(moment: Moment) -> None:
    at = datetime.fromisoformat(moment.at)
    offsets = [at.replace(tzinfo=ZoneInfo(zone)).utcoffset() for zone in (INDIA, NEW_YORK)]
    assert at.utcoffset() in offsets
    assert moment.why
    ZoneInfo(moment.zone)


def test_one_that_has_passed_comes_again() -> None:
    passed = Moment("1996-02-29T10:00+05:30", INDIA, "")
    again = datetime.fromisoformat(passed.at)
    assert (again.month, again.day, again.isoweekday()) == (2, 29, 4)
    assert again.year > 2023


async def test_clocks_begin_at_the_moment_and_are_moved_from_there(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2032, 2, 29, 4, 30, tzinfo=UTC)
    monkeypatch.setenv(VARIABLE, "2032-02-29T10:00+05:30")
    await start_clock(db)
    assert timedelta() <= await product_now(db) - moment < SOON
    await move_clock(db, days=1)
    await move_clock(db, hours=1)
    assert timedelta() <= await product_now(db) - moment - timedelta(days=1, hours=1) < SOON
    await start_clock(db)
    assert timedelta() <= await product_now(db) - moment < SOON
    monkeypatch.delenv(VARIABLE)
    await move_clock(db, hours=1)
    await start_clock(db)
    real: datetime = await db.fetch_value("SELECT clock_timestamp()")
    assert timedelta() <= await product_now(db) - real < SOON
