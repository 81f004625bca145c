"""What each guard of the plain case of a confirm keeps away, and that without the guard it gets through.

A guard may be stricter than the rule, as what the plain case does not decide goes to the full verb.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Actor, Patient
from tests.fixtures.plain import (
    ACTOR,
    ADVISORY,
    BOOK_LOCK,
    BOOK_ROW,
    BOOK_WAITS,
    CLAIM_ROW,
    CLAIM_WAITS,
    CLOCK_FIRST,
    CLOCK_LATER,
    CONFIRM,
    DUE,
    PATIENT_LOCK,
    PAUSED,
    QUEUED,
    Guard,
    a_place,
    across_a_deadline,
    code_of,
    elsewhere,
    keep_result,
    on,
    sign_in,
    while_locked,
)
from tests.fixtures.races import HOLD_TIME, Provider, RaceEnvironment


async def confirm(
    race: RaceEnvironment,
    provider: Provider,
    patient: int,
    booking_id: UUID,
    money: str | None = None,
    actor: Actor | None = None,
    key: str | None = None,
    token: bytes | None = None,
) -> str | None:
    """Confirm plainly."""
    return await code_of(
        race,
        "SELECT code FROM booking.confirm_plainly($1, $2, $3, $4, $5, $6, NULL, $7)",
        provider.provider_id,
        booking_id,
        patient,
        money,
        str(actor or Patient(patient)),
        key,
        token,
    )


async def a_hold(race: RaceEnvironment, funding: str = "clinic") -> tuple[Provider, int, UUID]:
    provider, patient = await a_place(race, funding=funding)
    return provider, patient, await race.held(provider, patient)


async def confirm_under(race: RaceEnvironment, sql: str, *, is_patients: bool) -> str | None:
    held = await a_hold(race)
    lock = -held[1] if is_patients else held[0].provider_id
    if sql == CLAIM_ROW:
        lock = held[1]
    return await while_locked(race, sql, [lock], lambda: confirm(race, *held))


async def confirm_as_time_passes(race: RaceEnvironment) -> str | None:
    held = await a_hold(race)
    return await across_a_deadline(race, lambda: confirm(race, *held))


async def confirm_late(race: RaceEnvironment) -> str | None:
    held = await a_hold(race)
    await race.pass_time(HOLD_TIME)
    return await confirm(race, *held)


async def confirm_with_something_due(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race, funding="clinic")
    await race.held(provider, await race.patient(), 1)
    await race.pass_time(timedelta(seconds=100))
    booking_id = await race.held(provider, patient)
    await race.pass_time(HOLD_TIME - timedelta(seconds=100))
    return await confirm(race, provider, patient, booking_id)


async def confirm_with_a_queue(race: RaceEnvironment) -> str | None:
    provider, patient = await race.provider(), await race.patient()
    booking_id = await race.held(provider, patient)
    await race.waiting(provider, await race.patient())
    return await confirm(race, provider, patient, booking_id)


async def confirm_what_was_given_back(race: RaceEnvironment) -> str | None:
    provider, patient, booking_id = await a_hold(race)
    await race.release(provider, booking_id, patient)
    return await confirm(race, provider, patient, booking_id)


async def confirm_without_the_claim(race: RaceEnvironment) -> str | None:
    """Confirm when the claim has gone elsewhere, as it may once a hold's time is over."""
    held = await a_hold(race)
    await race.db.execute("UPDATE booking.claim SET booking_id = gen_random_uuid() WHERE patient_id = $1", held[1])
    return await confirm(race, *held)


async def confirm_anothers(race: RaceEnvironment) -> str | None:
    provider, _, booking_id = await a_hold(race)
    other = await race.patient()
    await elsewhere(race, other)  # which gives them a claim
    return await confirm(race, provider, other, booking_id)


async def confirm_an_offer(race: RaceEnvironment, *, is_accepted: bool) -> str | None:
    """Confirm what the queue has offered, or what was accepted of it."""
    provider, patient = await race.provider(), await race.patient()
    holder = await race.patient()
    booking_id = await race.held(provider, holder)
    ticket_id = await race.waiting(provider, patient)
    await race.release(provider, booking_id, holder)
    if is_accepted:
        assert (await race.book.accept(provider.provider_id, ticket_id, Patient(patient))).code == "accepted"
    offer = await race.db.fetch_value("SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", ticket_id)
    return await confirm(race, provider, patient, offer)


async def confirm_instead(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race, funding="clinic")
    there = await race.provider(4)
    old = await race.booked(there, patient, 2)
    held = await race.book.hold(
        provider.provider_id,
        provider.clinic_id,
        provider.opens_at,
        1,
        patient,
        Patient(patient),
        instead_of=(there.provider_id, old),
    )
    assert held.booking_id
    return await confirm(race, provider, patient, held.booking_id)


async def confirm_for_nobody(race: RaceEnvironment) -> str | None:
    """Confirm a hold of two releases before, which names no person."""
    held = await a_hold(race)
    await race.db.execute("UPDATE booking.booking SET person_id = NULL WHERE booking_id = $1", held[2])
    return await confirm(race, *held)


