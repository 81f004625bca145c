"""Read shifts as people write them (`Mo-Fr 09:00 AM - 01:00 PM`) into the text of `healthplus.schedule.shift_text`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from healthplus.directory.weekdays import ALL_DAYS, DAYS, days_text, in_bits
from healthplus.errors import BadInput

SLOT_MINUTES = 15
"""How long slots are where a file does not say."""
_DAY = (
    r"(?:mo(?:n(?:day)?)?|tu(?:e(?:s(?:day)?)?)?|we(?:d(?:nesday)?)?|th(?:u(?:r(?:s(?:day)?)?)?)?|fr(?:i(?:day)?)?|"
    r"sa(?:t(?:urday)?)?|su(?:n(?:day)?)?)"
)
_DAYS = rf"{_DAY}(?:\s*(?:-|to|,|&|and)\s*{_DAY})*"
_TIME = r"\d{1,2}(?:[:.]\d{2}(?:\s*[ap]\.?m\.?)?|\s*[ap]\.?m\.?)"
_SPAN = rf"{_TIME}\s*(?:-|to)\s*{_TIME}"
_PART = re.compile(
    rf"(?:(?P<days>{_DAYS}|daily|all days|everyday|every day|24/7)[\s:,]*)?"
    rf"(?P<spans>{_SPAN}(?:\s*(?:,|&|and)\s*{_SPAN})*)?"
    r"(?P<rest>\s*/\s*\d{1,3}(?:\s+\w+=\d{1,3})*)?"
)
_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(?:([ap])\.?m\.?)?")
_MIDNIGHT = 24 * 60
_NIGHT_MINUTES_MAX = 14 * 60
"""What ends earlier than it starts and would last longer, lacks its am and pm rather than going on after midnight."""


def canonical_shifts(text: str) -> tuple[str, list[str]]:
    """Return the text that `parse_shifts` reads, and what had to be assumed for it; raises BadInput."""
    parts: list[str] = []
    assumed: dict[str, None] = {}
    plain = re.sub("[\u2010-\u2015\u2212]", "-", text.lower())
    for part in filter(None, map(str.strip, re.split(r"[;|]", plain))):
        found = _PART.fullmatch(part)
        if found is None or not (found["spans"] or found["days"] == "24/7"):
            raise BadInput(f"{part[:60]!r} does not read like 'Mon-Fri 09:00-13:00/10 seats=4 slots_max=2'")
        if not found["days"]:
            assumed["no days are said: taken for every day"] = None
        if not found["rest"]:
            assumed[f"no length is said: slots of {SLOT_MINUTES} minutes"] = None
        rest = re.sub(r"\s*/\s*", "/", found["rest"] or f"/{SLOT_MINUTES}")
        days = _days(found["days"])
        for span in re.findall(_SPAN, found["spans"] or "00:00-24:00"):
            parts += [f"{days_text(on)} {_written(*times)}{rest}" for on, times in _split(days, *_minutes(span))]
    return "; ".join(parts), list(assumed)


def _days(text: str | None) -> int:
    if text is None or not re.match(_DAY, text):
        return ALL_DAYS
    numbers: list[int] = []
    for part in re.split(r"\s*(?:,|&|\band\b)\s*", text):
        ends = [DAYS.index(day[:3] if len(day) > 2 else _full(day)) for day in re.split(r"\s*(?:-|\bto\b)\s*", part)]
        first, last = ends[0], ends[-1]
        # Sat-Mon runs over the end of the week.
        numbers += [(first + more) % 7 + 1 for more in range((last - first) % 7 + 1)]
    return in_bits(numbers)


def _full(day: str) -> str:
    return next(known for known in DAYS if known.startswith(day))


def _minutes(span: str) -> tuple[int, int]:
    starts, ends = ((int(hour), int(minute or 0), half) for hour, minute, half in _CLOCK.findall(span))
    if ends[2] and not starts[2]:
        raise BadInput(f"{span.strip()!r}: say am or pm of both times")
    return _time(*starts, span), _time(*ends, span)


def _time(hour: int, minute: int, half: str, span: str) -> int:
    if half and not 1 <= hour <= 12:
        raise BadInput(f"{span.strip()!r}: am and pm go with 1 to 12")
    at = (hour % 12 + (12 if half == "p" else 0) if half else hour) * 60 + minute
    if minute > 59 or at > _MIDNIGHT:
        raise BadInput(f"{span.strip()!r} is no time of day")
    return at


def _split(days: int, starts: int, ends: int) -> Iterable[tuple[int, tuple[int, int]]]:
    """Yield a shift's days and times: one that goes on after midnight is two, the second of them a day later."""
    if starts < ends:
        yield days, (starts, ends)
        return
    if _MIDNIGHT - starts + ends > _NIGHT_MINUTES_MAX:
        raise BadInput(f"{_written(starts, ends)} ends before it starts")
    if starts < _MIDNIGHT:
        yield days, (starts, _MIDNIGHT)
    if ends:
        yield (days << 1 | days >> 6) & ALL_DAYS, (0, ends)


def _written(starts: int, ends: int) -> str:
    return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (starts, ends))
