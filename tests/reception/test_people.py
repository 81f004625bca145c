"""Whom a clinic knows, and how its desk finds them: by spellings of their name, by their number's end, by token."""

from __future__ import annotations

from uuid import UUID

import pytest

from healthplus.database import Database
from tests.fixtures.environment import AT_CLINIC, FREE, PROVIDER, Environment

pytestmark = pytest.mark.dates

KNOWS = "SELECT reception.knows($1, $2)"
NAMED = "SELECT name FROM accounts.person WHERE person_id = ANY (reception.with_name($1, $2, 12)) ORDER BY name"


async def book(environment: Environment, hour: int, clinic_id: int, name: str, person_id: UUID | None = None) -> UUID:
    held = await environment.hold(environment.instant(hour), clinic_id, name, person_id=person_id)
    assert held.booking_id, held
    booked = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
    assert booked.code == "booked"
    return held.booking_id


async def holder(db: Database, environment: Environment, name: str) -> UUID:
    found: UUID = await db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", environment.ids[name]
    )
    return found


async def known(db: Database, clinic_id: int = AT_CLINIC) -> set[UUID]:
    await db.execute("SELECT reception.learn($1)", clinic_id)
    rows = await db.fetch("SELECT person_id FROM reception.clinic_person WHERE clinic_id = $1", clinic_id)
    return {row["person_id"] for row in rows}


async def test_a_clinic_knows_who_was_booked_there_and_nobody_else(db: Database, environment: Environment) -> None:
    asha, bina = await holder(db, environment, "asha"), await holder(db, environment, "bina")
    child = await environment.person()
    assert await known(db) == set()
    await book(environment, 13, AT_CLINIC, "asha")
    # At once, before anything was looked for, and for the person alone.
    assert [await db.fetch_value(KNOWS, AT_CLINIC, one) for one in (asha, bina, child)] == [True, False, False]
    assert await known(db) == {asha}
    assert await known(db, FREE) == set()
    # What is held is no appointment yet; who cancelled was booked.
    held = await environment.hold(environment.instant(14), AT_CLINIC, "bina")
    assert held.booking_id
    assert await known(db) == {asha}
    later = await book(environment, 15, AT_CLINIC, "asha", child)
    assert await known(db) == {asha, child}
    await environment.book.cancel(PROVIDER, later, environment.actor("asha"))
    assert await known(db) == {asha, child}
    # Who is removed is known no more, and what was read is not read again.
    await db.execute("SELECT booking.remove_person($1, $2)", environment.ids["asha"], child)
    assert await db.fetch_value(KNOWS, AT_CLINIC, child) is False
    assert await known(db) == {asha}


@pytest.mark.parametrize(
    ("looked_for", "found"),
    [
        ("sunita", ["Sunita Verma"]),
        ("VER SUN", ["Sunita Verma"]),
        ("varma", ["Sunita Verma"]),
        ("वर्मा", ["Sunita Verma"]),
        ("सुनीता", ["Sunita Verma"]),
        ("priya", ["प्रिया सिंह"]),
        ("singh", ["प्रिया सिंह"]),
        ("प्रि", ["प्रिया सिंह"]),
        ("lakshmi", ["Laxmi D'Souza"]),
        ("dsouza", ["Laxmi D'Souza"]),
        ("शाह", ["Chetan Shah"]),
        ("छेतन", ["Chetan Shah"]),
        ("yusuf", []),
        ("--", []),
        ("'; DROP", []),
        ("\\'", []),
    ],
)
async def test_a_name_is_found_in_either_script_and_by_its_sound(
    db: Database, environment: Environment, looked_for: str, found: list[str]
) -> None:
    for name in ("Sunita Verma", "प्रिया सिंह", "Laxmi D'Souza", "Chetan Shah"):
        person = await environment.person()
        await db.execute("SELECT reception.meet($1, $2, public.app_now())", AT_CLINIC, person)
        # The name by which somebody is found follows the name that they have.
        await db.execute("UPDATE accounts.person SET name = $2 WHERE person_id = $1", person, name)
    assert [row["name"] for row in await db.fetch(NAMED, AT_CLINIC, looked_for)] == found
    assert await db.fetch(NAMED, FREE, looked_for) == []
