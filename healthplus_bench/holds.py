"""How many bookings a second: hold and pay over HTTP, after the same two functions called by pgbench."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from healthplus.ops.check import violations
from healthplus_bench.client import Connection, connect, percentile_ms, post, show
from healthplus_bench.environment import (
    POOL_SIZE,
    SLOTS_A_DAY,
    BenchFailed,
    Environment,
    clinic_of,
    prepared_environment,
    queries,
    running_app,
    wal_flushes,
)
from healthplus_bench.pgbench import run_pgbench

_DAYS = 14
_PAIRS_A_SECOND_MAX = 6000
_WINDOW_END_SECONDS = 1.5  # until the sessions have reported how often they waited for the disc


@dataclass(frozen=True)
class HoldsPlan:
    """How long and how hard. One half of the providers is booked by pgbench, the other over HTTP."""

    seconds: int = 10
    warm_seconds: int = 3
    clients: int = 32
    processes: int = 2
    providers: int = 600
    pgbench_seconds: int = 7
    pgbench_warm_seconds: int = 3
    pgbench_clients: int = 32

    @property
    def patients(self) -> int:
        """More than there is time to book for."""
        return _PAIRS_A_SECOND_MAX * (self.seconds + self.warm_seconds)


class HoldsResult(msgspec.Struct):
    """What was measured; `ratio` is of the bookings a second over HTTP to those by pgbench."""

    confirmed_per_s: float
    pgbench_pairs_per_s: float
    ratio: float
    p99_ms: float
    hold_p99_ms: float
    pay_p99_ms: float
    p50_ms: float
    refused: int
    pgbench_refused: int
    violations: int
    confirmed: int
    seconds: int
    clients: int
    pgbench_clients: int
    processes: int
    cores: int


@dataclass
class _Tally:
    """What the clients counted between `opens_at` and `closes_at`; `refused` is of the whole run."""

    opens_at: float
    closes_at: float
    confirmed: int = 0
    refused: int = 0
    last_refusal: bytes = b""
    hold_seconds: list[float] = field(default_factory=list)
    pay_seconds: list[float] = field(default_factory=list)


async def bench_holds(dsn: str, folder: Path, plan: HoldsPlan) -> HoldsResult:
    """Run both halves on a new database. Raises BenchFailed."""
    async with prepared_environment(dsn, folder, plan.providers, plan.patients) as environment:
        half = plan.providers // 2
        pairs = await run_pgbench(
            environment, half, half * SLOTS_A_DAY * _DAYS, plan.pgbench_clients, plan.pgbench_warm_seconds,
            plan.pgbench_seconds,
        )  # fmt: skip
        await environment.database.execute(queries.end_captures)
        async with running_app(environment, plan.processes) as port:
            tally = await _run_clients(environment, plan, port)
        found = await violations(environment.database)
    both = tally.hold_seconds + tally.pay_seconds
    confirmed_per_s = tally.confirmed / plan.seconds
    return HoldsResult(
        confirmed_per_s=round(confirmed_per_s, 1),
        pgbench_pairs_per_s=round(pairs.per_second, 1),
        ratio=round(confirmed_per_s / pairs.per_second, 3) if pairs.per_second else 0.0,
        p99_ms=percentile_ms(both, 99),
        hold_p99_ms=percentile_ms(tally.hold_seconds, 99),
        pay_p99_ms=percentile_ms(tally.pay_seconds, 99),
        p50_ms=percentile_ms(both, 50),
        refused=tally.refused,
        pgbench_refused=pairs.unconfirmed,
        violations=len(found),
        confirmed=tally.confirmed,
        seconds=plan.seconds,
        clients=plan.clients,
        pgbench_clients=plan.pgbench_clients,
        processes=plan.processes,
        cores=os.cpu_count() or 1,
    )


async def _run_clients(environment: Environment, plan: HoldsPlan, port: int) -> _Tally:
    connections = [await connect(port) for _ in range(plan.clients)]
    bookings = iter(_bookings(environment, plan))
    flushes = await wal_flushes(environment.database)
    now = asyncio.get_running_loop().time()
    tally = _Tally(now + plan.warm_seconds, now + plan.warm_seconds + plan.seconds)
    await asyncio.gather(*(_client(connection, bookings, tally) for connection in connections))
    for connection in connections:
        connection.close()
    await asyncio.sleep(_WINDOW_END_SECONDS)
    # A wait for the disc can serve a commit of every session at most; hold and confirm are a commit each.
    flushed_max = (await wal_flushes(environment.database) - flushes) * plan.processes * POOL_SIZE
    if flushed_max < 2 * tally.confirmed:
        raise BenchFailed("The app's sessions did not wait for the disc: what they booked is not counted.")
    return tally


@dataclass(frozen=True)
class _Booking:
    number: int
    provider_id: int
    token: str
    hold_request: bytes


def _bookings(environment: Environment, plan: HoldsPlan) -> Iterator[_Booking]:
    """Yield slots of the second half of the providers, in random order, each for another patient."""
    half = plan.providers // 2
    slots = Random(20).sample(range(half * SLOTS_A_DAY * _DAYS), k=min(plan.patients, half * SLOTS_A_DAY * _DAYS))  # noqa: S311
    for number, drawn in enumerate(slots, start=1):
        slot, provider = divmod(drawn, half)
        provider_id = half + 1 + provider
        token = environment.token(number)
        hold_of_slot = {"clinic_id": clinic_of(provider_id), "start": environment.start_of(slot), "slots_needed": 1}
        yield _Booking(
            number, provider_id, token,
            post(f"/providers/{provider_id}/holds", token, f"h{number:035}", hold_of_slot),
        )  # fmt: skip


async def _client(connection: Connection, bookings: Iterator[_Booking], tally: _Tally) -> None:
    now = asyncio.get_running_loop().time
    for booking in bookings:
        began = now()
        if began >= tally.closes_at:
            return
        answer = await connection.request(booking.hold_request)
        held = now()
        if answer.status != 201:
            tally.refused += 1
            tally.last_refusal = answer.body
            continue
        path = f"/providers/{booking.provider_id}/holds/{show(answer.body).id}/payment"
        answer = await connection.request(post(path, booking.token, f"p{booking.number:035}", {"method": "sandbox-ok"}))
        paid = now()
        if answer.status != 200:
            tally.refused += 1
            tally.last_refusal = answer.body
        elif tally.opens_at <= paid < tally.closes_at:
            tally.confirmed += 1
            tally.hold_seconds.append(held - began)
            tally.pay_seconds.append(paid - held)
    raise BenchFailed("The bench ran out of slots; run it for fewer seconds.")
