"""What the role that the product works as may do: everything its areas need, and nothing more.

Read from the catalogue after each migration, so that a new table needs no list. Only tables whose rows are never
changed are listed; a trigger on each refuses the same to the owner (database/functions/append_only.sql).
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from healthplus.database.failures import failures_as_ours
from healthplus.database.limits import COMMANDS
from healthplus.errors import BadInput

APPEND_ONLY = (
    *("booking.event_log", "booking.event_of_release_2", "booking.queue_entry"),
    *("staff.audit_entry", "staff.audit_link", "ledger.former_entry", "ledger.entry"),
)
"""The last is a view, to which calls of release 2 may still add."""
KEPT = ("ledger.payment",)
"""Rows that change and never go; what is written once in them, a trigger keeps."""
_READ_ONLY = ("public.schema_migration", "public.app_clock")
"""The only tables of ours in the schema `public`, in which others may have tables, too."""

_ROLE = "SELECT rolsuper FROM pg_roles WHERE rolname = $1"
_MAY_MAKE_ROLES = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"

# One statement for each object whose rights differ from what they should be: a GRANT replaces the row of its object in
# the catalogue, and every plan that uses the object is made again.
_CHANGES = """
WITH object AS (
    SELECT 'TABLE' AS kind, pg_class.oid, pg_class.oid::regclass::text AS name,
        CASE WHEN pg_class.oid = ANY ($4::regclass[]) THEN '{SELECT,INSERT}'
            WHEN pg_class.oid = ANY ($3::regclass[]) OR relkind = 'v' THEN '{SELECT}'
            WHEN pg_class.oid = ANY ($5::regclass[]) THEN '{SELECT,INSERT,UPDATE}'
            ELSE '{SELECT,INSERT,UPDATE,DELETE,MAINTAIN}' END::text[] AS wanted,
        '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}'::text[] AS possible
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v')
        AND (nspname = ANY ($2::text[]) AND nspname <> 'public' OR pg_class.oid = ANY ($3::regclass[]))
    UNION ALL
    SELECT 'SEQUENCE', pg_class.oid, pg_class.oid::regclass::text, '{USAGE,SELECT}', '{USAGE,SELECT,UPDATE}'
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'S' AND nspname = ANY ($2::text[]) AND nspname <> 'public'
    UNION ALL
    SELECT 'SCHEMA', oid, quote_ident(nspname), '{USAGE}', '{USAGE,CREATE}'
    FROM pg_namespace WHERE nspname = ANY ($2::text[])
    UNION ALL
    SELECT 'ROUTINE', pg_proc.oid, pg_proc.oid::regprocedure::text, '{EXECUTE}', '{EXECUTE}'
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname = ANY ($2::text[]) AND nspname <> 'public'
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
    connection: asyncpg.Connection[asyncpg.Record], schemas: Sequence[str], role: str | None
) -> None:
    """Grant `role` its rights in these schemas, in the caller's transaction, and revoke others.

    None: there is no such role. One that is missing is made. Raises BadInput where that is not allowed, or the role is
    a superuser's.
    """
    if role is None or role == await connection.fetchval("SELECT current_user"):
        return
    is_super = await connection.fetchval(_ROLE, role)
    if is_super:
        raise BadInput(f"The role {role!r} of DATABASE_URL is a superuser; the product needs one that is not.")
    if is_super is None:
        if not await connection.fetchval(_MAY_MAKE_ROLES):
            raise BadInput(
                f"There is no role {role!r}, and the role of DATABASE_OWNER_URL may not make it. As an administrator "
                f"of the server, run: CREATE ROLE {role} LOGIN PASSWORD '…'"
            )
        await connection.execute(await connection.fetchval("SELECT format('CREATE ROLE %I LOGIN', $1::text)", role))
    # A database from before PostgreSQL 15 lets everybody make things here.
    if await connection.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role):
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for (change,) in await connection.fetch(_CHANGES, role, schemas, _READ_ONLY, APPEND_ONLY, KEPT):
        await connection.execute(change)


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
