from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from healthplus.database import Database, Hints


@asynccontextmanager
async def process(dsn: str, database: Database) -> AsyncIterator[tuple[Hints, list[int]]]:
    """Hints as one process has them, connected, and what it has heard."""
    heard: list[int] = []

    def hear(provider_ids: Iterable[int]) -> None:
        heard.extend(provider_ids)

    hints = Hints(dsn)
    hints.on_hint(hear)
    before = await sessions(database)
    running = asyncio.create_task(hints.run())
    async with asyncio.timeout(20):
        while len(await sessions(database)) == len(before):
            await asyncio.sleep(0.02)
    yield hints, heard
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def sessions(database: Database) -> list[int]:
    """Give the connections that listen."""
    rows = await database.fetch(
        """SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'healthplus hints' AND query LIKE 'LISTEN%'"""
    )
    return [row["pid"] for row in rows]


async def test_a_hint_reaches_every_process_once(dsn: str, db: Database) -> None:
    async with process(dsn, db) as (hints, heard), process(dsn, db) as (_, elsewhere):
        for provider_id in range(1, 1001):
            hints.tell(provider_id)
        assert heard == list(range(1, 1001))
        async with asyncio.timeout(20):
            while len(elsewhere) < 1000:
                await asyncio.sleep(0.02)
        assert sorted(elsewhere) == list(range(1, 1001))
        await asyncio.sleep(0.1)
        assert len(heard) == 1000


async def test_hints_come_again_after_the_connection_was_lost(dsn: str, db: Database) -> None:
    async with process(dsn, db) as (hints, heard), process(dsn, db) as (_, elsewhere):
        lost = await sessions(db)
        await db.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", lost)
        hints.tell(7)
        assert heard == [7]
        # What is told before both listen again is forgotten.
        async with asyncio.timeout(20):
            while 8 not in elsewhere:
                hints.tell(8)
                await asyncio.sleep(0.1)
