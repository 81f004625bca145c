"""ActiveReservations makes expiry prompt; it needs no leader, and outlives the loss of its database."""

from __future__ import annotations

import asyncio
import contextlib
import time as wall
from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.active_reservations import SLEEP_SECONDS_MAX, SLEEP_SECONDS_MIN, ActiveReservations
from healthplus.booking.book import Book
from healthplus.database import Database
from tests.fixtures.clock import days_ahead, move_clock, move_clock_to, until
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.fixtures.races import HOLD_TIME, RaceEnvironment

PROMPT_SECONDS = 2.0


async def hold_some(db: Database, count: int) -> list[tuple[int, UUID]]:
    """Hold one slot at each of as many providers; return the providers and holds."""
    clinic = await make_clinic(db)
    start = await days_ahead(db, 3, time(9, 30))
    held = []
    for patient in await make_patients(db, count):
        provider = await make_provider(db, {clinic: (0, "free")})
        await make_shift(db, provider, clinic, DAILY, time(9), time(12), 30)
        outcome = await Book(db).hold(provider, clinic, start, 1, patient, Patient(patient))
        assert outcome.booking_id
        held.append((provider, outcome.booking_id))
    return held


async def count_expired(db: Database) -> int:
    return int(await db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'expired'"))


async def test_lapsed_holds_are_freed_promptly_by_several_processes(db: Database) -> None:
    held = await hold_some(db, 12)
    # However long it took to make them, all are due in two seconds.
    due_at = await db.fetch_value(
        "UPDATE booking.booking SET deadline = (SELECT min(deadline) FROM booking.booking) RETURNING deadline"
    )
    await db.execute("UPDATE booking.book SET next_due = $1", due_at)
    await move_clock_to(db, due_at - timedelta(seconds=2))
    services = [asyncio.create_task(ActiveReservations(db, Book(db)).run()) for _ in range(3)]
    try:
        await asyncio.sleep(0.5)
        assert await count_expired(db) == 0
        started = wall.monotonic()
        while await count_expired(db) < len(held):
            assert wall.monotonic() - started < 1.7 + PROMPT_SECONDS
            await asyncio.sleep(0.02)
    finally:
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)
    late = await db.fetch_value("""
        SELECT max(event.at - booking.deadline) FROM booking.event JOIN booking.booking USING (provider_id, booking_id)
        WHERE event.kind = 'expired'""")
    assert timedelta() <= late < timedelta(seconds=PROMPT_SECONDS)
    assert await db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = 'expired'") == len(held)


async def test_the_next_look_is_when_the_oldest_hold_is_due(db: Database) -> None:
    service = ActiveReservations(db, Book(db))
    assert await service.advance_due() == 1.0
    await hold_some(db, 1)
    assert await service.advance_due() == 1.0
    await move_clock(db, seconds=304.5)
    assert 0 < await service.advance_due() < 0.5


class Watched(Book):
    """Notes which books are asked for."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.asked: list[int] = []

    async def advance(self, provider_id: int, unless_busy: bool = False) -> Any:
        """Note it, and advance the book."""
        self.asked.append(provider_id)
        return await super().advance(provider_id, unless_busy)


async def let_run_out(db: Database) -> tuple[int, Watched, ActiveReservations]:
    """Have the one hold of a book run out."""
    provider, _ = (await hold_some(db, 1))[0]
    await move_clock(db, HOLD_TIME)
    book = Watched(db)
    return provider, book, ActiveReservations(db, book)


async def test_what_is_due_is_asked_for_once(db: Database) -> None:
    provider, book, service = await let_run_out(db)
    assert await service.advance_due() == SLEEP_SECONDS_MAX
    assert await count_expired(db) == 1
    assert await service.advance_due() == SLEEP_SECONDS_MAX
    assert book.asked == [provider]


@pytest.mark.parametrize("end", ["confirm", "release"])
async def test_a_book_whose_hold_ended_before_is_asked_for_once(db: Database, end: str) -> None:
    """Confirming and releasing leave next_due as it is."""
    provider, booking_id = (await hold_some(db, 1))[0]
    book = Watched(db)
    patient = Patient(await db.fetch_value("SELECT patient_id FROM booking.booking"))
    if end == "confirm":
        assert (await book.confirm(provider, booking_id, None, patient)).code == "booked"
    else:
        assert (await book.release(provider, booking_id, patient)).code == "released"
    service = ActiveReservations(db, book)
    await service.advance_due()
    assert book.asked == []
    await move_clock(db, HOLD_TIME)
    assert await service.advance_due() == SLEEP_SECONDS_MAX
    assert await service.advance_due() == SLEEP_SECONDS_MAX
    assert book.asked == [provider]
    assert await db.fetch_value("SELECT next_due = 'infinity' FROM booking.book WHERE provider_id = $1", provider)


@pytest.mark.parametrize(
    "lock", ["SELECT pg_advisory_xact_lock($1)", "SELECT FROM booking.book WHERE provider_id = $1 FOR UPDATE"]
)
async def test_a_locked_book_is_asked_for_once_a_look(db: Database, lock: str) -> None:
    provider, book, service = await let_run_out(db)
    async with db.transaction() as transaction:
        await transaction.execute(lock, provider)
        for looks in (1, 2):
            assert await service.advance_due() == SLEEP_SECONDS_MIN
            assert book.asked == [provider] * looks
        assert await count_expired(db) == 0
    await service.advance_due()
    assert await count_expired(db) == 1


async def test_a_book_that_cannot_be_settled_is_tried_again(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    await hold_some(db, 1)
    await move_clock(db, seconds=400)
    await db.execute("ALTER FUNCTION booking.advance RENAME TO settle_away")
    service = asyncio.create_task(ActiveReservations(db, Book(db)).run())
    await asyncio.sleep(0.2)
    await db.execute("ALTER FUNCTION booking.settle_away RENAME TO advance")
    await until(lambda: count_expired(db), 5)
    service.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await service
    assert "could not be advanced" in caplog.text


async def test_a_crowd_that_takes_times_and_does_not_pay_is_in_the_log(
    race: RaceEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    provider = await race.provider()
    holder, *crowd = await race.patients(6)
    hold = await race.held(provider, holder)
    tickets = {patient: await race.waiting(provider, patient) for patient in crowd}
    await race.db.execute("UPDATE accounts.patient SET created_at = public.app_now()")
    await race.release(provider, hold, holder)
    service = ActiveReservations(race.db, race.book)
    for patient, ticket_id in tickets.items():
        service._unpaid_due = 0.0
        await service.advance_due()
        assert "did not pay" not in caplog.text
        for take in (race.book.accept, race.book.answer):  # whichever the ticket's state takes
            await take(provider.provider_id, ticket_id, Patient(patient))
        await race.pass_time(HOLD_TIME)
        await race.db.execute("UPDATE booking.ticket SET present_at = public.app_now()")
    for _ in range(3):
        service._unpaid_due = 0.0
        await service.advance_due()
    said = f"queue of provider {provider.provider_id}: 5 new accounts took a time in the last hour and did not pay"
    assert caplog.text.count(said) == 1
