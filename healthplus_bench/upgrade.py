"""A rolling upgrade under a full waiting room: an old release serves it, a new one migrates and takes over.

The order is that of docs/operate.md: migrate with the new release while the old one goes on, start the new one as a
second machine, drain and stop the old one. Each round has a new database, of the old release.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import tempfile
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from healthplus.database import BULK, Database, load
from healthplus.ops.check import violations
from healthplus_bench import environment as environments
from healthplus_bench.client import percentile_ms
from healthplus_bench.environment import (
    SLOTS_A_SHIFT,
    App,
    BenchFailed,
    Environment,
    new_database,
    prepared_environment,
    start_app,
)
from healthplus_bench.processes import require_open_files, workers_of
from healthplus_bench.releases import PRESENT, Tree, next_release, run
from healthplus_bench.upgrade_clients import QUEUED, Caller, GaveUp, Machines, Waiting, come_and_go

queries = load(Path(__file__).with_name("upgrade.sql"))

_PREPARING_MAX = 48
"""Requests under way at once while the room fills."""
_PASSING_PATIENTS = 2000
_OFFER_SECONDS_MAX = 20.0
_OFFER_EVERY_SECONDS = 0.4
_STOP_SECONDS_MAX = 20.0


@dataclass(frozen=True)
class UpgradePlan:
    """How many wait, and how often the product is upgraded meanwhile.

    `from_tree` is the source of the release before, of which this one is the new; without it this one is the old, and
    the new one is made of it (releases.py). `drain_seconds` is the setting of both; all goes on for `quiet_seconds`
    between the steps. Beside them, `passers` hold, pay and cancel again and again. To see that the trial notices what
    goes wrong: with `drains` off the old processes are killed, and `migration` is one more that the new release has.
    """

    waiters: int = 1000
    rounds: int = 10
    processes: int = 2
    from_tree: Path | None = None
    drain_seconds: int = 2
    quiet_seconds: float = 2.0
    passers: int = 8
    drains: bool = True
    migration: str | None = None


class UpgradeResult(msgspec.Struct):
    """What was measured in all rounds together.

    `places_lost`: tickets that are not as their patients were told, with the number and time of joining of before the
    upgrade, still waiting or served. `errors`: all answers that were not as they should be, and requests that got none,
    by what was asked. `overtaken`: offers to others than the first in the queue. `lost`: what was acknowledged and is
    not in the book. `violations`: broken invariants. `reconnects`: polls that were answered with `reconnect`.
    `unpolled_max_s`: how long a patient who waits was without a poll. `offer_ms`: from giving a slot back until the
    first in the queue has the offer. `change_ms`: of all other requests that change something. `migrate_max_s`,
    `start_max_s`, `drain_max_s`: how long the command, the new app's start and the old one's end took at most.
    """

    waiters: int = 0
    rounds: int = 0
    places_lost: int = 0
    errors: dict[str, int] = {}
    overtaken: int = 0
    lost: int = 0
    violations: int = 0
    reconnects: int = 0
    answers: int = 0
    offers: int = 0
    unpolled_max_s: float = 0.0
    offer_p50_ms: float = 0.0
    offer_p99_ms: float = 0.0
    offer_max_ms: float = 0.0
    change_p99_ms: float = 0.0
    change_max_ms: float = 0.0
    migrate_max_s: float = 0.0
    start_max_s: float = 0.0
    drain_max_s: float = 0.0
    processes: int = 0
    cores: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, broken, overtaken or answered as it should not be."""
        return not (self.places_lost or self.errors or self.overtaken or self.lost or self.violations)


@dataclass
class _Tally:
    """What all rounds add up to."""

    errors: Counter[str] = field(default_factory=Counter)
    offer_seconds: list[float] = field(default_factory=list)
    change_seconds: list[float] = field(default_factory=list)
    result: UpgradeResult = field(default_factory=UpgradeResult)


