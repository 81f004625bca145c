"""Faults under load: app processes and the database are killed and frozen; then what patients were told is checked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from healthplus.database import Database
from healthplus.errors import HealthPlusError
from healthplus_bench.breaking import Breaker, Fault
from healthplus_bench.environment import Environment, prepared_environment, running_app
from healthplus_bench.judging import judge, read_chains
from healthplus_bench.patients import PROVIDERS, Faulty, Patient, queries
from healthplus_bench.promises import Promises, overdue

HOLD_SECONDS, OFFER_SECONDS = 7.0, 7.0
"""How long holds and offers last here, by the server, which shows clients five seconds less: many are to run out."""
_TURNS_MAX = 1_000_000
_FORGET_SECONDS = 0.5
_AFTERMATH_SECONDS = 2.0
_SETTLE_SECONDS_MAX = 60
_WRONG_SHOWN = 10


@dataclass(frozen=True)
class FaultsPlan:
    """How often what happens, and who is served meanwhile.

    Half of the stops freeze the database, the other half an app process. The load goes on until there were
    `operations`, also after the last fault, but no longer than `seconds_max` in all. Between what they try, patients
    rest for `rest_seconds_max` at most.
    """

    app_kills: int = 200
    database_kills: int = 50
    stops: int = 20
    stop_seconds: float = 30.0
    restarts: int = 10
    seed: int = 1
    patients: int = 60
    processes: int = 3
    operations: int = 100_000
    seconds_max: float = 2400.0
    rest_seconds_max: float = 0.05

    @property
    def faults(self) -> list[Fault]:
        """Return all faults, to be shuffled."""
        counts: dict[Fault, int] = {
            "app_kill": self.app_kills,
            "app_stop": self.stops // 2,
            "app_restart": self.restarts,
            "database_kill": self.database_kills,
            "database_stop": self.stops - self.stops // 2,
        }
        return [fault for fault, count in counts.items() for _ in range(count)]


class FaultsResult(msgspec.Struct):
    """What was asked for, what was done to the product meanwhile, and what is wrong afterwards: nothing should be.

    `maybes`: changes of which a try had no certain answer; `tries_lost`: such tries of all operations. `lost`: what
    was acknowledged and is not in the database. `double`: what was done twice, or was answered otherwise when it was
    asked for again. `not_linearizable`: slots of which no order of what was done explains all answers. `inversions`:
    who got a number or a time before somebody who was earlier. `violations`: rows that break an invariant of
    `healthplus check`, of money too, money that is due, and holds that were not freed. `slowest_recovery_seconds`:
    until a change was acknowledged that was asked for after the fault, or after the end of a stop of the database.
    `answers`: by HTTP status; `outcomes`: by what was asked for and what came of it. `wrong`: some of what is wrong,
    in words.
    """

    operations: int
    maybes: int
    tries_lost: int
    faults: dict[str, int]
    lost: int
    double: int
    not_linearizable: int
    inversions: int
    violations: int
    slots: int
    joins: int
    seconds: float
    slowest_recovery_seconds: dict[str, float]
    answers: dict[str, int]
    outcomes: dict[str, dict[str, int]]
    wrong: list[str]
    patients: int
    processes: int
    seed: int
    cores: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.double or self.not_linearizable or self.inversions or self.violations)


async def bench_faults(
    dsn: str, folder: Path, plan: FaultsPlan, spoil: Callable[[Database], Awaitable[None]] | None = None
) -> FaultsResult:
    """Fill a new database, have patients at it while it and the app meet all faults, and check what they were told.

    `spoil` may do something to the database before they come, such as switch a guard off, which must be noticed.
    """
    began = time.monotonic()
    promises = Promises()
    async with prepared_environment(dsn, folder, PROVIDERS, plan.patients) as environment:
        await shorten_holds(environment.database)
        if spoil is not None:
            await spoil(environment.database)
        async with running_app(environment, plan.processes, keeps_server=plan.database_kills > 0) as port:
            breaker = Breaker(environment, promises, plan.processes, plan.stop_seconds, Random(plan.seed))  # noqa: S311
            await _live_through(environment, port, promises, breaker, plan)
            due = await _settle(environment.database)
            chains = await read_chains(port, environment.database)
        verdict = await judge(environment.database, promises, chains, HOLD_SECONDS)
        late = await overdue(environment.database)
    operations = promises.operations
    outcomes: dict[str, Counter[str]] = {}
    for operation in operations:
        outcomes.setdefault(operation.asked, Counter())[operation.outcome] += 1
    return FaultsResult(
        operations=len(operations),
        maybes=sum(operation.tries_lost > 0 for operation in operations if operation.changes),
        tries_lost=sum(operation.tries_lost for operation in operations),
        faults={str(fault): count for fault, count in breaker.done.items()},
        lost=len(verdict.lost),
        double=len(verdict.double),
        not_linearizable=len(verdict.not_linearizable),
        inversions=len(verdict.inversions),
        violations=len(verdict.violations) + late + due,
        slots=len({(one.provider_id, one.start) for one in operations if one.start}),
        joins=len(promises.joins),
        seconds=round(time.monotonic() - began, 1),
        slowest_recovery_seconds={fault: round(seconds, 2) for fault, seconds in breaker.recovery_seconds.items()},
        answers={str(status): count for status, count in sorted(promises.answers.items())},
        outcomes={asked: dict(counts) for asked, counts in outcomes.items()},
        wrong=verdict.all[:_WRONG_SHOWN],
        patients=plan.patients,
        processes=plan.processes,
        seed=plan.seed,
        cores=os.cpu_count() or 1,
    )


async def shorten_holds(database: Database) -> None:
    """Have holds and offers of the bench's own database run out soon, and let turns go that nobody took."""
    for signature, value in (
        ("hold_time() RETURNS interval", f"interval '{HOLD_SECONDS} seconds'"),
        ("offer_time() RETURNS interval", f"interval '{OFFER_SECONDS} seconds'"),
        ("turns_max() RETURNS integer", _TURNS_MAX),
    ):
        await database.execute(
            f"CREATE OR REPLACE FUNCTION booking.{signature} IMMUTABLE LANGUAGE sql AS $$ SELECT {value} $$"
        )


