"""The table of rights is the same in the app and in the database."""

from __future__ import annotations

from healthplus.database import Database
from healthplus.database.logins import STAFF_ROLES
from healthplus.staff.rights import RIGHTS, ROLES


async def test_the_database_has_the_same_table_of_rights(db: Database) -> None:
    for right, roles in RIGHTS.items():
        assert set(await db.fetch_value("SELECT staff.roles_with($1)::text[]", right)) == roles, right
    body = await db.fetch_value("SELECT prosrc FROM pg_proc WHERE oid = 'staff.roles_with(text)'::regprocedure")
    assert body.count("WHEN") == len(RIGHTS)
    assert await db.fetch_value("SELECT enum_range(NULL::staff.role)::text[]") == list(ROLES) == list(STAFF_ROLES)
