"""What the role that the product works as may do: everything its areas need, and nothing more. And staff's logins.

Read from the catalogue after each migration, so that a new table needs no list. Only tables whose rows are never
changed are listed; a trigger on each refuses the same to the owner (database/functions/append_only.sql).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import asyncpg

from healthplus.database.failures import failures_as_ours
from healthplus.database.limits import COMMANDS
from healthplus.database.logins import (
    LOGIN_CONNECTIONS_MAX,
    MAKERS,
    STAFF_ROLES,
    key_mark,
    login_of,
    logins_beside,
    makers_fault,
    verifier,
)
from healthplus.errors import BadInput, DatabaseError

APPEND_ONLY = (
    *("booking.event_log", "booking.event_of_release_2", "booking.queue_entry", "reception.call_entry"),
    *("ledger.former_entry", "ledger.entry"),
    *("till.payment", "till.session"),
)
"""Beside staff.audit_entry and staff.audit_link, on which that role has no right at all. ledger.entry is a view, to
which calls of release 2 may still add."""
KEPT = ("ledger.payment", "ledger.refund", "receipts.document", "till.closing")
"""Rows that change and never go; what is written once in them, a trigger keeps."""
_READ_ONLY = ("public.schema_migration", "public.app_clock")
"""The only tables of ours in the schema `public`, in which others may have tables, too."""

_ROLE = "SELECT rolsuper FROM pg_roles WHERE rolname = $1"
_MAY_MAKE_ROLES = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
_MARK = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1"
_MARKED = re.compile(r"A login of HealthPlus for the database (.+), with a password of key (\w+)")
_IS_DATABASE = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
_LIMIT = """
SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', rolname, $2::integer) FROM pg_roles
WHERE rolname = $1 AND rolconnlimit = -1
"""
_SET = "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)"
_COMMENT = "SELECT format('COMMENT ON ROLE %I IS %L', $1::text, $2::text)"
_HAS_CONSOLE = "SELECT to_regnamespace('console') IS NOT NULL AND to_regprocedure('staff.roles_with(text)') IS NOT NULL"
_IS_OWNER = """
SELECT bool_and(pg_has_role(nspowner, 'USAGE')) FROM pg_namespace
WHERE nspname = ANY ($1::text[]) AND nspname <> 'public'
"""
# Who owns a database need not be who owns its objects, and a REVOKE by another takes nothing away.
_EVERYBODY_ENTERS = """
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
WHERE datname = current_database() AND pg_has_role(datdba, 'USAGE')
    AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0)
"""
_WATCHERS = """
SELECT rolname FROM pg_roles
WHERE rolcanlogin AND NOT rolsuper AND (rolreplication OR pg_has_role(oid, 'pg_monitor', 'MEMBER'))
    AND has_database_privilege(oid, current_database(), 'CONNECT')
"""
_LET_IN = """
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', datname, $1::text) FROM pg_database
WHERE datname = current_database() AND pg_has_role(datdba, 'USAGE')
    AND NOT EXISTS (
        SELECT FROM aclexplode(datacl)
        WHERE grantee = to_regrole(quote_ident($1))::oid AND privilege_type = 'CONNECT')
"""
# With a lock of the verbs, which are the ids of books, a login that reads nothing could keep a book from being changed.
_EVERYBODY_LOCKS = r"""
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', string_agg(oid::regprocedure::text, ', ')) FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND proname LIKE 'pg\_%advisory%' AND pg_has_role(proowner, 'USAGE')
    AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
HAVING count(*) > 0
"""
_EVERYBODY_MAKES = "SELECT has_schema_privilege('public', 'public', 'CREATE')"

# PostgreSQL lets everybody run a new function. What lies in public may belong to others, or to an extension.
_EVERYBODYS = """
SELECT format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', string_agg(pg_proc.oid::regprocedure::text, ', '))
FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = ANY ($1::text[]) AND proowner = current_user::regrole
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
    AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
HAVING count(*) > 0
"""
_EVERYBODYS_BY_DEFAULT = """
SELECT NOT EXISTS (
    SELECT FROM pg_default_acl
    WHERE defaclrole = current_user::regrole AND defaclnamespace = 0 AND defaclobjtype = 'f'
        AND NOT EXISTS (SELECT FROM aclexplode(defaclacl) WHERE grantee = 0))
"""

# Which right a function of the console is for stands in its first statement.
_FUNCTIONS_OF = r"""
SELECT pg_proc.oid FROM pg_proc
WHERE pronamespace = 'console'::regnamespace
    AND $1 = ANY (staff.roles_with(substring(prosrc FROM 'staff\.authorise\(p_token_hash, ''(\w+)'''))::text[])
