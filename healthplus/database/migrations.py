"""Brings a database to the state this release of the product needs.

Numbered files (`database/migrations/NNNN_name.sql`) make tables and types; each is applied once, in order, in a
transaction of its own, and must never change afterwards. Then come the functions (functions.py), and then the numbered
files that need them (`NNNN_name.after.sql`): each of their statements is a transaction of its own, or several, so what
is broken off is done again. Nobody waits long for any of it: each waits for a lock for less than requests do, then lets
others go first. How to change a table while processes of the release before go on: docs/decisions/0020.
The role that the product works as gets its rights with the functions that it runs (rights.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import asyncpg

from healthplus.database.areas import AREAS, Area
from healthplus.database.failures import failures_as_ours
from healthplus.database.functions import Definition, apply_functions, read_definitions, split
from healthplus.database.limits import MIGRATION, REQUESTS
from healthplus.database.locks import MIGRATIONS, SPACE
from healthplus.database.pool import check_server
from healthplus.database.release import RELEASE
from healthplus.database.rights import apply_rights, require_no_makers
from healthplus.errors import DatabaseError, DatabaseNotSetUp, MigrationConflict

logger = logging.getLogger(__name__)

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_PACKAGE = Path(__file__).parents[1]

# Everybody who comes after one who waits for a table waits, too, and a request gives up after `lock_seconds`: it is
# better to ask again than to wait long.
assert REQUESTS.lock_seconds is not None
_LOCK_WAIT_MS = round(REQUESTS.lock_seconds * 1000 / 2)
_TRIES = 120
_PAUSE_SECONDS = 1.0
_TELL_SECONDS = 10.0
"""How often a step that takes long says so."""

# These wait for the transactions that are open, as long as it takes, with a lock that keeps nobody from reading or
# writing. Broken off, they would begin again from nothing.
_CONCURRENTLY = re.compile(r"(CREATE (UNIQUE )?|DROP |RE)INDEX CONCURRENTLY\b")

_EXTENSION = re.compile(r'permission denied to create extension "(\w+)"')

_ROLLING_SINCE = 1
"""The first release whose processes can go on while the next is applied: 1 renamed what those before it use."""
_APPLICATION_NAME = "healthplus migrate"

_RUNNING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'healthplus%' AND application_name <> $1
"""

_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS public.schema_migration (
    number int PRIMARY KEY,  -- 0 stands for all function files together
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE public.schema_migration ADD COLUMN IF NOT EXISTS release int;  -- by which it was applied
"""

_HAS_RECORD = """
SELECT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass('public.schema_migration') AND attname = 'release')
"""

_RECORD = """
INSERT INTO public.schema_migration (number, name, sha256, release) VALUES ($1, $2, $3, $4)
ON CONFLICT (number) DO UPDATE SET sha256 = excluded.sha256, release = excluded.release, applied_at = clock_timestamp()
"""

# A database that was made before releases were numbered has no such column, and is of release 0.
_APPLIED = """
SELECT number, name, sha256, coalesce((to_jsonb(applied) ->> 'release')::integer, 0) AS release
FROM public.schema_migration AS applied
"""


class _Migration(NamedTuple):
    number: int
    name: str
    sha256: str
    sql: str
    is_after: bool


class _Product(NamedTuple):
    """What a tree of files makes of a database."""

    release: int
    schemas: Sequence[str]
    migrations: Sequence[_Migration]
    definitions: Sequence[Definition]
    functions_sha256: str


class _State(NamedTuple):
    """What a database says was made of it."""

    applied: dict[int, asyncpg.Record]
    release: int

    def lacks(self, migration: _Migration) -> bool:
        return migration.number not in self.applied

    def lacks_functions(self, product: _Product) -> bool:
        functions = self.applied.get(0)
        return functions is None or (functions["sha256"], functions["release"]) != (
            product.functions_sha256,
            product.release,
        )

    def came_from(self, product: _Product) -> bool:
        """Return whether it was of the product's release, and is now of the next, which kept what that one uses."""
        return self.release == product.release + 1 and all(
            one.number in self.applied and self.applied[one.number]["release"] <= product.release
            for one in product.migrations
        )

    def lacks_anything(self, product: _Product) -> bool:
        return self.lacks_functions(product) or any(map(self.lacks, product.migrations))


