from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from healthplus.database import ChangeFeed, Database
from tests.fixtures.clock import until


@asynccontextmanager
async def process(dsn: str, database: Database) -> AsyncIterator[tuple[ChangeFeed, list[int]]]:
    """Yield the change feed as one process has it, connected, and what it has received."""
    received: list[int] = []

    def receive(provider_ids: Iterable[int]) -> None:
        received.extend(provider_ids)

    feed = ChangeFeed(dsn)
    feed.on_change(receive)
    before = await sessions(database)
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(20):
        while len(await sessions(database)) == len(before):
            await asyncio.sleep(0.02)
    yield feed, received
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def sessions(database: Database) -> list[int]:
    """Return the connections that listen."""
    rows = await database.fetch(
        """SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'healthplus change feed' AND query LIKE 'LISTEN%'"""
    )
    return [row["pid"] for row in rows]


async def test_a_change_reaches_every_process_once(dsn: str, db: Database) -> None:
    async with process(dsn, db) as (feed, received), process(dsn, db) as (_, elsewhere):
        for provider_id in range(1, 1001):
            feed.publish(provider_id)
        assert received == list(range(1, 1001))
        await until(lambda: len(elsewhere) >= 1000)
        assert sorted(elsewhere) == list(range(1, 1001))
        await asyncio.sleep(0.1)
        assert len(received) == 1000


async def test_changes_come_again_after_the_connection_was_lost(dsn: str, db: Database) -> None:
    async with process(dsn, db) as (feed, received), process(dsn, db) as (_, elsewhere):
        lost = await sessions(db)
        await db.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", lost)
        feed.publish(7)
        assert received == [7]
        # What is published before both listen again is forgotten.
        async with asyncio.timeout(20):
            while 8 not in elsewhere:
                feed.publish(8)
                await asyncio.sleep(0.1)
