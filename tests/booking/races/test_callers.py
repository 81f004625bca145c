"""Callers, patients and the desk itself want the same: one order, by number, no matter who asks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.outcomes import TicketChanged
from healthplus.ops.check import violations
from tests.fixtures.clock import until
from tests.fixtures.phone import DeskBook
from tests.fixtures.races import HOLD_TIME, Provider, RaceEnvironment, rewrite

WAITERS = 12
DESKS = (Staff(7), Staff(8), Staff(9))
_SERVED = """SELECT CASE WHEN kind IN ('offered', 'called') THEN number::text ELSE 'the desk' END
FROM booking.event LEFT JOIN booking.ticket USING (provider_id, ticket_id)
WHERE kind IN ('offered', 'called') OR (kind = 'reserved' AND event.ticket_id IS NULL AND actor LIKE 'staff:%')
ORDER BY seq"""


async def join_all(race: RaceEnvironment, provider: Provider) -> list[tuple[UUID, int, Staff | None]]:
    """Have patients and callers join in turn, by several of the staff; return their tickets in order of number."""
    book, patients = DeskBook(race.db), await race.patients(WAITERS)
    by = [DESKS[place // 2 % 3] if place % 2 else None for place in range(WAITERS)]
    when = provider.opens_at, provider.closes_at
    calls = [
        race.join(provider, patient)
        if staff is None
        else book.join_by_phone(
            provider.provider_id, provider.clinic_id, *when, 1, patient, desk=race.clinic_id, actor=staff
        )
        for patient, staff in zip(patients, by, strict=True)
    ]
    joined = await race.in_order(provider, calls)
    found = []
    for outcome, patient, staff in zip(joined, patients, by, strict=True):
        assert isinstance(outcome, TicketChanged), outcome
        found.append((outcome.number, (outcome.ticket_id, patient, staff)))
    assert [number for number, _ in found] == list(range(1, WAITERS + 1))  # no inversion
    return [ticket for _, ticket in found]


async def served_in(race: RaceEnvironment) -> list[str]:
    """Free a time that patients and callers wait for, while the desk tries to book it: who gets it, in order."""
    provider = await race.provider(slots=2)
    owner, bystander, *newcomers = await race.patients(4)
    await race.held(provider, owner)
    await race.pass_time(timedelta(seconds=200))
    await race.held(provider, bystander, slot=1)  # so that there is something to wait for until the end
    await race.pass_time(timedelta(seconds=80))
    tickets, book = await join_all(race, provider), DeskBook(race.db)

    async def hammer(patient: int, staff: Staff) -> None:
        while (await race.hold(provider, patient, actor=staff)).code != "reserved":
            await asyncio.sleep(0.001)

    async def has_turn(ticket_id: UUID) -> bool:
        state = await race.db.fetch_value("SELECT state::text FROM booking.ticket WHERE ticket_id = $1", ticket_id)
        return bool(state != "waiting")

    async def let_all_go() -> None:
        for ticket_id, patient, staff in tickets:
            await until(partial(has_turn, ticket_id))
            if staff is None:
                await race.book.leave_queue(provider.provider_id, ticket_id, Patient(patient))
            else:
                await book.serve_caller(provider.provider_id, ticket_id, race.clinic_id, "let_go", staff)

    await race.pass_time(HOLD_TIME - timedelta(seconds=280))
    tasks = [asyncio.create_task(hammer(patient, staff)) for patient, staff in zip(newcomers, DESKS[:2], strict=True)]
    going = asyncio.create_task(let_all_go())
    async with asyncio.timeout(20):
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in [going, *tasks]:
        task.cancel()
    await asyncio.gather(going, *tasks, return_exceptions=True)
    return [row[0] for row in await race.db.fetch(_SERVED)]


async def test_patients_and_callers_are_served_by_number_and_the_desk_after_them(race: RaceEnvironment) -> None:
    assert await served_in(race) == [*map(str, range(1, WAITERS + 1)), "the desk"]
    assert await violations(race.db) == []


@pytest.mark.breaks_invariants
async def test_without_its_guard_the_desk_is_served_first(race: RaceEnvironment) -> None:
    await rewrite(
        race.db,
        "booking.open_book",
        (
            "is_full := booking.advance_book(p_provider_id, now_at);",
            "IF p_actor ^@ 'staff:' THEN PERFORM booking.expire_due(p_provider_id, now_at); "
            "ELSE is_full := booking.advance_book(p_provider_id, now_at); END IF;",
        ),
    )
    assert (await served_in(race))[0] == "the desk"
