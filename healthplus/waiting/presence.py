"""Presence: notes when waiting clients were last seen, in batches."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from uuid import UUID

from healthplus.database import Database, PostgresError, load, repeat
from healthplus.errors import HealthPlusError

queries = load(Path(__file__).with_name("queries.sql"))

FORGET_EVERY_SECONDS = 3600.0
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
        if self._seen and self._database.space.has_room_for_changes:
            seen, self._seen = self._seen, {}
            providers, tickets = zip(*seen, strict=True)
            await self._database.execute(queries.note_presence, providers, tickets, list(seen.values()))

    async def forget(self) -> None:
        """Delete presence that is older than a day: no ticket lives so long."""
        await self._database.execute(queries.forget_presence)

    async def run(self) -> None:
        """Flush until cancelled, and once more at the end."""
        trouble = "presence could not be written"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(repeat(self.flush, FLUSH_SECONDS, trouble, self._database))
                tasks.create_task(repeat(self.forget, FORGET_EVERY_SECONDS, trouble, self._database))
        finally:
            with contextlib.suppress(HealthPlusError, PostgresError):  # the clients will poll again
                await self.flush()