async def confirm_paid(race: RaceEnvironment, funding: str, money: str | None, *, known: bool = False) -> str | None:
    provider, patient, booking_id = await a_hold(race, funding)
    if known:
        await race.db.execute(
            "SELECT ledger.set_aside($1, $2, $2, 'earlier', 50000, 'void', 'answer', public.app_now())",
            provider.provider_id,
            booking_id,
        )
    return await confirm(race, provider, patient, booking_id, money)


async def confirm_with_a_used_key(race: RaceEnvironment) -> str | None:
    held = await a_hold(race)
    await keep_result(race, held[0], held[1], "confirm")
    return await confirm(race, *held, key="key")


async def confirm_signed_in(race: RaceEnvironment, session: str) -> str | None:
    held = await a_hold(race)
    return await confirm(race, *held, token=await sign_in(race, held[1], session))


async def confirm_by(race: RaceEnvironment) -> str | None:
    held = await a_hold(race)
    return await confirm(race, *held, actor=Patient(await race.patient()))


CLAIM = (
    "provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id FOR UPDATE",
    "patient_id = p_patient_id FOR UPDATE",
)

GUARDS = {
    "the actor is the patient": Guard(confirm_by, CONFIRM, *ACTOR, "booked"),
    "the book's advisory lock": Guard(on(confirm_under, ADVISORY, is_patients=False), CONFIRM, *BOOK_LOCK, "booked"),
    "the book's row": Guard(on(confirm_under, BOOK_ROW, is_patients=False), CONFIRM, *BOOK_WAITS, "waits"),
    "the patient's lock": Guard(on(confirm_under, ADVISORY, is_patients=True), CONFIRM, *PATIENT_LOCK, "booked"),
    "the claim's row": Guard(on(confirm_under, CLAIM_ROW, is_patients=True), CONFIRM, *CLAIM_WAITS, "waits"),
    "the clock is read under the lock": Guard(
        confirm_as_time_passes, CONFIRM, *CLOCK_FIRST, "booked", beside=[(CONFIRM, *PAUSED), (CONFIRM, *CLOCK_LATER)],
    ),
    "what is due": Guard(confirm_with_something_due, CONFIRM, *DUE, "booked"),
    "a hold that has run out": Guard(
        confirm_late, CONFIRM, "NOT booking.is_due(held, now_at)", "true", "booked", beside=[(CONFIRM, *DUE)],
    ),
    "a queue": Guard(confirm_with_a_queue, CONFIRM, *QUEUED, "booked"),
    "what was given back": Guard(confirm_what_was_given_back, CONFIRM, "state = 'reserved'", "true", "booked"),
    "the claim": Guard(confirm_without_the_claim, CONFIRM, *CLAIM, "booked"),
    "whose hold it is": Guard(
        confirm_anothers, CONFIRM, "held.patient_id = p_patient_id", "true", "booked", beside=[(CONFIRM, *CLAIM)],
    ),
    "an offer": Guard(
        on(confirm_an_offer, is_accepted=False), CONFIRM, "NOT offer", "true", "booked",
        beside=[(CONFIRM, *CLAIM), (CONFIRM, *QUEUED), (CONFIRM, "ticket_id IS NULL", "true")],
    ),
    "a turn": Guard(on(confirm_an_offer, is_accepted=True), CONFIRM, "ticket_id IS NULL", "true", "booked"),
    "what it replaces": Guard(confirm_instead, CONFIRM, "instead_of_id IS NULL", "true", "booked"),
    "a person": Guard(confirm_for_nobody, CONFIRM, "JOIN accounts.person", "LEFT JOIN accounts.person", "booked"),
    "online without money": Guard(
        on(confirm_paid, "online", None), CONFIRM, "(funding = 'online') = (p_authorisation IS NOT NULL)",
        "true", "booked",
    ),
    "money that nobody asked for": Guard(
        on(confirm_paid, "clinic", "money"), CONFIRM, "(funding = 'online') = (p_authorisation IS NOT NULL)",
        "true", "booked",
    ),
    "money known before": Guard(
        on(confirm_paid, "online", "money", known=True), CONFIRM, "AND hold_id = p_booking_id", "AND false", "booked",
    ),
    "a key used before": Guard(confirm_with_a_used_key, CONFIRM, "operation = 'confirm' AND", "false AND", "error"),
    "another's session": Guard(
        on(confirm_signed_in, "a stranger's"), CONFIRM, "session.patient_id = p_patient_id", "true", "booked",
        "signed_out",
    ),
    "a session revoked": Guard(
        on(confirm_signed_in, "revoked"), CONFIRM, "revoked_at IS NULL", "true", "booked", "signed_out",
    ),
    "a session expired": Guard(
        on(confirm_signed_in, "expired"), CONFIRM, "expires_at > now_at", "true", "booked", "signed_out",
    ),
    "a session in time": Guard(
        on(confirm_signed_in, "in time"), CONFIRM, "expires_at > now_at", "false", "signed_out", "booked",
    ),
}  # fmt: skip


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("name", GUARDS)
async def test_each_guard_keeps_its_own_away(race: RaceEnvironment, name: str) -> None:
    await GUARDS[name].show(race)
