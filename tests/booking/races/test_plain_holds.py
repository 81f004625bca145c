"""What each guard of the plain case of a hold keeps away, and that without the guard it gets through.

A guard may be stricter than the rule, as what the plain case does not decide goes to the full verb.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Actor, Patient, Staff
from healthplus.accounts.sessions import queries as accounts
from tests.fixtures.patients import add_person
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
    DUE,
    HOLD,
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
from tests.fixtures.races import HOLD_TIME, SLOT, Provider, RaceEnvironment

PLACE, PERSON = "booking.plain_place", "booking.plain_person"
ELSE, NEXT = "booking.is_known_otherwise", "booking.pass_next_free"


async def hold(  # noqa: PLR0917
    race: RaceEnvironment,
    provider: Provider,
    patient: int,
    start: datetime | None = None,
    slots: int = 1,
    person: UUID | None = None,
    actor: Actor | None = None,
    key: str | None = None,
    token: bytes | None = None,
) -> str | None:
    """Hold plainly, by default the first slot."""
    return await code_of(
        race,
        "SELECT code FROM booking.hold_plainly($1, $2, $3, $4, NULL, $5, $6, $7, $8, $9)",
        provider.provider_id,
        provider.clinic_id,
        start or provider.opens_at,
        slots,
        patient,
        person,
        str(actor or Patient(patient)),
        key,
        token,
    )


async def hold_under(race: RaceEnvironment, sql: str, *, is_patients: bool) -> str | None:
    provider, patient = await a_place(race)
    await elsewhere(race, patient)
    lock = -patient if is_patients else provider.provider_id
    if sql == CLAIM_ROW:
        lock = patient
    return await while_locked(race, sql, [lock], lambda: hold(race, provider, patient))


async def hold_with_something_due(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await race.held(provider, await race.patient(), 1)
    await race.pass_time(HOLD_TIME)
    return await hold(race, provider, patient)


async def hold_as_time_passes(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await race.held(provider, await race.patient(), 1)
    return await across_a_deadline(race, lambda: hold(race, provider, patient))


async def hold_what_is_withheld(race: RaceEnvironment) -> str | None:
    """Somebody waits for two slots, and one of them is free."""
    provider, patient = await race.provider(3, 2), await race.patient()
    await race.held(provider, await race.patient(), 1)
    await race.waiting(provider, await race.patient(), slots_needed=2)
    return await hold(race, provider, patient)


async def hold_what_is_booked(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race, funding="clinic")
    await race.booked(provider, await race.patient())
    return await hold(race, provider, patient)


async def hold_in_leave(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    leave = race.book.add_leave(
        provider.provider_id, None, provider.opens_at, provider.opens_at + SLOT, "", Staff(1), flag_for_rebooking=False
    )
    assert (await leave).code == "changed"
    return await hold(race, provider, patient)


async def hold_the_last(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    return await hold(race, provider, patient, provider.starts[-1])


async def hold_the_last_free(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await race.held(provider, await race.patient(), 3)
    return await hold(race, provider, patient, provider.starts[-2])


async def hold_off_the_grid(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    return await hold(race, provider, patient, provider.opens_at + timedelta(minutes=1))


async def hold_before_it_opens(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    return await hold(race, provider, patient, provider.opens_at - SLOT)


async def hold_on_another_weekday(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    return await hold(race, provider, patient, provider.opens_at + timedelta(days=1))


async def hold_too_late(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await race.db.execute("UPDATE directory.clinic SET lead_minutes = 1440")
    await race.pass_time(provider.opens_at - timedelta(hours=23) - await race.now())
    code = await hold(race, provider, patient)
    await race.db.execute("UPDATE directory.clinic SET lead_minutes = 10")
    return code


async def with_schedule(race: RaceEnvironment, change: str) -> str | None:
    """Hold two slots where a schedule with room for them is changed."""
    provider, patient = await a_place(race, slots_max=2)
    await race.db.execute(change.format(f"provider_id = {provider.provider_id}"))
    return await hold(race, provider, patient, slots=2)


async def hold_with_a_hold(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await race.held(await race.provider(4), patient, 2)
    return await hold(race, provider, patient)


async def hold_with_a_ticket(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    there = await race.provider()
    await race.held(there, await race.patient())
    await race.waiting(there, patient)
    return await hold(race, provider, patient)


async def hold_with_nothing_left(race: RaceEnvironment, column: str) -> str | None:
    provider, patient = await a_place(race)
    await elsewhere(race, patient)
    await race.db.execute(
        f"UPDATE booking.claim SET {column} = array_fill(public.app_now(), '{{10}}') WHERE patient_id = $1", patient
    )
    return await hold(race, provider, patient)


async def hold_of_a_successor(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await race.db.execute(
        """INSERT INTO accounts.former_account (patient_id, phone_hash, erased_at, successor_id)
        VALUES ($1, '', public.app_now(), $2)""",
        await race.patient(),
        patient,
    )
    return await hold(race, provider, patient)


async def hold_beside_an_appointment(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    booking_id = await race.held(provider, patient, 2)
    assert (await race.book.confirm(provider.provider_id, booking_id, "money", Patient(patient))).code == "booked"
    return await hold(race, provider, patient)


async def hold_at_the_same_time(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await elsewhere(race, patient, 0)
    return await hold(race, provider, patient)


async def hold_with_one_ahead(race: RaceEnvironment, funding: str = "online") -> str | None:
    """Have one at another time elsewhere, not paid online, and hold what is to be paid so, or not."""
    provider, patient = await a_place(race, funding=funding)
    await elsewhere(race, patient)
    return await hold(race, provider, patient)


async def hold_of_the_erased(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    for query in ("erase_patient", "erase_persons"):
        await race.db.execute(accounts[query], patient)
    return await hold(race, provider, patient)


async def hold_for(race: RaceEnvironment, whose: str) -> str | None:
    """Hold for a person who was removed, or one of another account."""
    provider, patient = await a_place(race)
    person = await add_person(race.db, patient if whose == "removed" else await race.patient())
    if whose == "removed":
        await race.db.execute("UPDATE accounts.person SET removed_at = public.app_now() WHERE person_id = $1", person)
    return await hold(race, provider, patient, person=person)


async def hold_after_answering(race: RaceEnvironment) -> str | None:
    """Hold once the patient has answered a call, and has a claim for something else since."""
    provider, patient = await a_place(race)
    called = await race.called(await race.provider(), 2, [patient, await race.patient()])
    await race.db.execute("UPDATE booking.ticket SET answered_at = public.app_now() WHERE ticket_id = $1", called[0][1])
    await race.db.execute(
        "UPDATE booking.claim SET ticket_id = NULL, booking_id = gen_random_uuid() WHERE patient_id = $1", patient
    )
    return await hold(race, provider, patient)


async def hold_with_a_used_key(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    await keep_result(race, provider, patient, "hold")
    return await hold(race, provider, patient, key="key")


async def hold_signed_in(race: RaceEnvironment, session: str) -> str | None:
    provider, patient = await a_place(race)
    return await hold(race, provider, patient, token=await sign_in(race, patient, session))


async def hold_by(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    return await hold(race, provider, patient, actor=Patient(await race.patient()))


async def hold_the_next_free(race: RaceEnvironment, third: str = "free") -> str | None:
    """Return which slot is noted as the next free one when the second was, and is now held plainly."""
    provider, patient = await a_place(race)
    await race.held(provider, await race.patient())
    if third == "taken":
        await race.held(provider, await race.patient(), 2)
    elif third == "leave":
        away = race.book.add_leave(
            provider.provider_id, None, provider.starts[2], provider.starts[3], "", Staff(1), flag_for_rebooking=False
        )
        assert (await away).code == "changed"
    assert await hold(race, provider, patient, provider.starts[1]) == "reserved"
    next_free = await race.db.fetch_value(
        "SELECT next_free_at FROM booking.book WHERE provider_id = $1", provider.provider_id
    )
    return {provider.starts[1]: "second", provider.starts[2]: "third", provider.starts[3]: "fourth"}[next_free]


async def hold_and_let_run_out(race: RaceEnvironment) -> str | None:
    """Return the state of a plain hold once its time is over and the book was advanced."""
    provider, patient = await a_place(race)
    assert await hold(race, provider, patient) == "reserved"
    await race.pass_time(HOLD_TIME)
    await race.book.advance(provider.provider_id)
    state: str = await race.db.fetch_value("SELECT state FROM booking.booking WHERE patient_id = $1", patient)
    return state


GUARDS = {
    "the actor is the patient": Guard(hold_by, HOLD, *ACTOR, "reserved"),
    "the book's advisory lock": Guard(on(hold_under, ADVISORY, is_patients=False), HOLD, *BOOK_LOCK, "reserved"),
    "the book's row": Guard(on(hold_under, BOOK_ROW, is_patients=False), HOLD, *BOOK_WAITS, "waits"),
    "the patient's lock": Guard(on(hold_under, ADVISORY, is_patients=True), HOLD, *PATIENT_LOCK, "reserved"),
    "the claim's row": Guard(on(hold_under, CLAIM_ROW, is_patients=True), HOLD, *CLAIM_WAITS, "waits"),
    "a claim that is locked is no new patient's": Guard(
        on(hold_under, CLAIM_ROW, is_patients=True), ELSE,
        "EXISTS (SELECT FROM booking.claim WHERE patient_id = p_patient_id)", "false", "waits",
    ),
    "the clock is read under the lock": Guard(
        hold_as_time_passes, HOLD, *CLOCK_FIRST, "reserved", beside=[(HOLD, *PAUSED), (HOLD, *CLOCK_LATER)]
    ),
    "what is due": Guard(hold_with_something_due, HOLD, *DUE, "reserved"),
    "nobody barges": Guard(hold_what_is_withheld, HOLD, *QUEUED, "reserved"),
    "what is taken": Guard(hold_what_is_booked, PLACE, "booking.occupies AND booking.during && run", "false", "error"),
    "leave": Guard(hold_in_leave, PLACE, "leave.during && run", "false", "reserved"),
    "the last time of a day": Guard(
        hold_the_last, PLACE, "AND (p_start + slot * (slots + 1)", "AND (p_start + slot * slots", "reserved",
    ),
    "the last free time of a day": Guard(
        hold_the_last_free, PLACE, "coalesce(run @> last_free_at, true)", "false", "reserved",
    ),
    "the grid": Guard(
        hold_off_the_grid, PLACE, "booking.is_on_grid(chosen.need, p_start, opens_at, slot, weekday)", "true",
        "reserved",
    ),
    "before the shift": Guard(hold_before_it_opens, PLACE, "opens_at <= p_start AND", "", "reserved"),
    "the weekday": Guard(
        hold_on_another_weekday, PLACE, "weekday = extract(isodow FROM day)::smallint", "true", "reserved",
    ),
    "the lead": Guard(hold_too_late, PLACE, "+ make_interval(mins => lead_minutes)", "", "reserved"),
    "too far ahead": Guard(
        on(with_schedule, "UPDATE directory.provider SET max_booking_days = 1 WHERE {}"), PLACE,
        "max_booking_days - 1", "max_booking_days + 9", "reserved",
    ),
    "a shift that is over": Guard(
        on(with_schedule, "UPDATE schedule.shift SET valid = '(,2000-01-01)' WHERE {}"), PLACE, "valid @> day",
        "true", "reserved",
    ),
    "one seat": Guard(
        on(with_schedule, "UPDATE schedule.shift SET seats = 2 WHERE {}"), PLACE, "seats = 1", "true", "reserved",
    ),
    "slots in a row": Guard(
        on(with_schedule, "UPDATE schedule.shift SET slots_max = 1 WHERE {}"), PLACE,
        "booking.is_taken_by(chosen.need, slots_max)", "true", "reserved",
    ),
    "one live hold": Guard(
        hold_with_a_hold, HOLD, "IN ('booked', 'arrived', 'fulfilled', 'no_show')", "IS NOT NULL", "reserved",
    ),
    "one live ticket": Guard(hold_with_a_ticket, HOLD, "own.ticket_id IS NULL AND", "", "error"),
    "lapses": Guard(on(hold_with_nothing_left, "lapses"), HOLD, "cardinality(lapses) +", "", "reserved"),
    "what is spent": Guard(on(hold_with_nothing_left, "spent"), HOLD, "+ cardinality(spent)", "", "reserved"),
    "what an account before had spent": Guard(
        hold_of_a_successor, ELSE, "WHERE successor_id = p_patient_id", "WHERE false", "reserved",
    ),
    "one a day": Guard(hold_beside_an_appointment, PERSON, "own.provider_id = p_provider_id OR", "", "reserved"),
    "one place at a time": Guard(hold_at_the_same_time, PERSON, "own.during && p_during", "false", "reserved"),
    "so many ahead": Guard(
        hold_with_one_ahead, PERSON, "count(*) < 1", "true", "reserved",
        beside=[(PERSON, "booking.ahead_max()", "1")],
    ),
    "so many unpaid": Guard(
        on(hold_with_one_ahead, funding="clinic"), PERSON, "own.funding <> 'online' AND", "false AND", "reserved",
    ),
    "an erased account": Guard(hold_of_the_erased, PERSON, "person.removed_at IS NULL", "true", "reserved"),
    "a person removed": Guard(on(hold_for, "removed"), PERSON, "person.removed_at IS NULL", "true", "reserved"),
    "a person of another account": Guard(
        on(hold_for, "another"), PERSON, "person.patient_id = p_patient_id AND", "", "reserved",
    ),
    "a call that was answered": Guard(hold_after_answering, PERSON, "waiter.state = 'called'", "false", "reserved"),
    "a key used before": Guard(hold_with_a_used_key, HOLD, "operation = 'hold' AND", "false AND", "error"),
    "another's session": Guard(
        on(hold_signed_in, "a stranger's"), PERSON, "session.patient_id = p_patient_id", "true", "reserved",
        "signed_out",
    ),
    "a session revoked": Guard(
        on(hold_signed_in, "revoked"), PERSON, "revoked_at IS NULL", "true", "reserved", "signed_out",
    ),
    "a session expired": Guard(
        on(hold_signed_in, "expired"), PERSON, "expires_at > p_now", "true", "reserved", "signed_out",
    ),
    "a session in time": Guard(
        on(hold_signed_in, "in time"), PERSON, "expires_at > p_now", "false", "signed_out", "reserved",
    ),
    "the next free time": Guard(
        hold_the_next_free, HOLD, " OR seen.during @> head.next_free_at", "", "second", "third",
    ),
    "the next free time is not taken": Guard(
        on(hold_the_next_free, "taken"), NEXT, "booking.occupies AND booking.during && p_next", "false",
        "third", "fourth",
    ),
    "the next free time is not in leave": Guard(
        on(hold_the_next_free, "leave"), NEXT, "leave.during && p_next", "false", "third", "fourth",
    ),
    "its end is known": Guard(
        hold_and_let_run_out, "booking.put_plain_hold", "next_due = least(next_due, answer.deadline)",
        "next_due = next_due", "reserved", "expired",
    ),
}  # fmt: skip


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("name", GUARDS)
async def test_each_guard_keeps_its_own_away(race: RaceEnvironment, name: str) -> None:
    await GUARDS[name].show(race)
