"""What is asked twice is done once: requests under one key, and a patient's one claim."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.outcomes import COLUMNS, BookingChanged, Outcome, outcome_of
from tests.fixtures.patients import see
from tests.fixtures.races import OFFER_TIME, PAUSE, Provider, RaceEnvironment, rewrite, stub

Request = Callable[[str], Coroutine[Any, Any, Outcome]]
"""A changing request, by its key."""


async def a_hold(race: RaceEnvironment, provider: Provider) -> Request:
    patient = await race.patient()
    return lambda key: race.hold(provider, patient, key=key)


async def a_confirm(race: RaceEnvironment, provider: Provider) -> Request:
    patient = await race.patient()
    booking_id = await race.held(provider, patient)
    return lambda key: race.confirm(provider, booking_id, patient, key)


async def a_join(race: RaceEnvironment, provider: Provider) -> Request:
    holder, patient = await race.patients(2)
    await race.held(provider, holder)
    return lambda key: race.join(provider, patient, key=key)


async def a_cancel(race: RaceEnvironment, provider: Provider) -> Request:
    patient = await race.patient()
    booking_id = await race.booked(provider, patient)
    return lambda key: race.book.cancel(provider.provider_id, booking_id, Patient(patient), key)


async def an_accept(race: RaceEnvironment, provider: Provider) -> Request:
    holder, patient = await race.patients(2)
    booking_id = await race.held(provider, holder)
    ticket_id = await race.waiting(provider, patient)
    await race.release(provider, booking_id, holder)
    return lambda key: race.book.accept(provider.provider_id, ticket_id, Patient(patient), key)


EVERY_VERB = pytest.mark.parametrize(
    ("prepare", "code", "event"),
    [
        (a_hold, "reserved", "reserved"),
        (a_confirm, "booked", "booked"),
        (a_join, "waiting", "waiting"),
        (a_cancel, "cancelled", "cancelled"),
        (an_accept, "accepted", "accepted"),
    ],
)
Prepare = Callable[[RaceEnvironment, Provider], Awaitable[Request]]


@EVERY_VERB
async def test_without_stored_results_a_repeat_gets_another_answer(
    race: RaceEnvironment, prepare: Prepare, code: str, event: str
) -> None:
    await stub(race.db, "booking.find_result", "RETURN answer;")
    provider = await race.provider()
    request = await prepare(race, provider)

    answers = await race.at_once(provider, [request("key"), request("key")])

    assert sum(answer.code == code for answer in answers) == 1


@EVERY_VERB
async def test_requests_under_one_key_are_one(race: RaceEnvironment, prepare: Prepare, code: str, event: str) -> None:
    for times in (2, 10):
        provider = await race.provider()
        request = await prepare(race, provider)
        before = await race.events(event)

        answers = await race.at_once(provider, [request("key") for _ in range(times)])
        answers.append(await request("key"))

        assert answers[0].code == code
        assert answers == answers[:1] * (times + 1)
        assert await race.events(event) == before + 1


@pytest.mark.breaks_invariants
async def test_without_stored_results_a_repeat_has_a_second_effect(race: RaceEnvironment) -> None:
    """What else keeps a second hold away is switched off too: here a patient may have several."""
    await stub(race.db, "booking.find_result", "RETURN answer;")
    await stub(race.db, "booking.take_claim", "RETURN NULL;")

    assert await hold_in_two_seats(race) == 2


@pytest.mark.breaks_invariants  # nobody has a claim
async def test_a_repeat_has_no_second_effect(race: RaceEnvironment) -> None:
    await stub(race.db, "booking.take_claim", "RETURN NULL;")

    assert await hold_in_two_seats(race) == 1


async def hold_in_two_seats(race: RaceEnvironment) -> int:
    """Ask twice under one key for a slot with room for two; count who sits there."""
    provider = await race.provider()
    await race.db.execute("UPDATE schedule.shift SET seats = 2")
    request = await a_hold(race, provider)
    await race.at_once(provider, [request("key"), request("key")])
    return await race.occupants(provider)


async def test_one_key_for_two_requests_is_refused(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=2)
    patient = await race.patient()

    outcomes = await race.at_once(provider, [race.hold(provider, patient, slot, key="key") for slot in range(2)])

    assert sorted(outcome.code for outcome in outcomes) == ["key_reused", "reserved"]


async def test_what_was_done_plainly_is_answered_again(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=3)
    patient = await race.patient()
    columns = ", ".join(COLUMNS)
    row = await race.db.fetch_row(
        f"SELECT {columns} FROM booking.hold_plainly($1, $2, $3, 1, NULL, $4, NULL, $5, 'key', NULL)",
        provider.provider_id,
        provider.clinic_id,
        provider.opens_at,
        patient,
        str(Patient(patient)),
    )
    assert row
    held = outcome_of(row)
    assert isinstance(held, BookingChanged)
    assert held.code == "reserved"
    assert held.booking_id
    assert await race.hold(provider, patient, key="key") == held
    assert (await race.hold(provider, patient, 1, key="key")).code == "key_reused"
    row = await race.db.fetch_row(
        f"SELECT {columns} FROM booking.confirm_plainly($1, $2, $3, NULL, $4, 'key', NULL)",
        provider.provider_id,
        held.booking_id,
        patient,
        str(Patient(patient)),
    )
    assert row
    booked = outcome_of(row)
    assert booked.code == "booked"
    assert await race.confirm(provider, held.booking_id, patient, "key") == booked
    other = race.book.confirm(provider.provider_id, held.booking_id, "money", Patient(patient), "key")
    assert (await other).code == "key_reused"
    assert await race.hold(provider, patient, key="key") == held
    assert [await race.events(kind) for kind in ("reserved", "booked")] == [1, 1]


PATIENTS = 100


async def hold_at_two_providers(race: RaceEnvironment) -> Counter[tuple[str, ...]]:
    """Have each of many patients hold at two providers at once; count the pairs of answers."""
    here, there = await race.providers(2, PATIENTS)

    async def hold_at_both(slot: int, patient_id: int) -> tuple[str, ...]:
        outcomes = await asyncio.gather(
            race.hold(here, patient_id, slot), race.hold(there, patient_id, PATIENTS - 1 - slot)
        )
        return tuple(sorted(outcome.code for outcome in outcomes))

    patients = await race.patients(PATIENTS)
    return Counter(await asyncio.gather(*(hold_at_both(slot, patient) for slot, patient in enumerate(patients))))


@pytest.mark.breaks_invariants
async def test_without_claims_a_patient_holds_at_two_providers(race: RaceEnvironment) -> None:
    await stub(race.db, "booking.take_claim", "RETURN NULL;")

    assert await hold_at_two_providers(race) == {("reserved", "reserved"): PATIENTS}


async def test_a_patient_holds_at_one_provider_at_a_time(race: RaceEnvironment) -> None:
    assert await hold_at_two_providers(race) == {("claimed", "reserved"): PATIENTS}


async def hold_elsewhere_while_accepting(race: RaceEnvironment, pause_before: str) -> list[str]:
    """Accept an offer just in time, but hold at another provider just after its time, before the accept is done.

    Return the answers to the accept and to the hold.
    """
    await rewrite(
        race.db,
        "booking.accept",
        (pause_before, f"PERFORM pg_advisory_xact_lock({PAUSE}); {pause_before}"),
    )
    here, there = await race.providers(2)
    holder, patient = await race.patients(2)
    booking_id = await race.held(here, holder)
    ticket_id = await race.waiting(here, patient)
    await race.release(here, booking_id, holder)
    offer_id = await race.db.fetch_value("SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", ticket_id)
    # Once seen, an offer that runs out has been the ticket's turn: its claim is dead.
    await see(race.db, here.provider_id, ticket_id, offer_id)
    await race.pass_time(OFFER_TIME - timedelta(seconds=2))
    async with race.db.transaction() as transaction:
        await transaction.execute("SELECT pg_advisory_xact_lock($1)", PAUSE)
        accepting = asyncio.create_task(race.book.accept(here.provider_id, ticket_id, Patient(patient)))
        await race.until_locked_out(1)
        await race.pass_time(timedelta(seconds=2))
        holding = asyncio.create_task(race.hold(there, patient))
        # Either it is answered, or it waits for the accept.
        await race.until_locked_out(2, [holding])
    answers: list[str] = [(await accepting).code, (await holding).code]
    # An offer that could not be accepted has run out by now.
    await race.book.advance(here.provider_id)
    return answers


BEFORE_THE_CLAIM = "SELECT * INTO waiter FROM booking.ticket"
AFTER_THE_CLAIM = "PERFORM booking.end_ticket(waiter, 'accepted'"


@pytest.mark.breaks_invariants
async def test_without_its_claim_an_accept_makes_a_second_hold(race: RaceEnvironment) -> None:
    await rewrite(
        race.db,
        "booking.accept",
        ("PERFORM booking.lock_patient(waiter.patient_id);", ""),
        ("AND ticket_id = p_ticket_id FOR UPDATE;", "AND ticket_id = p_ticket_id;"),
        ("RETURN booking.refuse('claimed');", "NULL;"),
    )

    assert await hold_elsewhere_while_accepting(race, AFTER_THE_CLAIM) == ["accepted", "reserved"]


async def test_an_offer_whose_claim_went_elsewhere_cannot_be_accepted(race: RaceEnvironment) -> None:
    assert await hold_elsewhere_while_accepting(race, BEFORE_THE_CLAIM) == ["claimed", "reserved"]


async def test_an_accept_under_way_keeps_its_claim(race: RaceEnvironment) -> None:
    assert await hold_elsewhere_while_accepting(race, AFTER_THE_CLAIM) == ["accepted", "claimed"]
