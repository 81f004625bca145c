"""A person is removed, or something is held for them: whichever comes first, never both."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient
from healthplus.accounts.persons import PersonDetails, Persons
from healthplus.booking.persons import remove_person
from healthplus.errors import PersonStillBooked
from tests.fixtures.codes import SECRET
from tests.fixtures.races import Provider, RaceEnvironment, rewrite


async def a_person(race: RaceEnvironment) -> tuple[int, UUID]:
    """Return a new account, and a person of it besides its holder."""
    patient = await race.patient()
    person = await Persons(race.db, SECRET).add(patient, PersonDetails("Tara", 2015), "a")
    return patient, person["person_id"]


async def hold(race: RaceEnvironment, provider: Provider, patient: int, person_id: UUID) -> str:
    outcome = await race.book.hold(
        provider.provider_id, provider.clinic_id, provider.starts[0], 1, patient, Patient(patient), person_id=person_id
    )
    return outcome.code


async def choose(race: RaceEnvironment, provider: Provider, patient: int, person_id: UUID) -> str:
    """Choose the person for a hold that is there."""
    row = await race.db.fetch_row("SELECT booking_id FROM booking.booking WHERE patient_id = $1", patient)
    assert row is not None
    outcome = await race.book.choose_person(provider.provider_id, row["booking_id"], person_id, Patient(patient))
    return outcome.code


async def join(race: RaceEnvironment, provider: Provider, patient: int, person_id: UUID) -> str:
    outcome = await race.book.join_queue(
        provider.provider_id,
        provider.clinic_id,
        provider.opens_at,
        provider.closes_at,
        1,
        patient,
        Patient(patient),
        person_id=person_id,
    )
    return outcome.code


async def remove(race: RaceEnvironment, patient: int, person_id: UUID) -> str:
    try:
        await remove_person(race.db, patient, person_id)
    except PersonStillBooked:
        return "expected"
    return "removed"


async def in_turn(race: RaceEnvironment, patient: int, calls: list[Coroutine[Any, Any, str]]) -> list[str]:
    """Have calls come to the patient's lock in this order, and go on together when all are there."""
    tasks = []
    async with race.db.transaction() as transaction:
        await transaction.execute("SELECT booking.lock_patient($1)", patient)
        for call in calls:
            tasks.append(asyncio.create_task(call))
            await race.until_locked_out(len(tasks), tasks)
    return list(await asyncio.gather(*tasks))


async def prepare(race: RaceEnvironment, verb: str, provider: Provider, patient: int) -> None:
    if verb == "choose":
        await race.held(provider, patient)
    elif verb == "join":
        await race.held(provider, await race.patient())


VERBS = {"hold": (hold, "reserved"), "choose": (choose, "named"), "join": (join, "waiting")}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("is_first", [True, False])
async def test_either_removed_or_expected(race: RaceEnvironment, verb: str, is_first: bool) -> None:
    provider = await race.provider()
    patient, person_id = await a_person(race)
    await prepare(race, verb, provider, patient)
    act, done = VERBS[verb]
    acting, removing = act(race, provider, patient, person_id), remove(race, patient, person_id)
    if is_first:
        assert await in_turn(race, patient, [acting, removing]) == [done, "expected"]
    else:
        assert await in_turn(race, patient, [removing, acting]) == ["removed", "not_found"]


@pytest.mark.breaks_invariants
async def test_without_the_second_look_a_hold_is_made_for_who_was_removed(race: RaceEnvironment) -> None:
    """Show that the test above would find it."""
    await rewrite(race.db, "booking.take_claim", ("p_wanted.person_id IS NOT NULL AND (", "false AND ("))
    provider = await race.provider()
    patient, person_id = await a_person(race)
    calls = [remove(race, patient, person_id), hold(race, provider, patient, person_id)]
    assert await in_turn(race, patient, calls) == ["removed", "reserved"]


@pytest.mark.breaks_invariants
async def test_without_the_lock_one_who_is_expected_is_removed(race: RaceEnvironment) -> None:
    """Show that the test above would find it."""
    provider = await race.provider()
    patient, person_id = await a_person(race)
    await rewrite(race.db, "booking.remove_person", ("PERFORM booking.lock_patient(p_patient_id);", ""))
    async with race.db.transaction() as holding:
        code = await holding.fetch_value(
            "SELECT code FROM booking.hold($1, $2, $3, 1, NULL, $4, $5, NULL, NULL, $6, NULL, NULL)",
            provider.provider_id,
            provider.clinic_id,
            provider.starts[0],
            patient,
            person_id,
            str(Patient(patient)),
        )
        assert code == "reserved"
        assert await remove(race, patient, person_id) == "removed"
