"""Cancels what another booking has replaced, in every app process.

`confirm` writes what is due, in its own transaction, since no verb touches two providers. If a process dies in between,
the next look of any cancels it: cancelling twice is refused the second time, and only then is the row deleted.
"""

from __future__ import annotations

import asyncio
import logging

from healthplus.accounts.actors import System
from healthplus.booking.book import Book, queries
from healthplus.database import Database, PostgresError
from healthplus.errors import HealthPlusError

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
_ACTOR = System("replacement")


async def keep_cancelling_replaced(database: Database, book: Book) -> None:
    """Run until cancelled. A lost database is waited for."""
    while True:
        try:
            await cancel_replaced(database, book)
        except (HealthPlusError, PostgresError):
            logger.exception("replaced bookings could not be cancelled; trying again")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def cancel_replaced(database: Database, book: Book) -> None:
    """Cancel every booking that another has replaced; one that has begun, or was cancelled before, stays as it is."""
    for row in await database.fetch(queries.due_replacements):
        await book.cancel(row["replaced_provider_id"], row["replaced_id"], _ACTOR)
        await database.execute(queries.end_replacement, row["provider_id"], row["booking_id"])