async def migrate(
    dsn: str,
    package: Path = _PACKAGE,
    areas: Iterable[Area] = AREAS,
    release: int = RELEASE,
    app_role: str | None = None,
    *,
    login_key: str | None = None,
    may_be_next: bool = False,
) -> None:
    """Apply what the database lacks, as its owner; safe when several processes do so at once.

    `app_role` is what the product works as, if that is another role, beside which there are logins for staff; with
    `login_key`, these get passwords made with that key. With `may_be_next`, a database that went from this
    release to the next is left as it is: what processes of this one use was kept. Raises MigrationConflict when the
    database is of a newer release, its record and the files disagree, or processes of a release that could not go on
    are connected; DatabaseError when a table is in use all the time, this role may not change it, or a login could do
    what the owner may; BadInput for an `app_role` that cannot be used, and the errors of `Database.connect`.
    """
    product = _read(package, areas, release)
    async with _connected(dsn) as connection:
        await connection.execute("SELECT pg_advisory_lock($1, $2)", SPACE, MIGRATIONS.number)
        await connection.execute("SET client_min_messages = warning; SET plpgsql.extra_warnings = 'all'")
        state = await _state(connection)
        if may_be_next and state.came_from(product):
            logger.warning(
                "the database is of release %d already; this is release %d, which goes on until the one after that",
                state.release, release,
            )  # fmt: skip
            return
        _refuse_conflicts(product, state)
        if state.lacks_anything(product):
            with _owners_only():
                await _apply_all(connection, product, state, app_role)
        await _patiently(connection, "rights", partial(apply_rights, connection, product.schemas, app_role, login_key))
        await require_no_makers(connection, app_role)


async def _apply_all(connection: _Connection, product: _Product, state: _State, app_role: str | None) -> None:
    release = product.release
    if not await connection.fetchval(_HAS_RECORD):
        await _patiently(connection, "record", partial(_execute, connection, _RECORD_TABLE, "record"))
    goes_on = state.release >= max(release - 1, _ROLLING_SINCE)
    if state.applied and not goes_on:
        await _refuse_running(connection, state.release)
    for migration in product.migrations:
        if state.lacks(migration) and not migration.is_after:
            with _telling(migration.name):
                await _patiently(connection, migration.name, partial(_apply, connection, migration, release))
    if state.lacks_functions(product):
        previous = state.applied[0]["release"] if goes_on and 0 in state.applied else release
        apply = partial(_apply_functions, connection, product, previous, app_role)
        with _telling("functions"):
            await _patiently(connection, "functions", apply)
    for migration in product.migrations:
        if state.lacks(migration) and migration.is_after:
            with _telling(migration.name):
                for statement in split(migration.sql):
                    await _apply_after(connection, statement, migration.name)
                await _record(connection, migration, release)


@contextlib.contextmanager
def _owners_only() -> Iterator[None]:
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        if (extension := _EXTENSION.search(str(error))) is not None:
            raise DatabaseError(
                f"The database lacks the extension {extension[1]}. As an administrator of the server, run there: "
                f"CREATE EXTENSION {extension[1]} CASCADE; then migrate again."
            ) from error
        raise DatabaseError(
            f"The database role may not bring the database to this release ({error}). Run `healthplus migrate` with "
            "DATABASE_OWNER_URL, the address with which the database's owner connects."
        ) from error


async def check_migrated(
    dsn: str,
    package: Path = _PACKAGE,
    areas: Iterable[Area] = AREAS,
    release: int = RELEASE,
    *,
    may_be_next: bool = False,
) -> None:
    """Raise DatabaseNotSetUp when `migrate` would apply anything, and what it would raise; change nothing."""
    product = _read(package, areas, release)
    async with _connected(dsn) as connection:
        try:
            state = await _state(connection)
        except asyncpg.InsufficientPrivilegeError:
            raise DatabaseNotSetUp(
                "The role of DATABASE_URL has no rights in the database yet; run `healthplus migrate` with "
                "DATABASE_OWNER_URL, the address with which the database's owner connects."
            ) from None
    if may_be_next and state.came_from(product):
        return
    _refuse_conflicts(product, state)
    if state.applied and state.release < release:
        raise DatabaseNotSetUp(
            f"The database is of release {state.release} of HealthPlus, this is release {release}; "
            "run `healthplus migrate`."
        )
    if state.lacks_anything(product):
        raise DatabaseNotSetUp


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[_Connection]:
    with failures_as_ours():
        # The server's messages and times must not depend on the operator's own settings.
        connection = await asyncpg.connect(dsn, server_settings=MIGRATION.session(_APPLICATION_NAME))
        try:
            await check_server(connection)
            yield connection
        finally:
            # Ends the session, and with it the lock.
            await connection.close()


async def _state(connection: _Connection) -> _State:
    if await connection.fetchval("SELECT to_regclass('public.schema_migration') IS NULL"):
        return _State({}, 0)
    applied = {row["number"]: row for row in await connection.fetch(_APPLIED)}
    return _State(applied, max((row["release"] for row in applied.values()), default=0))


