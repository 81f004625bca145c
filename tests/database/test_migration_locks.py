"""Nobody waits long while a database is brought to the next release: not for a lock, nor for work done under one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from healthplus.database import REQUESTS, migrate, migrations
from healthplus.database.areas import AREAS
from healthplus.database.functions import split
from healthplus.database.migrations import _PACKAGE, _Migration, _numbered
from healthplus.database.release import RELEASE
from healthplus_bench.releases import next_release

RELEASED = 33
"""The last migration of before this was looked at; those up to it are never edited."""

# What a transaction has done to the tables that were there before it. A lock that keeps others from writing is short
# where nothing is gone through under it; that counts as a scan also for an index or a constraint.
_BEFORE = """
CREATE TEMP TABLE before AS
SELECT pg_class.oid, pg_relation_filenode(pg_class.oid) AS filenode, pg_stat_get_xact_numscans(pg_class.oid) AS scans
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE relkind IN ('r', 'p') AND nspname = ANY ($1)
"""
_HARM = """
WITH held AS (SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND granted), done AS (
    SELECT oid, pg_relation_filenode(oid) <> filenode AS is_rewritten,
        pg_stat_get_xact_numscans(oid) > scans AS is_read,
        EXISTS (SELECT FROM held WHERE relation = oid AND mode IN (
            'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) AS is_locked,
        EXISTS (SELECT FROM held WHERE relation = oid AND mode = 'RowExclusiveLock') AS is_changed
    FROM before JOIN pg_class USING (oid)
)
SELECT format('%s is %s', oid::regclass, CASE
    WHEN is_locked AND is_rewritten THEN 'locked and rewritten'
    WHEN is_locked THEN 'locked and gone through'
    ELSE 'changed, and not in batches that commit' END)
FROM done WHERE is_locked AND is_rewritten OR is_read AND (is_locked OR is_changed)
"""
_RELATIONS = """
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace::regnamespace::text = ANY ($1::text[]) AND relkind::text = ANY ($2::text[])
"""
_SCHEMAS = sorted({area.schema for area in AREAS} | {"public"})

BEFORE_THEM, NEW = (
    [one for one in _numbered(_PACKAGE / "database" / "migrations") if (one.number > RELEASED) == is_new]
    for is_new in (False, True)
)


async def harm(connection: asyncpg.Connection[Any], sql: str) -> list[str]:
    """Return what a statement or script does that keeps others waiting, and leave it done."""
    async with connection.transaction():
        await connection.execute(_BEFORE, _SCHEMAS)
        await connection.execute(sql)
        found = [row[0] for row in await connection.fetch(_HARM)]
        await connection.execute("DROP TABLE before")
    return found


async def harm_of(connection: asyncpg.Connection[Any], migration: _Migration) -> list[str]:
    if not migration.is_after:
        return await harm(connection, migration.sql)
    found = []
    for statement in split(migration.sql):
        try:
            found += await harm(connection, statement)
        # CONCURRENTLY, or a procedure that commits: it keeps nobody waiting, or does its work in batches.
        except (asyncpg.ActiveSQLTransactionError, asyncpg.InvalidTransactionTerminationError):
            await connection.execute(statement)
    return found


@pytest.fixture
async def blank(blank_dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to a database of before the migrations that are looked at, without functions."""
    connection = await asyncpg.connect(blank_dsn)
    for migration in BEFORE_THEM:
        if not migration.is_after:
            await connection.execute(migration.sql)
    yield connection
    await connection.close()


async def test_no_migration_keeps_others_waiting(blank: asyncpg.Connection[Any]) -> None:
    assert NEW
    for migration in NEW:
        if not migration.is_after:
            assert (migration.name, await harm_of(blank, migration)) == (migration.name, [])


async def test_what_comes_after_the_functions_keeps_nobody_waiting(dsn: str) -> None:
    after = [migration for migration in NEW if migration.is_after]
    assert after
    connection = await asyncpg.connect(dsn)
    try:
        for migration in after:  # they may be done again
            assert (migration.name, await harm_of(connection, migration)) == (migration.name, [])
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("ALTER TABLE booking.booking ADD COLUMN n uuid DEFAULT gen_random_uuid()", "booking is locked and rewritten"),
        ("ALTER TABLE booking.booking ALTER COLUMN created_at TYPE text", "booking is locked and rewritten"),
        ("CREATE INDEX ON booking.ticket (joined_at)", "ticket is locked and gone through"),
        ("ALTER TABLE booking.ticket ADD CHECK (number > 0)", "ticket is locked and gone through"),
        ("ALTER TABLE booking.ticket ALTER COLUMN withheld_during SET NOT NULL", "ticket is locked and gone through"),
        ("UPDATE booking.booking SET created_at = now()", "booking is changed, and not in batches that commit"),
        ("DELETE FROM booking.ticket", "ticket is changed, and not in batches that commit"),
        ("ALTER TABLE booking.booking ADD COLUMN n int DEFAULT 0", None),
        ("ALTER TABLE booking.ticket ADD CONSTRAINT small CHECK (number > 0) NOT VALID", None),
        ("CREATE TABLE booking.more AS SELECT 1 AS n; CREATE INDEX ON booking.more (n)", None),
    ],
)
async def test_what_keeps_others_waiting_is_noticed(blank: asyncpg.Connection[Any], sql: str, said: str | None) -> None:
    found = await harm(blank, sql)
    assert found == ([] if said is None else [f"booking.{said}"])


