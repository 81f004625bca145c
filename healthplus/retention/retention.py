"""Retention: deletes what nobody needs any more, in small batches, in every app process.

What is deleted, and when, is decided by one function of the database's owner (functions/forget.sql, docs/retention.md).
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from healthplus.database import Database, load, repeat

queries = load(Path(__file__).with_name("queries.sql"))

ROWS_MAX = 1000
"""Rows of one table, and events, in a batch: a few milliseconds of work."""
PAUSE_SECONDS = 0.1
"""Between two batches, so that a backlog leaves the database to the bookings."""
EVERY_SECONDS = 3600.0
NUMBERS_EVERY_SECONDS = 60.0


class Retention:
    """Forgets once an hour; phone numbers of expired codes, once a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._due_at = time.monotonic()

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        await repeat(
            self._look, NUMBERS_EVERY_SECONDS, "what is over could not be deleted", self._database, name="retention"
        )

    async def _look(self) -> None:
        await self._database.execute(queries.forget_numbers)
        if time.monotonic() >= self._due_at:
            await self.forget()
            self._due_at = time.monotonic() + EVERY_SECONDS

    async def forget(self, rows_max: int = ROWS_MAX, pause_seconds: float = PAUSE_SECONDS) -> None:
        """Delete all that is over, `rows_max` rows of a table at a time.

        Raises DatabaseUnreachable; what was deleted by then stays so.
        """
        after: int | None = 0
        while after is not None:
            after = await self._database.fetch_value(queries.forget, after, rows_max)
            await asyncio.sleep(pause_seconds)
