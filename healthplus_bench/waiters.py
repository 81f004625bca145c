"""A waiting room: everyone waits for one doctor, each with a long poll open, while slots are given back one by one."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from healthplus.accounts.actors import System
from healthplus.booking.book import Book
from healthplus.database import ChangeFeed
from healthplus.ops.check import violations
from healthplus_bench.client import Answer, Connection, connect, delete, get, percentile_ms, post
from healthplus_bench.environment import (
    SLOT_TIME,
    SLOTS_A_SHIFT,
    BenchFailed,
    Environment,
    clinic_of,
    prepared_environment,
    queries,
    running_app,
)
from healthplus_bench.processes import memory_mib, require_open_files, resident_kib

_BUSY, _WARM = 1, 2
"""The provider everyone waits for; and one for whom some wait before anything is measured."""
_WARM_WAITERS = 200
_PREPARING_MAX = 48
"""Requests under way at once while the room fills."""
_OFFER_SECONDS_MAX = 10.0
_PAUSE_SECONDS = 0.02
_SAMPLES = 10


@dataclass(frozen=True)
class WaitersPlan:
    """How many wait, and how many slots are given back while they do, after all have waited for `quiet_seconds`."""

    open: int = 1000
    offers: int = 200
    processes: int = 2
    quiet_seconds: float = 3.0


class WaitersResult(msgspec.Struct):
    """What was measured. `offer_ms`: from asking to give a slot back until the first in the queue has the offer.

    `kib_per_waiter` is what all app processes grew by, `memory_mib` what each kind of process had then;
    `db_connections_held` counts connections that were at work, or in a transaction, for a whole second while everyone
    waited. `violations`: offers to others than the first in the
    queue, and broken invariants. `answers`: to polls while slots were given back. `overtaken`: the share of neighbours
    in the queue of whom the later had asked to join first, by the client's clock, and by how long at most.
    `told_later`: requests that the app had no room for, and that were made again when it said.
    """

    open: int
    offers: int
    offer_p50_ms: float
    offer_p99_ms: float
    offer_max_ms: float
    kib_per_waiter: float
    memory_mib: dict[str, int]
    db_connections: int
    db_connections_held: int
    violations: int
    answers: int
    join_p99_ms: float
    overtaken: float
    overtaken_ms: float
    told_later: int
    processes: int
    cores: int


class _Seen(msgspec.Struct):
    """What is read of an answer."""

    id: str = ""
    state: str = ""
    version: str = ""
    number: int = 0
    retry_after: int = 0


_see = msgspec.json.Decoder(_Seen).decode


class _Join(NamedTuple):
    """When a client asked to join and was answered, and which number it got."""

    sent: float
    answered: float
    number: int


@dataclass
class _Client:
    """One patient on one connection; `id` is of their hold or, while they wait, of their ticket."""

    patient_id: int
    token: str
    port: int
    connection: Connection
    id: str = ""
    number: int = 0
    version: str = ""
    is_booked: bool = False
    asked_at: float = 0.0
    told_later: int = 0

    async def ask(self, raw: bytes, status: int) -> _Seen:
        """Return an answer; where the app has no room for a request, make it again, as told, under the same key."""
        loop = asyncio.get_running_loop()
        while True:
            if not self.connection.is_open:  # the app closes what is idle for long
                self.connection = await connect(self.port)
            self.asked_at = loop.time()
            answer: Answer = await self.connection.request(raw)
            seen = _see(answer.body)
            if answer.status == status:
                return seen
            if answer.status != 503:
                raise BenchFailed(f"A request was answered {answer.status}: {answer.body.decode()[:300]}")
            self.told_later += 1
            await asyncio.sleep((seen.retry_after or 1) * (1 + self.patient_id % 100 / 100))


@dataclass
class _Room:
    """A provider's queue as its clients see it."""

    environment: Environment
    provider_id: int
    expected: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    strays: int = 0
    answers: int = 0

    async def hold(self, client: _Client, slot: int) -> None:
        request = {
            "clinic_id": clinic_of(self.provider_id),
            "start": self.environment.start_of(slot),
            "slots_needed": 1,
        }
        held = await client.ask(
            post(f"/providers/{self.provider_id}/holds", client.token, f"hold-{client.patient_id}", request), 201
        )
        client.id = held.id

    async def give_back(self, client: _Client, book: Book) -> None:
        """Free a slot: a hold as its client does, an appointment as its clinic does, which is no turn let go."""
        if client.is_booked:
            await book.cancel(self.provider_id, UUID(client.id), System("bench"))
        else:
            path = f"/providers/{self.provider_id}/holds/{client.id}"
            await client.ask(delete(path, client.token, f"back-{client.id}"), 200)

    async def join(self, client: _Client) -> _Join:
        first, last = self.environment.start_of(0), self.environment.start_of(SLOTS_A_SHIFT - 1)
        request = {"clinic_id": clinic_of(self.provider_id), "from": first, "to": last + SLOT_TIME, "slots_needed": 1}
        seen = await client.ask(
            post(f"/providers/{self.provider_id}/waits", client.token, f"join-{client.patient_id}", request), 201
        )
        client.id, client.number, client.version = seen.id, seen.number, seen.version
        return _Join(client.asked_at, asyncio.get_running_loop().time(), seen.number)

    async def wait(self, client: _Client) -> None:
        """Poll until something is offered, and note when."""
        while True:
            seen = await client.ask(
                get(f"/providers/{self.provider_id}/waits/{client.id}?after={client.version}", client.token), 200
            )
            self.answers += 1
            client.version = seen.version
            if seen.state != "waiting":
                break
        expected = self.expected.pop(client.id, None)
        if expected is None or seen.state != "offered":
            self.strays += 1
        else:
            expected.set_result(asyncio.get_running_loop().time())

    async def book(self, client: _Client) -> None:
        """Take what is offered, and pay: turns that come to nothing would have the next times offered to several."""
        taken = await client.ask(
            post(f"/providers/{self.provider_id}/waits/{client.id}/accept", client.token, f"accept-{client.id}", {}),
            201,
        )
        client.id = taken.id
        path = f"/providers/{self.provider_id}/holds/{client.id}/payment"
        await client.ask(post(path, client.token, f"pay-{client.id}", {"method": "sandbox-ok"}), 200)
        client.is_booked = True


