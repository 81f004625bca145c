"""A standby is no server to work with: it does not know yet all that was acknowledged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import Database, EmbeddedServer, migrate
from healthplus.errors import DatabaseIsStandby
from healthplus.monitoring.readiness import LIMITS, DatabaseChecks, Readiness
from tests.conftest import FAST


async def _promote(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT pg_is_in_recovery()")  # it can be read
    assert await connection.fetchval("SELECT pg_promote()")
    await connection.close()


async def _follow_promotion(dsn: str) -> None:
    with pytest.raises(DatabaseIsStandby):
        await Database.connect(dsn)

    async def open_connection() -> asyncpg.Connection[asyncpg.Record]:
        raise asyncpg.TargetServerAttributeNotMatched

    checks = DatabaseChecks(Database(open_connection, 1), allow_unsafe_commits=True)
    reasons = await Readiness(checks.all()).reasons()
    assert reasons == ["The database is a standby, or still recovering: it takes no changes."]
    await _promote(dsn)
    async with await Database.connect(dsn, limits=LIMITS) as database:
        assert await Readiness(DatabaseChecks(database, allow_unsafe_commits=True).all()).reasons() == []


def test_a_pool_works_with_a_main_only(server_folder: Path) -> None:
    with EmbeddedServer(server_folder, FAST) as dsn:
        asyncio.run(migrate(dsn))
    (server_folder / "server/data/standby.signal").touch()
    with EmbeddedServer(server_folder, FAST) as dsn:
        asyncio.run(_follow_promotion(dsn))
