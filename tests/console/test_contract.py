"""What each login of the database may do, asked of the catalogue; and what every function of the console is like.

Each look is a function that returns what is wrong, so that it can be seen to find what was made wrong on purpose.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from healthplus.database import Database
from healthplus.database.areas import AREAS
from healthplus.database.logins import STAFF_ROLES, login_of
from healthplus.database.rights import apply_rights
from healthplus.database.server_files import APP_ROLE
from healthplus.staff.rights import RIGHTS, ROLES

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SCHEMAS = [area.schema for area in AREAS]
LOGINS = {login_of(APP_ROLE, role): role for role in ROLES}

_FIRST = re.compile(
    r"\s*(?:#variable_conflict use_column\s+)?(?:DECLARE\s+(?:\w+ [\w.\[\]]+(?: := public\.app_now\(\))?;\s+)+)?"
    r"BEGIN\s+(?:caller :=|PERFORM) staff\.authorise\("
    r"p_token_hash, '(\w+)', (?:p_clinic_id(?:, p_provider_id)?|NULL)(?:, p_needs_proof => true)?\);"
)
"""How a function of the console begins."""
_PATH = ["search_path=pg_catalog, public, pg_temp"]

_CONSOLE = """
SELECT oid::regprocedure::text AS name, prosrc, prosecdef, proconfig, proargnames, oidvectortypes(proargtypes) AS types
FROM pg_proc WHERE pronamespace = 'console'::regnamespace
"""
_RELATIONS = """
SELECT login, pg_class.oid::regclass::text AS relation, privilege
FROM unnest($1::text[]) AS login CROSS JOIN pg_class CROSS JOIN unnest(CASE relkind
    WHEN 'S' THEN '{USAGE,SELECT,UPDATE}'
    ELSE '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}' END::text[]) AS privilege
WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace::regnamespace::text = ANY ($2)
    AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(login, pg_class.oid, privilege)
        WHEN privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
            THEN has_any_column_privilege(login, pg_class.oid, privilege)
                OR has_table_privilege(login, pg_class.oid, privilege)
        ELSE has_table_privilege(login, pg_class.oid, privilege) END
"""
_ROUTINES = """
SELECT login, pg_proc.oid::regprocedure::text AS routine
FROM unnest($1::text[]) AS login CROSS JOIN pg_proc
WHERE pronamespace::regnamespace::text = ANY ($2) AND has_function_privilege(login, pg_proc.oid, 'EXECUTE')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
"""
_POWERS = """
SELECT rolname FROM pg_roles
WHERE rolname = ANY ($1) AND (
    rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR NOT rolcanlogin
    OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)
    OR EXISTS (
        SELECT FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid AND deptype = 'o')
    OR EXISTS (SELECT FROM pg_namespace WHERE has_schema_privilege(rolname, pg_namespace.oid, 'CREATE'))
    OR EXISTS (
        SELECT FROM unnest($2::text[]) AS name
        WHERE name <> 'public' AND (name = 'console') = (rolname = $3)
            AND has_schema_privilege(rolname, name, 'USAGE')))
"""


async def wrong_functions(db: Database | Connection) -> list[str]:
    """Return what is wrong with the functions of the console."""
    found = []
    for row in await db.fetch(_CONSOLE):
        name, begins = row["name"], _FIRST.match(row["prosrc"])
        if not row["prosecdef"]:
            found.append(f"{name} does not run with its owner's rights")
        if row["proconfig"] != _PATH:
            found.append(f"{name} does not pin its search path")
        if (row["proargnames"] or [])[:2] != ["p_token_hash", "p_address"] or not row["types"].startswith(
            "bytea, text"
        ):
            found.append(f"{name} does not begin with the hash of a token and an address")
        if begins is None or begins[1] not in RIGHTS or row["prosrc"].count("staff.authorise(") != 1:
            found.append(f"{name} does not begin by asking for a right")
    return found


async def too_much(db: Database | Connection) -> list[str]:
    """Return what the logins may do and should not, or should and may not."""
    found = [f"{row[0]} may {row[2]} {row[1]}" for row in await db.fetch(_RELATIONS, list(LOGINS), SCHEMAS)]
    found += [f"{row[0]} may {row[2]} {row[1]}" for row in await db.fetch(_RELATIONS, [APP_ROLE], ["staff", "console"])]
    wanted = {
        (login, row["name"])
        for row in await db.fetch(_CONSOLE)
        for login, role in LOGINS.items()
        if (begins := _FIRST.match(row["prosrc"])) and role in RIGHTS[begins[1]]  # type: ignore[index]
    }
    have = {tuple(row) for row in await db.fetch(_ROUTINES, list(LOGINS), SCHEMAS)}
    found += [f"{login} may run {routine}" for login, routine in have - wanted]
    found += [f"{login} may not run {routine}" for login, routine in wanted - have]
    found += [f"{row[0]} may run {row[1]}" for row in await db.fetch(_ROUTINES, [APP_ROLE], ["console"])]
    entries = {
        row[0]
        for row in await db.fetch(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef AND pronamespace = 'staff'::regnamespace"
        )
    }
    found += [
        f"{row[0]} may run {row[1]}"
        for row in await db.fetch(_ROUTINES, [APP_ROLE], ["staff"])
        if row[1] not in entries
    ]
    powers = await db.fetch(_POWERS, [*LOGINS, APP_ROLE], SCHEMAS, APP_ROLE)
    return sorted(found + [f"{row[0]} has powers" for row in powers])


@pytest.fixture
async def attempt(dsn: str) -> AsyncIterator[Connection]:
    """The owner, in a transaction of which nothing stays: roles are the whole server's."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def test_the_logins_are_those_of_the_roles() -> None:
    assert list(ROLES) == list(STAFF_ROLES)