"""

# One statement for each object whose rights differ from what they should be: a GRANT replaces the row of its object in
# the catalogue, and every plan that uses the object is made again. $6 are the functions of a login of staff, which has
# nothing else; NULL for the role that the product works as. $7: that one also does what logins of staff would. In the
# schema `staff` that role runs what log-in needs, which is SECURITY DEFINER, and reads no table.
_CHANGES = r"""
WITH object AS (
    SELECT 'TABLE' AS kind, pg_class.oid, pg_class.oid::regclass::text AS name,
        CASE WHEN $6::oid[] IS NOT NULL OR nspname = 'staff' THEN '{}'
            WHEN pg_class.oid = ANY ($4::regclass[]) THEN '{SELECT,INSERT}'
            WHEN pg_class.oid = ANY ($3::regclass[]) OR relkind = 'v' THEN '{SELECT}'
            WHEN pg_class.oid = ANY ($5::regclass[]) THEN '{SELECT,INSERT,UPDATE}'
            ELSE '{SELECT,INSERT,UPDATE,DELETE,MAINTAIN}' END::text[] AS wanted,
        '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}'::text[] AS possible
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v')
        AND (nspname = ANY ($2::text[]) AND nspname <> 'public' OR pg_class.oid = ANY ($3::regclass[]))
    UNION ALL
    SELECT 'SEQUENCE', pg_class.oid, pg_class.oid::regclass::text,
        CASE WHEN $6 IS NULL AND nspname <> 'staff' THEN '{USAGE,SELECT}' ELSE '{}' END::text[], '{USAGE,SELECT,UPDATE}'
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'S' AND nspname = ANY ($2::text[]) AND nspname <> 'public'
    UNION ALL
    SELECT 'SCHEMA', oid, quote_ident(nspname),
        CASE WHEN nspname = 'public' OR (nspname = 'console') = ($6 IS NOT NULL) OR $7::boolean
            THEN '{USAGE}' ELSE '{}' END::text[],
        '{USAGE,CREATE}'
    FROM pg_namespace WHERE nspname = ANY ($2::text[])
    UNION ALL
    SELECT 'ROUTINE', pg_proc.oid, pg_proc.oid::regprocedure::text,
        CASE WHEN CASE WHEN $6 IS NOT NULL THEN pg_proc.oid = ANY ($6)
                WHEN nspname = 'console' THEN $7 WHEN nspname = 'staff' THEN prosecdef ELSE true END
            THEN '{EXECUTE}' ELSE '{}' END::text[],
        '{EXECUTE}'
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname = ANY ($2::text[]) AND (nspname <> 'public' OR $6 IS NULL AND proowner = current_user::regrole)
    UNION ALL
    SELECT 'ROUTINE', oid, oid::regprocedure::text,
        CASE WHEN $6 IS NULL THEN '{EXECUTE}' ELSE '{}' END::text[], '{EXECUTE}'
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname LIKE 'pg\_%advisory%' AND pg_has_role(proowner, 'USAGE')
), difference AS (
    SELECT kind, name, privilege, privilege = ANY (wanted) AS is_wanted
    FROM object CROSS JOIN unnest(possible) AS privilege
    WHERE (privilege = ANY (wanted)) IS DISTINCT FROM CASE kind
        WHEN 'TABLE' THEN has_table_privilege($1, oid, privilege)
        WHEN 'SEQUENCE' THEN has_sequence_privilege($1, oid, privilege)
        WHEN 'SCHEMA' THEN has_schema_privilege($1, oid, privilege)
        ELSE has_function_privilege($1, oid, privilege) END
)
SELECT CASE WHEN is_wanted THEN format('GRANT %s ON %s %s TO %I', string_agg(privilege, ', '), kind, name, $1)
    ELSE format('REVOKE %s ON %s %s FROM %I', string_agg(privilege, ', '), kind, name, $1) END
