"""Where the shifts of a week stand in its grid, which has a row for each half hour, and which days have leave."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from healthplus.web.desk.office.forms import DAY_MINUTES

ROW_MINUTES = 30
_FIRST_HOUR, _LAST_HOUR = 8, 19
"""Shown at least."""


class Block(NamedTuple):
    """A shift, from a row on to before another; the first is 1. `is_away`: leave takes all of it."""

    first_row: int
    end_row: int
    shift: dict[str, Any]
    is_away: bool


class Leave(NamedTuple):
    """What of a leave is on a day, in minutes after midnight."""

    starts: int
    ends: int
    leave: dict[str, Any]

    @property
    def is_whole_day(self) -> bool:
        return self.starts == 0 and self.ends == DAY_MINUTES


class Day(NamedTuple):
    day: date
    weekday: int
    blocks: tuple[Block, ...]
    leaves: tuple[Leave, ...]
    elsewhere: tuple[dict[str, Any], ...]


class Grid(NamedTuple):
    """`hours` are those that begin in the grid."""

    hours: range
    days: tuple[Day, ...]
    slots: int
    booked: int


def grid_of(week: dict[str, Any], monday: date, zone: str) -> Grid:
    """Return the grid of a week as console.week answers it."""
    shifts = week["shifts"]
    first = min([_FIRST_HOUR, *(shift["starts"] // 60 for shift in shifts)])
    last = max([_LAST_HOUR, *(-(-shift["ends"] // 60) for shift in shifts)])
    days = []
    for number in range(1, 8):
        day = monday + timedelta(days=number - 1)
        leaves = [_leave_on(leave, day, zone) for leave in week["leaves"]]
        leaves = [one for one in leaves if one.starts < one.ends]
        blocks = [_block(shift, first, leaves) for shift in shifts if shift["weekday"] == number]
        elsewhere = [shift for shift in week["elsewhere"] if shift["weekday"] == number]
        days.append(Day(day, number, tuple(blocks), tuple(leaves), tuple(elsewhere)))
    slots, booked = sum(int(shift["slots"]) for shift in shifts), sum(shift["booked"] for shift in shifts)
    return Grid(range(first, last), tuple(days), slots, booked)


def _block(shift: dict[str, Any], first_hour: int, leaves: list[Leave]) -> Block:
    first_row = (shift["starts"] - first_hour * 60) // ROW_MINUTES + 1
    end_row = -(-(shift["ends"] - first_hour * 60) // ROW_MINUTES) + 1
    is_away = any(one.starts <= shift["starts"] and shift["ends"] <= one.ends for one in leaves)
    return Block(first_row, end_row, shift, is_away)


def _leave_on(leave: dict[str, Any], day: date, zone: str) -> Leave:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    starts, ends = (
        int(
            (
                leave[name].astimezone(ZoneInfo(zone)).replace(tzinfo=None) - midnight.replace(tzinfo=None)
            ).total_seconds()
        )
        // 60
        for name in ("starts_at", "ends_at")
    )
    return Leave(max(0, starts), min(DAY_MINUTES, ends), leave)