async def test_every_function_keeps_the_contract(db: Database) -> None:
    assert len(await db.fetch(_CONSOLE)) > 1
    assert await wrong_functions(db) == []


async def test_every_login_may_do_what_the_table_of_rights_says(db: Database) -> None:
    assert await too_much(db) == []


_FUNCTION = """
CREATE FUNCTION console.mutant({arguments}) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    {first}
    RETURN caller.actor;
END $$; REVOKE EXECUTE ON FUNCTION console.mutant FROM PUBLIC
"""
_BY_TOKEN = "p_token_hash bytea, p_address text, p_clinic_id bigint"
WRONG_FUNCTIONS = {
    "the caller's own rights": "ALTER FUNCTION console.clinic_accounts SECURITY INVOKER",
    "no search path": "ALTER FUNCTION console.clinic_accounts RESET search_path",
    "temporary tables found first": "ALTER FUNCTION console.clinic_accounts SET search_path = pg_catalog, public",
    "an id in place of the token": _FUNCTION.format(
        arguments="p_staff_id bigint, p_address text, p_clinic_id bigint",
        first="""caller := staff.authorise(
            (SELECT token_hash FROM staff.session WHERE staff_id = p_staff_id LIMIT 1), 'book', p_clinic_id);""",
    ),
    "no right": _FUNCTION.format(arguments=_BY_TOKEN, first="caller := staff.own_session(p_token_hash);"),
    "a right asked for too late": _FUNCTION.format(
        arguments=_BY_TOKEN,
        first="caller := staff.authorise(p_token_hash, 'book', p_clinic_id);",
    ).replace("caller record;", "caller record; gone text := staff.disable(1, '');"),
    "a right that there is not": _FUNCTION.format(
        arguments=_BY_TOKEN, first="caller := staff.authorise(p_token_hash, 'all', p_clinic_id);"
    ),
    "something before the right": _FUNCTION.format(
        arguments=_BY_TOKEN,
        first="DELETE FROM staff.link; caller := staff.authorise(p_token_hash, 'book', p_clinic_id);",
    ),
}


@pytest.mark.parametrize("mutant", WRONG_FUNCTIONS)
async def test_a_function_that_breaks_it_is_found(attempt: Connection, mutant: str) -> None:
    await attempt.execute(WRONG_FUNCTIONS[mutant])
    assert await wrong_functions(attempt) != []


TOO_MUCH = {
    "a function for everybody": "GRANT EXECUTE ON FUNCTION console.clinic_accounts TO PUBLIC",
    "a function for patients": "GRANT EXECUTE ON FUNCTION console.clinic_accounts TO healthplus_app",
    "another role's function": "GRANT EXECUTE ON FUNCTION console.clinic_accounts TO healthplus_desk",
    "a function of its own taken away": "REVOKE EXECUTE ON FUNCTION console.clinic_accounts FROM healthplus_ward",
    "a function of log-in": "GRANT EXECUTE ON FUNCTION staff.begin_session TO healthplus_desk",
    "accounts for patients' login": "GRANT EXECUTE ON FUNCTION staff.add_account TO healthplus_app",
    "a verb": "GRANT EXECUTE ON FUNCTION booking.lock_book TO healthplus_administrator",
    "a table": "GRANT SELECT ON directory.city TO healthplus_desk",
    "a column": "GRANT SELECT (password_hash) ON staff.account TO healthplus_app",
    "the audit": "GRANT INSERT ON staff.audit_entry TO healthplus_app",
    "a counter": "GRANT USAGE ON SEQUENCE staff.account_staff_id_seq TO healthplus_ward",
    "a schema": "GRANT USAGE ON SCHEMA booking TO healthplus_ward",
    "making things where definers look": "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "patients' rights": "GRANT healthplus_app TO healthplus_desk",
    "making roles": "ALTER ROLE healthplus_administrator CREATEROLE",
}


@pytest.mark.parametrize("mutant", TOO_MUCH)
async def test_a_right_too_much_is_found_and_taken_back(attempt: Connection, mutant: str) -> None:
    await attempt.execute(TOO_MUCH[mutant])
    assert await too_much(attempt) != []
    if mutant not in ("a column", "patients' rights", "making roles"):  # an administrator's own doing
        await apply_rights(attempt, SCHEMAS, APP_ROLE)
        assert await too_much(attempt) == []


async def test_a_function_that_is_made_again_is_nobodys(attempt: Connection) -> None:
    definition = await attempt.fetchval("SELECT pg_get_functiondef('console.clinic_accounts'::regproc)")
    again = f"DROP FUNCTION console.clinic_accounts; {definition}"
    await attempt.execute(again)
    assert await too_much(attempt) == [
        f"healthplus_{role} may not run console.clinic_accounts(bytea,text,bigint)"
        for role in ("administrator", "ward")
    ]
    # As PostgreSQL has it by default, it would be everybody's.
    await attempt.execute(f"ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON ROUTINES TO PUBLIC; {again}")
    assert "healthplus_desk may run console.clinic_accounts(bytea,text,bigint)" in await too_much(attempt)
    await apply_rights(attempt, SCHEMAS, APP_ROLE)
    assert await too_much(attempt) == []
