"""Queue receipts: check that the record of a provider's queue is unbroken and that the queue was fair.

The record is a chain of entries, each with a hash that covers the entry before it (docs/decisions/0018). This module
knows nothing of the database that wrote the chain: it checks what is published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec


class Entry(msgspec.Struct, frozen=True, rename={"from_": "from"}, kw_only=True):
    """One thing that happened to one ticket, or (BESIDE, ticket 0) to somebody who was let in beside the queue.

    `from_` and `to` are the queue window of a ticket that joined; for other kinds, the time that was offered, called
    for, accepted or withheld. A `clinic_id` of None stands for any clinic. Instants are texts, as they were hashed.
    `leader`, of a ticket that was called: the number of the first that was called with it.

    Entries may come from a server that is not ours. So `kind`, which is shown in terminals, and `slots`, which are
    counted one by one, have limits.
    """

    entry: int
    at: str
    kind: Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,30}$")]
    ticket: int
    clinic_id: int | None
    from_: str | None
    to: str | None
    slots: Annotated[int, msgspec.Meta(ge=0, le=100)]
    hash: str
    leader: int | None = None

    @property
    def run(self) -> tuple[datetime, datetime]:
        """Return when `from_` and `to` are. Raises TypeError or ValueError where the entry has none."""
        return datetime.fromisoformat(self.from_), datetime.fromisoformat(self.to)  # type: ignore[arg-type]


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a provider's chain: the `entries` after entry `after`, whose hash is `previous`.

    `last` and `head` are the number and the hash of the chain's last entry; `next` is the address of the next page.
    """

    provider_id: int
    ticket: int
    after: int
    previous: str
    entries: list[Entry]
    last: int
    head: str
    next: str | None = None


class Fault(NamedTuple):
    """What is wrong, and at which entry it shows."""

    entry: int
    text: str


BESIDE = ("walk_in", "overbooked")
"""Kinds of entries about somebody whom the clinic took in without a time of its shifts."""
# The kinds of entries that may follow in each state of a ticket, and the state that each kind leads to (default: over).
_AFTER = {
    None: {"joined"},
    "waiting": {"offered", "called", "passed_over", "resumed", "withheld", "left", "timed_out", "full"},
    "offered": {"accepted", "lapsed", "missed", "withdrawn", "left"},
    "called": {"answered", "lapsed", "missed", "outrun", "withdrawn", "left"},
    "answered": {"accepted", "outrun", "withdrawn", "left"},
    "over": set(),
}
_LEADS_TO = {
    "joined": "waiting",
    "missed": "waiting",
    "withdrawn": "waiting",
    "passed_over": "waiting",
    "resumed": "waiting",
    "withheld": "waiting",
    "offered": "offered",
    "called": "called",
    "answered": "answered",
    "outrun": "waiting",
}


def hash_of(provider_id: int, previous: str, entry: Entry) -> str:
    """Return the hash that an entry must have, after one whose hash is `previous` ("" before the first)."""
    parts = [
        provider_id,
        entry.entry,
        entry.at,
        entry.kind,
        entry.ticket,
        "" if entry.clinic_id is None else entry.clinic_id,
        entry.from_ or "",
        entry.to or "",
        entry.slots,
    ]
    if entry.leader is not None:
        parts.append(entry.leader)
    return hashlib.sha256(bytes.fromhex(previous) + "|".join(map(str, parts)).encode()).hexdigest()


def could_use(joined: Entry, run: Entry) -> bool:
    """Return whether the run of slots that one ticket got includes a run that another had joined for.

    All slots of a run are of one length, in one shift of one clinic, so any part of it could have been offered too.
    """
    if joined.clinic_id not in (None, run.clinic_id) or joined.slots > run.slots:
        return False
    starts_at, ends_at = run.run
    window_from, window_to = joined.run
    slot = (ends_at - starts_at) / run.slots
    fitting = sum(
        window_from <= starts_at + slot * i and starts_at + slot * (i + 1) <= window_to for i in range(run.slots)
    )
    return fitting >= joined.slots


@dataclass
class _Call:
    """A time that several tickets were called for together, and who got it."""

    leader: Entry
    tickets: list[int] = field(default_factory=list)
    winner: int | None = None


