"""Read and write days of the week: `Mon`, `Mon-Fri`, `Mon,Wed,Fri`."""

from __future__ import annotations

from collections.abc import Iterable

from healthplus.errors import BadInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS = 127
"""All days as bits; Monday's is the lowest."""


def parse_days(text: str) -> list[int]:
    """Return the days of a text as ISO 8601 numbers them, Monday being 1; raises BadInput when it names none."""
    days: list[int] = []
    for part in text.split(","):
        first, _, last = part.lower().partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise BadInput(f"{part!r} is no day or range of days; write Mon, Mon-Fri or Mon,Wed")
        start, end = DAYS.index(first), DAYS.index(last or first)
        if end < start:
            raise BadInput(f"{part!r} runs backwards; a week starts with Mon")
        days += range(start + 1, end + 2)
    return days


def in_bits(days: Iterable[int]) -> int:
    """Return the days as bits of a number, as directory.service has them."""
    return sum({1 << (day - 1) for day in days})


def has_day(bits: int, day: int) -> bool:
    """Return whether a day, as ISO 8601 numbers it, is among those that are the bits of a number."""
    return bool(bits >> (day - 1) & 1)


def days_text(bits: int) -> str:
    """Return the text of days that are the bits of a number; parse_days reads it."""
    parts: list[str] = []
    day = 0
    while day < len(DAYS):
        end = day
        while end < len(DAYS) and has_day(bits, end + 1):
            end += 1
        if end - day > 2:
            parts.append(f"{DAYS[day].title()}-{DAYS[end - 1].title()}")
        else:
            parts += [name.title() for name in DAYS[day:end]]
        day = end + 1
    return ",".join(parts)
