"""One person is at one place at a time, whatever two providers' verbs do at once: the last of them sees the other's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, System
from healthplus.booking.outcomes import Outcome
from tests.fixtures.plain import CLAIM_WAITS, CONFIRM, PATIENT_LOCK
from tests.fixtures.races import HOLD_TIME, PAUSE, Provider, RaceEnvironment, rewrite, without_plain_case


async def pause(race: RaceEnvironment, function: str, before: str) -> None:
    """Have a full verb wait in its middle. The plain case is switched off: test_plain_*.py have its races."""
    await without_plain_case(race.db)
    await rewrite(race.db, function, (before, f"PERFORM pg_advisory_xact_lock({PAUSE}); {before}"))


async def switch_patient_lock_off(race: RaceEnvironment) -> None:
    await rewrite(race.db, "booking.lock_patient", ("PERFORM pg_advisory_xact_lock(-p_patient_id);", "NULL;"))
    await rewrite(race.db, "booking.keeps_claim", (" FOR UPDATE", ""))
    noted = "UPDATE booking.claim SET spent = own.spent || p_now WHERE patient_id = p_patient_id"
    await rewrite(race.db, "booking.spend", (" FOR UPDATE", ""), (noted, "NULL"))
    await rewrite(race.db, "booking.book_late", (" FOR UPDATE", ""))


async def hold_meanwhile(
    race: RaceEnvironment, call: Coroutine[Any, Any, Outcome], there: Provider, patient: int, passing: timedelta
) -> list[str]:
    """Have a call pause, let time pass, and hold at another provider; return both answers.

    The hold is answered at once, or waits for the call.
    """
    async with race.db.transaction() as transaction:
        await transaction.execute("SELECT pg_advisory_xact_lock($1)", PAUSE)
        paused = asyncio.ensure_future(call)
        await race.until_locked_out(1)
        await race.pass_time(passing)
        holding = asyncio.ensure_future(race.hold(there, patient))
        await race.until_locked_out(2, [holding])
    return [(await paused).code, (await holding).code]


async def confirm_and_hold(race: RaceEnvironment) -> list[str]:
    """Confirm a hold just in time, and hold the same time elsewhere once its time is over."""
    (here, there), patient = await race.providers(2), await race.patient()
    booking_id = await race.held(here, patient)
    await race.pass_time(HOLD_TIME - timedelta(seconds=2))
    return await hold_meanwhile(race, race.confirm(here, booking_id, patient), there, patient, timedelta(seconds=2))


BOOKED = "IF booked.instead_of_id IS NOT NULL THEN"
UNLOCKED = "PERFORM booking.lock_patient(p_held.patient_id);\n        IF NOT booking.keeps_claim"


@pytest.mark.breaks_invariants
async def test_without_the_patients_lock_a_confirm_makes_a_second_appointment(race: RaceEnvironment) -> None:
    await switch_patient_lock_off(race)
    await pause(race, "booking.book_hold", BOOKED)

    assert await confirm_and_hold(race) == ["booked", "reserved"]


async def test_a_hold_waits_for_a_confirm_under_way(race: RaceEnvironment) -> None:
    await pause(race, "booking.book_hold", BOOKED)

    assert await confirm_and_hold(race) == ["booked", "overlap"]


@pytest.mark.breaks_invariants
async def test_without_its_claim_a_confirm_is_late(race: RaceEnvironment) -> None:
    await pause(race, "booking.book_hold", UNLOCKED)
    await rewrite(race.db, "booking.book_hold", ("IF NOT booking.keeps_claim(p_held) THEN", "IF false THEN"))

    assert await confirm_and_hold(race) == ["booked", "reserved"]


async def test_a_confirm_whose_claim_went_elsewhere_has_expired(race: RaceEnvironment) -> None:
    await pause(race, "booking.book_hold", UNLOCKED)

    assert await confirm_and_hold(race) == ["expired", "reserved"]


# The same of the plain case, which tries the patient's lock, and leaves a hold that was claimed elsewhere to the verb.


async def pause_plain_confirm(race: RaceEnvironment) -> None:
    done = "RETURN answer;"
    await rewrite(race.db, "booking.put_plain_booking", (done, f"PERFORM pg_advisory_xact_lock({PAUSE}); {done}"))


@pytest.mark.breaks_invariants
async def test_without_the_patients_lock_a_plain_confirm_makes_a_second_appointment(race: RaceEnvironment) -> None:
    await pause_plain_confirm(race)
    await rewrite(race.db, CONFIRM, PATIENT_LOCK, (CLAIM_WAITS[0], CLAIM_WAITS[1].removesuffix(" FOR UPDATE")))

    assert await confirm_and_hold(race) == ["booked", "reserved"]


async def test_a_hold_waits_for_a_plain_confirm_under_way(race: RaceEnvironment) -> None:
    await pause_plain_confirm(race)

    assert await confirm_and_hold(race) == ["booked", "overlap"]


async def act_at_a_busy_book_and_hold(race: RaceEnvironment, verb: str) -> list[str]:
    """Hold or confirm where an import has the book locked by its row, and hold elsewhere meanwhile."""
    (here, there), patient = await race.providers(2, 2), await race.patient()
    booking_id = await race.held(here, patient) if verb == "confirm" else None
    async with race.db.transaction() as import_:
        await import_.execute("SELECT FROM booking.book WHERE provider_id = $1 FOR UPDATE", here.provider_id)
        call = race.confirm(here, booking_id, patient) if booking_id else race.hold(here, patient)
        acting: asyncio.Future[Outcome] = asyncio.ensure_future(call)
        await race.until_locked_out(1)
        holding = asyncio.ensure_future(race.hold(there, patient, 1))
        await race.until_locked_out(2, [holding])
        code = holding.result().code if holding.done() else "waits"
    return [code, (await acting).code, (await holding).code]


@pytest.mark.parametrize("verb", ["hold", "confirm"])
async def test_with_the_patient_locked_before_the_book_others_wait_for_an_import(
    race: RaceEnvironment, verb: str
) -> None:
    """It would be a deadlock if the import came to the other book, too."""
    first = "NOT pg_try_advisory_xact_lock(p_provider_id)"
    await rewrite(race.db, f"booking.{verb}_plainly", (first, f"{first} OR {PATIENT_LOCK[0]}"))

    assert (await act_at_a_busy_book_and_hold(race, verb))[0] == "waits"


@pytest.mark.parametrize("verb", ["hold", "confirm"])
async def test_who_waits_for_a_book_has_locked_no_patient(race: RaceEnvironment, verb: str) -> None:
    codes = await act_at_a_busy_book_and_hold(race, verb)
    assert codes == (["reserved", "claimed", "reserved"] if verb == "hold" else ["claimed", "booked", "claimed"])


async def move_and_hold(race: RaceEnvironment) -> list[str]:
    """Move an appointment to a time, and hold that time elsewhere."""
    (here, there), patient = await race.providers(2, 2), await race.patient()
    booking_id = await race.booked(here, patient, 1)
    move = race.book.reschedule(here.provider_id, booking_id, here.opens_at, Patient(patient))
    return await hold_meanwhile(race, move, there, patient, timedelta(0))


MOVED = "PERFORM booking.make_offers"


@pytest.mark.breaks_invariants
async def test_without_the_patients_lock_a_move_puts_a_person_at_two_places(race: RaceEnvironment) -> None:
    await switch_patient_lock_off(race)
    await pause(race, "booking.reschedule", MOVED)

    assert await move_and_hold(race) == ["moved", "reserved"]


async def test_a_hold_waits_for_a_move_under_way(race: RaceEnvironment) -> None:
    await pause(race, "booking.reschedule", MOVED)

    assert await move_and_hold(race) == ["moved", "overlap"]


async def pay_late_and_hold(race: RaceEnvironment) -> list[str]:
    """Pay for a hold that has run out, and hold the same time elsewhere."""
    (here, there), patient = await race.providers(2), await race.patient()
    await race.db.execute("UPDATE directory.provider_clinic SET funding = 'online'")
    booking_id = await race.held(here, patient)
    await race.pass_time(HOLD_TIME)
    pay = race.book.confirm(here.provider_id, booking_id, "money", System("gateway"))
    return await hold_meanwhile(race, pay, there, patient, timedelta(0))


PAID = "PERFORM booking.refresh_availability"


@pytest.mark.breaks_invariants
async def test_without_the_patients_lock_late_money_makes_a_second_appointment(race: RaceEnvironment) -> None:
    await switch_patient_lock_off(race)
    await pause(race, "booking.book_late", PAID)

    assert await pay_late_and_hold(race) == ["booked", "reserved"]


async def test_a_hold_waits_for_late_money_under_way(race: RaceEnvironment) -> None:
    await pause(race, "booking.book_late", PAID)

    assert await pay_late_and_hold(race) == ["booked", "overlap"]


PATIENTS = 20


async def test_patients_who_cross_between_providers_do_not_deadlock(race: RaceEnvironment) -> None:
    """Each moves an appointment at one provider and holds at the other, half of them the other way round."""
    here, there = providers = await race.providers(2, 3 * PATIENTS)
    patients = await race.patients(PATIENTS)
    booked: list[UUID] = [await race.booked(providers[n % 2], patient, 3 * n) for n, patient in enumerate(patients)]

    async def cross(n: int) -> list[str]:
        first, second = (here, there) if n % 2 == 0 else (there, here)
        moving = race.book.reschedule(first.provider_id, booked[n], first.starts[3 * n + 1], Patient(patients[n]))
        outcomes = await asyncio.gather(moving, race.hold(second, patients[n], 3 * n + 1))
        return sorted(outcome.code for outcome in outcomes)

    codes = Counter(tuple(one) for one in await asyncio.gather(*map(cross, range(PATIENTS))))

    # Whichever came first, there is one of them at that time.
    assert set(codes) <= {("moved", "overlap"), ("overlap", "reserved")}
    assert codes.total() == PATIENTS
