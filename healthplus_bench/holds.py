"""How many bookings a second: hold and pay over HTTP, and then the same two functions called by pgbench."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, random
from typing import Literal

import msgspec

from healthplus.ops.check import violations
from healthplus_bench.bank import METHOD
from healthplus_bench.client import Answer, Connection, connect, percentile_ms, post, show
from healthplus_bench.environment import (
    POOL_SIZE,
    BenchFailed,
    Environment,
    clinic_of,
    prepared_environment,
    queries,
    running_app,
    wal_flushes,
)
from healthplus_bench.pgbench import Pairs, PgbenchPlan, run_pgbench
from healthplus_bench.processes import cpu_seconds, memory_mib, require_open_files, used_since
from healthplus_bench.returning import DAYS, Returning, group_of, groups_for

_BOOKINGS_A_SECOND_MAX = 3000
_WINDOW_END_SECONDS = 1.5  # until the sessions have reported how often they waited for the disc
_CALLS_A_COMMIT_MAX = 16
"""How many calls of different patients the product may send in one transaction."""


@dataclass(frozen=True)
class HoldsPlan:
    """How long and how hard. One half of the providers is booked over HTTP, the other by pgbench.

    The bank is the sandbox's process on this `machine`, or `elsewhere` and answers after `bank_ms`. pgbench runs for
    each number of clients; for none, not at all.
    """

    seconds: int = 10
    warm_seconds: int = 3
    clients: int = 32
    processes: int = 2
    providers: int = 600
    bank: Literal["machine", "elsewhere"] = "machine"
    bank_ms: int = 0
    pgbench_seconds: int = 7
    pgbench_warm_seconds: int = 3
    pgbench_clients: tuple[int, ...] = (8, 16, 32)

    @property
    def http(self) -> Returning:
        """Return who books over HTTP."""
        bookings = _BOOKINGS_A_SECOND_MAX * (self.seconds + self.warm_seconds)
        group = group_of(self.clients)
        return Returning(group, groups_for(bookings, group), self.providers // 2)

    @property
    def pgbench(self) -> PgbenchPlan:
        """Return how pgbench runs, with patients of its own."""
        return PgbenchPlan(
            self.pgbench_clients, self.pgbench_warm_seconds, self.pgbench_seconds,
            first_patient=1 + self.http.patients, providers=self.providers // 2,
        )  # fmt: skip


class HoldsResult(msgspec.Struct):
    """What was measured; `ratio` is of the bookings a second over HTTP to those by pgbench.

    `cpu_us_per_booking`: user and system time of all processes, with the client's, while bookings were counted;
    `cpu_us_by_process` has its parts; `memory_mib` is what each kind of process had at the end.
    `pgbench_pairs_per_s` is the best of `pgbench_by_clients`, which has pairs a
    second for each number of clients; `pgbench_cpu_us_by_clients` has the database's CPU time for each pair.
    `told_later`: requests that the app had no room for, and that were made again when it said.
    `patients`: how many booked over HTTP, each again and again; the one with most bookings has
    `bookings_per_patient_max` at the end. `pgbench_patients` are others.
    """

    confirmed_per_s: float
    cpu_us_per_booking: int
    cpu_us_by_process: dict[str, int]
    memory_mib: dict[str, int]
    pgbench_pairs_per_s: float
    ratio: float
    p99_ms: float
    hold_p99_ms: float
    pay_p99_ms: float
    p50_ms: float
    refused: int
    refusals: dict[str, int]
    told_later: int
    pgbench_refused: int
    violations: int
    confirmed: int
    patients: int
    bookings_per_patient_max: int
    pgbench_by_clients: dict[int, float]
    pgbench_cpu_us_by_clients: dict[int, int]
    pgbench_patients: int
    pgbench_bookings_per_patient_max: int
    bank: str
    bank_ms: int
    seconds: int
    clients: int
    processes: int
    cores: int


@dataclass
class _Tally:
    """What was counted from `opens_at` to `closes_at`; `told_later`, and `refusals` by code, are of the whole run."""

    opens_at: float
    closes_at: float
    confirmed: int = 0
    told_later: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    hold_seconds: list[float] = field(default_factory=list)
    pay_seconds: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    memory_mib: dict[str, int] = field(default_factory=dict)

    def refuse(self, answer: Answer) -> None:
        """Count a hold or payment that was refused; what the app still has no room for at the end is none."""
        if answer.status != 503:
            self.refusals[show(answer.body).code] += 1


async def bench_holds(dsn: str, folder: Path, plan: HoldsPlan) -> HoldsResult:
    """Run both halves on a new database. Raises BenchFailed."""
    require_open_files(plan.clients + 1000)
    http, patients = plan.http.patients, plan.http.patients + plan.pgbench.patients
    async with prepared_environment(dsn, folder, plan.providers, patients) as environment:
        bank_ms = plan.bank_ms if plan.bank == "elsewhere" else None
        async with running_app(environment, plan.processes, bank_ms=bank_ms) as port:
            tally = await _run_clients(environment, plan, port)
        # Only now: nobody asks the bank for money that pgbench has set aside.
        pairs = await run_pgbench(environment, plan.pgbench)
        came, most = await _patients_with_bookings(environment, 1, http)
        pgbench_came, pgbench_most = await _patients_with_bookings(environment, 1 + http, patients)
        found = await violations(environment.database)
    if not tally.confirmed:
        raise BenchFailed(f"Nothing was booked over HTTP. Refused: {dict(tally.refusals)}")
    best = max(pairs, key=lambda one: one.per_second) if pairs else Pairs(0, 0.0, 0, 0)
    cpu_us = {kind: round(seconds * 1e6 / tally.confirmed) for kind, seconds in tally.cpu.items()}
    both = tally.hold_seconds + tally.pay_seconds
    confirmed_per_s = tally.confirmed / plan.seconds
    return HoldsResult(
        confirmed_per_s=round(confirmed_per_s, 1),
        cpu_us_per_booking=sum(cpu_us.values()),
        cpu_us_by_process=cpu_us,
        memory_mib=tally.memory_mib,
        pgbench_pairs_per_s=round(best.per_second, 1),
        ratio=round(confirmed_per_s / best.per_second, 3) if pairs else 0.0,
        p99_ms=percentile_ms(both, 99),
        hold_p99_ms=percentile_ms(tally.hold_seconds, 99),
        pay_p99_ms=percentile_ms(tally.pay_seconds, 99),
        p50_ms=percentile_ms(both, 50),
        refused=tally.refusals.total(),
        refusals=dict(tally.refusals),
        told_later=tally.told_later,
        pgbench_refused=sum(one.unconfirmed for one in pairs),
        violations=len(found),
        confirmed=tally.confirmed,
        patients=came,
        bookings_per_patient_max=most,
        pgbench_by_clients={one.clients: round(one.per_second, 1) for one in pairs},
        pgbench_cpu_us_by_clients={one.clients: one.cpu_us for one in pairs},
        pgbench_patients=pgbench_came,
        pgbench_bookings_per_patient_max=pgbench_most,
        bank=plan.bank,
        bank_ms=plan.bank_ms,
        seconds=plan.seconds,
        clients=plan.clients,
        processes=plan.processes,
        cores=os.cpu_count() or 1,
    )


async def _patients_with_bookings(environment: Environment, first: int, last: int) -> tuple[int, int]:
    """Return how many of these patients have bookings, and the most that one of them has."""
    row = await environment.database.fetch_row(queries.patients_with_bookings, first, last)
    assert row is not None
    return row["patients"], row["most"]


async def _run_clients(environment: Environment, plan: HoldsPlan, port: int) -> _Tally:
    bookings = _bookings(environment, plan)
    connections = [await connect(port) for _ in range(plan.clients)]
    flushes = await wal_flushes(environment.database)
    now = asyncio.get_running_loop().time()
    tally = _Tally(now + plan.warm_seconds, now + plan.warm_seconds + plan.seconds)
    await asyncio.gather(
        _measure_cpu(environment, tally), *(_client(connection, bookings, tally) for connection in connections)
    )
    for connection in connections:
        connection.close()
    await asyncio.sleep(_WINDOW_END_SECONDS)
    # A wait for the disc can serve a commit of every session at most; hold and confirm are a call each.
    flushed_max = (await wal_flushes(environment.database) - flushes) * plan.processes * POOL_SIZE * _CALLS_A_COMMIT_MAX
    if flushed_max < 2 * tally.confirmed:
        raise BenchFailed("The app's sessions did not wait for the disc: what they booked is not counted.")
    return tally


async def _measure_cpu(environment: Environment, tally: _Tally) -> None:
    now = asyncio.get_running_loop().time
    await asyncio.sleep(tally.opens_at - now())
    before = cpu_seconds(environment.folder)
    await asyncio.sleep(tally.closes_at - now())
    tally.cpu = used_since(before, cpu_seconds(environment.folder))
    tally.memory_mib = memory_mib(environment.folder)


@dataclass(frozen=True)
class _Booking:
    number: int
    provider_id: int
    token: str
    hold_request: bytes


def _bookings(environment: Environment, plan: HoldsPlan) -> Iterator[_Booking]:
    """Yield slots of the second half of the providers, in random order."""
    returning = plan.http
    # Each day in an order of its own: who comes one after the other, each for another day, goes to different providers.
    orders = [Random(day).sample(range(returning.slots_a_day), k=returning.slots_a_day) for day in range(DAYS)]  # noqa: S311
    for number in range(returning.bookings_max):
        turn = returning.turn(number)
        slot_of_day, provider = divmod(orders[turn.day][turn.rank], returning.providers)
        provider_id = plan.providers - returning.providers + 1 + provider
        token = environment.token(1 + turn.patient)
        start = environment.start_of_day(turn.day, slot_of_day)
        hold_of_slot = {"clinic_id": clinic_of(provider_id), "start": start, "slots_needed": 1}
        yield _Booking(
            number, provider_id, token,
            post(f"/providers/{provider_id}/holds", token, f"h{number:035}", hold_of_slot),
        )  # fmt: skip


async def _client(connection: Connection, bookings: Iterator[_Booking], tally: _Tally) -> None:
    now = asyncio.get_running_loop().time
    for booking in bookings:
        if now() >= tally.closes_at:
            return
        answer, hold_seconds = await _ask(connection, booking.hold_request, tally)
        if answer.status != 201:
            tally.refuse(answer)
            continue
        path = f"/providers/{booking.provider_id}/holds/{show(answer.body).id}/payment"
        request = post(path, booking.token, f"p{booking.number:035}", {"method": METHOD})
        answer, pay_seconds = await _ask(connection, request, tally)
        if answer.status != 200:
            tally.refuse(answer)
        elif tally.opens_at <= now() < tally.closes_at:
            tally.confirmed += 1
            tally.hold_seconds.append(hold_seconds)
            tally.pay_seconds.append(pay_seconds)
    raise BenchFailed("The bench ran out of appointments that its patients may have; run it for fewer seconds.")


async def _ask(connection: Connection, raw: bytes, tally: _Tally) -> tuple[Answer, float]:
    """Return an answer and the seconds it took; where the app has no room, ask again under the same key, as told."""
    now = asyncio.get_running_loop().time
    while True:
        began = now()
        answer = await connection.request(raw)
        if answer.status != 503 or now() >= tally.closes_at:
            return answer, now() - began
        tally.told_later += 1
        await asyncio.sleep((show(answer.body).retry_after or 1) * (1 + random() / 2))  # noqa: S311
