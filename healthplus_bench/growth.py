"""How many bytes a day of appointments adds, and how many of them stay once what is over has been deleted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database, load
from healthplus.ops.check import violations
from healthplus.payments.captures import queries as payment_queries
from healthplus.retention.retention import Retention
from healthplus.waiting.presence import Presence
from healthplus_bench.environment import SLOTS_A_SHIFT, BenchFailed, Environment, clinic_of, prepared_environment

queries = load(Path(__file__).with_name("growth.sql"))

_DAYS_A_YEAR = 365
_DAYS_A_MONTH = 30


class GrowthPlan(msgspec.Struct, frozen=True):
    """A day. For each 100 appointments: holds that run out, holds given back, and tickets that get a time or not."""

    appointments: int = 1000
    lapsed: int = 25
    released: int = 15
    tickets_left: int = 10
    tickets_served: int = 10
    codes: int = 30


class GrowthResult(msgspec.Struct):
    """Bytes with indexes, of one day; `tables` has those written and those that stay, by table."""

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
        """Pay for a hold, as the app and its background tasks do."""
        await self._database.fetch(payment_queries.begin_payment, provider_id, booking_id, patient.patient_id)
        name = f"sandbox-{provider_id}.{booking_id}"
        booked = await self._book.confirm(provider_id, booking_id, name, patient, f"pay {patient.patient_id}")
        if booked.code != "booked":
            raise BenchFailed(f"A hold could not be booked: {booked.code}.")
        await self._database.fetch(payment_queries.note_states, [provider_id], [booking_id], [name], ["captured"])
        await self._database.fetch(
            payment_queries.record_gateway_event,
            *(provider_id, booking_id, name, "captured", 50000, "INR", "webhook", f"event {patient.patient_id}"),
        )

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
    """Play a day, then let 400 days pass and have what is over deleted. Raises BenchFailed."""
    share = plan.appointments // 100
    waits = share * (plan.tickets_left + plan.tickets_served)
    slots = plan.appointments + share * (plan.lapsed + plan.released)
    providers = slots // SLOTS_A_SHIFT + 1
    async with prepared_environment(dsn, folder, providers, slots + waits) as environment:
        database, day = environment.database, _Day(environment)
        await database.execute(queries.put_phones)
        before = await _sizes(database)
        for number in range(waits):
            await day.wait(is_served=number % 2 == 0)
        for _ in range(plan.appointments - waits):
            await day.book(*await day.hold())
        for _ in range(share * plan.released):
            await day.release(*await day.hold())
        for _ in range(share * plan.lapsed):
            await day.hold()
        await database.execute(queries.put_codes, share * plan.codes)
        await database.execute(queries.move_clock, timedelta(minutes=6))
        for provider_id in range(1, providers + 1):
            await Book(database).advance(provider_id)
        written = await _sizes(database)
        await database.execute(queries.move_clock, timedelta(days=400))
        await _look_last(database)
        await Retention(database).forget(pause_seconds=0)
        left = await _sizes(database)
        broken = await violations(database)
    tables = {name: (written[name] - before[name], left[name] - before[name]) for name in before}
    lasting = sum(one for _, one in tables.values())
    return GrowthResult(
        appointments_a_month=plan.appointments * _DAYS_A_MONTH,
        holds_that_came_to_nothing=share * (plan.lapsed + plan.released + plan.tickets_served),
        tickets=waits,
        written_bytes_a_day=sum(one for one, _ in tables.values()),
        lasting_bytes_a_day=lasting,
        lasting_mb_a_year=round(lasting * _DAYS_A_YEAR / 1e6),
        violations=len(broken),
        tables={name: both for name, both in sorted(tables.items()) if any(both)},
    )


async def _look_last(database: Database) -> None:
    """Have reconciliation look at the gateway for the last time, which knows of nothing new."""
    while due := await database.fetch(payment_queries.take_due_intents, 1000, timedelta(hours=1)):
        ids = [row["provider_id"] for row in due], [row["hold_id"] for row in due]
        await database.execute(payment_queries.schedule_next_check, *ids)


async def _sizes(database: Database) -> dict[str, int]:
    await database.execute(queries.pack)
    return {row["name"]: row["bytes"] for row in await database.fetch(queries.sizes)}
