"""The table of rights is the same in the app and in the database."""

from __future__ import annotations

import pytest

from healthplus.accounts.sessions import hash_token
from healthplus.database import Database, PostgresError
from healthplus.database.logins import STAFF_ROLES
from healthplus.staff.accounts import disable_staff
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.rights import RIGHTS, ROLES, Role, is_everywhere, is_of_provider
from tests.fixtures.clock import move_clock
from tests.fixtures.staff import OPERATOR, PASSWORD, come_from, make_log_in, make_staff


async def test_the_database_has_the_same_table_of_rights(db: Database) -> None:
    for right, roles in RIGHTS.items():
        assert set(await db.fetch_value("SELECT staff.roles_with($1)::text[]", right)) == roles, right
    body = await db.fetch_value("SELECT prosrc FROM pg_proc WHERE oid = 'staff.roles_with(text)'::regprocedure")
    assert body.count("WHEN") == len(RIGHTS)
    for role in ROLES:
        kinds = "SELECT ARRAY[staff.is_everywhere($1::text::staff.role), staff.is_of_provider($1::text::staff.role)]"
        assert await db.fetch_value(kinds, role) == [is_everywhere(role), is_of_provider(role)], role
    assert await db.fetch_value("SELECT enum_range(NULL::staff.role)::text[]") == list(ROLES) == list(STAFF_ROLES)


async def authorised(
    db: Database, token: str, right: str, clinic_id: int | None, provider_id: int | None = None
) -> str:
    """Return as what somebody has a right, or the SQLSTATE that refuses it."""
    sql = "SELECT role::text FROM staff.authorise($1, $2, $3, $4)"
    try:
        return str(await db.fetch_value(sql, hash_token(token), right, clinic_id, provider_id))
    except PostgresError as error:
        return str(error.sqlstate)


async def logged_in(db: Database, log_on: str, role: Role, clinic_id: int | None = 1) -> tuple[int, str]:
    staff_id = await make_staff(db, log_on, role, clinic_id)
    done = await make_log_in(db).with_password(log_on, PASSWORD, come_from())
    assert isinstance(done, LoggedIn)
    return staff_id, done.token


async def test_every_role_has_its_rights_at_its_own_clinic_alone(db: Database) -> None:
    for role in ROLES:
        staff_id, token = await logged_in(db, f"some.{role}", role)
        await db.execute("UPDATE staff.account SET provider_id = 7 WHERE staff_id = $1", staff_id)
        for right, roles in RIGHTS.items():
            own = role if role in roles else "HP403"
            elsewhere = own if role == "administrator" else "HP403"
            assert await authorised(db, token, right, 1, 7) == own, (role, right)
            assert await authorised(db, token, right, 2, 7) == elsewhere, (role, right)
            assert await authorised(db, token, right, None, 7) == elsewhere, (role, right)
        assert await authorised(db, token, "all", 1, 7) == "HP403"


async def test_a_practitioners_rights_are_for_the_own_days(db: Database) -> None:
    staff_id, token = await logged_in(db, "iyer", "practitioner")
    assert await authorised(db, token, "see_own_day", 1, None) == "HP403"  # is nobody yet
    await db.execute("UPDATE staff.account SET provider_id = 7 WHERE staff_id = $1", staff_id)
    assert await authorised(db, token, "see_own_day", 1, 7) == "practitioner"
    assert await authorised(db, token, "see_own_day", 1, 8) == "HP403"
    assert await authorised(db, token, "see_own_day", 1) == "HP403"
    # Of no day in particular, they have none at any of their clinics either.
    assert not await db.fetch_value("SELECT staff.may_at_all($1, 'see_own_day', '{1}')", staff_id)


async def test_who_is_not_logged_in_or_away_is_refused(db: Database) -> None:
    staff_id, token = await logged_in(db, "warda", "ward")
    assert await authorised(db, "another", "book", 1) == "HP401"
    assert await authorised(db, token, "book", 1) == "ward"
    await move_clock(db, minutes=6)
    assert not await db.fetch_value("SELECT is_proven FROM staff.authorise($1, 'book', 1)", hash_token(token))
    with pytest.raises(PostgresError) as refused:
        await db.fetch("SELECT staff.require_proof(false)")
    assert refused.value.sqlstate == "HP428"
    await move_clock(db, minutes=5)
    assert await authorised(db, token, "book", 1) == "HP423"
    await disable_staff(db, staff_id, OPERATOR)
    assert await authorised(db, token, "book", 1) == "HP401"
