"""Read weekly shifts from text: `Mon-Fri 09:00-13:00/10; Sat 10:00-12:00/15 seats=4 slots_max=2`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from healthplus.directory.weekdays import DAYS, parse_days
from healthplus.errors import BadInput
from healthplus.text import identifier

_SHIFT = re.compile(
    r"(?P<days>[a-z,-]+)\s+(?P<starts>\d\d?:\d\d)-(?P<ends>\d\d?:\d\d)/(?P<slot_minutes>\d{1,3})"
    r"(?:\s+seats=(?P<seats>\d{1,3}))?(?:\s+slots_max=(?P<slots_max>\d{1,3}))?"
)


class Shift(msgspec.Struct, frozen=True, order=True):
    """One weekly shift. `starts` and `ends` are minutes after midnight, at the clinic."""

    weekday: int
    starts: int
    ends: int
    slot_minutes: int
    seats: int = 1
    slots_max: int = 1

    def __str__(self) -> str:
        return f"{DAYS[self.weekday - 1].title()} {_clock(self.starts)}-{_clock(self.ends)}"


def parse_shifts(text: str) -> tuple[Shift, ...]:
    """Return the shifts of a text in order of time; raises BadInput when it does not parse or two of them overlap."""
    parts = (part.strip() for part in identifier(text).split(";"))
    shifts = tuple(sorted(shift for part in parts if part for shift in _parse(part)))
    if clash := first_overlap(shifts):
        raise BadInput(f"shifts: {clash[0]} and {clash[1]} overlap")
    return shifts


def first_overlap(shifts: Iterable[Shift]) -> tuple[Shift, Shift] | None:
    """Return the first two of one provider's shifts that overlap, or None."""
    for earlier, later in pairwise(sorted(shifts)):
        if earlier.weekday == later.weekday and later.starts < earlier.ends:
            return earlier, later
    return None


def _parse(part: str) -> list[Shift]:
    found = _SHIFT.fullmatch(part.lower())
    if found is None:
        raise BadInput(f"shifts: {part!r} does not read like 'Mon-Fri 09:00-13:00/10 seats=4 slots_max=2'")
    starts, ends = _minutes(found["starts"]), _minutes(found["ends"])
    slot_minutes, seats, slots_max = int(found["slot_minutes"]), int(found["seats"] or 1), int(found["slots_max"] or 1)
    if not 5 <= slot_minutes <= 480:
        raise BadInput(f"shifts: {part!r} has slots of {slot_minutes} minutes; 5 to 480 are possible")
    if ends - starts < slot_minutes:
        raise BadInput(f"shifts: {part!r} is too short for one slot, or ends before it starts")
    if not (1 <= seats <= 100 and 1 <= slots_max <= 20):
        raise BadInput(f"shifts: {part!r} must have 1 to 100 seats and slots_max between 1 and 20")
    return [Shift(day, starts, ends, slot_minutes, seats, slots_max) for day in _days(found["days"])]


def _days(text: str) -> list[int]:
    try:
        return parse_days(text)
    except BadInput as problem:
        raise BadInput(f"shifts: {problem}") from None


def _minutes(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    if minute > 59 or hour * 60 + minute > 24 * 60:
        raise BadInput(f"shifts: {clock!r} is no time of day")
    return hour * 60 + minute


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
