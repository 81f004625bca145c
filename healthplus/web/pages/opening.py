"""When a clinic is open, as pages say it: its week's hours, and whether it is open now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

_ORDINARY = date(2001, 1, 1)
"""A day on which nobody's clocks changed."""

_EMERGENCY = re.compile(r"\bemergency\b|\bcasualty\b", re.IGNORECASE)
_ALWAYS = re.compile(r"\bday and night\b|\b24\b|\b24[ -]?(x|×|h)|round[ -]the[ -]clock", re.IGNORECASE)

Hours = Sequence[dict[str, Any]]
"""Stretches with weekday (1 is Monday), start and end, as the directory's documents have them."""


class Days(NamedTuple):
    """Weekdays in a row with the same hours; closed days have no stretches."""

    first: int
    last: int
    stretches: tuple[tuple[datetime, datetime], ...]


class Opening(NamedTuple):
    """`closes_at`: when the stretch of now ends, None when closed. `opens_at`: when the next one begins."""

    closes_at: datetime | None
    opens_at: datetime | None
    is_open_today: bool


def has_emergency(facilities: Iterable[str]) -> bool:
    """Return whether a place says that it takes emergencies at every hour, as in "Emergency, day and night"."""
    return any(_EMERGENCY.search(one) and _ALWAYS.search(one) for one in facilities)


def week(hours: Hours, time_zone: str) -> list[Days]:
    """Return a week's hours, with days that are alike together; of the instants only the times of day count."""
    midnight = datetime.combine(_ORDINARY, time(), ZoneInfo(time_zone))
    days = [(day, tuple(_stretches(hours, day, midnight))) for day in range(1, 8)]
    alike = [list(group) for _, group in groupby(days, lambda day: day[1])]
    return [Days(group[0][0], group[-1][0], group[0][1]) for group in alike]


def opening(hours: Hours, now: datetime, time_zone: str) -> Opening:
    """Return whether a clinic with these hours is open now, and until or from when."""
    midnight = _midnight(now, time_zone)
    closes_at = None
    is_open_today = False
    for ahead in range(8):
        day = midnight + timedelta(days=ahead)
        for starts, ends in _stretches(hours, day.isoweekday(), day):
            is_open_today |= ahead == 0
            if starts > now:
                return Opening(closes_at, starts, is_open_today)
            if ends > now:
                closes_at = ends
    return Opening(closes_at, None, is_open_today)


def _midnight(now: datetime, time_zone: str) -> datetime:
    return datetime.combine(now.astimezone(ZoneInfo(time_zone)).date(), time(), ZoneInfo(time_zone))


def _stretches(hours: Hours, weekday: int, midnight: datetime) -> Iterator[tuple[datetime, datetime]]:
    for stretch in hours:
        if stretch["weekday"] == weekday:
            yield _at(midnight, stretch["start"]), _at(midnight, stretch["end"])


def _at(midnight: datetime, text: str) -> datetime:
    hour, minute = map(int, text.split(":"))  # a day may end at 24:00
    return midnight + timedelta(hours=hour, minutes=minute)
