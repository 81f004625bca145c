"""The means to make a race happen on purpose, and to switch a guard of the product off in one test's own database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.accounts.actors import Actor, Patient
from healthplus.booking import outcomes
from healthplus.booking.book import Book
from healthplus.database import Database
from tests.booking.world import make_city, make_clinic, make_patients, make_provider, make_shift
from tests.fixtures.clock import move_clock, product_now

T = TypeVar("T")

CONNECTIONS_MAX = 60
SLOT = timedelta(minutes=5)
HOLD_TIME = timedelta(seconds=305)
OFFER_TIME = timedelta(seconds=65)
_OPENS = time(8)
_ZONE = ZoneInfo("Asia/Kolkata")

_WAITING = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""
_OTHER_SESSIONS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what only the database knows."""
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.002)


async def rewrite(database: Database, function: str, *changes: tuple[str, str]) -> None:
    """Replace texts in the function as it is installed, each where it first occurs.

    Fails when a text is not there: the product has changed, and the guard must be found again before its test means
    anything.
    """
    definition = await database.fetch_value("SELECT pg_get_functiondef(to_regproc($1))", function)
    assert definition, f"{function} is gone"
    for guarded, unguarded in changes:
        assert guarded in definition, f"{function} no longer contains {guarded!r}"
        definition = definition.replace(guarded, unguarded, 1)
    await database.execute(definition)


async def stub(database: Database, function: str, statement: str) -> None:
    """Have a PL/pgSQL function do nothing but one statement."""
    await rewrite(database, function, ("\nBEGIN\n", f"\nBEGIN\n    {statement}\n"))


async def switch_lock_off(database: Database) -> None:
    """Have verbs exclude nobody. They still wait at a gate that the test holds, so that all of them go on at once."""
    await rewrite(
        database,
        "booking.lock_book",
        ("pg_advisory_xact_lock(", "pg_advisory_xact_lock_shared("),
        (" FOR UPDATE", ""),
        (" FOR UPDATE", ""),
    )


