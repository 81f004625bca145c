"""Presence: notes when waiting clients were last seen, in batches."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from uuid import UUID

from healthplus.database import Database, PostgresError, load
from healthplus.errors import HealthPlusError

queries = load(Path(__file__).with_name("queries.sql"))
logger = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
"""A client polls every 25 s and counts as present for 60, so one batch lost with its process makes nobody absent."""


class Presence:
    """The clients that this process has seen since it wrote the last batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[tuple[int, UUID], UUID | None] = {}

    async def see(self, provider_id: int, ticket_id: UUID, offer_id: UUID | None = None) -> None:
        """Note that a client was seen just now; with the offer that it was shown, write that at once.

        Raises DatabaseUnreachable where it writes.
        """
        self._seen[provider_id, ticket_id] = offer_id
        if offer_id is not None:
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted. Raises DatabaseUnreachable; the batch is then lost, and the clients will poll again."""
        if self._seen:
            seen, self._seen = self._seen, {}
            providers, tickets = zip(*seen, strict=True)
            await self._database.execute(queries.note_presence, providers, tickets, list(seen.values()))

    async def run(self) -> None:
        """Flush until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self._try_flush()
        finally:
            await self._try_flush()

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except (HealthPlusError, PostgresError) as error:
            logger.warning("presence could not be written: %s", type(error).__name__)
