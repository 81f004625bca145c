"""One locked row is the trouble of those who need it: everybody else who uses the process and its pool goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking import bulkheads, lanes
from healthplus.booking.active_reservations import ActiveReservations
from healthplus.booking.book import Book
from healthplus.booking.bulkheads import WAIT_SECONDS_MAX
from healthplus.database import BACKGROUND, REQUESTS, Database, Limits, Transaction
from healthplus.errors import DatabaseBusy
from healthplus.privacy import privacy
from tests.fixtures.clock import until
from tests.fixtures.races import HOLD_TIME, Provider, RaceEnvironment

POOL_SIZE = 6
CLIENTS = 40
TOLD_SECONDS_MAX = 5.0
PROMPT_SECONDS = 1.0
"""Far less than anybody waits for what is locked, and far more than a hold takes, on a busy machine, too."""
UNGUARDED = Limits(wait_seconds=None, lock_seconds=None, statement_seconds=30, idle_seconds=None)


@contextlib.asynccontextmanager
async def process_of(dsn: str, guarded: bool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RaceEnvironment]:
    """Yield what a process works with: a few connections, with the guards on or off."""
    if not guarded:
        for name in ("CALLS_PER_PROVIDER_MAX", "OWN_CALLS_PER_PROVIDER_MAX", "CALLS_PER_PATIENT_MAX"):
            monkeypatch.setattr(bulkheads, name, CLIENTS)
        monkeypatch.setattr(lanes, "LANE_MAX", 0)
    limits = REQUESTS if guarded else UNGUARDED
    async with await Database.connect(dsn, POOL_SIZE, POOL_SIZE, limits) as database:
        yield await RaceEnvironment.make(database)


async def lock_book(locker: Transaction, provider: Provider) -> None:
    await locker.execute("SELECT FROM booking.book WHERE provider_id = $1 FOR UPDATE", provider.provider_id)


async def told(calls: Sequence[asyncio.Task[object]]) -> list[object]:
    """Return what each call came to, its error if it failed; fail when one is not told in time."""
    async with asyncio.timeout(TOLD_SECONDS_MAX):
        return list(await asyncio.gather(*calls, return_exceptions=True))


@pytest.mark.parametrize("verb", ["hold", "confirm", "leave_queue"])
@pytest.mark.parametrize("guarded", [False, True])
async def test_a_locked_book_does_not_keep_others_waiting(
    dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch, verb: str, guarded: bool
) -> None:
    async with process_of(dsn, guarded, monkeypatch) as race, db.transaction() as locker:
        locked, other = await race.providers(2)
        patients = await race.patients(CLIENTS)
        booking = UUID(int=1)

        def call(patient: int) -> asyncio.Task[object]:
            if verb == "hold":
                return asyncio.create_task(race.hold(locked, patient))
            if verb == "confirm":
                return asyncio.create_task(race.confirm(locked, booking, patient))
            return asyncio.create_task(race.book.leave_queue(locked.provider_id, booking, Patient(patient)))

        await lock_book(locker, locked)
        calls = [call(patient) for patient in patients[1:]]
        await race_until_locked_out(db)
        if not guarded:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(race.hold(other, patients[0]), PROMPT_SECONDS)
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            return
        async with asyncio.timeout(PROMPT_SECONDS):
            assert (await race.hold(other, patients[0])).code == "reserved"
        answers = await told(calls)
        assert {type(answer) for answer in answers} == {DatabaseBusy}
        assert await race.occupants(locked) == 0  # the truth: nothing was changed


async def race_until_locked_out(db: Database) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    await until(lambda: db.fetch_value(waiting))


async def test_a_call_goes_on_once_the_book_is_free(dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who came while it was locked come in their order."""
    async with process_of(dsn, True, monkeypatch) as race:
        provider = await race.provider(slots=1)
        patients = await race.patients(5)
        async with db.transaction() as locker:
            await lock_book(locker, provider)
            calls = []
            for patient in patients:
                calls.append(asyncio.create_task(race.hold(provider, patient)))
                await asyncio.sleep(0.01)
            await asyncio.sleep(WAIT_SECONDS_MAX / 2)
            assert not any(call.done() for call in calls)
        async with asyncio.timeout(PROMPT_SECONDS):
            codes = [(await call).code for call in calls]
        assert codes == ["reserved", "slot_held", "slot_held", "slot_held", "slot_held"]


