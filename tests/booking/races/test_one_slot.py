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
from tests.booking.races.scene import Provider, Scene, rewrite, switch_lock_off
from tests.booking.world import make_clinic

CLIENTS = 50


async def widen_window(scene: Scene) -> None:
    """Have a hold dawdle between looking at the slot and taking it."""
    await rewrite(
        scene.database,
        "booking.hold",
        ("held.booking_id := gen_random_uuid();", "PERFORM pg_sleep(0.3); held.booking_id := gen_random_uuid();"),
    )


async def drop_constraint(scene: Scene) -> None:
    await scene.database.execute("ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap")


async def rush(scene: Scene, provider: Provider, clients: int) -> Counter[str]:
    """Have many hold one slot at once; count their answers."""

    async def hold(patient_id: int) -> str:
        try:
            return (await scene.hold(provider, patient_id)).code
        except PostgresError as error:
            assert "booking_overlap fired under the lock" in str(error)  # noqa: PT017
            return "constraint"

    return Counter(await scene.at_once(provider, [hold(patient) for patient in await scene.patients(clients)]))


@pytest.mark.breaks_invariants
async def test_without_lock_and_constraint_many_get_one_slot(scene: Scene) -> None:
    provider = await scene.provider()
    await switch_lock_off(scene.database)
    await drop_constraint(scene)
    await widen_window(scene)

    answers = await rush(scene, provider, CLIENTS)

    assert answers["reserved"] >= 2
    assert await scene.occupants(provider) == answers["reserved"]


async def test_the_constraint_alone_lets_one_in(scene: Scene) -> None:
    provider = await scene.provider()
    await switch_lock_off(scene.database)
    await widen_window(scene)

    answers = await rush(scene, provider, 20)

    assert answers["reserved"] == 1
    assert answers["constraint"] >= 1
    assert await scene.occupants(provider) == 1


@pytest.mark.breaks_invariants
async def test_the_lock_alone_lets_one_in(scene: Scene) -> None:
    provider = await scene.provider()
    await drop_constraint(scene)
    await widen_window(scene)

    answers = await rush(scene, provider, 20)

    assert answers == {"reserved": 1, "slot_held": 19}
    assert {violation.invariant for violation in await violations(scene.database)} == {"overlap_constraint_present"}


async def test_one_of_fifty_gets_the_slot(scene: Scene) -> None:
    provider = await scene.provider()
    *crowd, late = await scene.patients(CLIENTS + 1)
    codes: list[str] = []

    async def hold_and_confirm(patient_id: int) -> None:
        held = await scene.hold(provider, patient_id)
        codes.append(held.code)
        if held.booking_id:
            assert (await scene.confirm(provider, held.booking_id, patient_id)).code == "booked"

    await scene.at_once(provider, [hold_and_confirm(patient) for patient in crowd])

    assert codes.count("reserved") == 1
    assert all(STATUS_TEXTS[code].startswith("Appointment Failed") for code in codes if code != "reserved")
    assert set(codes) <= {"reserved", "slot_held", "slot_full"}
    assert (await scene.hold(provider, late)).code == "slot_full"
    assert await scene.occupants(provider) == 1


async def test_a_free_for_all_fills_every_slot_once(scene: Scene) -> None:
    """No gate here: clients come as they come, and each tries slot after slot until it has one or all are gone."""
    provider = await scene.provider(slots=8)

    async def hold_any(patient_id: int) -> list[str]:
        codes: list[str] = []
        for slot in range(len(provider.starts)):
            codes.append((await scene.hold(provider, patient_id, slot)).code)
            if codes[-1] == "reserved":
                break
        return codes

    answers = await asyncio.gather(*(hold_any(patient) for patient in await scene.patients(20)))

    assert sum(codes[-1] == "reserved" for codes in answers) == 8
    assert {code for codes in answers for code in codes} == {"reserved", "slot_held"}
    assert [await scene.occupants(provider, slot) for slot in range(8)] == [1] * 8


