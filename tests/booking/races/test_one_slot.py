"""Many want one slot: only one may ever have it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import time

import pytest

from healthplus.accounts.actors import Staff
from healthplus.booking.book import Shift
from healthplus.booking.outcomes import STATUS_TEXTS, Outcome
from healthplus.database import PostgresError
from healthplus.ops.check import violations
from tests.fixtures.directory import make_clinic
from tests.fixtures.races import Provider, RaceEnvironment, rewrite, switch_lock_off

CLIENTS = 50


async def widen_window(race: RaceEnvironment) -> None:
    """Have a hold dawdle between looking at the slot and taking it."""
    await rewrite(
        race.db,
        "booking.hold_in_book",
        ("held.booking_id := booking.new_id(", "PERFORM pg_sleep(0.3); held.booking_id := booking.new_id("),
    )


async def drop_constraint(race: RaceEnvironment) -> None:
    await race.db.execute("ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap")


async def rush(race: RaceEnvironment, provider: Provider, clients: int) -> Counter[str]:
    """Have many hold one slot at once; count their answers."""

    async def hold(patient_id: int) -> str:
        try:
            return (await race.hold(provider, patient_id)).code
        except PostgresError as error:
            assert "booking_overlap fired under the lock" in str(error)  # noqa: PT017
            return "constraint"

    return Counter(await race.at_once(provider, [hold(patient) for patient in await race.patients(clients)]))


@pytest.mark.breaks_invariants
async def test_without_lock_and_constraint_many_get_one_slot(race: RaceEnvironment) -> None:
    provider = await race.provider()
    await switch_lock_off(race.db)
    await drop_constraint(race)
    await widen_window(race)

    answers = await rush(race, provider, CLIENTS)

    assert answers["reserved"] >= 2
    assert await race.occupants(provider) == answers["reserved"]


async def test_the_constraint_alone_lets_one_in(race: RaceEnvironment) -> None:
    provider = await race.provider()
    await switch_lock_off(race.db)
    await widen_window(race)

    answers = await rush(race, provider, 20)

    assert answers["reserved"] == 1
    assert answers["constraint"] >= 1
    assert await race.occupants(provider) == 1


@pytest.mark.breaks_invariants
async def test_the_lock_alone_lets_one_in(race: RaceEnvironment) -> None:
    provider = await race.provider()
    await drop_constraint(race)
    await widen_window(race)

    answers = await rush(race, provider, 20)

    assert answers == {"reserved": 1, "slot_held": 19}
    assert {violation.invariant for violation in await violations(race.db)} == {"overlap_constraint_present"}


async def test_one_of_fifty_gets_the_slot(race: RaceEnvironment) -> None:
    provider = await race.provider()
    *patients, late = await race.patients(CLIENTS + 1)
    codes: list[str] = []

    async def hold_and_confirm(patient_id: int) -> None:
        held = await race.hold(provider, patient_id)
        codes.append(held.code)
        if held.booking_id:
            assert (await race.confirm(provider, held.booking_id, patient_id)).code == "booked"

    await race.at_once(provider, [hold_and_confirm(patient) for patient in patients])

    assert codes.count("reserved") == 1
    assert all(STATUS_TEXTS[code].startswith("Appointment Failed") for code in codes if code != "reserved")
    assert set(codes) <= {"reserved", "slot_held", "slot_full"}
    assert (await race.hold(provider, late)).code == "slot_full"
    assert await race.occupants(provider) == 1


async def test_a_free_for_all_fills_every_slot_once(race: RaceEnvironment) -> None:
    """No gate here: clients come as they come, and each tries slot after slot until it has one or all are gone."""
    provider = await race.provider(slots=8)

    async def hold_any(patient_id: int) -> list[str]:
        codes: list[str] = []
        for slot in range(len(provider.starts)):
            codes.append((await race.hold(provider, patient_id, slot)).code)
            if codes[-1] == "reserved":
                break
        return codes

    answers = await asyncio.gather(*(hold_any(patient) for patient in await race.patients(20)))

    assert sum(codes[-1] == "reserved" for codes in answers) == 8
    assert {code for codes in answers for code in codes} == {"reserved", "slot_held"}
    assert [await race.occupants(provider, slot) for slot in range(8)] == [1] * 8


async def arrive_among_newcomers(race: RaceEnvironment) -> int:
    """Have a patient arrive while others hammer the slot; count who has it afterwards."""
    provider = await race.provider()
    owner, *newcomers = await race.patients(9)
    booking_id = await race.booked(provider, owner)
    arrived = asyncio.Event()

    async def hammer(patient_id: int) -> None:
        tries_left = 3
        while tries_left:
            await race.hold(provider, patient_id)
            tries_left -= arrived.is_set()

    hammering = asyncio.gather(*(hammer(patient) for patient in newcomers))
    assert (await race.book.attend(provider.provider_id, booking_id, "arrived", Staff(1))).code == "arrived"
    arrived.set()
    await hammering
    return await race.occupants(provider)


@pytest.mark.breaks_invariants
async def test_a_predicate_on_two_states_lets_a_second_patient_in(race: RaceEnvironment) -> None:
    await drop_constraint(race)
    await race.db.execute(
        """ALTER TABLE booking.booking ADD CONSTRAINT booking_overlap
        EXCLUDE USING gist (provider_id WITH =, seat WITH =, during WITH &&) WHERE (state IN ('reserved', 'booked'))"""
    )
    await rewrite(
        race.db,
        "booking.gaps",
        ("booking.occupies AND", "booking.state IN ('reserved', 'booked') AND"),
    )
    await rewrite(race.db, "booking.refuse_hold", ("AND occupies AND", "AND state IN ('reserved', 'booked') AND"))

    assert await arrive_among_newcomers(race) == 2


async def test_nobody_gets_in_after_the_patient_arrived(race: RaceEnvironment) -> None:
    assert await arrive_among_newcomers(race) == 1


async def shifts_at_two_clinics(race: RaceEnvironment, provider: Provider, other_clinic_id: int) -> list[str]:
    """Give a provider the same hours at both clinics, by two changes at once."""
    # the day after the one on which the provider works already
    weekday = provider.opens_at.isoweekday() % 7 + 1

    async def add(clinic_id: int) -> str:
        shift = Shift(provider.provider_id, None, clinic_id, weekday, time(9), time(12), 30)
        return (await race.book.change_shift(shift, Staff(1))).code

    return sorted(await race.at_once(provider, [add(provider.clinic_id), add(other_clinic_id)]))


async def open_second_clinic(race: RaceEnvironment, provider: Provider) -> int:
    city_id = await race.db.fetch_value("SELECT city_id FROM directory.city")
    clinic_id = await make_clinic(race.db, city_id)
    await race.db.execute(
        """INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
        VALUES ($1, $2, 100, 'clinic')""",
        provider.provider_id,
        clinic_id,
    )
    return clinic_id


async def test_without_the_shift_constraint_a_doctor_works_at_two_clinics_at_once(race: RaceEnvironment) -> None:
    provider = await race.provider()
    other_clinic_id = await open_second_clinic(race, provider)
    await race.db.execute("ALTER TABLE schedule.shift DROP CONSTRAINT shift_overlap")

    assert await shifts_at_two_clinics(race, provider, other_clinic_id) == ["changed", "changed"]


async def test_overlapping_shifts_are_refused(race: RaceEnvironment) -> None:
    provider = await race.provider()
    other_clinic_id = await open_second_clinic(race, provider)

    assert await shifts_at_two_clinics(race, provider, other_clinic_id) == ["changed", "shift_overlap"]
    assert await race.db.fetch_value("SELECT count(*) FROM schedule.shift") == 2


async def test_the_shift_constraint_alone_refuses_what_overlaps(race: RaceEnvironment) -> None:
    provider = await race.provider()
    other_clinic_id = await open_second_clinic(race, provider)
    await switch_lock_off(race.db)
    # One inserts while the other has inserted and not committed. At the very same time they could deadlock, which is
    # what the lock is for.
    await rewrite(
        race.db,
        "booking.change_shifts",
        (
            "INSERT INTO schedule.shift",
            f"PERFORM pg_sleep(CASE p_clinic_id WHEN {other_clinic_id} THEN 0.2 ELSE 0 END);"
            " INSERT INTO schedule.shift",
        ),
        ("RETURN booking.rearrange(", "PERFORM pg_sleep(0.4); RETURN booking.rearrange("),
    )

    assert await shifts_at_two_clinics(race, provider, other_clinic_id) == ["changed", "shift_overlap"]
    assert await race.db.fetch_value("SELECT count(*) FROM schedule.shift") == 2


async def hold_at_two_clinics(race: RaceEnvironment) -> list[str]:
    """Hold the same time of one doctor at two clinics whose shifts overlap, at once."""
    provider = await race.provider()
    other_clinic_id = await open_second_clinic(race, provider)
    await race.db.execute("ALTER TABLE schedule.shift DROP CONSTRAINT shift_overlap")
    await race.db.execute(
        """INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
        SELECT provider_id, $1, weekday, starts, ends, slot_minutes FROM schedule.shift""",
        other_clinic_id,
    )
    here, there = await race.patients(2)

    async def hold_at(clinic_id: int, patient_id: int) -> Outcome:
        return await race.book.hold(provider.provider_id, clinic_id, provider.opens_at, 1, patient_id, Staff(1))

    outcomes = await race.at_once(provider, [hold_at(provider.clinic_id, here), hold_at(other_clinic_id, there)])
    return sorted(outcome.code for outcome in outcomes)


@pytest.mark.breaks_invariants
async def test_a_constraint_by_clinic_books_a_doctor_in_two_places(race: RaceEnvironment) -> None:
    await drop_constraint(race)
    await race.db.execute(
        """ALTER TABLE booking.booking ADD CONSTRAINT booking_overlap
        EXCLUDE USING gist (provider_id WITH =, clinic_id WITH =, seat WITH =, during WITH &&) WHERE (occupies)"""
    )
    await rewrite(
        race.db,
        "booking.gaps",
        (
            "booking.during && opening.during",
            "booking.during && opening.during AND booking.clinic_id = opening.clinic_id",
        ),
    )
    at_start = "during @> p_start"
    await rewrite(race.db, "booking.refuse_hold", (at_start, f"{at_start} AND clinic_id = p_clinic_id"))

    assert await hold_at_two_clinics(race) == ["reserved", "reserved"]


@pytest.mark.breaks_invariants  # a scarce day is noted at one clinic, as nobody's shifts overlap otherwise
async def test_a_doctor_is_booked_in_one_place_at_a_time(race: RaceEnvironment) -> None:
    assert await hold_at_two_clinics(race) == ["reserved", "slot_held"]


async def answer_while_locked(race: RaceEnvironment, verb: str) -> str:
    """Ask for what is full while the provider's book is locked; return the answer, or 'waits'."""
    provider = await race.provider()
    owner, other = await race.patients(2)
    await race.booked(provider, owner)
    async with race.gate(provider):
        call = race.hold(provider, other) if verb == "hold" else race.join(provider, other)
        task = asyncio.create_task(call)
        await race.until_locked_out(1, [task])
        code = task.result().code if task.done() else "waits"
    assert (await task).code == "slot_full"
    return code


@pytest.mark.parametrize("verb", ["hold", "join"])
async def test_without_the_early_exit_a_refusal_waits_for_the_lock(race: RaceEnvironment, verb: str) -> None:
    await rewrite(race.db, "booking.refuse_hold", ("AND EXISTS (", "AND false AND EXISTS ("))
    await rewrite(race.db, "booking.is_hopeless", ("AND NOT EXISTS (\n", "AND false AND NOT EXISTS (\n"))

    assert await answer_while_locked(race, verb) == "waits"


@pytest.mark.parametrize("verb", ["hold", "join"])
async def test_a_refusal_the_rows_justify_needs_no_lock(race: RaceEnvironment, verb: str) -> None:
    assert await answer_while_locked(race, verb) == "slot_full"
