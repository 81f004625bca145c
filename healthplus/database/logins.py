"""The database's logins for staff: one for each role, which may run that role's functions and has no right on a table.

The login of patients is the role that the product works as. Theirs are named after it: `healthplus_desk` beside
`healthplus_app`. At a server of one's own, their passwords come from the product's secret key, so that nobody has to
keep them; the server only gets what it checks them by (RFC 5803). The embedded server asks the kernel who is there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Iterable

import asyncpg

from healthplus.database.failures import failures_as_ours
from healthplus.database.limits import COMMANDS
from healthplus.errors import DatabaseError
from healthplus.settings import Settings

STAFF_ROLES = ("desk", "practitioner", "ward", "administrator")
"""As in the type staff.role."""
IS_SHARED = "SELECT has_schema_privilege(to_regnamespace('console'), 'USAGE')"
"""Whether the login that asks also does what those of staff would, as there are none."""

ONE_LOGIN = (
    "The database has ONE LOGIN for everybody: a fault in the pages of patients would lead to all that staff may see "
    "and do. `healthplus migrate` says how staff get logins of their own; see docs/operate.md, The database's roles."
)

MAKERS = """
WITH searched AS (
    SELECT DISTINCT login.oid AS login, login.rolname, proowner, to_regnamespace(name) AS schema
    FROM pg_roles AS login CROSS JOIN pg_proc CROSS JOIN unnest(proconfig) AS setting
    CROSS JOIN string_to_table(split_part(setting, '=', 2), ', ') AS name
    WHERE login.rolname = ANY ($1) AND prosecdef AND setting LIKE 'search_path=%'
        AND NOT pg_has_role(login.oid, proowner, 'USAGE')
), made AS (
    SELECT proowner AS login, pronamespace AS schema FROM pg_proc
    UNION SELECT oprowner, oprnamespace FROM pg_operator
    UNION SELECT relowner, relnamespace FROM pg_class
    UNION SELECT typowner, typnamespace FROM pg_type
)
SELECT rolname AS login, schema::text AS schema, proowner::regrole::text AS owner,
    has_schema_privilege(login, schema, 'CREATE') AS makes
FROM searched
WHERE schema IS NOT NULL AND (
    has_schema_privilege(login, schema, 'CREATE')
    OR EXISTS (SELECT FROM made WHERE made.login = searched.login AND made.schema = searched.schema))
ORDER BY schema, rolname
"""
"""Which of these logins may make things, or have, where a function that runs with its owner's rights looks for things:
one could give it an operator of its own, and so do whatever the owner may."""

LOGIN_CONNECTIONS_MAX = 20
"""Of each login of staff, unless an administrator says otherwise: who has one must not take all that there are."""

_ITERATIONS = 4096
"""As PostgreSQL has it. These passwords have 256 bits, which no number of guesses finds."""
_RESERVED = 10
"""Connections for commands and the back-up."""
_CAPACITY = """
SELECT least(
        current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
            - current_setting('reserved_connections')::integer,
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) AS connections,
    (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = session_user) AS role_connections,
    has_schema_privilege(to_regnamespace('console'), 'USAGE') AS is_shared, session_user AS app_role,
    (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'console'
        AND pg_has_role(nspowner, 'USAGE') AND nspowner::regrole <> session_user::regrole) AS member_of
"""
_LIMITS = """
SELECT rolname, rolconnlimit FROM pg_roles
WHERE rolname = ANY ($1) AND rolconnlimit BETWEEN 0 AND $2 - 1 ORDER BY rolname
"""


def login_of(app_role: str, staff_role: str) -> str:
    """Return the name of the login of a role of the staff."""
    return f"{app_role.removesuffix('_app')}_{staff_role}"


def as_login(dsn: str, login: str, key: str) -> str:
    """Return the DSN with which a login of staff connects to the same database; `key` is the product's secret key."""
    scheme, _, rest = dsn.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{login}:{_password(key, login)}@{authority.rpartition('@')[2]}{slash}{path}"


def verifier(key: str, login: str) -> str:
    """Return what a server checks a login's password by, and nobody can log in with."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", _password(key, login).encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt_text}${stored_text}:{server_text}"


def key_mark(key: str, login: str) -> str:
    """Return what tells which key a login's password was made with, and nothing of the password."""
    return hashlib.sha256(f"mark {_password(key, login)}".encode()).hexdigest()[:16]


def _password(key: str, login: str) -> str:
    return hmac.new(key.encode(), f"database login\0{login}".encode(), "sha256").hexdigest()


def logins_beside(app_role: str) -> list[str]:
    """Return the logins that must not do what the owner may: that of patients, and those of staff."""
    return [app_role, *(login_of(app_role, staff_role) for staff_role in STAFF_ROLES)]


