"""A ticket and its position in a provider's queue, as its client sees it, and how it moves with the queue."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from healthplus.booking.outcomes import TicketState
from healthplus.database import Record

NEAR = 50
"""Up to here each change of the position is shown; further back, only each decrease by a tenth."""


class Window(NamedTuple):
    """Where and when a ticket's client could use a slot; `clinic_id` None: at any of the provider's clinics."""

    clinic_id: int | None
    window_from: datetime
    window_to: datetime


class Line(NamedTuple):
    """The tickets of one provider that wait or are called, and the holds that may still free a slot.

    `numbers`: in their order. `holds`: for each window asked about, how many, and when the first of them ends.
    `book_version`: the version of the book it was read at.
    """

    numbers: Sequence[int]
    holds: dict[Window, tuple[int, datetime | None]]
    book_version: int

    @classmethod
    def of(cls, row: Record, windows: Sequence[Window]) -> Line:
        """Return what the query `line` returned for these windows."""
        held = zip(row["holds"] or (), row["lapses"] or (), strict=True)
        return cls(row["numbers"] or (), dict(zip(windows, held, strict=True)), row["book_version"])


class QueuePosition(msgspec.Struct, frozen=True):
    """A ticket and its position in the queue, as its client sees it.

    `visit_to`: when the visit must have ended; what is kept free after services goes on until `window_to`.

    `current`: a waiting client counts as present, or an offer can still be accepted, or a call answered. `answered`:
    it was; `called`: how many tickets are, for the same time, which `offer_id` to `fee_minor` tell. `holds`: how many
    live holds and offers may still free a slot in the ticket's window; `next_lapse_at`: when the first of them ends, by
    the server's clock. `fee_minor`: in the smallest unit of the currency. `book_version`: the version of the book it
    was read at.
    """

    ticket_id: UUID
    patient_id: int
    number: int
    clinic_id: int | None
    window_from: datetime
    window_to: datetime
    visit_to: datetime
    slots_needed: int
    service_ids: list[int] | None
    joined_at: datetime
    expires_at: datetime
    state: TicketState
    current: bool | None
    position: int | None
    holds: int | None
    next_lapse_at: datetime | None
    offer_id: UUID | None
    offer_clinic_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    deadline: datetime | None
    fee_minor: int | None
    answered: bool
    called: int | None
    book_version: int

    @property
    def window(self) -> Window:
        """Return what the ticket waits for."""
        return Window(self.clinic_id, self.window_from, self.window_to)

    def moved(self, line: Line) -> QueuePosition | None:
        """Return the ticket where it is in the line now; None where only reading it can tell what has become of it."""
        position = bisect_right(line.numbers, self.number)
        held = line.holds.get(self.window)
        if self.state != "waiting" or not self.current or held is None:
            return None
        if not position or line.numbers[position - 1] != self.number:
            return None
        holds, next_lapse_at = held
        return msgspec.structs.replace(
            self, position=position, holds=holds, next_lapse_at=next_lapse_at, book_version=line.book_version
        )

    @property
    def version(self) -> str:
        """Return a text that changes whenever the client should be shown something else."""
        shown: tuple[object, ...] = (self.state, self.offer_id, self.deadline, self.answered)
        if self.position is not None:
            near = self.position <= NEAR
            shown = (self.position, self.holds, self.next_lapse_at) if near else (int(math.log(self.position, 1.1)),)
        return hashlib.blake2s(repr(shown).encode(), digest_size=8).hexdigest()