async def arrive_among_newcomers(scene: Scene) -> int:
    """Have a patient arrive while others hammer the slot; count who has it afterwards."""
    provider = await scene.provider()
    owner, *newcomers = await scene.patients(9)
    booking_id = await scene.booked(provider, owner)
    arrived = asyncio.Event()

    async def hammer(patient_id: int) -> None:
        tries_left = 3
        while tries_left:
            await scene.hold(provider, patient_id)
            tries_left -= arrived.is_set()

    hammering = asyncio.gather(*(hammer(patient) for patient in newcomers))
    assert (await scene.book.attend(provider.provider_id, booking_id, "arrived", Staff(1))).code == "arrived"
    arrived.set()
    await hammering
    return await scene.occupants(provider)


@pytest.mark.breaks_invariants
async def test_a_predicate_on_two_states_lets_a_second_patient_in(scene: Scene) -> None:
    await drop_constraint(scene)
    await scene.database.execute(
        """ALTER TABLE booking.booking ADD CONSTRAINT booking_overlap
        EXCLUDE USING gist (provider_id WITH =, seat WITH =, during WITH &&) WHERE (state IN ('reserved', 'booked'))"""
    )
    await rewrite(
        scene.database,
        "booking.gaps",
        ("booking.occupies AND", "booking.state IN ('reserved', 'booked') AND"),
    )
    await rewrite(
        scene.database, "booking.refuse_hold", ("AND occupies AND", "AND state IN ('reserved', 'booked') AND")
    )

    assert await arrive_among_newcomers(scene) == 2


async def test_nobody_gets_in_after_the_patient_arrived(scene: Scene) -> None:
    assert await arrive_among_newcomers(scene) == 1


async def shifts_at_two_clinics(scene: Scene, provider: Provider, other_clinic_id: int) -> list[str]:
    """Give a provider the same hours at both clinics, by two changes at once."""
    # the day after the one on which the provider works already
    weekday = provider.opens_at.isoweekday() % 7 + 1

    async def add(clinic_id: int) -> str:
        shift = Shift(provider.provider_id, None, clinic_id, weekday, time(9), time(12), 30)
        return (await scene.book.change_shift(shift, Staff(1))).code

    return sorted(await scene.at_once(provider, [add(provider.clinic_id), add(other_clinic_id)]))


async def open_second_clinic(scene: Scene, provider: Provider) -> int:
    city_id = await scene.database.fetch_value("SELECT city_id FROM directory.city")
    clinic_id = await make_clinic(scene.database, city_id)
    await scene.database.execute(
        """INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
        VALUES ($1, $2, 100, 'clinic')""",
        provider.provider_id,
        clinic_id,
    )
    return clinic_id


async def test_without_the_shift_constraint_a_doctor_works_at_two_clinics_at_once(scene: Scene) -> None:
    provider = await scene.provider()
    other_clinic_id = await open_second_clinic(scene, provider)
    await scene.database.execute("ALTER TABLE schedule.shift DROP CONSTRAINT shift_overlap")

    assert await shifts_at_two_clinics(scene, provider, other_clinic_id) == ["changed", "changed"]


async def test_overlapping_shifts_are_refused(scene: Scene) -> None:
    provider = await scene.provider()
    other_clinic_id = await open_second_clinic(scene, provider)

    assert await shifts_at_two_clinics(scene, provider, other_clinic_id) == ["changed", "shift_overlap"]
    assert await scene.database.fetch_value("SELECT count(*) FROM schedule.shift") == 2


