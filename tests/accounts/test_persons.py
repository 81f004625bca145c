"""The persons of an account: six at most, whose they are, what is known of them, and what is left when they go."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from healthplus.accounts.patients import Patients, add_patient
from healthplus.accounts.persons import PERSONS_MAX, PersonDetails, Persons
from healthplus.accounts.sessions import KnownTokens
from healthplus.database import Database
from healthplus.errors import BadInput, KeyReused, NotFound, TooManyPersons
from tests.fixtures.clock import move_clock, product_now
from tests.fixtures.codes import SECRET
from tests.fixtures.races import rewrite

TARA = PersonDetails("Tara", 2015, "female")


@pytest.fixture
def persons(db: Database) -> Persons:
    return Persons(db, SECRET)


@pytest.fixture
async def patient_id(db: Database) -> int:
    return (await add_patient(db, "Asha"))[0]


async def names(persons: Persons, patient_id: int) -> list[str]:
    return [row["name"] for row in await persons.of(patient_id)]


def others(count: int) -> list[PersonDetails]:
    return [PersonDetails(f"Person {number}", 1990 + number) for number in range(count)]


async def test_the_holder_is_there_from_the_start_and_has_the_accounts_name(
    db: Database, persons: Persons, patient_id: int
) -> None:
    [holder] = await persons.of(patient_id)
    assert (holder["name"], holder["birth_year"], holder["sex"], holder["is_holder"]) == ("Asha", None, "unknown", True)
    patients = Patients(db, SECRET, KnownTokens(db))
    await patients.change(patient_id, {"name": "Asha Rao"}, "a")
    assert await names(persons, patient_id) == ["Asha Rao"]
    changed = await persons.change(patient_id, holder["person_id"], PersonDetails("Asha Patil", 1980, "female"), "b")
    assert (changed["name"], changed["birth_year"], changed["sex"]) == ("Asha Patil", 1980, "female")
    assert (await patients.profile(patient_id))["name"] == "Asha Patil"


async def test_a_repeat_adds_nobody_twice(db: Database, persons: Persons, patient_id: int) -> None:
    added = await persons.add(patient_id, TARA, "a")
    assert (added["name"], added["birth_year"], added["sex"], added["is_holder"]) == ("Tara", 2015, "female", False)
    assert await persons.add(patient_id, TARA, "a") == added
    with pytest.raises(KeyReused):
        await persons.add(patient_id, PersonDetails("Ravi", 2015), "a")
    await move_clock(db, timedelta(hours=25))  # by now the key is forgotten
    assert await persons.add(patient_id, TARA, "a") == added
    namesake = await persons.add(patient_id, TARA, "b")
    assert namesake["person_id"] != added["person_id"]
    assert await names(persons, patient_id) == ["Asha", "Tara", "Tara"]


async def test_changes_change_what_they_name(persons: Persons, patient_id: int) -> None:
    added = await persons.add(patient_id, TARA, "a")
    person_id = added["person_id"]
    for number, (details, expected) in enumerate(
        (
            (PersonDetails(name="Tara Rao"), ("Tara Rao", 2015, "female")),
            (PersonDetails(birth_year=2014), ("Tara Rao", 2014, "female")),
            (PersonDetails(sex="unknown"), ("Tara Rao", 2014, "unknown")),
        )
    ):
        changed = await persons.change(patient_id, person_id, details, f"change {number}")
        assert (changed["name"], changed["birth_year"], changed["sex"]) == expected
    again = await persons.change(patient_id, person_id, PersonDetails(name="Tara Rao"), "change 0")
    assert again["birth_year"] == 2014


async def test_another_accounts_persons_are_not_there(db: Database, persons: Persons, patient_id: int) -> None:
    stranger, _ = await add_patient(db, "Bina")
    theirs = (await persons.add(stranger, TARA, "a"))["person_id"]
    for person_id in (theirs, (await persons.of(stranger))[0]["person_id"], uuid4()):
        with pytest.raises(NotFound):
            await persons.get(patient_id, person_id)
        with pytest.raises(NotFound):
            await persons.change(patient_id, person_id, PersonDetails("Mallory"), "a")
    assert await names(persons, stranger) == ["Bina", "Tara"]


async def test_years_of_birth_are_judged_by_the_databases_clock(
    db: Database, persons: Persons, patient_id: int
) -> None:
    # A child born on the first of January where the year begins first can be added.
    year = (await product_now(db) + timedelta(hours=14)).year
    for number, possible in enumerate((year, year - 120)):
        await persons.add(patient_id, PersonDetails("Tara", possible), f"possible {number}")
    for number, impossible in enumerate((year + 1, year - 121, 1, 9999)):
        with pytest.raises(BadInput, match="birth_year"):
            await persons.add(patient_id, PersonDetails("Tara", impossible), f"impossible {number}")
        with pytest.raises(BadInput, match="birth_year"):
            await persons.change(
                patient_id,
                (await persons.of(patient_id))[1]["person_id"],
                PersonDetails(None, impossible),
                f"c{number}",
            )
    await move_clock(db, timedelta(days=366))
    await persons.add(patient_id, PersonDetails("Tara", year + 1), "a year later")
    with pytest.raises(BadInput):
        await persons.add(patient_id, PersonDetails("Tara", year - 120), "and the oldest are too old")


async def test_names_show_something() -> None:
    for name in ("", "  ", "x" * 201, "a\ue000b", "\u2800", "\u200d"):
        with pytest.raises(BadInput):
            PersonDetails(name)


async def test_six_at_most(persons: Persons, patient_id: int) -> None:
    added = [await persons.add(patient_id, one, one.name or "") for one in others(PERSONS_MAX - 1)]
    with pytest.raises(TooManyPersons):
        await persons.add(patient_id, TARA, "one more")
    assert len(await persons.of(patient_id)) == PERSONS_MAX
    # A repeat of an earlier request is still answered, and a refusal is decided again once there is room.
    assert await persons.add(patient_id, others(1)[0], "Person 0") == added[0]


async def _add_at_once(db: Database, persons: Persons, patient_id: int, count: int) -> int:
    """Have so many added at once; return how many were."""

    async def add(details: PersonDetails) -> bool:
        try:
            await persons.add(patient_id, details, details.name or "")
        except TooManyPersons:
            return False
        return True

    tasks = [asyncio.create_task(add(one)) for one in others(count)]
    return sum(await asyncio.gather(*tasks))


@pytest.mark.breaks_invariants
async def test_without_the_lock_the_race_is_lost(db: Database, persons: Persons, patient_id: int) -> None:
    """Show that the test below would find an account with too many persons."""
    await rewrite(
        db,
        "accounts.add_person",
        ("erased_at IS NULL FOR NO KEY UPDATE", "erased_at IS NULL"),
        ("    INSERT INTO", "    PERFORM pg_sleep(0.2);\n    INSERT INTO"),
    )
    added = await _add_at_once(db, persons, patient_id, 8)
    assert added > PERSONS_MAX - 1


async def test_six_at_most_however_many_are_added_at_once(db: Database, persons: Persons, patient_id: int) -> None:
    await rewrite(db, "accounts.add_person", ("    INSERT INTO", "    PERFORM pg_sleep(0.05);\n    INSERT INTO"))
    assert await _add_at_once(db, persons, patient_id, 8) == PERSONS_MAX - 1
    assert len(await persons.of(patient_id)) == PERSONS_MAX


async def test_nobody_is_added_to_an_account_that_is_erased(db: Database, persons: Persons, patient_id: int) -> None:
    await db.execute(
        "UPDATE accounts.patient SET erased_at = public.app_now(), name = '' WHERE patient_id = $1", patient_id
    )
    with pytest.raises(NotFound):
        await persons.add(patient_id, TARA, "a")
