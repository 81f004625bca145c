"""What the clients were told, beside what the database has: what was lost, doubled or put out of order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from healthplus.waiting.receipts import Entry
from healthplus_bench.judging import chain_faults
from healthplus_bench.promises import Join, inversions


@dataclass(frozen=True)
class Ack:
    """A change that a client was told is done; `key`: of its request; instants are seconds of one clock."""

    kind: str  # reserved, booked
    provider_id: int
    start: datetime
    booking_id: str
    key: str
    sent: float
    answered: float


@dataclass(frozen=True)
class Row:
    """A booking as the database has it."""

    provider_id: int
    start: datetime
    state: str
    seat: int


@dataclass
class Told:
    """All that the clients were told, in the order in which they were."""

    acks: list[Ack] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    events: list[tuple[int, str, str]] = field(default_factory=list)  # provider, kind of event, booking or ticket


@dataclass(frozen=True)
class Found:
    """What the database has: bookings and tickets by their ids, events, and the chain of each queue."""

    bookings: Mapping[str, Row]
    tickets: Mapping[str, tuple[int, int]]  # provider, number
    events: frozenset[tuple[int, str, str]]
    chains: Mapping[int, Sequence[Entry]]


@dataclass(frozen=True)
class Verdict:
    """Everything that is wrong, a sentence for each."""

    lost: list[str]
    doubles: list[str]
    inversions: list[str]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubles or self.inversions)


def judge(told: Told, found: Found) -> Verdict:
    """Return what is wrong."""
    return Verdict(list(_lost(told, found)), list(_doubles(told, found)), list(_inversions(told, found)))


def _lost(told: Told, found: Found) -> Iterable[str]:
    for ack in told.acks:
        row = found.bookings.get(ack.booking_id)
        if row is None or (row.provider_id, row.start) != (ack.provider_id, ack.start):
            yield f"{ack.kind} {ack.booking_id} of provider {ack.provider_id} is not there"
        elif ack.kind == "booked" and row.state != "booked":  # nobody cancels these
            yield f"booked {ack.booking_id} of provider {ack.provider_id} is {row.state}"
    for event in told.events:
        if event not in found.events:
            yield f"{event[1]} {event[2]} of provider {event[0]} is not there"
    for join in told.joins:
        if join.ticket_id not in found.tickets:
            yield f"ticket {join.number} of provider {join.provider_id} is not there"


def _doubles(told: Told, found: Found) -> Iterable[str]:
    by_key: dict[str, set[str]] = defaultdict(set)
    by_slot: dict[tuple[int, datetime], set[str]] = defaultdict(set)
    for ack in told.acks:
        by_key[ack.key].add(ack.booking_id)
        if ack.kind == "booked":
            by_slot[ack.provider_id, ack.start].add(ack.booking_id)
    yield from (f"request {key} made {len(ids)} bookings" for key, ids in by_key.items() if len(ids) > 1)
    yield from (f"{slot} was acknowledged to {len(ids)}" for slot, ids in by_slot.items() if len(ids) > 1)
    occupied: dict[tuple[int, datetime, int], int] = defaultdict(int)
    for row in found.bookings.values():
        if row.state in ("reserved", "booked"):
            occupied[row.provider_id, row.start, row.seat] += 1
    yield from (f"{slot} is taken {times} times" for slot, times in occupied.items() if times > 1)


def _inversions(told: Told, found: Found) -> Iterable[str]:
    yield from (str(pair) for pair in inversions(told.joins))
    for join in told.joins:
        if found.tickets.get(join.ticket_id, (0, join.number))[1] != join.number:
            yield f"ticket {join.ticket_id} was told number {join.number}, and has another"
    yield from chain_faults(found.chains)
