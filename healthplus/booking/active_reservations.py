"""ActiveReservations: frees what is held past its time, promptly, in every app process.

Expiry is a fact of the row, so this only makes it prompt: if every process died, nothing would be wrong, only late. No
process leads: any of them may run the verb `advance` at any time. It skips a book that another has locked, since every
verb advances the book it locks.
"""

from __future__ import annotations

import logging
import time

from healthplus.booking.book import Book
from healthplus.booking.calls import queries
from healthplus.database import Database, PostgresError, Record, repeat
from healthplus.errors import DatabaseBusy

logger = logging.getLogger(__name__)

SLEEP_SECONDS_MAX = 1.0
SLEEP_SECONDS_MIN = 0.02
"""So that a head whose book is locked is not asked for in a tight loop."""
QUEUES_EVERY_SECONDS = 5.0
SET_ASIDE_SECONDS = 5.0
"""Looking at a book that is not locked, while a row beside it is, takes as long as one waits for that row."""
UNPAID_EVERY_SECONDS = 60.0
UNPAID_ACCOUNTS_MIN = 5
"""New accounts that took an offered time within an hour and did not pay, from which on the log says so.

No limit keeps a crowd of fresh numbers from that (docs/decisions/0033).
"""


class ActiveReservations:
    """Advances the books whose oldest hold, offer or ticket is due."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._queues_due = 0.0
        self._set_aside: dict[int, float] = {}
        """Providers for whom something else is locked, with the time until which they are left alone."""
        self._unpaid_due = 0.0
        self._unpaid: dict[int, int] = {}
        """What the log last said of each provider."""

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        await repeat(
            self.advance_due, SLEEP_SECONDS_MAX, "the books could not be advanced", self._database, name="expiry"
        )

    async def advance_due(self) -> float:
        """Advance every book where something is due; return the seconds until the next look."""
        await self._advance_each(await self._database.fetch(queries.due_providers))
        now = time.monotonic()
        if now >= self._queues_due:
            self._queues_due = now + QUEUES_EVERY_SECONDS
            await self._advance_each(await self._database.fetch(queries.waiting_providers))
        if now >= self._unpaid_due:
            self._unpaid_due = now + UNPAID_EVERY_SECONDS
            await self._warn_of_unpaid_turns()
        head_seconds: float | None = await self._database.fetch_value(queries.head_deadline)
        if head_seconds is None:
            return SLEEP_SECONDS_MAX
        return min(max(head_seconds, SLEEP_SECONDS_MIN), SLEEP_SECONDS_MAX)

    async def _warn_of_unpaid_turns(self) -> None:
        rows = await self._database.fetch(queries.unpaid_turns, UNPAID_ACCOUNTS_MIN)
        before, self._unpaid = self._unpaid, {row["provider_id"]: row["accounts"] for row in rows}
        for provider_id, accounts in self._unpaid.items():
            if accounts > before.get(provider_id, 0):
                logger.warning(
                    "queue of provider %s: %d new accounts took a time in the last hour and did not pay for it",
                    provider_id,
                    accounts,
                )

    async def _advance_each(self, providers: list[Record]) -> None:
        now = time.monotonic()
        self._set_aside = {provider_id: until for provider_id, until in self._set_aside.items() if until > now}
        for row in providers:
            provider_id: int = row["provider_id"]
            if provider_id in self._set_aside:
                continue
            try:
                await self._book.advance(provider_id, unless_busy=True)
            except DatabaseBusy:
                logger.warning("provider %s could not be advanced: a row is locked", provider_id)
                self._set_aside[provider_id] = time.monotonic() + SET_ASIDE_SECONDS
            except PostgresError:
                # A fault in one provider's book must not keep the others' holds from lapsing in time.
                logger.exception("provider %s could not be advanced", provider_id)
