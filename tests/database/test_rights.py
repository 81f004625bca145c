"""What the role that the product works as may do, by its own authentication, and what the owner can beside it."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from healthplus.booking.book import Book
from healthplus.database import Database, migrate
from healthplus.database.areas import AREAS
from healthplus.database.migrations import check_migrated
from healthplus.database.rights import _READ_ONLY, APPEND_ONLY, KEPT, apply_rights, role_of
from healthplus.database.server_files import APP_ROLE, as_app_role
from healthplus.errors import BadInput, DatabaseError, DatabaseNotSetUp
from healthplus.ops.check import violations
from healthplus.processes import app_account
from healthplus.retention.retention import Retention
from tests.fixtures.environment import PROVIDER, Environment

SCHEMAS = [area.schema for area in AREAS]


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(as_app_role(dsn))
    yield connection
    await connection.close()


async def refused(connection: asyncpg.Connection[asyncpg.Record], sql: str) -> bool:
    """Try a statement, and leave nothing of it; return whether it was refused for want of a right."""
    attempt = connection.transaction()
    await attempt.start()
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await attempt.rollback()
    return False


async def test_the_role_is_nobody_and_owns_nothing(app: asyncpg.Connection[asyncpg.Record], db: Database) -> None:
    who = await app.fetchrow(
        """SELECT session_user, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
            (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid) AS roles,
            (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid
                AND deptype = 'o') AS owned
        FROM pg_roles WHERE rolname = session_user"""
    )
    assert who is not None
    assert tuple(who) == (APP_ROLE, False, False, False, False, False, 0, 0)
    owned = "SELECT count(*) FROM pg_shdepend WHERE refobjid = $1::text::regrole AND deptype = 'o'"
    await db.execute("CREATE TABLE public.mine (); ALTER TABLE public.mine OWNER TO healthplus_app")
    assert await db.fetch_value(owned, APP_ROLE) == 1  # so it would be found
    await db.execute("DROP TABLE public.mine")


AUDIT = ("staff.audit_entry", "staff.audit_link")
INSTANTS = {"till.payment": "paid_at", "till.session": "opened_at"}
"""What the time of a row is called where it is not `at`."""


@pytest.mark.parametrize("table", [*(name for name in APPEND_ONLY if name != "ledger.entry"), *AUDIT])
@pytest.mark.parametrize("change", ["UPDATE {} SET {at} = {at}", "DELETE FROM {}", "TRUNCATE {}", "MERGE INTO {} AS t "
                                    "USING (SELECT) AS one ON true WHEN MATCHED THEN DELETE"])  # fmt: skip
async def test_what_happened_cannot_be_changed(
    app: asyncpg.Connection[asyncpg.Record], db: Database, environment: Environment, table: str, change: str
) -> None:
    sql = change.format(table, at=INSTANTS.get(table, "at"))
    assert await refused(app, sql)
    assert await refused(app, f"ALTER TABLE {table} DISABLE TRIGGER append_only; {sql}")
    assert await refused(app, f"SET session_replication_role = replica; {sql}")
    assert await refused(app, f"SELECT set_config('healthplus.retention', 'on', true); {sql}")
    assert await refused(app, f"SELECT FROM {table}") == (table in AUDIT)
    # The owner is stopped by the trigger, and can take it away.
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="takes new rows only"):
        await db.execute(sql)
    await db.execute(f"BEGIN; ALTER TABLE {table} DISABLE TRIGGER append_only; {sql}; ROLLBACK")


_ONCE = {
    "authorisation": "'another'",
    "amount_minor": "1",
    "authorised_at": "NULL",
    "authorised_source": "'fetch'",
    "currency": "NULL",
    "booking_id": "gen_random_uuid()",
}


@pytest.mark.parametrize("column", _ONCE)
async def test_what_is_said_of_money_is_written_once(
    app: asyncpg.Connection[asyncpg.Record], db: Database, environment: Environment, column: str
) -> None:
    held = await environment.held()
    await db.execute(
        "SELECT ledger.set_aside($1, $2, $2, 'money', 50000, 'void', 'answer', public.app_now(), 'USD')", PROVIDER, held
    )
    change = f"UPDATE ledger.payment SET {column} = {_ONCE[column]}"
    assert await refused(app, change)
    for sql in ("DELETE FROM ledger.payment", "TRUNCATE ledger.payment"):
        assert await refused(app, sql)
    for sql in (change, "DELETE FROM ledger.payment", "TRUNCATE ledger.payment"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="says of money is written once"):
            await db.execute(sql)
    # What is still to be learnt is noted, by the role that may do no more.
    assert not await refused(app, "UPDATE ledger.payment SET due = NULL, state = 'voided', voided_at = at")
    await db.execute(f"BEGIN; ALTER TABLE ledger.payment DISABLE TRIGGER written_once; {change}; ROLLBACK")


async def test_nothing_can_be_made_or_unmade(app: asyncpg.Connection[asyncpg.Record], dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    for sql in (
        *(f"CREATE TABLE {schema}.mine ()" for schema in SCHEMAS),
        *(f"CREATE FUNCTION {schema}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'" for schema in SCHEMAS),
        "CREATE SCHEMA mine",
        "DROP FUNCTION booking.lock_book(bigint)",
        "CREATE OR REPLACE FUNCTION public.app_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap",
        "ALTER TABLE booking.booking DISABLE TRIGGER ALL",
        "INSERT INTO public.app_clock (clock_offset) VALUES ('1 day')",
        "DELETE FROM public.schema_migration",
        "TRUNCATE booking.idempotency",
        "CREATE ROLE mine",
        "SET ROLE healthplus",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY booking.booking TO PROGRAM 'cat'",
    ):
        assert await refused(app, sql), sql
        assert not await refused(owner, sql), sql
    await owner.close()


async def test_every_object_has_its_rights_and_no_more(db: Database) -> None:
    in_public = {
        f"public.{row[0]}"
        for row in await db.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
    }
    assert in_public == set(_READ_ONLY)
    rows = await db.fetch(
        """SELECT c.oid::regclass::text AS name, array_agg(privilege ORDER BY privilege) AS rights
        FROM pg_class c CROSS JOIN unnest(
            '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}'::text[]) AS privilege
        WHERE relkind = 'r' AND relnamespace::regnamespace::text = ANY ($1)
            AND has_table_privilege($2, c.oid, privilege)
        GROUP BY c.oid""",
        SCHEMAS,
        APP_ROLE,
    )
    rights = {row["name"]: row["rights"] for row in rows}
    assert len(rights) > 30
    assert not any(name.startswith(("staff.", "console.")) for name in rights)
    for name, found in rights.items():
        if f"public.{name}" in _READ_ONLY:
            assert found == ["SELECT"], name
        elif name in APPEND_ONLY:
            assert found == ["INSERT", "SELECT"], name
        elif name in KEPT:
            assert found == ["INSERT", "SELECT", "UPDATE"], name
        else:
            assert found == ["DELETE", "INSERT", "MAINTAIN", "SELECT", "UPDATE"], name


async def test_new_tables_need_no_list_and_what_is_too_much_is_taken_back(
    dsn: str, db: Database, app: asyncpg.Connection[asyncpg.Record]
) -> None:
    await db.execute(
        "CREATE TABLE booking.newcomer (n int GENERATED ALWAYS AS IDENTITY, m int); "
        "CREATE VIEW booking.sight AS SELECT 1 AS one; "
        "GRANT DELETE ON booking.event_log TO healthplus_app; GRANT CREATE ON SCHEMA booking TO healthplus_app"
    )
    assert await refused(app, "INSERT INTO booking.newcomer (m) VALUES (1)")
    assert await refused(app, "SELECT FROM booking.sight")
    assert not await refused(app, "CREATE TABLE booking.mine ()")
    await migrate(dsn, app_role=APP_ROLE)
    assert not await refused(app, "INSERT INTO booking.newcomer (m) VALUES (1); UPDATE booking.newcomer SET m = 2")
    assert not await refused(app, "SELECT FROM booking.sight")
    assert await refused(app, "CREATE TABLE booking.mine ()")
    assert await refused(app, "DELETE FROM booking.event_log")
    await db.execute("DROP TABLE booking.newcomer; DROP VIEW booking.sight")


async def test_rights_that_are_right_are_left_alone(dsn: str, db: Database) -> None:
    """A GRANT has everybody plan again, so that a start must not repeat them all."""
    versions = "SELECT array_agg(xmin::text ORDER BY oid) FROM pg_class"
    before = await db.fetch_value(versions)
    await migrate(dsn, app_role=APP_ROLE)
    assert await db.fetch_value(versions) == before


async def test_the_product_starts_without_the_owner_where_there_is_nothing_to_do(dsn: str, db: Database) -> None:
    await migrate(as_app_role(dsn))
    await check_migrated(as_app_role(dsn))
    await db.execute("DELETE FROM public.schema_migration WHERE number = 0")
    with pytest.raises(DatabaseError, match="DATABASE_OWNER_URL"):
        await migrate(as_app_role(dsn))
    await migrate(dsn, app_role=APP_ROLE)


@pytest.mark.breaks_invariants  # the database is empty
async def test_what_is_missing_is_said(blank_dsn: str, template: str) -> None:
    assert template  # where the role was made
    with pytest.raises(BadInput, match="CREATE ROLE"):
        await role_of(blank_dsn.replace("//healthplus@", "//nobody_there@"))
    assert await role_of(as_app_role(blank_dsn)) == APP_ROLE
    await migrate(blank_dsn)
    with pytest.raises(DatabaseNotSetUp, match="DATABASE_OWNER_URL"):
        await check_migrated(as_app_role(blank_dsn))
    await migrate(blank_dsn, app_role=APP_ROLE)
    await check_migrated(as_app_role(blank_dsn))


async def test_a_role_that_cannot_be_used_is_refused(dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    attempt = owner.transaction()  # roles are the whole server's: nothing of this may stay
    await attempt.start()
    await owner.execute("CREATE ROLE almighty SUPERUSER; CREATE ROLE poor")
    with pytest.raises(BadInput, match="superuser"):
        await apply_rights(owner, SCHEMAS, "almighty")
    await owner.execute("SET LOCAL ROLE poor")
    with pytest.raises(BadInput, match="CREATE ROLE newcomer"):
        await apply_rights(owner, SCHEMAS, "newcomer")
    await attempt.rollback()
    await owner.close()


_CONNECT = """
import asyncio, sys, asyncpg
async def main():
    for dsn in sys.argv[1:]:
        try:
            connection = await asyncpg.connect(dsn)
        except asyncpg.InvalidAuthorizationSpecificationError:
            print('refused')
        else:
            print(await connection.fetchval('SELECT session_user'))
            await connection.close()
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other accounts")
async def test_each_account_is_let_in_as_what_it_is(dsn: str) -> None:
    """The kernel says who is at the socket: the account of the app processes cannot be the owner, others are nobody."""
    account = app_account()
    assert account is not None
    others = [one for one in pwd.getpwall() if one.pw_uid not in (0, account.pw_uid) and one.pw_name == "daemon"]

    async def let_in(uid: int, gid: int) -> list[str]:
        # Imports what it needs as root, since this account may not be able to read the program.
        code = (
            f"import os; import asyncpg, asyncio, sys; os.setgroups([]); os.setgid({gid}); os.setuid({uid}){_CONNECT}"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, as_app_role(dsn), dsn, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        return said.decode().split()

    assert await let_in(0, 0) == [APP_ROLE, "healthplus"]
    assert await let_in(account.pw_uid, account.pw_gid) == [APP_ROLE, "refused"]
    for other in others:  # with the group of the app processes, which alone leads to the socket
        assert await let_in(other.pw_uid, account.pw_gid) == ["refused", "refused"]


async def test_the_owner_need_not_be_a_superuser(blank_dsn: str, template: str) -> None:
    """On a server of one's own: only one extension is an administrator's to make. Retention works there, too."""
    assert template  # where the other role was made
    owner_dsn = f"{blank_dsn}&role=plain_owner"
    async with await Database.connect(blank_dsn, min_size=1, max_size=1) as administrator:
        await administrator.execute(
            "CREATE ROLE plain_owner NOLOGIN; CREATE EXTENSION earthdistance CASCADE; "
            f"ALTER DATABASE {await administrator.fetch_value('SELECT current_database()')} OWNER TO plain_owner"
        )
    await migrate(owner_dsn, app_role=APP_ROLE)
    async with (
        await Database.connect(owner_dsn, min_size=1, max_size=1) as owner,
        await Database.connect(as_app_role(blank_dsn), min_size=1, max_size=1) as app,
    ):
        assert not await owner.fetch_value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        environment = await Environment.make(owner)
        held = await environment.held()
        book = Book(app)
        assert (await book.release(PROVIDER, held, environment.actor("asha"))).code == "released"
        await environment.pass_time(days=31)
        await Retention(app).forget(pause_seconds=0)
        assert await app.fetch_value("SELECT count(*) FROM booking.event") == 0
        assert await violations(app) == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="takes new rows only"):
            await owner.execute("TRUNCATE booking.event_log")
