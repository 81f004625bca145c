"""What use leaves behind: the bytes that a day adds, those that stay for good, and how much slower the verbs become."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import load
from healthplus.ops.check import violations
from healthplus.retention.retention import Retention
from healthplus.waiting.presence import Presence
from healthplus_bench.cashier import Cashier
from healthplus_bench.environment import (
    SLOTS_A_SHIFT,
    BenchFailed,
    Environment,
    clinic_of,
    new_database,
    prepared_environment,
)
from healthplus_bench.past import PastPlan, bench_past, sizes
from healthplus_bench.past import queries as past_queries

queries = load(Path(__file__).with_name("growth.sql"))

_DAYS_A_YEAR = 365
_DAYS_A_MONTH = 30


@dataclass(frozen=True)
class GrowthPlan:
    """A day. For each 100 appointments: holds that run out, holds given back, and tickets that get a time or not.

    Then the `past`.
    """

    appointments: int = 1000
    lapsed: int = 25
    released: int = 15
    tickets_left: int = 10
    tickets_served: int = 10
    codes: int = 30
    past: PastPlan = field(default_factory=PastPlan)


class GrowthResult(msgspec.Struct):
    """Bytes with indexes, of one day; `tables` has those written and those that stay, by table.

    `bytes_per_booking`: what stays for good of one that was paid online, captured and attended, by table in heap
    and indexes.
    `cpu_growth_percent`: how much more CPU time of the database a hold and its confirmation take beside
    `past_bookings` than beside none, by the medians of the runs, whose times are in us.
    """

    bytes_per_booking: int
    bytes_by_table: dict[str, tuple[int, int]]
    cpu_growth_percent: float
    past_bookings: int
    cpu_us_per_pair_without: list[int]
    cpu_us_per_pair_with: list[int]
    appointments_a_month: int
    holds_that_came_to_nothing: int
    tickets: int
    written_bytes_a_day: int
    lasting_bytes_a_day: int
    lasting_mb_a_year: int
    violations: int
    tables: dict[str, tuple[int, int]]


class _Day:
    """Plays a day's traffic by the verbs; each patient comes once, and each provider has a shift of slots."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._database = environment.database
        self._book = Book(self._database)
        self._presence = Presence(self._database)
        self.cashier = Cashier(self._database, self._book)
        self._paid: list[tuple[int, UUID]] = []
        self._slots = 0
        self._patients = 0

    async def hold(self, slot: int | None = None) -> tuple[int, UUID, Patient]:
        """Hold a slot that nobody has had yet, or this one, for a new patient."""
        slot = self._next_slot() if slot is None else slot
        provider_id, patient = 1 + slot // SLOTS_A_SHIFT, self._next_patient()
        start = self._environment.start_of(slot % SLOTS_A_SHIFT)
        held = await self._book.hold(
            provider_id, clinic_of(provider_id), start, 1, patient.patient_id, patient, f"hold {patient.patient_id}"
        )
        if held.booking_id is None:
            raise BenchFailed(f"A slot could not be held: {held.code}.")
        return provider_id, held.booking_id, patient

    async def book(self, provider_id: int, booking_id: UUID, patient: Patient) -> None:
        """Pay for a hold."""
        await self.cashier.pay(provider_id, booking_id, patient, f"pay {patient.patient_id}")
        self._paid.append((provider_id, booking_id))

    async def settle(self) -> None:
        """Have the money taken, and the bank say so once."""
        await self.cashier.settle()
        for number, (provider_id, booking_id) in enumerate(self._paid):
            await self.cashier.report(provider_id, booking_id, f"event {number}")
        self._paid.clear()

    async def release(self, provider_id: int, booking_id: UUID, patient: Patient) -> None:
        await self._book.release(provider_id, booking_id, patient, f"release {patient.patient_id}")

    async def wait(self, *, is_served: bool) -> None:
        """Have a patient wait for a slot that another holds, who gives it back; or leave before."""
        slot = self._next_slot()
        held = await self.hold(slot)
        provider_id, waiter = held[0], self._next_patient()
        start = self._environment.start_of(slot % SLOTS_A_SHIFT)
        joined = await self._book.join_queue(
            provider_id, clinic_of(provider_id), start, start + timedelta(minutes=5), 1, waiter.patient_id, waiter,
            f"join {waiter.patient_id}",
        )  # fmt: skip
        if joined.ticket_id is None:
            raise BenchFailed(f"The queue could not be joined: {joined.code}.")
        await self._presence.see(provider_id, joined.ticket_id)
        await self._presence.flush()
        if not is_served:
            await self._book.leave_queue(provider_id, joined.ticket_id, waiter)
            await self.book(*held)
            return
        await self.release(*held)
        accepted = await self._book.accept(provider_id, joined.ticket_id, waiter)
        if accepted.booking_id is None:
            raise BenchFailed(f"An offer could not be taken: {accepted.code}.")
        await self.book(provider_id, accepted.booking_id, waiter)

    def _next_slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    def _next_patient(self) -> Patient:
        self._patients += 1
        return Patient(self._patients)


