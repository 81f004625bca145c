"""Brings a database to the state this version of the product needs.

Numbered files (`database/migrations/NNNN_name.sql`) make tables; each is applied once, in order, in a transaction of
its own, and must never change afterwards. Functions live in `<area>/functions/*.sql`; they are code, so whenever any
file changed all functions are dropped and made anew, in one transaction. A function that a numbered file makes and
needs later must therefore be in a function file too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import asyncpg

from healthplus.database.pool import check_server, unreachable_as_ours
from healthplus.errors import MigrationConflict

# Two ints: the one-bigint lock space belongs to the booking verbs.
_LOCK = (18, 1)
_AREAS = (
    "database",
    "directory",
    "schedule",
    "accounts",
    "ledger",
    "booking",
    "notices",
    "payments",
    "search",
    "reviews",
)
_BOOKING = (
    *(f"core/{name}" for name in ("figures", "actors", "states", "outcome", "idempotency", "lock", "events", "claims")),
    *("availability", "chart", "scarce_days", "queue"),
    *(
        f"verbs/{name}"
        for name in (
            *("hold", "confirm", "release", "reschedule", "name_patient", "join", "accept", "leave"),
            *("resume", "advance", "attend", "schedule"),
        )
    ),
)
_PACKAGE = Path(__file__).parents[1]

_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS public.schema_migration (
    number int PRIMARY KEY,  -- 0 stands for all function files together
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

_RECORD = """
INSERT INTO public.schema_migration (number, name, sha256) VALUES ($1, $2, $3)
ON CONFLICT (number) DO UPDATE SET sha256 = excluded.sha256, applied_at = clock_timestamp()
"""

# One statement for all, so that functions may depend on one another. Functions that a table, index, trigger or view
# depends on cannot go without it; the function files replace them in place.
_DROP_FUNCTIONS = """
DO $$
DECLARE doomed text;
BEGIN
    SELECT string_agg(p.oid::regprocedure::text, ', ') INTO doomed
    FROM pg_proc p
    WHERE p.pronamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname IN
            ('public', 'directory', 'schedule', 'accounts', 'ledger', 'notices', 'booking', 'payments', 'search', 'reviews'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                                                AND d.deptype = 'e')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
                                                AND d.classid <> 'pg_proc'::regclass);
    IF doomed IS NOT NULL THEN
        EXECUTE 'DROP ROUTINE ' || doomed;
    END IF;
END $$
"""


class _Migration(NamedTuple):
    number: int
    name: str
    sha256: str
    sql: str


async def migrate(dsn: str, package: Path = _PACKAGE) -> None:
    """Apply what the database lacks; safe when several processes do so at once.

    Raises MigrationConflict when the files and the database's record of them disagree, and the errors of
    `Database.connect`.
    """
    migrations = _numbered(package / "database" / "migrations")
    with unreachable_as_ours():
        # The server's messages and times must not depend on the operator's own settings.
        connection = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC", "application_name": "healthplus"})
        try:
            await check_server(connection)
            await connection.execute("SELECT pg_advisory_lock($1, $2)", *_LOCK)
            await connection.execute("SET client_min_messages = warning")
            await connection.execute(_RECORD_TABLE)
            rows = await connection.fetch("SELECT number, name, sha256 FROM public.schema_migration")
            applied = {row["number"]: row for row in rows}
            _refuse_conflicts(migrations, applied)
            for migration in migrations:
                if migration.number not in applied:
                    await _apply(connection, migration)
            functions = _functions(package)
            if applied.get(0, {"sha256": None})["sha256"] != functions.sha256:
                await _apply(connection, functions)
        finally:
            # Ends the session, and with it the lock.
            await connection.close()


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: _Migration) -> None:
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except asyncpg.PostgresError as error:
            error.add_note(f"while applying {migration.name}")
            raise
        await connection.execute(_RECORD, migration.number, migration.name, migration.sha256)


def _numbered(folder: Path) -> list[_Migration]:
    migrations = []
    for expected, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        number = path.name.partition("_")[0]
        if number != f"{expected:04}":
            raise MigrationConflict(f"{path.name} should start with {expected:04}_; give migrations numbers in a row.")
        sql = path.read_text(encoding="utf-8")
        migrations.append(_Migration(expected, path.stem, hashlib.sha256(sql.encode()).hexdigest(), sql))
    return migrations


def _functions(package: Path) -> _Migration:
    paths = []
    for area in _AREAS:
        folder = package / area / "functions"
        found = sorted(folder.rglob("*.sql"))
        if area == "booking":
            found.sort(key=lambda path: _rank(str(path.relative_to(folder))))
        paths += found
    sql = "\n;\n".join([_DROP_FUNCTIONS, *(path.read_text(encoding="utf-8") for path in paths)])
    return _Migration(0, "functions", hashlib.sha256(sql.encode()).hexdigest(), sql)


def _rank(name: str) -> int:
    return [*(f"{known}.sql" for known in _BOOKING), name].index(name)


def _refuse_conflicts(migrations: list[_Migration], applied: dict[int, asyncpg.Record]) -> None:
    if (newest := max(applied, default=0)) > len(migrations):
        raise MigrationConflict(
            f"The database has migration {applied[newest]['name']}, which this version of the product does not know; "
            "run a version at least as new."
        )
    for migration in migrations:
        row = applied.get(migration.number)
        if row is not None and row["sha256"] != migration.sha256:
            raise MigrationConflict(
                f"{migration.name}.sql changed after the database had applied it (as {row['name']}); "
                "restore the file and put the change in a new migration."
            )
