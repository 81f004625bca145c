from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
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
    before = await connections(database)
    running = asyncio.create_task(hints.run())
    await until(lambda: connections(database), before + 1)
    yield hints, heard
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def connections(database: Database) -> int:
    count: int = await database.fetch_value(
        """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'healthplus hints' AND query LIKE 'LISTEN%'"""
    )
    return count


async def until(found: Callable[[], object], wanted: object) -> None:
    async with asyncio.timeout(5):
        while True:
            now = found()
            if asyncio.iscoroutine(now):
                now = await now
            if now == wanted:
                return
            await asyncio.sleep(0.02)


async def test_a_hint_reaches_every_process_once(dsn: str, db: Database) -> None:
    async with process(dsn, db) as (hints, heard), process(dsn, db) as (_, elsewhere):
        for provider_id in range(1, 1001):
            hints.tell(provider_id)
        assert heard == list(range(1, 1001))
        await until(lambda: sorted(elsewhere), list(range(1, 1001)))
        await asyncio.sleep(0.1)
        assert len(heard) == 1000


async def test_hints_come_again_after_the_connection_was_lost(dsn: str, db: Database) -> None:
    async with process(dsn, db) as (hints, heard), process(dsn, db) as (_, elsewhere):
        await db.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'healthplus hints'"""
        )
        await until(lambda: connections(db), 0)
        hints.tell(7)
        assert heard == [7]
        await until(lambda: connections(db), 2)
        hints.tell(8)
        await until(lambda: 8 in elsewhere, True)
