"""What somebody waits for: a part of a day, a day or a week, in the zone of the clinic."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.web.languages import Language

PARTS = {"morning": (0, 12), "afternoon": (12, 17), "evening": (17, 24)}
"""The hours from and before which a slot of each part of a day starts."""
WHAT = ("part", "day", "week")


class Want(NamedTuple):
    """What counts as a match; `what` is one of WHAT."""

    day: date
    part: str
    what: str = "part"

    def window(self, zone: str) -> tuple[datetime, datetime]:
        """Give the instants from and until which a time may be."""
        if self.what == "part":
            begins, ends = PARTS[self.part]
            return _at(self.day, begins, zone), _at(self.day, ends, zone)
        return _at(self.day, 0, zone), _at(self.day, 24 * (7 if self.what == "week" else 1), zone)

    def asked(self, slots_needed: int, anywhere: bool = False) -> dict[str, object]:
        """Give it as the address of a line asks for it; `anywhere`: at any of the provider's clinics."""
        asked = {"day": self.day.isoformat(), "part": self.part, "n": slots_needed, "what": self.what}
        return asked | ({"anywhere": 1} if anywhere else {})

    def text(self, language: Language) -> str:
        """Say it, as "Any morning time, Tue 24 Nov"."""
        day = language.day(self.day)
        if self.what == "week":
            last = language.day(self.day + timedelta(days=6))
            return language.gettext("Any time, %(first)s to %(last)s") % {"first": day, "last": last}
        if self.what == "day":
            return language.gettext("Any time, %(day)s") % {"day": day}
        if self.part == "morning":
            return language.gettext("Any morning time, %(day)s") % {"day": day}
        if self.part == "afternoon":
            return language.gettext("Any afternoon time, %(day)s") % {"day": day}
        return language.gettext("Any evening time, %(day)s") % {"day": day}


def part_of(at: datetime, zone: str) -> str:
    """Give the part of the day in which an instant lies."""
    hour = at.astimezone(ZoneInfo(zone)).hour
    return next(part for part, (_, before) in PARTS.items() if hour < before)


def want_of(wanted_from: datetime, wanted_to: datetime, zone: str) -> Want | None:
    """Give the want whose window this is; None for one that programs asked for."""
    day = wanted_from.astimezone(ZoneInfo(zone)).date()
    wants = [Want(day, part, what) for what in WHAT for part in PARTS]
    return next((want for want in wants if want.window(zone) == (wanted_from, wanted_to)), None)


def window_text(language: Language, wanted_from: datetime, wanted_to: datetime, zone: str) -> str:
    """Say for which times somebody waits."""
    if (want := want_of(wanted_from, wanted_to, zone)) is not None:
        return want.text(language)
    told = {"first": language.moment(wanted_from, zone), "last": language.moment(wanted_to, zone)}
    return language.gettext("Any time, %(first)s to %(last)s") % told


def _at(day: date, hour: int, zone: str) -> datetime:
    days, hour = divmod(hour, 24)
    return datetime.combine(day + timedelta(days=days), time(hour), ZoneInfo(zone)).astimezone(UTC)