async def test_paying_does_not_wait_behind_newcomers(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind one batch of them at most; on a busy machine paying may miss a turn, so not each time."""
    async with process_of(dsn, True, monkeypatch) as race:
        behind = [await newcomers_before_paying(race) for _ in range(3)]
        assert min(behind) <= lanes.RUSH_MAX


async def newcomers_before_paying(race: RaceEnvironment) -> int:
    """Have 99 ask for holds at once, and another pay among them; return how many come between asking and paying."""
    provider = await race.provider(slots=100)
    holder, *newcomers = await race.patients(100)
    held = await race.held(provider, holder)
    order: list[str] = []

    async def hold(patient: int, slot: int) -> None:
        order.append((await race.hold(provider, patient, slot)).code)

    async def confirm() -> None:
        order.append((await race.confirm(provider, held, holder)).code)

    rush = [asyncio.create_task(hold(patient, slot)) for slot, patient in enumerate(newcomers, start=1)]
    await until(lambda: len(order) >= 2)
    asked = len(order)
    await confirm()
    await asyncio.gather(*rush)
    assert order.count("reserved") == 99
    return order.index("booked") - asked


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_locked_patient_does_not_lock_books(
    dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """A verb that waits for its patient has the book of its provider locked meanwhile."""
    async with process_of(dsn, guarded, monkeypatch) as race:
        providers = await race.providers(4, slots=2)
        patient, *others = await race.patients(5)
        await db.execute(privacy.queries.lock_claim, patient)  # makes the row
        async with db.transaction() as locker:
            await locker.execute(privacy.queries.lock_claim, patient)
            calls = [asyncio.create_task(race.hold(provider, patient)) for provider in providers]
            await race_until_locked_out(db)
            if not guarded:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(PROMPT_SECONDS):
                        await asyncio.gather(*map(race.hold, providers, others, [1] * 4))
                for one in calls:
                    one.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
                return
            # One call at most waits for the patient, once and for a moment; the others have not come so far.
            async with asyncio.timeout(PROMPT_SECONDS):
                held = await asyncio.gather(*map(race.hold, providers, others, [1] * 4))
            assert [one.code for one in held] == ["reserved"] * 4
            assert {type(answer) for answer in await told(calls)} == {DatabaseBusy}
        assert (await race.hold(providers[0], patient)).code == "reserved"


async def test_a_row_that_is_neither_book_nor_patient_is_told_at_once(
    dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process_of(dsn, True, monkeypatch) as race:
        provider = await race.provider()
        patient = await race.patient()
        held = await race.held(provider, patient)
        async with db.transaction() as locker:
            await locker.execute("SELECT FROM booking.booking WHERE booking_id = $1 FOR UPDATE", held)
            async with asyncio.timeout(TOLD_SECONDS_MAX):
                with pytest.raises(DatabaseBusy):
                    await race.release(provider, held, patient)
        assert (await race.release(provider, held, patient)).code == "released"


@pytest.mark.parametrize("verb", ["hold", "answer"])
async def test_too_many_of_one_patient_are_told_at_once(
    dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    async with process_of(dsn, True, monkeypatch) as race, db.transaction() as locker:
        provider = await race.provider()
        patient = await race.patient()
        await lock_book(locker, provider)

        def call() -> Coroutine[Any, Any, object]:
            return race.hold(provider, patient) if verb == "hold" else race.answer(provider, (patient, UUID(int=1)))

        calls = [asyncio.create_task(call()) for _ in range(CLIENTS)]
        await asyncio.sleep(PROMPT_SECONDS / 2)
        refused = [call for call in calls if call.done()]
        assert len(refused) == CLIENTS - bulkheads.CALLS_PER_PATIENT_MAX - bulkheads.WAITING_PER_PATIENT_MAX
        assert {type(answer) for answer in await told(calls)} == {DatabaseBusy}


@pytest.mark.parametrize("row", ["book", "booking"])
async def test_holds_of_others_expire_while_something_of_one_provider_is_locked(
    dsn: str, db: Database, row: str
) -> None:
    async with await Database.connect(dsn, 1, 3, BACKGROUND) as database:
        race = await RaceEnvironment.make(db)
        locked, *others = await race.providers(4)
        for provider, patient in zip([locked, *others], await race.patients(4), strict=True):
            await race.held(provider, patient)
        async with db.transaction() as locker:
            await locker.execute(f"SELECT FROM booking.{row} WHERE provider_id = $1 FOR UPDATE", locked.provider_id)
            await race.pass_time(HOLD_TIME)
            service = ActiveReservations(database, Book(database))
            async with asyncio.timeout(PROMPT_SECONDS):
                await service.advance_due()
            assert await race.events("expired") == 3
            async with asyncio.timeout(PROMPT_SECONDS / 4):  # it is set aside, not waited for again
                await service.advance_due()
        service._set_aside.clear()
        await service.advance_due()
        assert await race.events("expired") == 4
