"""What each guard of the plain case of a join keeps away, and that without the guard it gets through.

A guard may be stricter than the rule, as what the plain case does not decide goes to the full verb. What
booking.plain_person asks for is in test_plain_holds.py.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Actor, Patient
from healthplus.database import Range
from tests.fixtures.patients import add_person
from tests.fixtures.plain import (
    ADVISORY,
    BOOK_ROW,
    CLAIM_ROW,
    Guard,
    a_place,
    code_of,
    elsewhere,
    keep_result,
    on,
    sign_in,
    while_locked,
)
from tests.fixtures.races import HOLD_TIME, PAUSE, Provider, RaceEnvironment

JOIN, LOOK = "booking.join_plainly", "booking.plain_joins"
WAITED_FOR = """booking.is_window_waited_for(
                p_provider_id, call.clinic_id, call.queue_window, call.slots, booking.service_ids(call.services))"""


async def a_queue(race: RaceEnvironment, funding: str = "online") -> tuple[Provider, int]:
    """Return a provider with four slots, all held, and a queue for the first two, just served; and a patient."""
    # A minute begins, as a queue is served for one.
    await race.pass_time(timedelta(seconds=61 - (await race.now()).second))
    provider, patient = await a_place(race, slots_max=2, funding=funding)
    for slot, holder in enumerate(await race.patients(4)):
        await race.held(provider, holder, slot)
    other = await race.patient()
    asked = provider.opens_at, provider.starts[2]
    joined = await race.book.join_queue(provider.provider_id, provider.clinic_id, *asked, 1, other, Patient(other))
    assert joined.code == "waiting"
    await race.book.advance(provider.provider_id)
    return provider, patient


async def join(  # noqa: PLR0917
    race: RaceEnvironment,
    provider: Provider,
    patient: int,
    slots: int = 1,
    person: UUID | None = None,
    actor: Actor | None = None,
    key: str | None = None,
    token: bytes | None = None,
    until: int = 2,
) -> str | None:
    """Join plainly, for the first two slots."""
    return await code_of(
        race,
        "SELECT code FROM booking.join_plainly($1, $2, $3, $4, NULL, $5, $6, $7, $8, $9)",
        provider.provider_id,
        provider.clinic_id,
        Range(provider.opens_at, provider.starts[until]),
        slots,
        patient,
        person,
        str(actor or Patient(patient)),
        key,
        token,
    )


async def join_under(race: RaceEnvironment, sql: str, *, is_patients: bool) -> str | None:
    provider, patient = await a_queue(race)
    await elsewhere(race, patient)
    lock = -patient if is_patients else provider.provider_id
    if sql == CLAIM_ROW:
        lock = patient
    return await while_locked(race, sql, [lock], lambda: join(race, provider, patient))


async def join_as_time_passes(race: RaceEnvironment) -> str | None:
    """Join just before the first hold runs out, while the book is being locked."""
    provider, patient = await a_queue(race)
    await race.pass_time(HOLD_TIME - timedelta(seconds=2))
    await race.book.advance(provider.provider_id)

    async def act() -> str | None:
        return await join(race, provider, patient)

    async with race.db.transaction() as transaction:
        await transaction.execute(ADVISORY, PAUSE)
        task = asyncio.ensure_future(act())
        await race.until_locked_out(1, [task])
        await race.pass_time(timedelta(seconds=2))
    return await task


async def join_by(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    return await join(race, provider, patient, actor=Patient(await race.patient()))


async def join_with_something_due(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    await race.pass_time(HOLD_TIME)
    return await join(race, provider, patient)


async def join_for_another_window(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    return await join(race, provider, patient, until=3)


async def join_with_a_hold(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    await race.held(await race.provider(4), patient, 2)
    await race.db.execute(
        "UPDATE booking.booking SET patient_id = NULL WHERE patient_id = $1", patient
    )  # its claim alone
    return await join(race, provider, patient)


async def join_with_a_ticket(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    there = await race.provider()
    await race.held(there, await race.patient())
    await race.waiting(there, patient)
    return await join(race, provider, patient)


async def join_with_nothing_left(race: RaceEnvironment, column: str) -> str | None:
    provider, patient = await a_queue(race)
    await elsewhere(race, patient)
    await race.db.execute(
        f"UPDATE booking.claim SET {column} = array_fill(public.app_now(), '{{10}}') WHERE patient_id = $1", patient
    )
    return await join(race, provider, patient)


async def join_of_a_successor(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    await race.db.execute(
        """INSERT INTO accounts.former_account (patient_id, phone_hash, erased_at, successor_id)
        VALUES ($1, '', public.app_now(), $2)""",
        await race.patient(),
        patient,
    )
    return await join(race, provider, patient)


async def join_after_letting_go(race: RaceEnvironment) -> str | None:
    """Join where a turn was let go before, since when the patient has claimed something else."""
    provider, patient = await a_queue(race)
    assert await join(race, provider, patient) == "waiting"
    await race.db.execute(
        "UPDATE booking.ticket SET state = 'lapsed', let_go_at = public.app_now() WHERE patient_id = $1", patient
    )
    await race.db.execute(
        "UPDATE booking.claim SET ticket_id = NULL, booking_id = gen_random_uuid() WHERE patient_id = $1", patient
    )
    return await join(race, provider, patient)


async def join_with_one_ahead(race: RaceEnvironment, slot: int) -> str | None:
    """Join with an appointment elsewhere, not paid online, for what is not either, or at that time."""
    provider, patient = await a_queue(race, funding="clinic" if slot == 2 else "online")
    await elsewhere(race, patient, slot)
    return await join(race, provider, patient)


async def join_for_a_stranger(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    return await join(race, provider, patient, person=await add_person(race.db, await race.patient()))


async def join_with_a_used_key(race: RaceEnvironment) -> str | None:
    provider, patient = await a_queue(race)
    await keep_result(race, provider, patient, "join")
    return await join(race, provider, patient, key="key")


async def join_signed_in(race: RaceEnvironment, session: str) -> str | None:
    provider, patient = await a_queue(race)
    return await join(race, provider, patient, token=await sign_in(race, patient, session))


TRY = "IF NOT booking.try_book(p_provider_id) THEN\n        RETURN NULL;\n    END IF;\n"
CLOCK = "    now_at := public.app_now();\n"
NEAR = "own.provider_id = p_provider_id OR own.during && p_during"

GUARDS = {
    "the actor is the patient": Guard(join_by, LOOK, "call.actor = 'patient:' || call.patient_id", "true", "waiting"),
    "the book's advisory lock": Guard(
        on(join_under, ADVISORY, is_patients=False), "booking.try_book",
        "NOT pg_try_advisory_xact_lock(p_provider_id)", "false", "waiting",
    ),
    "the book's row": Guard(
        on(join_under, BOOK_ROW, is_patients=False), "booking.try_book", " SKIP LOCKED", "", "waits",
    ),
    "the patient's lock": Guard(
        on(join_under, ADVISORY, is_patients=True), LOOK, "pg_try_advisory_xact_lock(-patient_id)", "true", "waiting",
    ),
    "the claim's row": Guard(on(join_under, CLAIM_ROW, is_patients=True), LOOK, " SKIP LOCKED", "", "waits"),
    "a claim that is locked is no new patient's": Guard(
        on(join_under, CLAIM_ROW, is_patients=True), LOOK,
        "THEN NOT EXISTS (SELECT FROM booking.claim WHERE patient_id = call.patient_id)", "THEN true", "waits",
    ),
    "the clock is read under the lock": Guard(
        join_as_time_passes, JOIN, TRY + CLOCK, CLOCK + TRY, "waiting",
        beside=[("booking.try_book", "IF NOT pg_try", f"PERFORM pg_advisory_xact_lock({PAUSE}); IF NOT pg_try")],
    ),
    "what is due": Guard(
        join_with_something_due, JOIN, "NOT booking.is_served(p_provider_id, now_at)", "false", "waiting",
    ),
    "a window that nobody waits for": Guard(
        join_for_another_window, LOOK,
        WAITED_FOR, "true", "waiting",
    ),
    "one live hold": Guard(
        join_with_a_hold, LOOK, "coalesce(claimed.state IN ('booked', 'arrived', 'fulfilled', 'no_show'), true)",
        "true", "waiting",
    ),
    "one live ticket": Guard(join_with_a_ticket, LOOK, "own.ticket_id IS NULL AND", "", "waiting"),
    "lapses": Guard(on(join_with_nothing_left, "lapses"), LOOK, "cardinality(own.lapses) +", "", "waiting"),
    "what is spent": Guard(on(join_with_nothing_left, "spent"), LOOK, "+ cardinality(own.spent)", "", "waiting"),
    "what an account before had spent": Guard(
        join_of_a_successor, LOOK, "WHERE successor_id = call.patient_id", "WHERE false", "waiting",
    ),
    "turns let go": Guard(
        join_after_letting_go, LOOK, "let_go_at > p_now - booking.lapse_memory_time()", "false", "waiting",
    ),
    "what is ahead": Guard(on(join_with_one_ahead, 0), "booking.plain_person", NEAR, "false", "waiting"),
    "so many unpaid": Guard(on(join_with_one_ahead, 2), LOOK, "price.funding", "'online'", "waiting"),
    "a person of another account": Guard(
        join_for_a_stranger, "booking.plain_person", "person.patient_id = p_patient_id AND", "", "waiting",
    ),
    "a new key": Guard(join_with_a_used_key, LOOK, "key = call.key", "false", "error"),
    "a session that was ended": Guard(
        on(join_signed_in, "revoked"), LOOK, " AND person.is_signed_in", "", "waiting",
    ),
}  # fmt: skip


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("name", GUARDS)
async def test_each_guard_keeps_its_own_away(race: RaceEnvironment, name: str) -> None:
    await GUARDS[name].show(race)


async def test_what_no_guard_keeps_away_is_plain(race: RaceEnvironment) -> None:
    """A patient who has had an appointment, or is signed in, joins plainly."""
    provider, patient = await a_queue(race)
    await elsewhere(race, patient)
    token = await sign_in(race, patient, "in time")
    assert await join(race, provider, patient, key="key", token=token) == "waiting"
