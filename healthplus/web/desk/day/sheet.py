"""What a day sheet shows: each doctor's times in order, and what can be done with each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec

from healthplus.text import comparable
from healthplus.web.desk.office.frame import Document
from healthplus.web.languages import N_

STATES = {
    "expected": N_("Expected"),
    "here": N_("Waiting"),
    "called": N_("Called"),
    "in_room": N_("In the room"),
    "done": N_("Done"),
    "left": N_("Left unseen"),
    "no_show": N_("Did not come"),
    "reserved": N_("On hold"),
    "free": N_("Free times"),
}
ACTS = {
    "arrive": N_("Arrived"),
    "call": N_("Call in"),
    "enter": N_("In the room"),
    "finish": N_("Done"),
    "leave": N_("Left unseen"),
    "miss": N_("Did not come"),
    "undo": N_("Undo"),
}
KEYS = {"arrive": "a", "call": "c", "enter": "i", "finish": "d", "leave": "l", "miss": "x", "undo": "u"}
"""The key of each act, on a row that is focused."""
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"
"""An instant as booking.hashed_instant writes it."""
_LINES = {"token": N_("by token"), "end": N_("called three times")}


def seen_until(until: datetime) -> str:
    """Return what tells an act from others of the same appointment: until when it can be undone."""
    return until.astimezone(UTC).strftime(_INSTANT)


@dataclass(frozen=True)
class Row:
    """A time of a doctor's day: an appointment, one that somebody holds, or free times with nothing between them."""

    starts_at: datetime
    state: str
    visit: dict[str, Any]
    now: datetime
    session_ends_at: datetime | None = None
    starts: tuple[datetime, ...] = ()
    """Those that are free, in order."""

    @property
    def minutes(self) -> int | None:
        """Return for how many minutes they have been where they stand, or (expected) past their time; None: not so."""
        since = self.starts_at if self.state == "expected" else self.visit.get("since_at")
        if since is None or self.state not in ("expected", "here", "called", "in_room"):
            return None
        return max(0, int((self.now - since) / timedelta(minutes=1))) if since <= self.now else None

    @property
    def age(self) -> int | None:
        """Return the age in years, which the year of birth alone tells to within one."""
        born = self.visit.get("birth_year")
        return None if born is None else self.now.year - int(born)

    def matches(self, text: str) -> bool:
        """Return whether what is looked for is in the name, is the token, or ends the phone's number."""
        wanted = comparable(text)
        name, token = self.visit.get("name") or "", self.visit.get("token")
        digits = self.visit.get("phone_end") or ""
        return (
            not wanted
            or wanted in comparable(name)
            or wanted == comparable(self.visit.get("token_label") or "")
            or (wanted.isdecimal() and (wanted == str(token) or (len(wanted) == len(digits) and wanted == digits)))
        )

    @property
    def line(self) -> str | None:
        """Return in which line they wait, where it is not that of their time."""
        return _LINES.get(self.visit.get("line") or "")

    @cached_property
    def says(self) -> tuple[object, ...]:
        """Return all that a row shows hangs on, but for who looks."""
        is_ahead = self.starts_at > self.now
        return (self.state, is_ahead, self.minutes, self.age, self.starts, msgspec.json.encode(self.visit))

    def acts(self, viewer: str) -> Iterator[str]:
        """Yield what can be recorded by somebody, an actor, what is likeliest first."""
        match self.state:
            case "expected" if self.visit["can_arrive"]:
                yield "arrive"
                is_over = self.session_ends_at is not None and self.session_ends_at <= self.now
                if is_over and not self.visit["needs_rebooking"]:
                    yield "miss"
            case "here" | "called":
                if self.state == "called":
                    yield "enter"
                if self.visit["place"] == 1:
                    yield "call"
                if self.state == "called":
                    yield "finish"
                yield "leave"
            case "in_room":
                yield "finish"
                yield "leave"
        if self.can_undo(viewer):
            yield "undo"

    def seen(self, act: str) -> str:
        """Return what a press says of how the row was: where the patient stood; of an undo, which act it is about."""
        return seen_until(self.visit["undo_until_at"]) if act == "undo" else self.state

    def can_undo(self, viewer: str) -> bool:
        """Return whether somebody, an actor, can take back what was done last."""
        return self.visit.get("undo_until_at") is not None and self.visit["undo_by"] == viewer


@dataclass(frozen=True)
class Column:
    """A doctor's day."""

    provider: dict[str, Any]
    now: datetime

    @cached_property
    def rows(self) -> list[Row]:
        """Return what there is, in order, before each appointment the free times that come before it."""
        free = deque(starts_at for starts_at in self.provider["starts"] if starts_at > self.now)
        found = []

        def add_free(before: datetime | None) -> None:
            starts = []
            while free and (before is None or free[0] < before):
                starts.append(free.popleft())
            if starts:
                found.append(Row(starts[0], "free", Document(), self.now, starts=tuple(starts)))

        for visit in self.provider["visits"]:
            add_free(visit["starts_at"])
            found.append(Row(visit["starts_at"], visit["state"], visit, self.now, visit["session_ends_at"]))
        add_free(None)
        return found

    @property
    def is_empty(self) -> bool:
        """Return whether nobody has an appointment."""
        return not self.provider["visits"]

    def count(self, *states: str) -> int:
        return sum(row.state in states for row in self.rows)

    @property
    def minutes_late(self) -> int:
        """Return for how long who waits longest past their time has done so; who was called just now does not wait."""
        late = [self.now - row.starts_at for row in self.rows if row.visit and row.visit["place"] and not row.line]
        return max(0, int(max(late, default=timedelta()) / timedelta(minutes=1)))


@dataclass(frozen=True)
class Sheet:
    """A clinic's day; `today` is that of the clinic, `every` its rule of the line of tokens.

    `overbook_cap`: how many it allows a session at times that are taken. `told_off`: how far off it was what patients
    were told of delays, in the last 30 days.
    """

    day: date
    today: date
    now: datetime
    columns: list[Column]
    every: int
    overbook_cap: int
    told_off: dict[str, Any] | None = None

    @property
    def day_before(self) -> date:
        return self.day - timedelta(days=1)

    @property
    def day_after(self) -> date:
        return self.day + timedelta(days=1)

    def undoable_by(self, viewer: str) -> tuple[str, ...]:
        """Return the bookings of which somebody, an actor, can take back what was recorded or changed last."""
        rows = (row for column in self.columns for row in column.rows)
        return tuple(row.visit["booking_id"] for row in rows if row.can_undo(viewer))

    @property
    def counts(self) -> dict[str, int]:
        """Return how many stand where, by the words for it."""
        rows = [row for column in self.columns for row in column.rows]
        return {
            text: sum(len(row.starts) or 1 for row in rows if row.state == state)
            for state, text in STATES.items()
            if state != "reserved"
        }