async def bench_waiters(dsn: str, folder: Path, plan: WaitersPlan) -> WaitersResult:
    """Fill a waiting room on a new database and serve it. Raises BenchFailed."""
    require_open_files(plan.open + 1000)
    async with prepared_environment(dsn, folder, 2, 2 * SLOTS_A_SHIFT + plan.open + _WARM_WAITERS) as environment:
        await environment.database.execute(queries.keep_one_shift, environment.first_shift)
        async with running_app(environment, plan.processes) as port:
            result = await _run(environment, port, plan)
        result.violations += len(await violations(environment.database))
        return result


async def _run(environment: Environment, port: int, plan: WaitersPlan) -> WaitersResult:
    warm_room = _Room(environment, _WARM)
    warm_holders, warm_waiters, _, warm_polls = await _fill(
        warm_room, port, 1 + SLOTS_A_SHIFT + plan.open, _WARM_WAITERS
    )
    await asyncio.sleep(plan.quiet_seconds)
    for poll in warm_polls:
        poll.cancel()
    for client in warm_holders + warm_waiters:
        client.connection.close()

    room = _Room(environment, _BUSY)
    kib_before = resident_kib()
    holders, waiters, joins, polls = await _fill(room, port, 1, plan.open)
    await asyncio.sleep(plan.quiet_seconds)
    kib = resident_kib() - kib_before
    memory = memory_mib(environment.folder)
    connections, held = await _connections(environment)
    room.answers = 0
    overtaken, overtaken_ms = overtaking([(sent, number) for sent, _, number in joins])
    offer_seconds = await _serve(room, holders, waiters[: plan.offers])
    for poll in polls:
        if poll.done():
            poll.result()  # raises what went wrong
        poll.cancel()
    for client in holders + waiters:
        client.connection.close()
    return WaitersResult(
        open=plan.open,
        offers=len(offer_seconds),
        offer_p50_ms=percentile_ms(offer_seconds, 50),
        offer_p99_ms=percentile_ms(offer_seconds, 99),
        offer_max_ms=percentile_ms(offer_seconds, 100),
        kib_per_waiter=round(kib / plan.open, 1),
        memory_mib=memory,
        db_connections=connections,
        db_connections_held=held,
        violations=room.strays,
        answers=room.answers,
        join_p99_ms=percentile_ms([done - sent for sent, done, _ in joins], 99),
        overtaken=round(overtaken, 4),
        overtaken_ms=overtaken_ms,
        told_later=sum(client.told_later for client in holders + waiters),
        processes=plan.processes,
        cores=os.cpu_count() or 1,
    )