async def _live_through(
    environment: Environment, port: int, promises: Promises, breaker: Breaker, plan: FaultsPlan
) -> None:
    """Keep up a load until all faults are over, there were enough operations, and a moment more."""
    over = asyncio.Event()
    end = time.monotonic() + plan.seconds_max
    faulty = Faulty(HOLD_SECONDS, OFFER_SECONDS)
    with _unwrapped():
        async with asyncio.TaskGroup() as group:
            forgetting = group.create_task(_forget_spent(environment.database))
            patients = [
                Patient(environment, port, number, promises, faulty, plan.rest_seconds_max)
                for number in range(1, plan.patients + 1)
            ]
            lives = [group.create_task(patient.live(over)) for patient in patients]
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + plan.seconds_max):
                await breaker.run(plan.faults)
            while len(promises.operations) < plan.operations and time.monotonic() < end:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(_AFTERMATH_SECONDS)
            over.set()
            await asyncio.wait(lives)
            forgetting.cancel()


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise what one of a group of tasks raised as it is, without its group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group


async def _forget_spent(database: Database) -> None:
    while True:
        with contextlib.suppress(HealthPlusError):
            await database.execute(queries.forget_spent)
        await asyncio.sleep(_FORGET_SECONDS)


async def _settle(database: Database) -> int:
    """Wait until all money is where it belongs; return of how many payments it is not after _SETTLE_SECONDS_MAX."""
    end = time.monotonic() + _SETTLE_SECONDS_MAX
    due: int = await database.fetch_value(queries.money_due)
    while due and time.monotonic() < end:
        await asyncio.sleep(0.2)
        due = await database.fetch_value(queries.money_due)
    return due
