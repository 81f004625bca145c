"""Where search takes it from the shifts that services fit, against the chart."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from healthplus.database import Range
from tests.search.trial import Trial, take_too_far

FITS = "SELECT search.surely_fits($1, $2, $3, $4, $5, $6, $7)"
LEAVE = "INSERT INTO schedule.leave (provider_id, clinic_id, during, reason) VALUES ($1, $2, $3, $4::integer::text)"
WITHHELD = """INSERT INTO booking.ticket (provider_id, number, patient_id, clinic_id, queue_window, slots_needed, state,
    joined_at, expires_at, present_at, withheld_seat, withheld_during)
SELECT $1, 1000 + $4, 1, $2, during, 1, 'waiting', now(), 'infinity', now(), 1, during
FROM CAST($3 AS tstzrange) AS during"""
ROOM: dict[str, tuple[str, str]] = {
    "shifts have room for anything": ("least(p_last_minute, last_start)", "p_last_minute"),
    "what is booked leaves room": ("occupies AND", "false AND"),
    "leave leaves room": ("FROM schedule.leave WHERE", "FROM schedule.leave WHERE false AND"),
    "what is kept for those who wait leaves room": ("state = 'waiting'", "false"),
    "every slot is a start": ("slot_minutes * (need).starts_every AS step", "slot_minutes AS step"),
    "every day is one": ("directory.is_weekday_of((need).weekdays, weekday)", "true"),
}
"""What a day may be thought to have room for, and is not: in surely_fits, what is replaced by what."""


def look_at_days(trial: Trial) -> tuple[set[tuple[int, int, date]], int]:
    """Return the days on which services surely fit at some hours, and how often more do; fail where they do not fit."""
    sure, more = set(), 0
    for post in trial.posts:
        zone = ZoneInfo(post["time_zone"])
        today = trial.now.astimezone(zone).date()
        for service in trial.services_at(post):
            starts = [at.astimezone(zone) for at in trial.starts(post, (service["service_id"],))]
            for day in (today + timedelta(days=ahead) for ahead in range(1, post["max_booking_days"])):
                first = trial.random.choice([0, 545, 610, 800])
                last = first + trial.random.choice([10, 35, 100, 1439])
                fits = any(at.date() == day and first <= at.hour * 60 + at.minute <= last for at in starts)
                offset = datetime.combine(day, time(), zone).utcoffset() or timedelta()
                where = post["provider_id"], post["clinic_id"], day.toordinal() - date(1970, 1, 1).toordinal()
                minutes = int(offset.total_seconds()) // 60, first, last
                if trial.run(trial.db.fetch_value(FITS, *where, *minutes, [service["service_id"]])):
                    assert fits, (day, minutes, dict(service))
                    sure.add((post["provider_id"], post["clinic_id"], day))
                else:
                    more += fits
    return sure, more


def is_wrong(trial: Trial) -> bool:
    try:
        look_at_days(trial)
    except AssertionError:
        return True
    return False


@pytest.mark.breaks_invariants
def test_services_surely_fit_only_where_the_chart_has_room(trial: Trial) -> None:
    trial.run(trial.db.execute("DELETE FROM schedule.shift WHERE valid <> daterange(NULL, NULL)"))  # no regular week
    for _ in range(4):
        trial.happen("book")
    looks = [look_at_days(trial) for _ in range(5)]
    sure = set[tuple[int, int, date]]().union(*(days for days, _ in looks))
    assert len(sure) > 15
    assert any(more for _, more in looks)  # where something is taken, the book is asked
    # On whole days, a provider is away, or the one seat is kept for those who wait.
    for number, (provider, clinic, day) in enumerate(sorted(sure)[:20]):
        stretch = Range(datetime.combine(day, time(), UTC) - timedelta(hours=12), datetime.combine(day, time(22), UTC))
        trial.run(trial.db.execute((LEAVE, WITHHELD)[number % 2], provider, clinic, stretch, number))
    trial.look()
    look_at_days(trial)
    for name, (right, wrong) in ROOM.items():
        source = take_too_far(trial, "surely_fits", right, wrong)
        assert any(is_wrong(trial) for _ in range(3)), name
        trial.run(trial.db.execute(source))
