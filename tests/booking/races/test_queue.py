"""What is freed goes to the head of the queue, no matter who comes between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Actor, Patient, Staff, System
from healthplus.booking.outcomes import Outcome
from tests.fixtures.clock import until
from tests.fixtures.races import HOLD_TIME, Provider, RaceEnvironment, rewrite, stub, switch_lock_off

ROUNDS = 150

LOST_WAKE_UPS = """SELECT count(*) FROM booking.ticket, public.app_now() AS now_at
WHERE state = 'waiting' AND booking.is_present(ticket, now_at)
    AND EXISTS (
        SELECT FROM booking.obtainable_runs(
            provider_id, clinic_id, lower(queue_window), upper(queue_window), slots_needed::integer, now_at))"""


async def lost_wake_ups(race: RaceEnvironment) -> int:
    return int(await race.db.fetch_value(LOST_WAKE_UPS))


async def release_and_join(race: RaceEnvironment) -> tuple[Provider, list[Coroutine[Any, Any, Outcome]]]:
    """Return the calls by which a slot's holder releases it and another joins the queue for it."""
    provider = await race.provider()
    holder, waiter = await race.patients(2)
    booking_id = await race.held(provider, holder)
    return provider, [race.release(provider, booking_id, holder), race.join(provider, waiter)]


@pytest.mark.breaks_invariants
async def test_without_any_lock_a_wake_up_is_lost(race: RaceEnvironment) -> None:
    """Each looks for the other before the other has committed.

    The counters in the book's row are part of the guard, as to count is to lock the row: sequences count here.
    """
    await switch_lock_off(race.db)
    await race.db.execute("CREATE SEQUENCE public.version; CREATE SEQUENCE public.number")
    await rewrite(
        race.db,
        "booking.append_event",
        (
            "UPDATE booking.book SET version = version + 1, next_due = least(next_due, p_due_at), "
            "is_queued = is_queued OR link.entry IS NOT NULL,\n"
            "            queue_entries = coalesce(link.entry, queue_entries), "
            "queue_hash = coalesce(link.hash, queue_hash)\n"
            "        WHERE provider_id = p_provider_id RETURNING version",
            "SELECT nextval('public.version') AS version",
        ),
    )
    await rewrite(
        race.db,
        "booking.release_or_cancel",
        (
            "PERFORM booking.make_offers(p_provider_id, now_at);",
            "PERFORM booking.make_offers(p_provider_id, now_at); PERFORM pg_sleep(0.2);",
        ),
    )
    await rewrite(
        race.db,
        "booking.add_ticket",
        (
            "UPDATE booking.book\n    SET last_ticket_number = last_ticket_number + 1,\n"
            "        -- with the event of this join, the book is as far advanced as before\n"
            "        served_version = CASE WHEN p_is_full THEN version + 1 END\n"
            "    WHERE provider_id = p_provider_id RETURNING last_ticket_number INTO waiter.number;",
            "waiter.number := nextval('public.number');",
        ),
    )
    await rewrite(
        race.db,
        "booking.join_in_book",
        (
            "PERFORM booking.store_result(",
            "PERFORM pg_sleep(0.2); PERFORM booking.store_result(",
        ),
    )

    provider, calls = await release_and_join(race)
    await race.at_once(provider, calls)

    assert await lost_wake_ups(race) == 1


@pytest.mark.breaks_invariants
async def test_without_looking_again_under_the_lock_a_wake_up_is_lost(race: RaceEnvironment) -> None:
    await rewrite(race.db, "booking.serve_joined", ("booking.make_offer(p_waiter, p_now, 1)", "NULL::booking.booking"))

    provider, calls = await release_and_join(race)
    await race.in_order(provider, calls)

    assert await lost_wake_ups(race) == 1


@pytest.mark.parametrize("first", ["release", "join"])
async def test_no_wake_up_is_lost_in_either_order(race: RaceEnvironment, first: str) -> None:
    provider, calls = await release_and_join(race)
    outcomes = await race.in_order(provider, calls if first == "release" else calls[::-1])

    assert {outcome.code for outcome in outcomes} == {"released", "offered" if first == "release" else "waiting"}
    assert await race.events("offered") == 1
    assert await lost_wake_ups(race) == 0