async def deadlocks(dsn: str) -> int:
    """Give how many deadlocks this database has seen. Sessions report what they counted at the latest when they end."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:

        async def alone() -> bool:
            return not await database.fetch_value(_OTHER_SESSIONS)

        await until(alone)
        return int(
            await database.fetch_value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )


@dataclass(frozen=True)
class Provider:
    """A provider with one shift on one day, as far as a test is concerned."""

    provider_id: int
    clinic_id: int
    starts: list[datetime]

    @property
    def opens_at(self) -> datetime:
        return self.starts[0]

    @property
    def closes_at(self) -> datetime:
        return self.starts[-1] + SLOT


class Scene:
    """A database, a crowd of connections to it, and people to race each other."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.book = Book(database)
        self.clinic_id = 0

    async def build(self) -> None:
        self.clinic_id = await make_clinic(self.database, await make_city(self.database))

    async def provider(self, slots: int = 1, slots_max: int = 1) -> Provider:
        first = datetime.combine((await self.now()).astimezone(_ZONE).date() + timedelta(days=3), _OPENS, _ZONE)
        starts = [first + SLOT * slot for slot in range(slots)]
        provider_id = await make_provider(self.database, {self.clinic_id: (50_000, "clinic")}, max_booking_days=7)
        await make_shift(
            self.database,
            provider_id,
            self.clinic_id,
            first.isoweekday(),
            first.time(),
            (starts[-1] + SLOT).time(),
            SLOT // timedelta(minutes=1),
            slots_max=slots_max,
        )
        # The book's row is made by its first verb, and others that come meanwhile wait for it even without a lock.
        assert (await self.book.advance(provider_id)).code == "advanced"
        return Provider(provider_id, self.clinic_id, [start.astimezone(UTC) for start in starts])

    async def providers(self, count: int, slots: int = 1) -> list[Provider]:
        return [await self.provider(slots) for _ in range(count)]

    async def patients(self, count: int) -> list[int]:
        return await make_patients(self.database, count)

    async def patient(self) -> int:
        return (await self.patients(1))[0]

    async def hold(
        self, provider: Provider, patient_id: int, slot: int = 0, key: str | None = None, actor: Actor | None = None
    ) -> outcomes.Held | outcomes.HoldRefused:
        actor = actor or Patient(patient_id)
        return await self.book.hold(
            provider.provider_id, provider.clinic_id, provider.starts[slot], 1, patient_id, actor, key
        )

    async def held(self, provider: Provider, patient_id: int, slot: int = 0) -> UUID:
        """Hold a slot that is free, and give the booking."""
        outcome = await self.hold(provider, patient_id, slot)
        assert outcome.code == "reserved"
        assert outcome.booking_id
        return outcome.booking_id

    async def booked(self, provider: Provider, patient_id: int, slot: int = 0) -> UUID:
        """Book a slot that is free, and give the booking."""
        booking_id = await self.held(provider, patient_id, slot)
        assert (await self.confirm(provider, booking_id, patient_id)).code == "booked"
        return booking_id

    async def confirm(
        self, provider: Provider, booking_id: UUID, patient_id: int, key: str | None = None
    ) -> outcomes.Booked | outcomes.ConfirmRefused:
        return await self.book.confirm(provider.provider_id, booking_id, None, Patient(patient_id), key)

    async def release(
        self, provider: Provider, booking_id: UUID, patient_id: int
    ) -> outcomes.Released | outcomes.ReleaseRefused:
        return await self.book.release(provider.provider_id, booking_id, Patient(patient_id))

    async def join(
        self, provider: Provider, patient_id: int, slots_needed: int = 1, key: str | None = None
    ) -> outcomes.Joined | outcomes.JoinRefused:
        """Queue for anything in the provider's whole shift."""
        return await self.book.join_queue(
            provider.provider_id,
            provider.clinic_id,
            provider.opens_at,
            provider.closes_at,
            slots_needed,
            patient_id,
            Patient(patient_id),
            key,
        )

    async def waiting(self, provider: Provider, patient_id: int, slots_needed: int = 1) -> UUID:
        """Queue where nothing is free, and give the ticket."""
        outcome = await self.join(provider, patient_id, slots_needed)
        assert outcome.code == "waiting"
        assert outcome.ticket_id
        return outcome.ticket_id

    # Time.

    async def now(self) -> datetime:
        return await product_now(self.database)

    async def forward(self, by: timedelta) -> None:
        """Move the product's clock on. It keeps running."""
        await move_clock(self.database, seconds=by.total_seconds())

    # Windows.

    @contextlib.asynccontextmanager
    async def gate(self, provider: Provider) -> AsyncIterator[None]:
        """Hold the provider's lock, so that verbs queue up behind it, in order of arrival, until the block ends."""
        async with self.database.transaction() as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock($1)", provider.provider_id)
            yield

    async def until_locked_out(self, count: int, tasks: Sequence[asyncio.Future[Any]] = ()) -> None:
        """Wait until so many calls wait for a lock, or are done without it."""

        async def waiting() -> bool:
            waiting: int = await self.database.fetch_value(_WAITING)
            return waiting + sum(task.done() for task in tasks) >= count

        await until(waiting)

    async def at_once(self, provider: Provider, calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Let all calls get as far as the provider's lock, in any order, then let them go on together."""
        tasks = [asyncio.ensure_future(call) for call in calls]
        async with self.gate(provider):
            await self.until_locked_out(len(tasks), tasks)
        return list(await asyncio.gather(*tasks))

    async def in_order(self, provider: Provider, calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Like at_once, but the calls arrive at the lock in the order given."""
        tasks: list[asyncio.Task[T]] = []
        async with self.gate(provider):
            for call in calls:
                tasks.append(asyncio.create_task(call))
                await self.until_locked_out(len(tasks), tasks)
        return list(await asyncio.gather(*tasks))

    # What came of it.

    async def events(self, kind: str) -> int:
        return int(await self.database.fetch_value("SELECT count(*) FROM booking.event WHERE kind = $1", kind))

    async def occupants(self, provider: Provider, slot: int = 0) -> int:
        """Count the bookings that occupy a slot."""
        return int(
            await self.database.fetch_value(
                """SELECT count(*) FROM booking.booking
                WHERE provider_id = $1 AND occupies AND during @> $2::timestamptz""",
                provider.provider_id,
                provider.starts[slot],
            )
        )