class Others:
    """A process of the release before: it writes to each table in turn, and waits as long as requests do."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.kept_waiting: set[str] = set()
        self.turns = 0

    async def go_on(self) -> None:
        connection = await asyncpg.connect(self._dsn, server_settings=REQUESTS.session("healthplus others"))
        try:
            names = [row[0] for row in await connection.fetch(_RELATIONS, _SCHEMAS, ["r", "v"])]
            while True:
                for name in names:
                    try:
                        async with connection.transaction():
                            await connection.execute(f"LOCK TABLE {name} IN ROW EXCLUSIVE MODE")
                    except asyncpg.LockNotAvailableError:
                        self.kept_waiting.add(name)
                self.turns += 1
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def others(dsn: str) -> AsyncIterator[Others]:
    they = Others(dsn)
    going_on = asyncio.create_task(they.go_on())
    try:
        yield they
    finally:
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)


@contextlib.asynccontextmanager
async def long_transaction(dsn: str) -> AsyncIterator[None]:
    """Have an import write to all tables, and not end before this block."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        for (name,) in await connection.fetch(_RELATIONS, _SCHEMAS, ["r"]):
            await connection.execute(f"LOCK TABLE {name} IN ROW EXCLUSIVE MODE")
        yield
    finally:
        await connection.close()


@pytest.mark.breaks_invariants  # they are those of this release
async def test_nobody_waits_behind_a_migration_that_waits(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_PAUSE_SECONDS", 0.2)
    package = next_release(tmp_path).package
    async with others(dsn) as they:
        async with long_transaction(dsn):
            upgrade = asyncio.create_task(migrate(dsn, package, release=RELEASE + 1))
            await asyncio.sleep(2)
            assert not upgrade.done()  # it waits for the import
        await upgrade
    assert they.turns > 3
    assert they.kept_waiting == set()


@pytest.mark.breaks_invariants
async def test_without_a_limit_they_do_wait(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_LOCK_WAIT_MS", 0)  # that is without end
    package = next_release(tmp_path).package
    async with others(dsn) as they:
        async with long_transaction(dsn):
            upgrade = asyncio.create_task(migrate(dsn, package, release=RELEASE + 1))
            await asyncio.sleep(2)
        await upgrade
    assert "booking.booking" in they.kept_waiting