async def test_no_wake_up_is_lost_in_many_rounds(race: RaceEnvironment) -> None:
    order = random.Random(3)
    rounds = [await release_and_join(race) for _ in range(ROUNDS)]
    for _, calls in rounds:
        order.shuffle(calls)

    outcomes = await asyncio.gather(*(call for _, calls in rounds for call in calls))

    assert {outcome.code for outcome in outcomes} == {"released", "waiting", "offered"}
    assert await lost_wake_ups(race) == 0
    assert await race.events("offered") == ROUNDS


WAITERS = 3
NEWCOMERS: tuple[Actor | None, ...] = (None, None, Staff(7), Staff(8), System("partner"), System("partner"))


async def free_slot_before_queue(race: RaceEnvironment, freed_by: str) -> list[str]:
    """Free a slot that a queue waits for while newcomers of every kind hammer it.

    The head of the queue leaves it when offered the slot, until nobody waits and a newcomer gets it. Returns who got
    it, in order: tickets by their number, newcomers as 'newcomer'.
    """
    provider = await race.provider(slots=2)
    owner, bystander, *waiters = await race.patients(2 + WAITERS)
    newcomers = await race.patients(len(NEWCOMERS))
    booking_id = await race.held(provider, owner)
    if freed_by == "cancel":
        await race.confirm(provider, booking_id, owner)
    # Held longer than the other, so that there is something to wait for until the end.
    await race.pass_time(timedelta(seconds=200))
    await race.held(provider, bystander, slot=1)
    # Nobody may be absent when the hold runs out.
    await race.pass_time(timedelta(seconds=80))
    tickets = {patient: await race.waiting(provider, patient) for patient in waiters}

    async def hammer(patient_id: int, actor: Actor | None) -> None:
        while (await race.hold(provider, patient_id, actor=actor)).code != "reserved":
            pass

    async def take_turns() -> None:
        for patient, ticket_id in tickets.items():
            await until(partial(has_been_served, ticket_id))
            await asyncio.sleep(0.05)
            await race.book.leave_queue(provider.provider_id, ticket_id, Patient(patient))

    async def has_been_served(ticket_id: UUID) -> bool:
        state = await race.db.fetch_value("SELECT state FROM booking.ticket WHERE ticket_id = $1", ticket_id)
        return bool(state != "waiting")

    turns = asyncio.create_task(take_turns())
    hammering = [
        asyncio.create_task(hammer(patient, actor)) for patient, actor in zip(newcomers, NEWCOMERS, strict=True)
    ]
    await asyncio.sleep(0.1)
    if freed_by == "release":
        assert (await race.release(provider, booking_id, owner)).code == "released"
    elif freed_by == "cancel":
        await race.book.cancel(provider.provider_id, booking_id, Patient(owner))
    else:
        await race.pass_time(HOLD_TIME - timedelta(seconds=280))
    async with asyncio.timeout(20):
        await asyncio.wait(hammering, return_when=asyncio.FIRST_COMPLETED)
    for task in [turns, *hammering]:
        task.cancel()
    await asyncio.gather(turns, *hammering, return_exceptions=True)

    rows = await race.db.fetch(
        """SELECT CASE WHEN kind = 'offered' THEN number::text ELSE 'newcomer' END
        FROM booking.event LEFT JOIN booking.ticket USING (provider_id, ticket_id)
        WHERE kind = 'offered' OR (kind = 'reserved' AND event.ticket_id IS NULL AND NOT actor = ANY ($1))
        ORDER BY seq""",
        [f"patient:{owner}", f"patient:{bystander}"],
    )
    return [row[0] for row in rows]


FREED_BY = pytest.mark.parametrize("freed_by", ["release", "cancel", "expiry"])