def makers_fault(rows: Iterable[asyncpg.Record]) -> str | None:
    """Return what is wrong where MAKERS found any, with what an administrator is to run."""
    found = list(rows)
    if not found:
        return None
    schemas = sorted({row["schema"] for row in found})
    statements = []
    for schema in schemas:
        logins = sorted({row["login"] for row in found if row["schema"] == schema})
        owner = next(row["owner"] for row in found if row["schema"] == schema)
        statements.append(f"GRANT CREATE ON SCHEMA {schema} TO {owner};")
        statements.append(f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {', '.join(logins)};")
    makers = sorted({row["login"] for row in found if not row["makes"]})
    has_made = f" Look at what these have made there, and drop it: {', '.join(makers)}." if makers else ""
    return (
        f"Logins may make functions and operators in the schema {' and '.join(schemas)}, where functions look that run "
        "with their owner's rights: a login could do all that the owner may. As an administrator of the server, in "
        f"this database, run: {' '.join(statements)}{has_made}"
    )


async def missing_logins(settings: Settings, with_key: Callable[[Settings], Settings]) -> str | None:
    """Return what to do so that staff have logins of their own; None where they have. `with_key` gives a secret key."""
    assert settings.database_url is not None
    with failures_as_ours():
        connection = await _connected(settings.database_url)
        try:
            row = await connection.fetchrow(_CAPACITY)
        finally:
            await connection.close()
    assert row is not None
    if not row["is_shared"]:
        return None
    if row["member_of"]:
        return (
            f"{ONE_LOGIN}\nThe role {row['app_role']} is a member of {row['member_of']}, the database's owner, and "
            "may do what it may. As an administrator of the server, run this, and then `healthplus migrate` again:\n"
            f"REVOKE {row['member_of']} FROM {row['app_role']};"
        )
    if not settings.database_owner_url:
        return (
            f"{ONE_LOGIN}\nThe role {row['app_role']} both owns the database and serves it. Make another one, without "
            "rights, for DATABASE_URL, and give this one's address as DATABASE_OWNER_URL."
        )
    logins = [login_of(row["app_role"], staff_role) for staff_role in STAFF_ROLES]
    key = with_key(settings).secret_key or ""
    statements = [
        f"CREATE ROLE {login} LOGIN CONNECTION LIMIT {LOGIN_CONNECTIONS_MAX} PASSWORD '{verifier(key, login)}';"
        for login in logins
    ]
    return "\n".join(
        (
            ONE_LOGIN,
            "The role of DATABASE_OWNER_URL may not make roles (CREATEROLE). As an administrator of the server, run "
            "this, which tells nobody a password, and then `healthplus migrate` again:",
            *statements,
        )
    )


async def require_logins(settings: Settings) -> bool:
    """Look, before the product starts, whether its processes can connect; return whether one login does all.

    `settings` have a database and a secret key. Raises DatabaseError where the server has too few connections for all
    of them, does not let a login of staff in, or lets one make what the owner's functions run; DatabaseUnreachable.
    """
    assert settings.database_url is not None
    with failures_as_ours():
        connection = await _connected(settings.database_url)
        try:
            row = await connection.fetchrow(_CAPACITY)
            assert row is not None
            logins = logins_beside(row["app_role"])
            fault = makers_fault(await connection.fetch(MAKERS, logins))
            each = settings.staff_connections // len(STAFF_ROLES)
            limited = await connection.fetchrow(_LIMITS, logins[1:], each)
        finally:
            await connection.close()
    if fault is not None:
        raise DatabaseError(fault)
    is_shared: bool = row["is_shared"]
    needed = settings.connections + (0 if is_shared else settings.staff_connections) + _RESERVED
    if needed > row["connections"]:
        raise DatabaseError(
            f"The database server has {row['connections']} connections for us, and {settings.processes} processes with "
            f"some for commands may need {needed}. Raise its max_connections, or lower HEALTHPLUS_PROCESSES, "
            "HEALTHPLUS_POOL_SIZE_MAX or HEALTHPLUS_STAFF_POOL_SIZE_MAX."
        )
    if row["role_connections"] is not None and settings.connections > row["role_connections"]:
        raise DatabaseError(
            f"The role {row['app_role']} may have {row['role_connections']} connections, and {settings.processes} "
            f"processes may need {settings.connections}. As an administrator of the server, run: "
            f"ALTER ROLE {row['app_role']} CONNECTION LIMIT -1"
        )
    if limited is not None and not is_shared:
        raise DatabaseError(
            f"The login {limited['rolname']} may have {limited['rolconnlimit']} connections, and {settings.processes} "
            f"processes may need {each}. As an administrator of the server, run: "
            f"ALTER ROLE {limited['rolname']} CONNECTION LIMIT {2 * each}"
        )
    for staff_role in () if is_shared else STAFF_ROLES:
        await _require_let_in(settings.database_url, login_of(row["app_role"], staff_role), settings.secret_key or "")
    return is_shared


async def _require_let_in(dsn: str, login: str, key: str) -> None:
    with failures_as_ours():
        try:
            connection = await _connected(as_login(dsn, login, key))
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise DatabaseError(
                f"The database does not let the login {login} of staff in ({error}). Run `healthplus migrate` with "
                "DATABASE_OWNER_URL and with the HEALTHPLUS_SECRET_KEY that the product has; see docs/operate.md."
            ) from None
        await connection.close()


async def _connected(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        dsn, server_settings=COMMANDS.session("healthplus"), command_timeout=COMMANDS.answer_seconds
    )