@dataclass
class _Room:
    """The waiting room of one round."""

    environment: Environment
    machines: Machines
    holders: deque[Waiting]
    waiters: list[Waiting]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    offer_seconds: list[float] = field(default_factory=list)

    async def fill(self) -> None:
        """Have all slots held, and all others join the queue; then they are in its order."""
        await _each(self.holders, Waiting.hold)
        await _each(self.waiters, Waiting.join)
        self.waiters.sort(key=lambda waiting: waiting.number)

    async def serve(self) -> None:
        """Have a slot given back for each head of the queue, who books it, until it is over."""
        # The last keeps its hold: were all booked, there would be nothing to wait for.
        while not self.over.is_set() and len(self.holders) > 1 and len(self.offer_seconds) < len(self.waiters):
            head = self.waiters[len(self.offer_seconds)]
            head.offered = asyncio.get_running_loop().create_future()
            began = asyncio.get_running_loop().time()
            holder = self.holders.popleft()
            await holder.give_back()
            holder.caller.close()
            try:
                self.offer_seconds.append(await asyncio.wait_for(head.offered, _OFFER_SECONDS_MAX) - began)
            except TimeoutError:
                raise BenchFailed(
                    f"Ticket {head.number} had no offer in {_OFFER_SECONDS_MAX:.0f} s; {dict(self.machines.errors)}"
                ) from None
            await head.book()
            await asyncio.sleep(_OFFER_EVERY_SECONDS)


async def bench_upgrade(dsn: str, folder: Path, plan: UpgradePlan) -> UpgradeResult:
    """Upgrade the product in so many rounds, each on a new database of the server. Raises BenchFailed."""
    require_open_files(plan.waiters + 1000)
    tally = _Tally()
    with _releases(plan) as trees:
        for number in range(1, plan.rounds + 1):
            await _upgrade(await _old_database(dsn, f"upgrade_{number}", plan), folder, plan, trees, tally)
            gc.collect()  # nothing is timed between rounds
    result = tally.result
    result.waiters, result.rounds, result.processes = plan.waiters, plan.rounds, plan.processes
    result.cores = os.cpu_count() or 1
    result.errors = dict(sorted(tally.errors.items()))
    result.offers = len(tally.offer_seconds)
    for percent, name in ((50, "offer_p50_ms"), (99, "offer_p99_ms"), (100, "offer_max_ms")):
        setattr(result, name, percentile_ms(tally.offer_seconds, percent))
    for percent, name in ((99, "change_p99_ms"), (100, "change_max_ms")):
        setattr(result, name, percentile_ms(tally.change_seconds, percent))
    return result


