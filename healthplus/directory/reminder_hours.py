"""Read and write how long before an appointment a clinic's patients are reminded: `24h, 2h`, or `off`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from healthplus.errors import BadInput
from healthplus.text import identifier

OFF = "off"
HOURS_MAX = 168
COUNT_MAX = 4


def parse_reminder_hours(text: str) -> list[int]:
    """Return the hours, the most first; none for `off`. Raises BadInput."""
    text = identifier(text)
    if text.lower() == OFF:
        return []
    hours = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,4})\s*h", part.strip(), re.ASCII)
        if found is None or not 1 <= int(found[1]) <= HOURS_MAX:
            raise BadInput(
                f"{part.strip()!r} is no time before an appointment; write `24h, 2h`, from 1h to 168h, or off"
            )
        hours.append(int(found[1]))
    if len(set(hours)) > COUNT_MAX:
        raise BadInput(f"{len(set(hours))} reminders are too many; {COUNT_MAX} at most")
    return sorted(set(hours), reverse=True)


def reminder_text(hours: Sequence[int]) -> str:
    """Return what `parse_reminder_hours` reads."""
    return ", ".join(f"{hour}h" for hour in hours) or OFF
