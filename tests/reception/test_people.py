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
        ("अक्षय", ["अक्\u200dषय"]),
        ("अक्\u200cषय", ["अक्\u200dषय"]),
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
    for name in ("Sunita Verma", "प्रिया सिंह", "Laxmi D'Souza", "Chetan Shah", "अक्\u200dषय"):
        person = await environment.person()
        await db.execute("SELECT reception.meet($1, $2, public.app_now())", AT_CLINIC, person)
        # The name by which somebody is found follows the name that they have.
        await db.execute("UPDATE accounts.person SET name = $2 WHERE person_id = $1", person, name)
    assert [row["name"] for row in await db.fetch(NAMED, AT_CLINIC, looked_for)] == found
    assert await db.fetch(NAMED, FREE, looked_for) == []


async def test_the_number_of_an_erased_patient_has_a_new_account_and_what_it_spent_counts_on(db: Database) -> None:
    erased = await db.fetch_value("INSERT INTO accounts.patient (name) VALUES ('Asha') RETURNING patient_id")
    await db.execute(
        "INSERT INTO accounts.former_account (patient_id, phone_hash, erased_at) VALUES ($1, $2, public.app_now())",
        *(erased, b"number"),
    )
    added = await db.fetch_row(
        "SELECT * FROM accounts.add_at_desk("
        "'+919876543210', true, $1, 'Asha', NULL, NULL, 'appointments', '1', 'staff:1')",
        b"number",
    )
    assert added is not None
    assert added["outcome"] == "added"
    assert added["patient_id"] != erased
    assert await db.fetch_value("SELECT successor_id FROM accounts.former_account") == added["patient_id"]


@pytest.mark.breaks_invariants  # the bookings have no events
async def test_what_was_booked_before_the_first_look_is_read_in_parts(db: Database, environment: Environment) -> None:
    """And what is booked meanwhile is not left out."""
    await db.execute("SELECT booking.advance($1)", PROVIDER)
    await db.execute(
        """
        WITH patients AS (
            INSERT INTO accounts.patient (name) SELECT 'Patient' FROM generate_series(1, 2100) RETURNING patient_id
        )
        INSERT INTO booking.booking (
            provider_id, clinic_id, patient_id, during, seat, slots_needed, state, fee_minor, funding, created_at)
        SELECT $1, $2, patient_id, tstzrange(at, at + interval '30 minutes'), 1, 1, 'cancelled', 0, 'free',
            public.app_now()
        FROM patients, CAST($3 AS timestamptz) AS at
        """,
        *(PROVIDER, AT_CLINIC, environment.instant(15)),
    )
    learn = "SELECT reception.learn_of($1, $2)"
    assert await db.fetch_value(learn, AT_CLINIC, PROVIDER) is False
    await book(environment, 13, AT_CLINIC, "asha")
    assert [await db.fetch_value(learn, AT_CLINIC, PROVIDER) for _ in range(3)] == [False, True, True]
    assert len(await known(db)) == 2101