FROM difference GROUP BY kind, name, is_wanted
"""


async def apply_rights(
    connection: asyncpg.Connection[asyncpg.Record],
    schemas: Sequence[str],
    role: str | None,
    login_key: str | None = None,
) -> None:
    """Grant `role` and the logins of staff their rights in these schemas, in the caller's transaction; revoke others.

    None: there is no such role. Those that are missing are made; where logins may not be, `role` also does what they
    would. `login_key`: the logins get passwords of this key. Raises BadInput where `role` may not be made, one of them
    is a superuser's, or another database's of this server with another key.
    """
    if await connection.fetchval(_IS_OWNER, schemas):
        await _take_from_everybody(connection, schemas)
    if role is None or role == await connection.fetchval("SELECT current_user"):
        return
    if not await _is_made(connection, role):
        raise BadInput(
            f"There is no role {role!r}, and the role of DATABASE_OWNER_URL may not make it. As an administrator "
            f"of the server, run: CREATE ROLE {role} LOGIN PASSWORD '…'"
        )
    logins = await _logins(connection, role, login_key)
    await _keep_others_out(connection, [role, *logins])
    await _change(connection, schemas, role, None, is_shared=not logins)
    for login, staff_role in logins.items():
        functions = [oid for (oid,) in await connection.fetch(_FUNCTIONS_OF, staff_role)]
        await _change(connection, schemas, login, functions, is_shared=False)


async def _take_from_everybody(connection: asyncpg.Connection[asyncpg.Record], schemas: Sequence[str]) -> None:
    for (change,) in await connection.fetch(_EVERYBODYS, schemas):
        await connection.execute(change)
    if await connection.fetchval(_EVERYBODYS_BY_DEFAULT):
        await connection.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC")
    # A database from before PostgreSQL 15 lets everybody make things here.
    if await connection.fetchval(_EVERYBODY_MAKES):
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


async def _keep_others_out(connection: asyncpg.Connection[asyncpg.Record], logins: Sequence[str]) -> None:
    """Have these alone connect, besides the owner and who backs up or watches; not where the owner may not say so."""
    watchers = [name for (name,) in await connection.fetch(_WATCHERS)]
    for login in (*logins, *watchers):
        if (change := await connection.fetchval(_LET_IN, login)) is not None:
            await connection.execute(change)
    for others in (_EVERYBODY_ENTERS, _EVERYBODY_LOCKS):
        if (change := await connection.fetchval(others)) is not None:
            await connection.execute(change)


async def _logins(connection: asyncpg.Connection[asyncpg.Record], role: str, login_key: str | None) -> dict[str, str]:
    """Return the logins of staff with the role of each; none where they may not be made."""
    if not await connection.fetchval(_HAS_CONSOLE):
        return {}
    logins = {login_of(role, staff_role): staff_role for staff_role in STAFF_ROLES}
    made = [await _is_made(connection, login) for login in logins]
    if not all(made):
        return {}
    for login in logins:
        limit = await connection.fetchval(_LIMIT, login, LOGIN_CONNECTIONS_MAX)
        if limit is not None:
            await _where_we_may(connection, limit)
        if login_key:
            await _give_password(connection, login, login_key)
    return logins


async def _give_password(connection: asyncpg.Connection[asyncpg.Record], login: str, key: str) -> None:
    """Give a login the password of this key, unless it has it; not where an administrator alone may.

    Raises BadInput where the login is another database's of this server, with another key.
    """
    name = await connection.fetchval("SELECT current_database()")
    key_name = key_mark(key, login)
    marked = _MARKED.fullmatch(await connection.fetchval(_MARK, login) or "")
    if marked is not None and marked[2] == key_name:
        return
    if marked is not None and marked[1] != name and await connection.fetchval(_IS_DATABASE, marked[1]):
        raise BadInput(
            f"The login {login} is of the database {marked[1]!r} of this server, whose HEALTHPLUS_SECRET_KEY is "
            "another: with a new password, its staff would be kept out. Have DATABASE_URL name another role for this "
            "database, after which its logins are named; or give both the same key."
        )
    mark = f"A login of HealthPlus for the database {name}, with a password of key {key_name}"
    await _where_we_may(
        connection,
        await connection.fetchval(_SET, login, verifier(key, login)),
        await connection.fetchval(_COMMENT, login, mark),
    )


async def _where_we_may(connection: asyncpg.Connection[asyncpg.Record], *statements: str) -> None:
    """Run all of these, or none where the role may not."""
    attempt = connection.transaction()
    await attempt.start()
    try:
        for statement in statements:
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        await attempt.rollback()
    else:
        await attempt.commit()


async def _is_made(connection: asyncpg.Connection[asyncpg.Record], role: str) -> bool:
    """Return whether there is a role, which is made where it may be. Raises BadInput for a superuser's."""
    is_super = await connection.fetchval(_ROLE, role)
    if is_super:
        raise BadInput(f"The role {role!r} is a superuser; the product needs one that is not.")
    if is_super is None:
        if not await connection.fetchval(_MAY_MAKE_ROLES):
            return False
        await connection.execute(await connection.fetchval("SELECT format('CREATE ROLE %I LOGIN', $1::text)", role))
    return True


async def _change(
    connection: asyncpg.Connection[asyncpg.Record],
    schemas: Sequence[str],
    role: str,
    functions: Sequence[int] | None,
    *,
    is_shared: bool,
) -> None:
    for (change,) in await connection.fetch(
        _CHANGES, role, schemas, _READ_ONLY, APPEND_ONLY, KEPT, functions, is_shared
    ):
        await connection.execute(change)


async def require_no_makers(connection: asyncpg.Connection[asyncpg.Record], role: str | None) -> None:
    """Raise DatabaseError where `role`, or a login of staff, could do what the owner may (logins.MAKERS).

    What lies in public may be another's, and a REVOKE by who does not own it takes nothing away, and says nothing.
    """
    if role is not None and (fault := makers_fault(await connection.fetch(MAKERS, logins_beside(role)))):
        raise DatabaseError(fault)


async def role_of(dsn: str) -> str:
    """Return the role that a URL connects as. Raises BadInput where it is not let in."""
    with failures_as_ours():
        try:
            connection = await asyncpg.connect(
                dsn, server_settings=COMMANDS.session("healthplus migrate"), command_timeout=COMMANDS.answer_seconds
            )
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise BadInput(
                f"The database does not let the role of DATABASE_URL in ({error}). If there is no such role yet, make "
                "it, as an administrator of the server: CREATE ROLE healthplus_app LOGIN PASSWORD '…'"
            ) from None
        try:
            role: str = await connection.fetchval("SELECT current_user")
        finally:
            await connection.close()
    return role
