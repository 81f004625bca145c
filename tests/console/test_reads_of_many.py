"""Nobody is shown a patient without a row, however many are looked at, or at once; and no error tells of one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from healthplus.console.console import queries
from healthplus.console.logins import Logins
from healthplus.database import Database, PostgresError
from tests.console.conftest import console_of, log_in
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.races import rewrite

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
MARK = "Zebedee Quillfeather"
_ROWS = "SELECT action, patient_id FROM staff.audit_entry WHERE actor = $1 ORDER BY entry_id"
WRONG: dict[str, tuple[Any, ...]] = {
    "no reason": ("cancel", {}, ""),
    "a blank reason": ("cancel", {}, "  "),
    "a reason that is NULL": ("cancel", {}, None),
    "a long reason": ("cancel", {}, "x" * 501),
    "no kind": (None, {}, "x"),
    "an unknown kind": ("steal", {}, "x"),
    "no wish": ("cancel", None, "x"),
    "a wish that is a list": ("cancel", [], "x"),
    "a long wish": ("cancel", {"x": "x" * 2000}, "x"),
    "no time": ("move", {}, "x"),
    "a time in words": ("move", {"starts_at": "abc"}, "x"),
    "a time that never comes": ("move", {"starts_at": 1e300}, "x"),
    "no state": ("correct", {}, "x"),
    "a state that is none": ("correct", {"state": "gone"}, "x"),
    "no name": ("edit_patient", {}, "x"),
    "a blank name": ("edit_patient", {"name": " "}, "x"),
    "a name that is none": ("edit_patient", {"name": ["a"]}, "x"),
    "a year that is none": ("edit_patient", {"name": "A", "birth_year": "now"}, "x"),
    "a sex that is none": ("edit_patient", {"name": "A", "sex": "x"}, "x"),
}


@pytest.fixture
async def bookings(db: Database, environment: Environment) -> list[UUID]:
    """Appointments of two patients."""
    await db.execute("UPDATE accounts.patient SET name = $1 WHERE name = 'asha'", MARK)
    found = []
    for name, hour in (("asha", 9), ("bina", 10)):
        held = await environment.held(hour=hour, name=name)
        assert (await environment.book.confirm(PROVIDER, held, "auth", environment.actor(name))).code == "booked"
        found.append(held)
    return found


async def ask(db: Database, logins: Logins, booking: UUID, kind: Any, wish: Any, reason: Any) -> str:
    token = await db.fetch_value("SELECT token_hash FROM staff.session JOIN staff.account USING (staff_id) "
                                 "WHERE log_on = 'meera'")  # fmt: skip
    if token is None:
        _, token = await log_in(db, "meera", "desk")
    row = await console_of(logins, "desk", token).fetch_row(queries.ask, 1, PROVIDER, booking, kind, wish, reason)
    assert row is not None
    return str(row["outcome"])


async def test_an_ask_that_is_none_takes_no_page_away(db: Database, logins: Logins, bookings: list[UUID]) -> None:
    for what, wrong in WRONG.items():
        assert await ask(db, logins, bookings[0], *wrong) == "wrong_ask", what
    assert await db.fetch_value("SELECT count(*) FROM staff.ask") == 0


async def test_one_that_is_is_asked(db: Database, logins: Logins, bookings: list[UUID]) -> None:
    starts = (await db.fetch_value("SELECT extract(epoch FROM now())::float8")) + 86400
    for kind, wish in (
        ("move", {"starts_at": starts}),
        ("cancel", {}),
        ("edit_patient", {"name": "A B", "birth_year": 1980, "sex": "female"}),
    ):
        assert await ask(db, logins, bookings[0], kind, wish, "x") == "asked", kind
    assert await ask(db, logins, bookings[1], "edit_patient", {"name": "A", "birth_year": None}, "x") == "asked"


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_no_error_tells_a_name(db: Database, dsn: str, bookings: list[UUID], *, is_guarded: bool) -> None:
    """What cannot be stored is told with all of its row, as PostgreSQL has it; our pool leaves that out."""
    await log_in(db, "meera", "desk")
    if not is_guarded:
        await rewrite(db, "staff.open_ask", ("WHEN integrity_constraint_violation", "WHEN division_by_zero"))
    connection = await asyncpg.connect(dsn)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await connection.execute(
            "SELECT staff.open_ask(1, 1, $1, 1, 'edit_patient', '{}', booking.as_seen(1, $1), '', 1)", bookings[0]
        )
    assert (MARK in str(refused.value.detail)) != is_guarded
    await connection.close()


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_what_another_answers_just_now_is_noted_as_well(
    db: Database, logins: Logins, bookings: list[UUID], *, is_guarded: bool
) -> None:
    assert await ask(db, logins, bookings[0], "cancel", {}, "x") == "asked"
    ward_id, token = await log_in(db, "warda", "ward")
    if not is_guarded:
        await rewrite(
            db, "console.asks", ("LIMIT 200 LOOP", "LIMIT 200 FOR UPDATE SKIP LOCKED LOOP"),
            ("ask.ask_id = ANY (open_ids) AND ask.state = 'open'", "ask.state = 'open'"),
        )  # fmt: skip
    async with db.transaction() as other:
        await other.execute("SELECT FROM staff.ask FOR UPDATE")
        rows = await console_of(logins, "ward", token).fetch(queries.asks, 1)
    assert [row["patient"] for row in rows] == [MARK]
    noted = ("see_ask", await db.fetch_value("SELECT patient_id FROM staff.ask"))
    assert (noted in [tuple(row) for row in await db.fetch(_ROWS, f"staff:{ward_id}")]) == is_guarded


async def test_what_changed_is_over_and_shows_no_name(db: Database, logins: Logins, bookings: list[UUID]) -> None:
    assert await ask(db, logins, bookings[0], "edit_patient", {"name": "Another"}, "x") == "asked"
    await db.execute("UPDATE booking.booking SET patient_name = 'Changed' WHERE booking_id = $1", bookings[0])
    ward_id, token = await log_in(db, "warda", "ward")
    rows = await console_of(logins, "ward", token).fetch(queries.asks, 1)
    assert [(row["state"], row["patient"], row["wish"], row["seen"], row["found"]) for row in rows] == [
        ("over", None, {}, {}, None)
    ]
    actions = [row["action"] for row in await db.fetch(_ROWS, f"staff:{ward_id}")]
    assert "see_ask" not in actions


async def test_each_patient_of_a_number_has_a_row(db: Database, logins: Logins, bookings: list[UUID]) -> None:
    ward_id, token = await log_in(db, "warda", "ward")
    ward = console_of(logins, "ward", token)
    for sql, more in (
        (queries.history, (100,)),
        (queries.audit, (None, None, None, None, 50)),
        (queries.export_audit, (None, None, None, None, 50)),
        (queries.find_booking, ()),
    ):
        args = (FIRST, LAST, None) if sql is queries.find_booking else (None, FIRST, LAST)
        args = (None, None, *args) if sql in (queries.audit, queries.export_audit) else args
        with pytest.raises(PostgresError, match="more than one appointment number"):
            await ward.fetch(sql, 1, *args, *more)
    # As if two appointments had one number.
    await rewrite(db, "staff.require_one_number", ("IS DISTINCT FROM", "IS NULL AND NULL ="))
    rows = await ward.fetch(queries.history, 1, None, FIRST, LAST, 100)
    patients = {row["patient_id"] for row in rows if row["is_event"]}
    assert len(patients) == 2
    seen = await db.fetch(_ROWS, f"staff:{ward_id}")
    assert {row["patient_id"] for row in seen if row["action"] == "see_history"} == patients
