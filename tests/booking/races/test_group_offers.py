"""Several are called for one slot: answers, leaving, the deadline and deaths meet, and one of them has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.outcomes import Outcome
from healthplus.errors import HealthPlusError
from healthplus.waiting.waiting_users import WaitingUsers
from tests.fixtures.patients import see
from tests.fixtures.races import HOLD_TIME, OFFER_TIME, Provider, RaceEnvironment, rewrite

Waiter = tuple[int, UUID]
STATES = "SELECT state::text FROM booking.ticket WHERE provider_id = $1 AND number > 2 ORDER BY number"
HOLDER = "SELECT patient_id FROM booking.booking WHERE provider_id = $1 AND state = 'reserved'"


async def states(race: RaceEnvironment, provider: Provider) -> list[str]:
    return [row["state"] for row in await race.db.fetch(STATES, provider.provider_id)]


async def holder(race: RaceEnvironment, provider: Provider) -> int | None:
    found: int | None = await race.db.fetch_value(HOLDER, provider.provider_id)
    return found


async def in_order(
    race: RaceEnvironment, provider: Provider, calls: list[Coroutine[Any, Any, Outcome]], *, swapped: bool
) -> list[str]:
    outcomes = await race.in_order(provider, calls[::-1] if swapped else calls)
    return [outcome.code for outcome in (outcomes[::-1] if swapped else outcomes)]


@pytest.mark.parametrize("is_second_first", [False, True])
async def test_of_two_answers_at_once_the_lower_number_has_it(race: RaceEnvironment, is_second_first: bool) -> None:
    provider = await race.provider()
    first, second = await race.called(provider, 2)

    answers = [race.answer(provider, first), race.answer(provider, second)]
    codes = await in_order(race, provider, answers, swapped=is_second_first)

    assert codes == ["accepted", "answered" if is_second_first else "wrong_state"]
    assert await holder(race, provider) == first[0]
    assert await states(race, provider) == ["accepted", "waiting"]


@pytest.mark.breaks_invariants
async def test_where_an_answer_waits_for_nobody_the_quicker_has_it(race: RaceEnvironment) -> None:
    await rewrite(race.db, "booking.decide_group_offer", ("AND first.answered_at IS NULL THEN", "AND false THEN"))
    provider = await race.provider()
    first, second = await race.called(provider, 2)

    answers = [race.answer(provider, first), race.answer(provider, second)]
    await in_order(race, provider, answers, swapped=True)

    assert await holder(race, provider) == second[0]


@pytest.mark.parametrize("guarded", [pytest.param(False, marks=pytest.mark.breaks_invariants), True])
async def test_decided_after_a_hold_would_outlive_the_start_nobody_has_it(race: RaceEnvironment, guarded: bool) -> None:
    """Every process is down as the time to answer ends; and comes back four minutes before the time begins."""
    if not guarded:
        await rewrite(
            race.db, "booking.is_too_late_to_win", ("lower(p_call.during) <= p_now + booking.hold_time()", "false")
        )
    provider = await race.provider()
    await race.pass_time(provider.starts[0] - timedelta(minutes=20) - await race.now())
    _, second = await race.called(provider, 2)
    assert (await race.answer(provider, second)).code == "answered"
    await race.pass_time(timedelta(minutes=16))
    await race.book.advance(provider.provider_id)

    assert await holder(race, provider) == (None if guarded else second[0])
    # As it can be had no more, there is nothing to wait for.
    assert await states(race, provider) == (["full", "full"] if guarded else ["full", "accepted"])


@pytest.mark.parametrize("is_answer_first", [False, True])
async def test_who_answered_has_it_when_the_one_ahead_leaves(race: RaceEnvironment, is_answer_first: bool) -> None:
    provider = await race.provider()
    first, second = await race.called(provider, 2)

    calls = [race.leave(provider, first), race.answer(provider, second)]
    codes = await in_order(race, provider, calls, swapped=is_answer_first)

    assert codes == ["left", "answered" if is_answer_first else "accepted"]
    assert await holder(race, provider) == second[0]
    assert await states(race, provider) == ["left", "accepted"]


async def test_where_leaving_decides_nothing_the_answer_waits_till_the_deadline(race: RaceEnvironment) -> None:
    await rewrite(race.db, "booking.leave_queue", ("IF waiter.state = 'called' THEN", "IF false THEN"))
    provider = await race.provider()
    first, second = await race.called(provider, 2)

    await in_order(race, provider, [race.leave(provider, first), race.answer(provider, second)], swapped=True)

    assert await states(race, provider) == ["left", "called"]


async def answer_across_the_deadline(race: RaceEnvironment) -> tuple[Provider, Outcome]:
    """Answer just in time, but have the deadline pass while the answer waits for the lock."""
    provider = await race.provider()
    first, _ = await race.called(provider, 2)
    offer_id = await race.db.fetch_value("SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", first[1])
    await see(race.db, provider.provider_id, first[1], offer_id)
    await race.pass_time(OFFER_TIME - timedelta(seconds=2))
    async with race.gate(provider):
        answering = asyncio.create_task(race.answer(provider, first))
        await race.until_locked_out(1)
        await race.pass_time(timedelta(seconds=2))
    return provider, await answering


async def test_with_the_clock_read_before_the_lock_an_answer_comes_too_late(race: RaceEnvironment) -> None:
    await rewrite(
        race.db,
        "booking.open_book",
        ("    now_at := public.app_now();\n", ""),
        ("\nBEGIN\n", "\nBEGIN\n    now_at := public.app_now();\n"),
    )

    _, outcome = await answer_across_the_deadline(race)

    assert outcome.code == "accepted"


async def test_an_answer_that_waits_past_the_deadline_is_refused(race: RaceEnvironment) -> None:
    provider, outcome = await answer_across_the_deadline(race)

    assert outcome.code == "offer_over"
    assert (await states(race, provider))[0] == "lapsed"  # and the other, who saw nothing, waits on
    assert await holder(race, provider) is None


async def answered_and_left_alone(race: RaceEnvironment) -> tuple[Provider, Waiter, Provider]:
    """Have the second of two answer, and nothing look at the book again until the time is over."""
    provider, other = await race.provider(), await race.provider(slots=2)
    _, second = await race.called(provider, 2)
    assert (await race.answer(provider, second)).code == "answered"
    await race.pass_time(OFFER_TIME)
    return provider, second, other


async def test_if_every_process_dies_the_answer_counts_nevertheless(race: RaceEnvironment) -> None:
    provider, second, other = await answered_and_left_alone(race)
    patient, ticket_id = second

    assert (await race.hold(other, patient, 1)).code == "claimed"
    ticket = await WaitingUsers(race.db, race.book).look(provider.provider_id, ticket_id, patient)
    assert ticket is not None
    assert ticket.state == "accepted"
    assert ticket.deadline is not None
    assert ticket.deadline - await race.now() > HOLD_TIME - timedelta(seconds=20)
    assert await holder(race, provider) == patient
    assert (await race.hold(other, patient, 1)).code == "claimed"
    assert ticket.offer_id is not None
    assert (await race.confirm(provider, ticket.offer_id, patient)).code == "booked"


@pytest.mark.breaks_invariants
async def test_where_a_claim_ends_with_its_call_one_has_two(race: RaceEnvironment) -> None:
    await rewrite(race.db, "booking.claim_fate", ("booking.is_called_live(waiter, held, p_now)", "false"))
    provider, (patient, _), other = await answered_and_left_alone(race)

    assert (await race.hold(other, patient, 1)).code == "reserved"
    await race.book.advance(provider.provider_id)
    assert await holder(race, provider) == patient == await holder(race, other)


async def test_an_answer_that_is_cut_off_is_none(race: RaceEnvironment) -> None:
    """The session is ended between the answer and its commit, as when the process or the server dies."""
    provider = await race.provider()
    first, second = await race.called(provider, 2)
    await rewrite(
        race.db,
        "booking.answer",
        ("PERFORM booking.make_offers(", "PERFORM pg_sleep(600); PERFORM booking.make_offers("),
    )
    dying = asyncio.create_task(race.answer(provider, first))
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while not await race.db.fetch_value(ended):
        await asyncio.sleep(0.01)
    with contextlib.suppress(HealthPlusError):
        await dying
    await rewrite(race.db, "booking.answer", ("PERFORM pg_sleep(600); ", ""))

    assert await states(race, provider) == ["called", "called"]
    assert await race.events("answered") == 0
    assert (await race.answer(provider, second)).code == "answered"
    assert (await race.answer(provider, first)).code == "accepted"


async def test_many_answer_and_leave_at_once(race: RaceEnvironment) -> None:
    """After two, four and eight have let it pass, the last two are called: one leaves as the other answers."""
    provider = await race.provider()
    waiters = await race.called(provider, 16)
    for _ in range(3):
        for waiter in [one for one in waiters if await state_of(race, one) == "called"]:
            await race.leave(provider, waiter)
    called = [one for one in waiters if await state_of(race, one) == "called"]
    assert len(called) == 2

    await race.at_once(provider, [race.answer(provider, called[1]), race.leave(provider, called[0])])

    assert await holder(race, provider) == called[1][0]
    assert await race.occupants(provider) == 1


async def state_of(race: RaceEnvironment, waiter: Waiter) -> str:
    state: str = await race.db.fetch_value("SELECT state::text FROM booking.ticket WHERE ticket_id = $1", waiter[1])
    return state


async def move_to_the_called_time(race: RaceEnvironment) -> str:
    """Answer a call, and move a booking at another provider to the same time; return what the move is answered."""
    provider = await race.provider()
    other = await race.provider(slots=2)
    patient = await race.patient()
    booked = await race.booked(other, patient, 1)
    _, second = await race.called(provider, 2, [await race.patient(), patient])
    assert (await race.answer(provider, second)).code == "answered"
    moved = await race.book.reschedule(other.provider_id, booked, other.starts[0], Patient(patient))
    await race.pass_time(OFFER_TIME)
    await race.book.advance(provider.provider_id)
    assert await holder(race, provider) == patient
    return moved.code


@pytest.mark.breaks_invariants
async def test_where_an_answer_is_not_looked_at_a_move_puts_one_at_two_places(race: RaceEnvironment) -> None:
    await rewrite(
        race.db,
        "booking.is_answered_then",
        ("booking.visit(call.during, call.service_ids) && p_wanted.during", "false"),
    )
    assert await move_to_the_called_time(race) == "moved"


async def test_nobody_moves_to_a_time_that_they_answered_for(race: RaceEnvironment) -> None:
    assert await move_to_the_called_time(race) == "overlap"


async def test_nobody_is_called_while_a_process_of_release_1_is_connected(race: RaceEnvironment, dsn: str) -> None:
    """Its pages cannot show a ticket that is called; its sessions name no release."""
    provider = await race.provider()
    owner, *waiters = await race.patients(3)
    booking_id = await race.held(provider, owner)
    for waiter in waiters:
        await race.waiting(provider, waiter)
    await race.db.execute("UPDATE booking.book SET turns_let_go = 2, turn_let_go_at = public.app_now()")
    old = await asyncpg.connect(dsn, server_settings={"application_name": "healthplus"})
    await race.release(provider, booking_id, owner)
    await old.close()
    assert [row["state"] for row in await race.db.fetch("SELECT state::text FROM booking.ticket ORDER BY number")] == [
        "offered",
        "waiting",
    ]