class Verification:
    """Reads a chain, entry by entry, and collects its faults.

    1. Entries are numbered without gaps, and each has the hash that follows from it and the entry before.
    2. Tickets are numbered in the order in which they joined, and each took only steps that a ticket can take.
    3. While a ticket waited and its client was present, no ticket with a later number got a run of slots that the
       earlier one could have used, or was called for one.
    4. Of the tickets that were called together, one got the time only when no lower number had answered or might still
       answer, and the others were outrun only by it. With `ticket`, 3 and 4 are checked for that ticket alone: a chain
       that begins in the middle does not say when the others joined.

    `beside` counts those who were let in beside the queue: how many is the clinic's to answer for.
    """

    def __init__(self, provider_id: int, previous: str = "", after: int = 0, ticket: int | None = None) -> None:
        self.faults: list[Fault] = []
        self.entry, self.hash, self.beside = after, previous, 0
        self._provider_id = provider_id
        self._ticket = ticket
        self._last_ticket: int | None = None
        self._states: dict[int, str] = {}
        self._offers: dict[int, Entry] = {}
        self._calls: dict[int, _Call] = {}
        """The call that each ticket was last in, as far as all of it has been read."""
        self._joined: dict[int, Entry] = {}
        self._present: dict[int, Entry] = {}
        """The tickets that wait while their clients are present, each with the entry of its joining."""

    def read(self, entries: Iterable[Entry]) -> None:
        """Check the next entries."""
        for entry in entries:
            if entry.entry != self.entry + 1:
                self.fault(entry.entry, f"entry {entry.entry} comes after entry {self.entry}")
            try:
                if entry.hash != hash_of(self._provider_id, self.hash, entry):
                    self.fault(entry.entry, "its hash does not follow from what it says and the hash before it")
                if entry.kind in BESIDE and not entry.ticket:
                    self.beside += 1
                else:
                    self._step(entry)
            except (ValueError, TypeError, ZeroDivisionError):
                self.fault(entry.entry, "it cannot be read")
            self.entry, self.hash = entry.entry, entry.hash

    def end(self, last: int, head: str) -> None:
        """Check that the chain ends with entry `last` and its hash `head`."""
        if (self.entry, self.hash) != (last, head):
            self.fault(self.entry, f"the chain ends here, but is said to end with entry {last}, or with another hash")

    def _step(self, entry: Entry) -> None:
        number = entry.ticket
        before = self._states.get(number)
        if entry.kind == "joined":
            if self._last_ticket is not None and number != self._last_ticket + 1:
                self.fault(entry.entry, f"ticket {number} joined after ticket {self._last_ticket}")
            self._last_ticket = number
            self._joined[number] = entry
        # A ticket that joined before this part of the chain has no state until its next entry.
        if (before is not None or number in self._joined) and entry.kind not in _AFTER[before]:
            self.fault(entry.entry, f"ticket {number} cannot be {entry.kind} when it is {before}")
        self._states[number] = _LEADS_TO.get(entry.kind, "over")
        if entry.kind in ("offered", "called"):
            self._offers[number] = entry
            self._require_turn(entry)
        if entry.kind == "called":
            self._note_call(entry)
        elif entry.kind == "outrun" or before == "answered":
            self._require_lowest(entry)
        if entry.kind == "accepted":
            offer = self._offers.get(number, entry)
            # The patient chose another time than the offered one.
            if (offer.clinic_id, offer.run) != (entry.clinic_id, entry.run):
                self._require_turn(entry)
        self._note_presence(entry)

    def _note_presence(self, entry: Entry) -> None:
        if entry.kind in ("joined", "resumed", "withdrawn", "outrun"):
            if entry.ticket in self._joined and self._ticket in (None, entry.ticket):
                self._present[entry.ticket] = self._joined[entry.ticket]
        elif entry.kind != "withheld":
            self._present.pop(entry.ticket, None)

    def _require_turn(self, got: Entry) -> None:
        """Note a fault for each earlier ticket that could have used the run that `got` is about."""
        for number, joined in self._present.items():
            if number < got.ticket and could_use(joined, got):
                self.fault(got.entry, f"ticket {got.ticket} was given a time for which ticket {number} was waiting")

    def _note_call(self, entry: Entry) -> None:
        number = entry.ticket
        if entry.leader == number:
            self._calls[number] = _Call(entry)
        elif (call := self._calls.get(entry.leader or 0)) is None or call.leader.ticket != entry.leader:
            if self._ticket is None:
                self.fault(entry.entry, f"ticket {number} was called with a ticket that was not called")
            self._calls.pop(number, None)
            return
        else:
            self._calls[number] = call
        call = self._calls[number]
        call.tickets.append(number)
        if (call.leader.clinic_id, call.leader.run) != (entry.clinic_id, entry.run):
            self.fault(entry.entry, f"ticket {number} was called for another time than ticket {entry.leader}")

    def _require_lowest(self, entry: Entry) -> None:
        """Note a fault where the order of answers was not kept to, as an answered call ends or a ticket is outrun."""
        number = entry.ticket
        if (call := self._calls.get(number)) is None:
            return
        if entry.kind == "accepted":
            call.winner = number
            for other in call.tickets:
                if other < number and self._calls.get(other) is call and self._states[other] in ("called", "answered"):
                    self._judge(
                        other, entry, f"ticket {number} got a time that ticket {other} was called for before it"
                    )
        elif entry.kind == "outrun" and (call.winner is None or call.winner > number):
            self._judge(number, entry, f"ticket {number} was outrun, but not by a lower number")

    def _judge(self, ticket: int, entry: Entry, text: str) -> None:
        if self._ticket in (None, ticket):
            self.fault(entry.entry, text)

    def fault(self, entry: int, text: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(entry, text))