async def _refuse_running(connection: _Connection, release: int) -> None:
    running = await connection.fetchval(_RUNNING, _APPLICATION_NAME)
    if running:
        raise MigrationConflict(
            f"Processes of release {release} have {running} connections to the database and cannot go on once it is of "
            "this release. Stop HealthPlus, then run `healthplus migrate` again."
        )


async def _patiently(connection: _Connection, name: str, apply: Callable[[], Awaitable[None]]) -> None:
    async def apply_whole() -> None:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
            await apply()

    await _again_until_free(name, apply_whole)


async def _again_until_free(name: str, apply: Callable[[], Awaitable[None]]) -> None:
    """Apply what gives up its wait for a lock, again after a pause. Raises DatabaseError when that does not help."""
    for turn in range(_TRIES):
        try:
            await apply()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if not turn:
                logger.warning("%s: others use what it changes, so it lets them go first and is tried again", name)
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
    raise DatabaseError(
        f"{name} could not be applied: others use what it changes, perhaps an import. Run `healthplus migrate` again."
    )


@contextlib.contextmanager
def _telling(name: str) -> Iterator[None]:
    """Say in the log how long a step took, and while it takes long, that it goes on."""
    began = time.monotonic()

    async def tell() -> None:
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            logger.info("%s goes on; %.0f s so far", name, time.monotonic() - began)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
    logger.info("%s is applied; %.1f s", name, time.monotonic() - began)


async def _apply(connection: _Connection, migration: _Migration, release: int) -> None:
    await _execute(connection, migration.sql, migration.name)
    await _record(connection, migration, release)


async def _apply_after(connection: _Connection, statement: str, name: str) -> None:
    if _CONCURRENTLY.match(statement):
        await _execute(connection, statement, name)
        return
    await connection.execute(f"SET lock_timeout = {_LOCK_WAIT_MS}")
    try:
        await _again_until_free(name, partial(_execute, connection, statement, name))
    finally:
        await connection.execute("SET lock_timeout = 0")


async def _apply_functions(connection: _Connection, product: _Product, previous: int, app_role: str | None) -> None:
    # That of an area without tables is made by no migration.
    for schema in {definition.name.partition(".")[0] for definition in product.definitions if "." in definition.name}:
        if await connection.fetchval("SELECT to_regnamespace($1) IS NULL", schema):
            await connection.execute(f"CREATE SCHEMA {schema}")
    await apply_functions(connection, product.definitions, product.schemas, product.release, previous)
    # In the same transaction: from its end on, processes of the release before use new tables by these functions.
    await apply_rights(connection, product.schemas, app_role)
    await connection.execute(_RECORD, 0, "functions", product.functions_sha256, product.release)


async def _record(connection: _Connection, migration: _Migration, release: int) -> None:
    await connection.execute(_RECORD, migration.number, migration.name, migration.sha256, release)


async def _execute(connection: _Connection, sql: str, name: str) -> None:
    try:
        await connection.execute(sql)
    except asyncpg.PostgresError as error:
        error.add_note(f"while applying {name}")
        raise


def _read(package: Path, areas: Iterable[Area], release: int) -> _Product:
    areas = tuple(areas)
    definitions = read_definitions(package, areas)
    functions = "\n;\n".join(definition.sql for definition in definitions)
    return _Product(
        release,
        [area.schema for area in areas],
        _numbered(package / "database" / "migrations"),
        definitions,
        hashlib.sha256(functions.encode()).hexdigest(),
    )


def _numbered(folder: Path) -> list[_Migration]:
    migrations = []
    for expected, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        number = path.name.partition("_")[0]
        if number != f"{expected:04}":
            raise MigrationConflict(f"{path.name} should start with {expected:04}_; give migrations numbers in a row.")
        sql = path.read_text(encoding="utf-8")
        sha256 = hashlib.sha256(sql.encode()).hexdigest()
        migrations.append(_Migration(expected, path.stem, sha256, sql, path.stem.endswith(".after")))
    return migrations


def _refuse_conflicts(product: _Product, state: _State) -> None:
    if state.release > product.release:
        raise MigrationConflict(
            f"The database is of release {state.release} of HealthPlus, this is release {product.release}; "
            f"run release {state.release} or a newer one."
        )
    if (newest := max(state.applied, default=0)) > len(product.migrations):
        raise MigrationConflict(
            f"The database has migration {state.applied[newest]['name']}, which this version of the product does not "
            "know; run a version at least as new."
        )
    for migration in product.migrations:
        row = state.applied.get(migration.number)
        # What runs after the functions may be edited: on a new database it must suit the functions of its day.
        if row is not None and row["sha256"] != migration.sha256 and not migration.is_after:
            raise MigrationConflict(
                f"{migration.name}.sql changed after the database had applied it (as {row['name']}); "
                "restore the file and put the change in a new migration."
            )
