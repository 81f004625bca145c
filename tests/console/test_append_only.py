"""Nobody changes what the audit and the record of breaches say: no login, nor the owner while triggers are there."""

from __future__ import annotations

import pytest

from healthplus.console.logins import Logins
from healthplus.database import Database, PostgresError
from healthplus.database.server_files import as_app_role
from healthplus.staff.accounts import add_staff
from healthplus.staff.rights import ROLES
from tests.fixtures.append_only import chain_audit
from tests.fixtures.staff import OPERATOR

TABLES = ("staff.audit_entry", "staff.audit_link", "staff.breach", "staff.breach_entry")
CHANGES = ("UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE")
COLUMN = {
    "staff.audit_entry": "actor",
    "staff.audit_link": "hash",
    "staff.breach": "noted_by",
    "staff.breach_entry": "happened",
}
NO_RIGHT = "42501"


@pytest.mark.parametrize("table", TABLES)
async def test_no_login_changes_what_was_noted(db: Database, dsn: str, logins: Logins, table: str) -> None:
    await add_staff(db, "somebody", "Somebody", OPERATOR)
    await db.execute("SELECT staff.note_breach(public.app_now(), 'staff:1', 'x', 'y', NULL, '')")
    assert await chain_audit(db)
    kept = f"SELECT array_agg(one::text ORDER BY one::text) FROM {table} AS one"
    before = await db.fetch_value(kept)
    assert before
    column = COLUMN[table]
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=1) as app:
        for who in (*(logins.of(role) for role in ROLES), app, db):
            for change in CHANGES:
                with pytest.raises(PostgresError) as refused:
                    await who.execute(change.format(table, column, column))
                assert refused.value.sqlstate == NO_RIGHT, change
    assert await db.fetch_value(kept) == before


async def test_a_right_that_slipped_in_changes_nothing_either(db: Database, logins: Logins) -> None:
    """The triggers stand behind the rights."""
    await add_staff(db, "somebody", "Somebody", OPERATOR)
    login = await logins.of("ward").fetch_value("SELECT current_user")
    await db.execute(f"GRANT USAGE ON SCHEMA staff TO {login}; GRANT ALL ON staff.audit_entry TO {login}")
    for change in ("UPDATE staff.audit_entry SET detail = 'x'", "DELETE FROM staff.audit_entry"):
        with pytest.raises(PostgresError, match="takes new rows only"):
            await logins.of("ward").execute(change)
