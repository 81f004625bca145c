"""The logins of staff at a server of one's own, which checks passwords: with and without the right to make roles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from healthplus import serving
from healthplus.accounts.secret import with_secret_key
from healthplus.cli import main
from healthplus.console.logins import Logins
from healthplus.database import Database, migrate
from healthplus.database.logins import ONE_LOGIN, as_login, missing_logins, require_logins
from healthplus.errors import BadInput, DatabaseError, DatabaseUnreachable
from healthplus.monitoring.status import lines_of, read_status
from healthplus.settings import Settings
from tests.fixtures.clock import until

KEY = "a key for trials, and for nothing else"
LOGINS = ("own_desk", "own_practitioner", "own_ward", "own_administrator")
_ROLES = ("own_owner", "own_app", *LOGINS)


def with_password(dsn: str, role: str) -> str:
    return dsn.replace("//healthplus@", f"//{role}:{role}-password@")


@pytest.fixture
async def own(blank_dsn: str, tmp_path: Path) -> AsyncIterator[Settings]:
    """A database that roles of one's own connect to by password: an owner that is no superuser, and the product's."""
    admin = await asyncpg.connect(blank_dsn)
    rules = Path(await admin.fetchval("SHOW hba_file"))
    for role in ("own_owner", "own_app"):
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}-password'")
    await admin.execute("CREATE EXTENSION earthdistance CASCADE")
    await admin.execute(f"ALTER DATABASE {await admin.fetchval('SELECT current_database()')} OWNER TO own_owner")
    before = put_first(rules, f"local all {','.join(_ROLES)} scram-sha-256\n")
    await admin.execute("SELECT pg_reload_conf()")
    app_dsn, owner_dsn = (with_password(blank_dsn, role) for role in ("own_app", "own_owner"))
    settings = Settings(app_dsn, tmp_path, owner_dsn, secret_key=KEY)
    await until(lambda: is_let_in(settings.database_url or ""))
    yield settings
    put_back(rules, before)
    await admin.execute("SELECT pg_reload_conf(); REASSIGN OWNED BY own_owner TO healthplus")
    for role in _ROLES:
        if await admin.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
            await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await admin.close()


def put_first(rules: Path, line: str) -> str:
    before = rules.read_text()
    rules.write_text(line + before)
    return before


def put_back(rules: Path, before: str) -> None:
    rules.write_text(before)


async def is_let_in(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn)
    except asyncpg.InvalidAuthorizationSpecificationError:
        return False
    await connection.close()
    return True


async def brought_up(settings: Settings) -> None:
    await migrate(settings.database_owner_url or "", app_role="own_app", login_key=settings.secret_key)


@contextlib.asynccontextmanager
async def logins_of(settings: Settings) -> AsyncIterator[Logins]:
    async with await Database.connect(settings.database_url or "", min_size=1, max_size=1) as database:
        found = await Logins.find(database, settings.database_url or "", settings.secret_key or "", 1)
        try:
            yield found
        finally:
            await found.close()


async def who(logins: Logins) -> set[str]:
    return {
        await logins.of(role).fetch_value("SELECT session_user")
        for role in ("desk", "practitioner", "ward", "administrator")
    }


async def test_an_owner_that_may_make_roles_makes_them_with_passwords(own: Settings, blank_dsn: str) -> None:
    admin = await asyncpg.connect(blank_dsn)
    await admin.execute("ALTER ROLE own_owner CREATEROLE")
    await brought_up(own)
    assert not await require_logins(own)
    async with logins_of(own) as logins:
        assert await who(logins) == set(LOGINS)
    assert await missing_logins(own, with_secret_key) is None
    # Neither without a password, nor with one of another key.
    assert not await is_let_in(blank_dsn.replace("//healthplus@", "//own_desk@"))
    other = replace(own, secret_key=f"another {KEY}")
    with pytest.raises(DatabaseError, match=r"own_desk.*HEALTHPLUS_SECRET_KEY"):
        await require_logins(other)
    async with logins_of(other) as logins:
        with pytest.raises(DatabaseUnreachable):
            await who(logins)
    verifiers = "SELECT array_agg(rolpassword ORDER BY rolname) FROM pg_authid WHERE rolname = ANY ($1)"
    kept = await admin.fetchval(verifiers, LOGINS)
    await brought_up(own)
    assert await admin.fetchval(verifiers, LOGINS) == kept
    await brought_up(other)  # a new key gives new passwords
    assert not await require_logins(other)
    assert await admin.fetchval(verifiers, LOGINS) != kept
    assert not any(KEY in text or as_login("x://y/z", "own_desk", KEY)[11:75] in text for text in kept)
    await admin.close()


async def test_without_that_right_one_login_does_all_and_it_is_said(
    own: Settings, blank_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", own.database_url or "")
    monkeypatch.setenv("DATABASE_OWNER_URL", own.database_owner_url or "")
    monkeypatch.setenv("HEALTHPLUS_SECRET_KEY", KEY)
    monkeypatch.setenv("HEALTHPLUS_DATA", str(own.data_folder))
    migrated = await asyncio.to_thread(CliRunner().invoke, main, ["migrate"])
    assert migrated.exit_code == 0, migrated.output
    assert ONE_LOGIN in migrated.output
    warned: list[object] = []
    monkeypatch.setattr(serving, "_run_processes", lambda _: None)
    monkeypatch.setattr(serving.logger, "warning", lambda *said: warned.extend(said))
    await asyncio.to_thread(serving.run_app, replace(own, port=9, allow_unsafe_commits=True))
    assert ONE_LOGIN in warned
    status = await read_status(own, own.database_url or "")
    assert (f"{ONE_LOGIN}", True) in [(text, is_red) for _, text, is_red in lines_of(status)]
    async with logins_of(own) as logins:
        assert await who(logins) == {"own_app"}
        # It still asks whose token it is.
        with pytest.raises(asyncpg.PostgresError, match="nobody is logged in"):
            await logins.of("desk").fetch("SELECT console.clinic_accounts('x', '', 1)")
    # What it says to an administrator of the server is enough.
    statements = [line for line in migrated.output.splitlines() if line.startswith("CREATE ROLE")]
    assert len(statements) == len(LOGINS)
    admin = await asyncpg.connect(blank_dsn)
    for statement in statements:
        await admin.execute(statement)
    await admin.close()
    await brought_up(own)
    assert not await require_logins(own)
    async with logins_of(own) as logins:
        assert await who(logins) == set(LOGINS)
    assert not (await read_status(own, own.database_url or "")).is_login_shared


async def test_too_few_connections_are_said_before_the_start(own: Settings, blank_dsn: str) -> None:
    await brought_up(own)
    admin = await asyncpg.connect(blank_dsn)
    name = await admin.fetchval("SELECT current_database()")
    with pytest.raises(DatabaseError, match=r"has \d+ connections.*HEALTHPLUS_PROCESSES"):
        await require_logins(replace(own, processes=50))
    await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 39")
    with pytest.raises(
        DatabaseError, match="has 39 connections for us, and 2 processes with some for commands may need 40"
    ):
        await require_logins(own)
    await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 40; ALTER ROLE own_app CONNECTION LIMIT 29")
    with pytest.raises(DatabaseError, match="ALTER ROLE own_app CONNECTION LIMIT"):
        await require_logins(own)
    await admin.execute("ALTER ROLE own_app CONNECTION LIMIT 30")
    assert await require_logins(own)
    await admin.close()


_OPERATOR = """
CREATE FUNCTION public.theirs(text, bigint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO staff.membership SELECT staff_id, NULL, 'administrator' FROM staff.account;
    RETURN $1;
END $$;
CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = bigint, FUNCTION = public.theirs)
"""


async def test_where_a_login_could_make_itself_administrator_nothing_starts(own: Settings, blank_dsn: str) -> None:
    """In databases from before PostgreSQL 15 everybody may make things in `public`, which an administrator owns."""
    admin = await asyncpg.connect(blank_dsn)
    await admin.execute(
        "ALTER ROLE own_owner CREATEROLE; ALTER SCHEMA public OWNER TO healthplus; "
        "GRANT CREATE ON SCHEMA public TO PUBLIC"
    )
    with pytest.raises(DatabaseError, match="REVOKE CREATE ON SCHEMA public FROM PUBLIC") as refused:
        await brought_up(own)
    with pytest.raises(DatabaseError, match="As an administrator of the server"):
        await require_logins(own)
    status = await read_status(own, own.database_url or "")
    assert [fault for fault in status.faults if "REVOKE CREATE ON SCHEMA public" in fault]
    assert [True for _, text, is_red in lines_of(status) if "REVOKE CREATE" in text and is_red]
    # What it is about: an operator of the desk's login is used by a function that runs as the owner.
    desk = await asyncpg.connect(as_login(own.database_url or "", "own_desk", KEY))
    await desk.execute(_OPERATOR)
    await admin.execute("INSERT INTO staff.account (log_on, name, created_at) VALUES ('desk.one', 'D', now())")
    await admin.execute("INSERT INTO staff.membership (staff_id, clinic_id, role) VALUES (1, 1, 'desk')")
    session = "SELECT staff.begin_session(1, 1, $1, NULL, $1, '', '', 'password')"
    await admin.execute(session.replace("$1", f"'\\x{'61' * 32}'"))
    with contextlib.suppress(asyncpg.PostgresError):
        await desk.fetch("SELECT console.find_booking($1, '', 1, $2, $2)", b"a" * 32, "0" * 32)
    assert await admin.fetchval("SELECT count(*) FROM staff.membership WHERE role = 'administrator'") == 1
    # What is said to an administrator is enough, once what was made is gone.
    statements = str(refused.value.detail).partition("run: ")[2]
    await admin.execute(statements)
    with pytest.raises(DatabaseError, match="have made there, and drop it: own_desk"):
        await brought_up(own)
    await admin.execute("DROP OPERATOR public.|| (text, bigint); DROP FUNCTION public.theirs")
    await desk.close()
    await brought_up(own)
    assert not await require_logins(own)
    await admin.close()


async def test_two_databases_of_a_server_do_not_take_each_others_logins(own: Settings, blank_dsn: str) -> None:
    admin = await asyncpg.connect(blank_dsn)
    await admin.execute("ALTER ROLE own_owner CREATEROLE")
    await brought_up(own)
    verifiers = "SELECT array_agg(rolpassword ORDER BY rolname) FROM pg_authid WHERE rolname = ANY ($1)"
    kept = await admin.fetchval(verifiers, LOGINS)
    first = await admin.fetchval("SELECT current_database()")
    second = f"{first}_second"
    await admin.execute(f"CREATE DATABASE {second} OWNER own_owner TEMPLATE template0")
    try:
        there = await asyncpg.connect(blank_dsn, database=second)
        await there.execute("CREATE EXTENSION earthdistance CASCADE")
        owner_url = (own.database_owner_url or "").replace(f"/{first}?", f"/{second}?")
        with pytest.raises(BadInput, match=f"own_desk is of the database '{first}'.*name another role"):
            await migrate(owner_url, app_role="own_app", login_key=f"another {KEY}")
        assert await admin.fetchval(verifiers, LOGINS) == kept
        assert not await require_logins(own)
        await migrate(owner_url, app_role="own_app", login_key=KEY)  # the same key is no quarrel
        assert await admin.fetchval(verifiers, LOGINS) == kept
        await there.close()
    finally:
        await admin.execute(f"DROP DATABASE {second} WITH (FORCE)")
        await admin.close()


async def test_others_of_the_server_are_kept_out_and_no_login_takes_all_connections(
    own: Settings, blank_dsn: str
) -> None:
    admin = await asyncpg.connect(blank_dsn)
    await admin.execute(
        "ALTER ROLE own_owner CREATEROLE; CREATE ROLE own_stranger LOGIN; CREATE ROLE own_backup LOGIN REPLICATION"
    )
    try:
        enters = "SELECT has_database_privilege('own_stranger', current_database(), 'CONNECT')"
        assert await admin.fetchval(enters)
        await brought_up(own)
        assert not await admin.fetchval(enters)
        assert await admin.fetchval(enters.replace("own_stranger", "own_backup"))
        assert not await admin.fetchval("SELECT has_database_privilege('own_desk', current_database(), 'TEMPORARY')")
    finally:
        await admin.execute("DROP OWNED BY own_backup; DROP ROLE own_stranger, own_backup")
    assert not await require_logins(own)
    limits = "SELECT DISTINCT rolconnlimit FROM pg_roles WHERE rolname = ANY ($1)"
    assert [row[0] for row in await admin.fetch(limits, LOGINS)] == [20]
    with pytest.raises(DatabaseError, match="ALTER ROLE own_administrator CONNECTION LIMIT 44"):
        await require_logins(replace(own, processes=2, staff_pool_size_max=11))
    await admin.execute("ALTER ROLE own_desk CONNECTION LIMIT 7")
    await brought_up(own)  # what an administrator says stays
    assert 7 in [row[0] for row in await admin.fetch(limits, LOGINS)]
    await admin.close()


async def test_what_an_administrator_has_to_do_is_said(own: Settings, blank_dsn: str) -> None:
    admin = await asyncpg.connect(blank_dsn)
    await admin.execute("DROP EXTENSION earthdistance CASCADE")
    with pytest.raises(DatabaseError, match="run there: CREATE EXTENSION earthdistance CASCADE"):
        await brought_up(own)
    await admin.execute("CREATE EXTENSION earthdistance CASCADE; ALTER ROLE own_owner CREATEROLE")
    await brought_up(own)
    assert await missing_logins(own, with_secret_key) is None
    await admin.execute("GRANT own_owner TO own_app")
    said = await missing_logins(own, with_secret_key)
    assert said is not None
    assert "REVOKE own_owner FROM own_app" in said
    assert "CREATE ROLE" not in said
    await admin.close()