@FREED_BY
async def test_without_serving_the_queue_first_a_newcomer_barges(race: RaceEnvironment, freed_by: str) -> None:
    await rewrite(race.db, "booking.release_or_cancel", ("PERFORM booking.make_offers(p_provider_id, now_at);", ""))
    await rewrite(
        race.db,
        "booking.open_book",
        (
            "is_full := booking.advance_book(p_provider_id, now_at);",
            "PERFORM booking.expire_due(p_provider_id, now_at);",
        ),
    )

    assert (await free_slot_before_queue(race, freed_by))[0] == "newcomer"


@FREED_BY
async def test_the_queue_comes_before_newcomers(race: RaceEnvironment, freed_by: str) -> None:
    assert await free_slot_before_queue(race, freed_by) == ["1", "2", "3", "newcomer"]


CHURN_ROUNDS = 24
SLOTS = 6
BACKLOG = 4


async def churn_until_large_is_served(race: RaceEnvironment) -> int | None:
    """Free slot after slot, each wanted by one who needs three in a row and by many who need one.

    Gives the round in which the large one was offered a run, or None.
    """
    provider = await race.provider(SLOTS, slots_max=3)
    large, *patients = await race.patients(1 + SLOTS + BACKLOG + 3 * CHURN_ROUNDS)
    for slot in range(SLOTS):
        await race.held(provider, patients.pop(), slot)
    large_ticket = await race.waiting(provider, large, slots_needed=3)
    for _ in range(BACKLOG):
        await race.waiting(provider, patients.pop())

    async def accept(ticket_id: UUID, patient_id: int) -> None:
        outcome = await race.book.accept(provider.provider_id, ticket_id, Patient(patient_id))
        assert outcome.code == "accepted"

    for number in range(CHURN_ROUNDS):
        holds = await race.db.fetch(
            """SELECT booking_id, patient_id FROM booking.booking
            WHERE state = 'reserved' AND NOT offer AND lower(during) >= $1::timestamptz ORDER BY during LIMIT 1""",
            # The slots in turn: without withholding, no two neighbours are ever free together.
            provider.starts[number % SLOTS],
        )
        await race.at_once(
            provider,
            [
                *(race.release(provider, hold["booking_id"], hold["patient_id"]) for hold in holds),
                race.join(provider, patients.pop()),
                *(race.hold(provider, patients.pop(), slot) for slot in (number % SLOTS, (number + 1) % SLOTS)),
            ],
        )
        offered = await race.db.fetch("SELECT ticket_id, patient_id FROM booking.ticket WHERE state = 'offered'")
        if any(row["ticket_id"] == large_ticket for row in offered):
            return number
        await asyncio.gather(*(accept(row["ticket_id"], row["patient_id"]) for row in offered))
    return None


async def test_without_withholding_a_large_need_starves(race: RaceEnvironment) -> None:
    await stub(race.db, "booking.withhold", "RETURN;")

    assert await churn_until_large_is_served(race) is None


async def test_a_large_need_is_served_among_small_ones(race: RaceEnvironment) -> None:
    number = await churn_until_large_is_served(race)

    assert number is not None
    assert number < SLOTS


async def newcomer_for_what_is_withheld(race: RaceEnvironment) -> str:
    """Have somebody wait for two slots, one being free: return what a newcomer who wants that one is answered."""
    provider = await race.provider(slots=2, slots_max=2)
    first, second, large, newcomer = await race.patients(4)
    booking_id = await race.held(provider, first)
    await race.held(provider, second, slot=1)
    await race.waiting(provider, large, slots_needed=2)
    await race.release(provider, booking_id, first)
    return (await race.hold(provider, newcomer)).code


@pytest.mark.breaks_invariants
async def test_without_its_guard_what_is_withheld_is_taken(race: RaceEnvironment) -> None:
    await rewrite(
        race.db,
        "booking.seat_for",
        ("p_now, false, p_before, p_except", "p_now, false, coalesce(p_before, 0), p_except"),
    )
    assert await newcomer_for_what_is_withheld(race) == "reserved"


async def test_nobody_takes_what_is_withheld(race: RaceEnvironment) -> None:
    assert await newcomer_for_what_is_withheld(race) == "slot_held"
