"""What the patients of a load were told, and whether all of it is so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from healthplus.database import Database

Asked: TypeAlias = Literal[
    "hold",
    "join",
    "poll",
    "offer",
    "accept",
    "answer",
    "pay",
    "cancel",
    "release",
    "leave",
    "look",
    "found",
    "repeat",
    "won",
]
"""What a patient asked for. An `offer`, what was `won` by answering a call and what was `found` are told by the way."""

DONE = "done"


@dataclass(frozen=True, slots=True)
class Operation:
    """Something a patient asked for, from the first try to the answer that was certain.

    `start` and `booking_id`: of the slot and the booking it is about, or that it made, where these are known.
    `hold_id`: of what was to be booked. `outcome`: DONE, or the code of the refusal. `tries_lost`: how many were sent
    and had no certain answer; if it is refused in the end, one of them may yet be done. `until`: when the hold ends
    that it made, by the server. Instants are seconds of `time.monotonic`.
    """

    patient_id: int
    asked: Asked
    provider_id: int
    sent: float
    answered: float
    outcome: str = DONE
    start: datetime | None = None
    booking_id: str = ""
    hold_id: str = ""
    tries_lost: int = 0
    until: float | None = None

    @property
    def changes(self) -> bool:
        """Whether it asked for a change that was not made before."""
        return self.asked not in ("poll", "offer", "won", "look", "found", "repeat")

    @property
    def is_done(self) -> bool:
        """Whether the patient was told that it is done."""
        return self.outcome == DONE


@dataclass(frozen=True)
class Join:
    """An acknowledged join: when it was sent and answered, and which number it got."""

    provider_id: int
    ticket_id: str
    number: int
    sent: float
    answered: float


@dataclass
class Promises:
    """Everything that was acknowledged, and all operations in the order in which they were answered."""

    events: list[tuple[int, str, str]] = field(default_factory=list)  # provider, kind of event, booking or ticket
    joins: list[Join] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    """Connections that broke, under a request or between two."""
    operations: list[Operation] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    """Requests that had another outcome when they were made again, and bookings that nobody asked for."""
    acknowledged_to: float = 0.0
    """When the newest request was sent that has changed something."""
    wall_seconds: float = field(default_factory=lambda: time.time() - time.monotonic())
    """How far the database's clock is ahead of that of the operations; both run on this machine."""

    def seconds_of(self, instant: str) -> float:
        """Return when an instant of the database is, in seconds of the operations' clock."""
        return datetime.fromisoformat(instant).timestamp() - self.wall_seconds


async def broken_promises(database: Database, promises: Promises) -> list[object]:
    """Return what was acknowledged and is not in the book, done twice, or out of order."""
    return [*await lost_promises(database, promises), *promises.doubled, *inversions(promises.joins)]


async def lost_promises(database: Database, promises: Promises) -> list[object]:
    """Return what was acknowledged and is not in the book."""
    rows = await database.fetch(
        "SELECT provider_id, kind, coalesce(booking_id, ticket_id)::text AS id FROM booking.event"
    )
    kept = {tuple(row) for row in rows}
    broken: list[object] = [event for event in promises.events if event not in kept]
    tickets = {
        row["ticket_id"]: row["number"]
        for row in await database.fetch("SELECT ticket_id::text AS ticket_id, number FROM booking.ticket")
    }
    broken += [join for join in promises.joins if tickets.get(join.ticket_id) != join.number]
    rows = await database.fetch("SELECT booking_id::text, state::text FROM booking.booking")
    states = {row[0]: row[1] for row in rows}
    broken += [
        f"booking {booking_id} is {states.get(booking_id)}, and its patient was told that it is {told}"
        for booking_id, told in told_states(promises.operations).items()
        if states.get(booking_id) != told
    ]
    return broken


def told_states(operations: Iterable[Operation]) -> dict[str, str]:
    """Return which of the lasting states each booking has by what its patient was told last."""
    told: dict[str, str] = {}
    for operation in operations:
        if operation.asked in ("pay", "found") and operation.is_done:
            told[operation.booking_id] = "booked"
        elif operation.asked == "cancel" and operation.is_done:
            told[operation.booking_id] = "cancelled"
        elif operation.asked == "cancel" and operation.tries_lost:
            told.pop(operation.booking_id, None)
        elif operation.asked == "release" and operation.is_done:
            told[operation.booking_id] = "released"
    return told


def inversions(joins: list[Join]) -> list[object]:
    """Return pairs of joins of which the later was sent when the earlier was answered, and has the lower number."""
    found: list[object] = []
    for provider_id in {join.provider_id for join in joins}:
        here = sorted((join for join in joins if join.provider_id == provider_id), key=lambda join: join.number)
        # Going back from the last number: none may have been answered before one of a lower number was sent.
        answered_first = None
        for join in reversed(here):
            if answered_first is not None and answered_first.answered < join.sent:
                found.append((answered_first, join))
            if answered_first is None or join.answered < answered_first.answered:
                answered_first = join
    return found


async def latest_lapse_seconds(database: Database) -> float:
    """Return how long after its time a hold was freed, at most."""
    late: float | None = await database.fetch_value(
        """SELECT extract(epoch FROM max(event.at - booking.deadline))::float8
        FROM booking.event JOIN booking.booking USING (provider_id, booking_id) WHERE kind = 'expired'"""
    )
    assert late is not None, "nothing lapsed"
    return late


async def overdue(database: Database) -> int:
    """Return how many holds should have been freed two seconds before the app ended, and were not."""
    count: int = await database.fetch_value(
        """SELECT count(*) FROM booking.booking WHERE state = 'reserved' AND deadline < (
            SELECT max(at) FROM booking.event) - interval '2 seconds'"""
    )
    return count
