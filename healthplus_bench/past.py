"""What bookings that are over cost: the bytes of each that stay for good, and the time that a million take from others.

They are made by the product itself, with its clock in the past, for one provider; what stays of them is then copied to
the other providers, whatever tables and columns it is in.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book
from healthplus.database import BULK, Database, load
from healthplus.ops.check import violations
from healthplus.retention.retention import Retention
from healthplus_bench.cashier import Cashier
from healthplus_bench.environment import SLOTS_A_DAY, BenchFailed, Environment, clinic_of, prepared_environment
from healthplus_bench.environment import queries as environment_queries
from healthplus_bench.pgbench import PgbenchPlan, run_once

queries = load(Path(__file__).with_name("past.sql"))

_BOOKED_A_DAY = SLOTS_A_DAY - 1
"""A day that is full is noted for those who search, in a row that is not the booking's."""
_ATTENDED: tuple[Literal["arrived", "fulfilled"], ...] = ("arrived", "fulfilled")
_OVER_DAYS = 100
"""How long ago the last of them was: by then, nothing is kept of it that is not kept for good."""


@dataclass(frozen=True)
class PastPlan:
    """`bookings` that are over, at so many providers. pgbench runs with and without them by turns, `rounds` times."""

    bookings: int = 1_000_000
    providers: int = 300
    rounds: int = 4
    clients: int = 8
    warm_seconds: int = 2
    seconds: int = 5

    @property
    def pgbench(self) -> PgbenchPlan:
        """Return how pgbench runs: each round has patients of its own."""
        return PgbenchPlan((self.clients,) * self.rounds, self.warm_seconds, self.seconds, 1, self.providers)

    @property
    def bookings_each(self) -> int:
        """Return how many past bookings each provider has."""
        return -(-self.bookings // self.providers)

    @property
    def patients(self) -> int:
        """Return how many patients there are."""
        return max(self.pgbench.patients, self.providers * SLOTS_A_DAY)


@dataclass(frozen=True)
class PastResult:
    """`bytes_by_table`: of a booking, in heap and indexes. CPU times are the database's for a pair, of each round."""

    bookings: int
    bytes_by_table: dict[str, tuple[int, int]]
    cpu_us_without: list[int]
    cpu_us_with: list[int]
    violations: int

    @property
    def bytes_per_booking(self) -> int:
        """Return the bytes of a booking that stay for good."""
        return sum(map(sum, self.bytes_by_table.values()))

    @property
    def growth_percent(self) -> float:
        """Return how much more CPU a pair takes with the past bookings than without, by the medians."""
        return round(100 * (statistics.median(self.cpu_us_with) / statistics.median(self.cpu_us_without) - 1), 1)


async def bench_past(dsn_without: str, dsn_with: str, folder: Path, plan: PastPlan) -> PastResult:
    """Fill one of two new databases of a server with past bookings, and run the verbs on both. Raises BenchFailed."""
    days = -(-plan.bookings_each // _BOOKED_A_DAY)
    async with await Database.connect(dsn_with, min_size=1, max_size=1, limits=BULK) as database:
        await database.execute(queries.move_clock, -timedelta(days=days + _OVER_DAYS))
        async with (
            prepared_environment(dsn_without, folder, plan.providers, plan.patients) as without,
            prepared_environment(dsn_with, folder, plan.providers, plan.patients) as with_past,
        ):
            await database.execute(queries.name_persons)
            before = await sizes(database)
            await _make_template(with_past, plan.bookings_each)
            after = await sizes(database)
            await _copy_template(database, plan)
            # Now both clocks show the time.
            places = (without, replace(with_past, first_shift=without.first_shift))
            cpu_us = await _run_by_turns(places, plan)
            broken = await violations(database) + await violations(without.database)
    return PastResult(
        bookings=plan.bookings_each * plan.providers,
        bytes_by_table={
            name: (round(heap / plan.bookings_each), round(indexes / plan.bookings_each))
            for name, now in after.items()
            for heap, indexes in [(now[part] - before[name][part] for part in (0, 1))]
            if (heap or indexes) and not name.startswith("accounts.")
        },
        cpu_us_without=cpu_us[0],
        cpu_us_with=cpu_us[1],
        violations=len(broken),
    )


@contextlib.asynccontextmanager
async def past_environment(dsn: str, folder: Path, plan: PastPlan) -> AsyncIterator[Environment]:
    """Fill a new database with bookings that are over, each paid online, captured and attended. Raises BenchFailed."""
    days = -(-plan.bookings_each // _BOOKED_A_DAY)
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
        await database.execute(queries.move_clock, -timedelta(days=days + _OVER_DAYS))
        async with prepared_environment(dsn, folder, plan.providers, plan.patients) as environment:
            await database.execute(queries.name_persons)
            await _make_template(environment, plan.bookings_each)
            await _copy_template(database, plan)
            await database.execute(environment_queries.analyze)
            # Now the clock shows the time.
            yield replace(environment, first_shift=await database.fetch_value(environment_queries.first_shift))


async def sizes(database: Database) -> dict[str, tuple[int, int]]:
    """Return the bytes of each table that grows, in its heap and its indexes, as `VACUUM FULL` leaves them."""
    names = [row["name"] for row in await database.fetch(queries.sizes)]
    await database.execute(f"VACUUM FULL {', '.join(names)}")
    return {row["name"]: (row["heap"], row["indexes"]) for row in await database.fetch(queries.sizes)}


async def _make_template(environment: Environment, count: int) -> None:
    """Have the same patients come to provider 1 each day until so many visits are over, and let all of it pass."""
    database = environment.database
    book = Book(database)
    cashier = Cashier(database, book)
    for day in range(-(-count // _BOOKED_A_DAY)):
        visits = [
            await _book_visit(environment, book, cashier, day, slot)
            for slot in range(min(_BOOKED_A_DAY, count - day * _BOOKED_A_DAY))
        ]
        await cashier.settle()
        await database.execute(queries.move_clock, timedelta(days=1))
        for booking_id in visits:
            for state in _ATTENDED:
                await book.attend(1, booking_id, state, Staff(1))
        await cashier.settle()
    await database.execute(queries.end_clock)
    await cashier.settle()
    await Retention(database).forget(pause_seconds=0)


async def _book_visit(environment: Environment, book: Book, cashier: Cashier, day: int, slot: int) -> UUID:
    patient = Patient(1 + slot)
    start = environment.start_of_day(day, slot)
    held = await book.hold(1, clinic_of(1), start, 1, patient.patient_id, patient, f"hold {day} {slot}")
    if held.booking_id is None:
        raise BenchFailed(f"A slot could not be held: {held.code}.")
    await cashier.pay(1, held.booking_id, patient, f"pay {day} {slot}")
    return held.booking_id


async def _copy_template(database: Database, plan: PastPlan) -> None:
    """Copy the bookings of provider 1 to every other provider, each with patients of its own, in the order of time."""
    patient = f"(patient_id + (n - 1) * {SLOTS_A_DAY})"
    columns = {
        "provider_id": "n",
        "clinic_id": "(n + 9) / 10",
        "patient_id": patient,
        "person_id": f"CASE WHEN person_id IS NOT NULL THEN md5('person' || {patient})::uuid END",
    }
    for row in await database.fetch(queries.tables):
        copies = [
            columns.get(name, f"md5({name}::text || n)::uuid" if kind == "uuid" else name)
            for name, kind in zip(row["names"], row["kinds"], strict=True)
        ]
        await database.execute(
            f"""SELECT set_config('session_replication_role', 'replica', true);
            DELETE FROM {row["table_name"]} WHERE provider_id BETWEEN 2 AND {plan.providers};
            INSERT INTO {row["table_name"]} ({", ".join(row["names"])})
            SELECT {", ".join(copies)}
            FROM {row["table_name"]} AS known
            CROSS JOIN LATERAL generate_series(2::bigint, {plan.providers} + 0 * known.provider_id) AS n
            WHERE known.provider_id = 1"""
        )


async def _run_by_turns(environments: tuple[Environment, Environment], plan: PastPlan) -> tuple[list[int], list[int]]:
    """Return the CPU time of a pair in each environment, in each round."""
    for environment in environments:
        await environment.database.execute(environment_queries.analyze)
        await environment.database.execute("CHECKPOINT")  # so that none is due soon
    found: tuple[list[int], list[int]] = ([], [])
    for number in range(plan.rounds):
        for place in (0, 1) if number % 2 == 0 else (1, 0):
            found[place].append((await run_once(environments[place], plan.pgbench, number)).cpu_us)
    return found
