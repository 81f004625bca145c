"""Whether what patients were told is so: nothing lost or done twice, one at a time in a slot, the queue in order."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

import msgspec

from healthplus.database import Database
from healthplus.ops.check import all_violations
from healthplus.waiting.receipts import Chain, Entry, Verification
from healthplus_bench.client import connect
from healthplus_bench.environment import BenchFailed
from healthplus_bench.linearizable import Kind, Step, unexplained
from healthplus_bench.patients import queries
from healthplus_bench.promises import Asked, Operation, Promises, inversions, lost_promises

Slot: TypeAlias = tuple[int, datetime]
"""A provider and a start."""

_CLOCKS_SECONDS = 0.05
"""How exactly the clients' clock and the database's, of one machine, are taken to agree."""
_OVER_SECONDS = 120.0
"""How long after a request that its client gave up something may come of it. Statements end after seconds; a process
may stand still for half a minute, and money that was set aside is looked up within a minute."""


@dataclass(frozen=True)
class Verdict:
    """Everything that is wrong, a sentence for each."""

    lost: list[str]
    double: list[str]
    not_linearizable: list[str]
    inversions: list[str]
    violations: list[str]

    @property
    def all(self) -> list[str]:
        """All of it."""
        return [*self.lost, *self.double, *self.not_linearizable, *self.inversions, *self.violations]


async def judge(
    database: Database, promises: Promises, chains: Mapping[int, Sequence[Entry]], hold_seconds: float
) -> Verdict:
    """Return what is wrong. `hold_seconds`: how long holds last, by the server."""
    doubles = await database.fetch(queries.taken_twice)
    events = await database.fetch(queries.queue_events)
    return Verdict(
        list(map(str, await lost_promises(database, promises))),
        promises.doubled + [f"{dict(row)} is taken twice" for row in doubles],
        not_linearizable(promises.operations, hold_seconds),
        list(map(str, inversions(promises.joins))) + chain_faults(chains) + overtaken(tuple(row) for row in events),
        [f"{broken.invariant}: {broken.row}" for broken in await all_violations(database)],
    )


def not_linearizable(operations: Iterable[Operation], hold_seconds: float) -> list[str]:
    """Return the slots of which no order of what was done explains all answers, with the first answer none explains."""
    steps: dict[Slot, list[Step]] = defaultdict(list)
    until: dict[str, float] = {}
    for operation in operations:
        if operation.start is not None:
            steps[operation.provider_id, operation.start] += _steps(operation, until, hold_seconds)
    return [
        f"slot {start:%H:%M} of provider {provider_id}: nothing explains {step}"
        for (provider_id, start), done in steps.items()
        if (step := unexplained(done)) is not None
    ]


def _steps(operation: Operation, until: dict[str, float], hold_seconds: float) -> Iterator[Step]:
    """Yield what an operation did to its slot, or may have done. `until`: when holds end, as patients were told."""
    step = Step("take", operation.booking_id, operation.sent, operation.answered)
    ends = (operation.until or operation.sent + hold_seconds) - _CLOCKS_SECONDS
    ended = until.get(operation.hold_id, math.inf) + _CLOCKS_SECONDS
    if operation.until is not None:
        until[operation.booking_id] = operation.until
    if operation.is_done:
        if (kind := _kind(operation)) is not None:
            # What needs the hold to be there took effect before it ended; an offer that is left may have been over.
            latest = min(operation.answered, ended) if kind in ("book", "extend", "release") else operation.answered
            yield replace(step, kind=kind, latest=latest, until=ends, is_sure=kind != "leave")
        return
    if (look := _LOOKS.get(operation.outcome)) is not None:
        yield replace(step, kind=look)
    if operation.tries_lost:
        unknown = f"of patient {operation.patient_id} at {operation.sent}"
        for kind in _MAYBES.get(operation.asked, ()):
            booking_id = unknown if kind == "book_late" else operation.hold_id
            yield Step(kind, booking_id, operation.sent, operation.sent + _OVER_SECONDS, is_sure=False)


_LOOKS: dict[str, Kind] = {"slot_full": "seen_booked", "slot_held": "seen_unbooked"}
"""What a refusal tells of the slot. Others are for reasons of the patient's own, and tell nothing of it."""
_MAYBES: dict[Asked, tuple[Kind, ...]] = {
    "pay": ("book", "book_late"), "cancel": ("cancel",), "release": ("release",), "leave": ("leave",),
}  # fmt: skip
"""What may have been done although the last try was refused, where an earlier one had no answer.

A hold that may have been made is not among it: it would only keep others out, and be no reason for any answer that the
offers nobody saw are not.
"""


def _kind(operation: Operation) -> Kind | None:
    """Return what an operation did to its slot that is done."""
    is_same = operation.booking_id == operation.hold_id
    kinds: dict[Asked, Kind] = {
        "hold": "take",
        "offer": "take",
        "won": "take",
        "accept": "extend" if is_same else "take",
        "pay": "book" if is_same else "book_late",
        "found": "book" if is_same else "book_late",
        "cancel": "cancel",
        "release": "release",
        "leave": "leave",
    }
    return kinds.get(operation.asked) if operation.booking_id else None


async def read_chains(port: int, database: Database) -> dict[int, list[Entry]]:
    """Return the record of each provider's queue, as the app shows it to anybody. Raises BenchFailed."""
    newest = await database.fetch(queries.newest_tickets)
    return {row[0]: await read_chain(port, row[0], row[1]) for row in newest}


async def read_chain(port: int, provider_id: int, number: int) -> list[Entry]:
    """Return the record of a queue, from the address of a ticket's receipt. Raises BenchFailed."""
    connection = await connect(port)
    entries: list[Entry] = []
    try:
        while True:
            path = f"/doctor/{provider_id}/queue/{number}.json?after={len(entries)}"
            answer = await connection.request(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            if answer.status != 200:
                raise BenchFailed(f"The record of a queue was not to be had: {answer.status}.")
            chain = msgspec.json.decode(answer.body, type=Chain)
            entries += chain.entries
            if chain.next is None:
                return entries
    finally:
        connection.close()


def chain_faults(chains: Mapping[int, Sequence[Entry]]) -> list[str]:
    """Return what is wrong with the records of queues: gaps, and tickets that were served before an earlier one."""
    faults = []
    for provider_id, chain in chains.items():
        verification = Verification(provider_id)
        verification.read(chain)
        faults += [f"queue of provider {provider_id}, entry {entry}: {text}" for entry, text in verification.faults]
    return faults


def overtaken(events: Iterable[tuple[int, str, str | None, bool]]) -> list[str]:
    """Return who got a time by asking, while a ticket waited whose client was present.

    `events`: of all providers, each in their order: provider, kind, ticket, and whether it is a hold that no ticket
    got. All tickets must want any of the times that are asked for, as the patients of this bench do.
    """
    faults: list[str] = []
    waiting: dict[int, set[str]] = defaultdict(set)
    for provider_id, kind, ticket_id, is_newcomer in events:
        here = waiting[provider_id]
        if is_newcomer:
            if here:
                faults.append(f"somebody got a time of provider {provider_id} for which {len(here)} waited")
        elif ticket_id is not None and kind in ("waiting", "resumed"):
            here.add(ticket_id)
        elif ticket_id is not None and kind != "withheld":
            here.discard(ticket_id)
    return faults
