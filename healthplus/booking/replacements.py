"""Cancels what another booking has replaced, in every app process.

`confirm` writes what is due, in its own transaction, since no verb touches two providers. If a process dies in between,
the next look of any cancels it: cancelling twice is refused the second time, and only then is the row deleted.
"""

from __future__ import annotations

import logging

from healthplus.accounts.actors import System
from healthplus.booking.book import Book
from healthplus.booking.calls import queries
from healthplus.database import Database, repeat
from healthplus.errors import DatabaseBusy

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
_ACTOR = System("replacement")


async def keep_cancelling_replaced(database: Database, book: Book) -> None:
    """Run until cancelled. A lost database is waited for."""

    async def cancel() -> None:
        await cancel_replaced(database, book)

    await repeat(cancel, LOOK_EVERY_SECONDS, "replaced bookings could not be cancelled", database, name="replacements")


async def cancel_replaced(database: Database, book: Book) -> None:
    """Cancel every booking that another has replaced; one that has begun, or was cancelled before, stays as it is.

    One whose book is locked is left for the next look: the others must not wait for it.
    """
    busy: set[int] = set()
    for row in await database.fetch(queries.due_replacements):
        provider_id = row["replaced_provider_id"]
        if provider_id in busy:
            continue
        try:
            # Its terms count as of when the patient booked the other, however late this comes.
            await book.cancel(provider_id, row["replaced_id"], _ACTOR, ordered_at=row["due_at"])
        except DatabaseBusy:
            logger.info("a replaced booking of provider %s is cancelled later: its book is busy", provider_id)
            busy.add(provider_id)
            continue
        await database.execute(queries.end_replacement, row["provider_id"], row["booking_id"])