async def bench_growth(dsn: str, folder: Path, plan: GrowthPlan) -> GrowthResult:
    """Play a day and let 400 days pass; then see what bookings that are over cost. Raises BenchFailed."""
    # While the database is new: they are copies of it.
    without, with_past = [await new_database(dsn, name) for name in ("without", "with_past")]
    tables, broken = await _play_day(dsn, folder, plan)
    past = await bench_past(without, with_past, folder, plan.past)
    share = plan.appointments // 100
    lasting = sum(one for _, one in tables.values())
    return GrowthResult(
        bytes_per_booking=past.bytes_per_booking,
        bytes_by_table=past.bytes_by_table,
        cpu_growth_percent=past.growth_percent,
        past_bookings=past.bookings,
        cpu_us_per_pair_without=past.cpu_us_without,
        cpu_us_per_pair_with=past.cpu_us_with,
        appointments_a_month=plan.appointments * _DAYS_A_MONTH,
        holds_that_came_to_nothing=share * (plan.lapsed + plan.released + plan.tickets_served),
        tickets=share * (plan.tickets_left + plan.tickets_served),
        written_bytes_a_day=sum(one for one, _ in tables.values()),
        lasting_bytes_a_day=lasting,
        lasting_mb_a_year=round(lasting * _DAYS_A_YEAR / 1e6),
        violations=broken + past.violations,
        tables={name: both for name, both in sorted(tables.items()) if any(both)},
    )


async def _play_day(dsn: str, folder: Path, plan: GrowthPlan) -> tuple[dict[str, tuple[int, int]], int]:
    """Return the bytes of each table that a day writes and that stay of it, and how many invariants are broken."""
    share = plan.appointments // 100
    waits = share * (plan.tickets_left + plan.tickets_served)
    slots = plan.appointments + share * (plan.lapsed + plan.released)
    providers = slots // SLOTS_A_SHIFT + 1
    async with prepared_environment(dsn, folder, providers, slots + waits) as environment:
        database, day = environment.database, _Day(environment)
        await database.execute(queries.put_phones)
        before = await sizes(database)
        for number in range(waits):
            await day.wait(is_served=number % 2 == 0)
        for _ in range(plan.appointments - waits):
            await day.book(*await day.hold())
        for _ in range(share * plan.released):
            await day.release(*await day.hold())
        for _ in range(share * plan.lapsed):
            await day.hold()
        await database.execute(queries.put_codes, share * plan.codes)
        await database.execute(past_queries.move_clock, timedelta(minutes=6))
        for provider_id in range(1, providers + 1):
            await Book(database).advance(provider_id)
        await day.settle()
        written = await sizes(database)
        await database.execute(past_queries.move_clock, timedelta(days=400))
        await day.settle()
        await Retention(database).forget(pause_seconds=0)
        left = await sizes(database)
        broken = await violations(database)
    tables = {name: (sum(written[name]) - sum(was), sum(left[name]) - sum(was)) for name, was in before.items()}
    return tables, len(broken)
