"""The queue windows that pages offer: a part of a day, a day or a week, in the clinic's zone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup

from healthplus.web.languages import Language

PARTS = {"morning": (0, 12), "afternoon": (12, 17), "evening": (17, 24)}
"""For each part of a day: its slots start from the first hour on, and before the second."""
SPANS = ("part", "day", "week")


class QueueWindow(NamedTuple):
    """When a ticket's time may be: on `day`, in its `part`, or as far as the `span`, one of SPANS, reaches."""

    day: date
    part: str
    span: str = "part"

    def with_part_among(self, parts: Collection[str]) -> QueueWindow:
        """Return it with the first of these parts of the day, unless its own is one of them or there are none."""
        return self if self.part in parts or not parts else self._replace(part=min(parts, key=list(PARTS).index))

    def bounds(self, zone: str) -> tuple[datetime, datetime]:
        """Return the instants from and until which a time may be."""
        if self.span == "part":
            begins, ends = PARTS[self.part]
            return _at(self.day, begins, zone), _at(self.day, ends, zone)
        return _at(self.day, 0, zone), _at(self.day, 24 * (7 if self.span == "week" else 1), zone)

    def query(self, slots_needed: int, anywhere: bool = False, service_ids: Sequence[int] = ()) -> dict[str, object]:
        """Return the parameters of `queue_path` for it; `anywhere`: at any of the provider's clinics."""
        query: dict[str, object] = {"service": service_ids} if service_ids else {}
        query |= {"day": self.day.isoformat(), "part": self.part, "n": slots_needed, "what": self.span}
        return query | ({"anywhere": 1} if anywhere else {})

    def text(self, language: Language) -> str:
        """Return it in words, as "Any morning time, Tue 24 Nov"."""
        day = language.day(self.day)
        if self.span == "week":
            last = language.day(self.day + timedelta(days=6))
            return language.gettext("Any time, %(first)s to %(last)s") % {"first": day, "last": last}
        if self.span == "day":
            return language.gettext("Any time, %(day)s") % {"day": day}
        if self.part == "morning":
            return language.gettext("Any morning time, %(day)s") % {"day": day}
        if self.part == "afternoon":
            return language.gettext("Any afternoon time, %(day)s") % {"day": day}
        return language.gettext("Any evening time, %(day)s") % {"day": day}


def part_of(at: datetime, zone: str) -> str:
    """Return the part of the day in which an instant lies."""
    hour = at.astimezone(ZoneInfo(zone)).hour
    return next(part for part, (_, before) in PARTS.items() if hour < before)


def window_between(begins: datetime, ends: datetime, zone: str) -> QueueWindow | None:
    """Return the window with these bounds; None where pages offer no such window, as programs may have asked for."""
    day = begins.astimezone(ZoneInfo(zone)).date()
    windows = [QueueWindow(day, part, span) for span in SPANS for part in PARTS]
    return next((window for window in windows if window.bounds(zone) == (begins, ends)), None)


def window_text(language: Language, begins: datetime, ends: datetime, zone: str) -> str:
    """Return in words when a ticket's time may be."""
    if (window := window_between(begins, ends, zone)) is not None:
        return window.text(language)
    bounds = {"first": language.moment(begins, zone), "last": language.moment(ends, zone)}
    return Markup(language.gettext("Any time, %(first)s to %(last)s")) % bounds  # noqa: S704 - a text of ours


def _at(day: date, hour: int, zone: str) -> datetime:
    days, hour = divmod(hour, 24)
    return datetime.combine(day + timedelta(days=days), time(hour), ZoneInfo(zone)).astimezone(UTC)
