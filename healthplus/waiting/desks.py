"""Which clinics' desks are connected: their callers in queues count as present."""

from __future__ import annotations

from uuid import UUID

from healthplus.accounts.actors import System
from healthplus.booking.book import Book
from healthplus.database import Database, repeat
from healthplus.errors import HealthPlusError
from healthplus.waiting.presence import queries

FLUSH_SECONDS = 3.0
"""Callers count as present for 60 s, so one batch lost with its process makes nobody absent."""


class ConnectedDesks:
    """The clinics whose desks this process has heard of since it wrote that last."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._seen: set[int] = set()
        self._away: set[tuple[int, UUID]] = set()
        """Providers and tickets of callers who were away, and could not be resumed."""

    def see(self, clinic_id: int) -> None:
        """Note that a desk of a clinic was heard of just now."""
        self._seen.add(clinic_id)

    async def flush(self) -> None:
        """Note the callers of these clinics as present, if there is room; those who were passed over resume their turn.

        Raises an error if not all was written; the rest is kept.
        """
        if not (self._seen or self._away) or not self._database.space.has_room_for_changes:
            return
        seen, self._seen = self._seen, set()
        try:
            rows = await self._database.fetch(queries.note_desks, sorted(seen))
        except HealthPlusError:
            self._seen |= seen
            raise
        away, self._away = self._away | {(row["provider_id"], row["ticket_id"]) for row in rows}, set()
        failed: HealthPlusError | None = None
        for provider_id, ticket_id in sorted(away):
            # It was passed over, or its offer was not taken up: only the verb has it offered something again.
            try:
                await self._book.resume(provider_id, ticket_id, System("desk"))
            except HealthPlusError as error:  # of one busy book; the others go on
                self._away.add((provider_id, ticket_id))
                failed = error
        if failed is not None:
            raise failed

    async def run(self) -> None:
        """Flush until cancelled."""
        await repeat(self.flush, FLUSH_SECONDS, "desks could not be noted", self._database, name="desks")