@contextlib.contextmanager
def _releases(plan: UpgradePlan) -> Iterator[tuple[Path, Path]]:
    """Yield where the source of the old and of the new release is."""
    with tempfile.TemporaryDirectory(prefix="healthplus-releases-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # where root runs the bench, the app processes are of another account
        tree = next_release(folder) if plan.from_tree is None else Tree(folder)
        if plan.migration is not None:
            tree.migrate_with("one_more", plan.migration)
        yield plan.from_tree or PRESENT, folder


async def _old_database(dsn: str, name: str, plan: UpgradePlan) -> str:
    """Make a database as the old release has it; return its DSN."""
    if plan.from_tree is None:
        return await new_database(dsn, name)
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
        await database.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    dsn = urlsplit(dsn)._replace(path=f"/{name}").geturl()
    await _migrate(dsn, plan.from_tree)
    return dsn


async def _migrate(dsn: str, tree: Path) -> None:
    code, said = await run(tree, dsn, "migrate")
    if code:
        raise BenchFailed(f"`healthplus migrate` of {tree} failed:\n{said[-2000:]}")


async def _upgrade(dsn: str, folder: Path, plan: UpgradePlan, trees: tuple[Path, Path], tally: _Tally) -> None:
    """Fill a room with the old release, upgrade to the new one, and see what became of everybody."""
    loop = asyncio.get_running_loop()
    patients = SLOTS_A_SHIFT + plan.waiters + _PASSING_PATIENTS
    async with contextlib.AsyncExitStack() as stack:
        environment = await stack.enter_async_context(prepared_environment(dsn, folder, 2, patients))
        await environment.database.execute(environments.queries.keep_one_shift, environment.first_shift)
        old = await _start(stack, environment, plan, trees[0])
        room = _room(environment, old.port, plan)
        await room.fill()
        before = {row["id"]: row["joined_at"] for row in await environment.database.fetch(queries.tickets, QUEUED)}
        machines = room.machines
        machines.forget_the_past()
        async with _full_of_life(room, plan.passers):
            await asyncio.sleep(plan.quiet_seconds)
            began = loop.time()
            await _migrate(dsn, trees[1])
            migrated = loop.time()
            new = await _start(stack, environment, plan, trees[1])
            started = loop.time()
            machines.ports.append(new.port)
            await asyncio.sleep(plan.quiet_seconds)
            draining = loop.time()
            machines.leaving = old.port
            await _end(old, plan)
            ended = loop.time()
            await asyncio.sleep(plan.quiet_seconds)
        await _judge(room, before, tally.result)
    found = tally.result
    found.migrate_max_s = max(found.migrate_max_s, round(migrated - began, 1))
    found.start_max_s = max(found.start_max_s, round(started - migrated, 1))
    found.drain_max_s = max(found.drain_max_s, round(ended - draining, 1))
    found.unpolled_max_s = max(found.unpolled_max_s, round(machines.unpolled_seconds_max, 2))
    found.reconnects += machines.reconnects
    found.answers += machines.answers
    tally.errors.update(machines.errors)
    tally.offer_seconds += room.offer_seconds
    tally.change_seconds += machines.change_seconds


async def _start(stack: contextlib.AsyncExitStack, environment: Environment, plan: UpgradePlan, tree: Path) -> App:
    """Start a release's app, which is stopped with `stack`."""
    changes: dict[str, Any] = {}
    if "drain_seconds" in (tree / "healthplus" / "settings.py").read_text("utf-8"):  # older ones have no such setting
        changes["drain_seconds"] = plan.drain_seconds
    app = await start_app(environment, plan.processes, tree=tree, **changes)
    stack.push_async_callback(app.stop, _STOP_SECONDS_MAX)
    return app


async def _end(app: App, plan: UpgradePlan) -> None:
    """Stop the old app as an operator does, or have it die."""
    if plan.drains:
        await app.stop(_STOP_SECONDS_MAX)
        return
    for pid in (app.process.pid, *workers_of(app.process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await app.process.wait()


def _room(environment: Environment, port: int, plan: UpgradePlan) -> _Room:
    machines = Machines([port])

    def waiting(patient_id: int) -> Waiting:
        return Waiting(Caller(machines, patient_id), environment, patient_id)

    holders = deque(replace(waiting(1 + slot), slot=slot) for slot in range(SLOTS_A_SHIFT))
    waiters = [waiting(1 + SLOTS_A_SHIFT + number) for number in range(plan.waiters)]
    return _Room(environment, machines, holders, waiters)


@contextlib.asynccontextmanager
async def _full_of_life(room: _Room, passers_count: int) -> AsyncIterator[None]:
    """Have all clients live for this block; raise what went wrong with them, but for what is counted as an error."""
    first = 1 + SLOTS_A_SHIFT + len(room.waiters)
    passers = [Caller(room.machines, number, keeps=number % 2 == 0) for number in range(passers_count)]
    checking = asyncio.create_task(room.machines.check())
    polls = [asyncio.create_task(waiting.wait()) for waiting in room.waiters]
    passing = [
        asyncio.create_task(
            come_and_go(caller, room.environment, range(first + slot, first + _PASSING_PATIENTS, passers_count), slot)
        )
        for slot, caller in enumerate(passers)
    ]
    serving = asyncio.create_task(room.serve())
    try:
        yield
    finally:
        room.over.set()
        with contextlib.suppress(GaveUp):
            await serving
        for task in (checking, *polls, *passing):
            task.cancel()
        ends = await asyncio.gather(*polls, *passing, return_exceptions=True)
        for caller in (*passers, *(waiting.caller for waiting in (*room.holders, *room.waiters))):
            caller.close()
    for end in ends:
        if isinstance(end, Exception) and not isinstance(end, GaveUp):
            raise end


async def _judge(room: _Room, before: dict[str, datetime], result: UpgradeResult) -> None:
    """Compare what the clients know with what the database has."""
    database = room.environment.database
    tickets = {row["id"]: row for row in await database.fetch(queries.tickets, QUEUED)}
    served = len(room.offer_seconds)
    for turn, waiting in enumerate(room.waiters):
        ticket = tickets.get(waiting.ticket)
        states = ("accepted",) if turn < served else ("waiting", "offered")
        if (
            ticket is None
            or (ticket["number"], ticket["joined_at"]) != (waiting.number, before[waiting.ticket])
            or ticket["state"] not in states
        ):
            result.places_lost += 1
    offers = [row["number"] for row in await database.fetch(queries.offers, QUEUED)]
    result.overtaken += sum(later < earlier for earlier, later in itertools.pairwise(offers))
    result.overtaken += sum(waiting.strays for waiting in room.waiters)
    events = {(row["kind"], row["id"]) for row in await database.fetch(queries.events)}
    result.lost += sum(one not in events for one in room.machines.acknowledged)
    result.violations += len(await violations(database))


async def _each(all_of_them: Iterable[Waiting], work: Callable[[Waiting], Awaitable[None]]) -> None:
    """Work for each, in their order, _PREPARING_MAX at a time."""
    left = iter(all_of_them)

    async def worker() -> None:
        for one in left:
            await work(one)

    await asyncio.gather(*(worker() for _ in range(_PREPARING_MAX)))
