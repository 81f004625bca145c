"""ActiveReservations: frees what is held past its time, promptly, in every app process.

Expiry is a fact of the row, so this only makes it prompt: if every process died, nothing would be wrong, only late. No
process leads: any of them may run the verb `advance` at any time. It skips a book that another has locked, since every
verb advances the book it locks.
"""

from __future__ import annotations

import asyncio
import logging
import time

from healthplus.booking.book import Book, queries
from healthplus.database import Database, PostgresError, Record
from healthplus.errors import HealthPlusError

logger = logging.getLogger(__name__)

SLEEP_SECONDS_MAX = 1.0
SLEEP_SECONDS_MIN = 0.02
"""So that a head whose book is locked is not asked for in a tight loop."""
QUEUES_EVERY_SECONDS = 5.0


class ActiveReservations:
    """Advances the books whose oldest hold, offer or ticket is due."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._queues_due = 0.0

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        while True:
            try:
                sleep_seconds = await self.advance_due()
            except (HealthPlusError, PostgresError):
                logger.exception("ActiveReservations could not advance the books; trying again")
                sleep_seconds = SLEEP_SECONDS_MAX
            await asyncio.sleep(sleep_seconds)

    async def advance_due(self) -> float:
        """Advance every book where something is due; return the seconds until the next look."""
        await self._advance_each(await self._database.fetch(queries.due_providers))
        now = time.monotonic()
        if now >= self._queues_due:
            self._queues_due = now + QUEUES_EVERY_SECONDS
            await self._advance_each(await self._database.fetch(queries.waiting_providers))
        head_seconds: float | None = await self._database.fetch_value(queries.head_deadline)
        if head_seconds is None:
            return SLEEP_SECONDS_MAX
        return min(max(head_seconds, SLEEP_SECONDS_MIN), SLEEP_SECONDS_MAX)

    async def _advance_each(self, providers: list[Record]) -> None:
        for row in providers:
            try:
                await self._book.advance(row["provider_id"], unless_busy=True)
            except PostgresError:
                # A fault in one provider's book must not keep the others' holds from lapsing in time.
                logger.exception("provider %s could not be advanced", row["provider_id"])