async def test_the_shift_constraint_alone_refuses_what_overlaps(scene: Scene) -> None:
    provider = await scene.provider()
    other_clinic_id = await open_second_clinic(scene, provider)
    await switch_lock_off(scene.database)
    # One inserts while the other has inserted and not committed. At the very same time they could deadlock, which is
    # what the lock is for.
    await rewrite(
        scene.database,
        "booking.change_shift",
        (
            "INSERT INTO schedule.shift",
            f"PERFORM pg_sleep(CASE p_shift.clinic_id WHEN {other_clinic_id} THEN 0.2 ELSE 0 END);"
            " INSERT INTO schedule.shift",
        ),
        ("RETURN booking.rearrange(", "PERFORM pg_sleep(0.4); RETURN booking.rearrange("),
    )

    assert await shifts_at_two_clinics(scene, provider, other_clinic_id) == ["changed", "shift_overlap"]
    assert await scene.database.fetch_value("SELECT count(*) FROM schedule.shift") == 2


async def hold_at_two_clinics(scene: Scene) -> list[str]:
    """Hold the same time of one doctor at two clinics whose shifts overlap, at once."""
    provider = await scene.provider()
    other_clinic_id = await open_second_clinic(scene, provider)
    await scene.database.execute("ALTER TABLE schedule.shift DROP CONSTRAINT shift_overlap")
    await scene.database.execute(
        """INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
        SELECT provider_id, $1, weekday, starts, ends, slot_minutes FROM schedule.shift""",
        other_clinic_id,
    )
    here, there = await scene.patients(2)

    async def hold_at(clinic_id: int, patient_id: int) -> Outcome:
        return await scene.book.hold(provider.provider_id, clinic_id, provider.opens_at, 1, patient_id, Staff(1))

    outcomes = await scene.at_once(provider, [hold_at(provider.clinic_id, here), hold_at(other_clinic_id, there)])
    return sorted(outcome.code for outcome in outcomes)


@pytest.mark.breaks_invariants
async def test_a_constraint_by_clinic_books_a_doctor_in_two_places(scene: Scene) -> None:
    await drop_constraint(scene)
    await scene.database.execute(
        """ALTER TABLE booking.booking ADD CONSTRAINT booking_overlap
        EXCLUDE USING gist (provider_id WITH =, clinic_id WITH =, seat WITH =, during WITH &&) WHERE (occupies)"""
    )
    await rewrite(
        scene.database,
        "booking.gaps",
        (
            "booking.during && opening.during",
            "booking.during && opening.during AND booking.clinic_id = opening.clinic_id",
        ),
    )
    at_start = "during @> p_start"
    await rewrite(scene.database, "booking.refuse_hold", (at_start, f"{at_start} AND clinic_id = p_clinic_id"))

    assert await hold_at_two_clinics(scene) == ["reserved", "reserved"]


@pytest.mark.breaks_invariants  # a scarce day is noted at one clinic, as nobody's shifts overlap otherwise
async def test_a_doctor_is_booked_in_one_place_at_a_time(scene: Scene) -> None:
    assert await hold_at_two_clinics(scene) == ["reserved", "slot_held"]


async def answer_while_locked(scene: Scene, verb: str) -> str:
    """Ask for what is full while the provider's book is locked; give the answer, or 'waits'."""
    provider = await scene.provider()
    owner, other = await scene.patients(2)
    await scene.booked(provider, owner)
    async with scene.gate(provider):
        call = scene.hold(provider, other) if verb == "hold" else scene.join(provider, other)
        task = asyncio.create_task(call)
        await scene.until_locked_out(1, [task])
        code = task.result().code if task.done() else "waits"
    assert (await task).code == "slot_full"
    return code


@pytest.mark.parametrize("verb", ["hold", "join"])
async def test_without_the_early_exit_a_refusal_waits_for_the_lock(scene: Scene, verb: str) -> None:
    await rewrite(scene.database, "booking.refuse_hold", ("IF EXISTS (", "IF false AND EXISTS ("))
    await rewrite(scene.database, "booking.join_queue", ("IF NOT EXISTS (", "IF false AND NOT EXISTS ("))

    assert await answer_while_locked(scene, verb) == "waits"


@pytest.mark.parametrize("verb", ["hold", "join"])
async def test_a_refusal_the_rows_justify_needs_no_lock(scene: Scene, verb: str) -> None:
    assert await answer_while_locked(scene, verb) == "slot_full"