async def _fill(
    room: _Room, port: int, first: int, waiting: int
) -> tuple[list[_Client], list[_Client], list[_Join], list[asyncio.Task[None]]]:
    """Have patients from `first` on hold every slot, and others wait for them; return both, in order of the queue."""
    holders = await _clients(room.environment, port, first, SLOTS_A_SHIFT)
    await _each(holders, lambda client: room.hold(client, client.patient_id - first))
    waiters = await _clients(room.environment, port, first + SLOTS_A_SHIFT, waiting)
    joins: list[_Join] = []
    polls: list[asyncio.Task[None]] = []

    async def join_and_wait(client: _Client) -> None:
        joins.append(await room.join(client))
        polls.append(asyncio.create_task(room.wait(client)))

    await _each(waiters, join_and_wait)
    waiters.sort(key=lambda client: client.number)
    return holders, waiters, joins, polls


async def _serve(room: _Room, holders: list[_Client], heads: list[_Client]) -> list[float]:
    """Free a slot for each head of the queue, who books it; later it is freed for another."""
    seconds = []
    # One keeps its hold: were all booked, there would be nothing to wait for.
    holders = holders[1:]
    feed = ChangeFeed(room.environment.dsn)
    book = Book(room.environment.database, feed.publish)
    feeding = asyncio.create_task(feed.run())
    for head in heads:
        holder = holders.pop(0)
        offered = room.expected[head.id] = asyncio.get_running_loop().create_future()
        began = asyncio.get_running_loop().time()
        await room.give_back(holder, book)
        try:
            seconds.append(await asyncio.wait_for(offered, _OFFER_SECONDS_MAX) - began)
        except TimeoutError:
            raise BenchFailed(f"Ticket {head.number} did not get its offer in {_OFFER_SECONDS_MAX} s.") from None
        await room.book(head)
        holders.append(head)
        await asyncio.sleep(_PAUSE_SECONDS)
    feeding.cancel()
    return seconds


async def _clients(environment: Environment, port: int, first: int, count: int) -> list[_Client]:
    return [
        _Client(number, environment.token(number), port, await connect(port)) for number in range(first, first + count)
    ]


async def _each(clients: list[_Client], work: Callable[[_Client], Awaitable[None]]) -> None:
    """Work for all clients, in their order, _PREPARING_MAX at a time."""
    left: Iterator[_Client] = iter(clients)

    async def worker() -> None:
        for client in left:
            await work(client)

    await asyncio.gather(*(worker() for _ in range(_PREPARING_MAX)))


async def _connections(environment: Environment) -> tuple[int, int]:
    """Return how many connections the app has to the database, and how many of them were busy for a whole second."""
    busy: set[tuple[object, ...]] | None = None
    count = 0
    for _ in range(_SAMPLES):
        rows = await environment.database.fetch(queries.sessions)
        count = max(count, len(rows))
        now_busy: set[tuple[object, ...]] = {(row["pid"], row["since"]) for row in rows if row["state"] != "idle"}
        busy = now_busy if busy is None else busy & now_busy
        await asyncio.sleep(1 / _SAMPLES)
    return count, len(busy or ())


def overtaking(joins: list[tuple[float, int]]) -> tuple[float, float]:
    """Return how unfair the order was, of (time sent, number got).

    That is the share of neighbours by number that were sent the other way round, and by how many milliseconds at most
    anyone was overtaken who was sent earlier.
    """
    sent = [at for at, _ in sorted(joins, key=lambda join: join[1])]
    pairs = list(itertools.pairwise(sent))
    latest, worst = -math.inf, 0.0
    for at in sent:
        worst = max(worst, latest - at)
        latest = max(latest, at)
    return sum(later < earlier for earlier, later in pairs) / max(1, len(pairs)), round(worst * 1000, 1)
