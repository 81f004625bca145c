"""Presence: notes when waiting clients were last seen, in batches."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from uuid import UUID

from healthplus.database import Database, PostgresError, load, repeat
from healthplus.errors import DatabaseBusy, HealthPlusError

queries = load(Path(__file__).with_name("queries.sql"))

FLUSH_SECONDS = 5.0
"""A client polls every 25 s and counts as present for 60, so one batch lost with its process makes nobody absent."""
UNCHECKED_MAX = 20_000
"""Refused polls noted between two batches: more than twice as many as can wait in one process."""


class Presence:
    """The clients that this process has seen since it wrote the last batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[tuple[int, UUID], UUID | None] = {}
        self._unchecked: set[tuple[bytes, UUID]] = set()

    async def see(self, provider_id: int, ticket_id: UUID, offer_id: UUID | None = None) -> None:
        """Note that a client was seen just now; with the offer that it was shown, write that at once.

        Raises DatabaseBusy or DatabaseUnreachable where it writes.
        """
        self._seen[provider_id, ticket_id] = offer_id
        if offer_id is not None:
            try:
                # What was noted of others must be written also when this client hangs up.
                await asyncio.shield(self.flush())
            except HealthPlusError:
                if (provider_id, ticket_id) in self._seen:  # else it was another one that could not be written
                    raise

    def see_unchecked(self, token_hash: bytes, ticket_id: UUID) -> None:
        """Note that somebody asked for a ticket; when it is written, it is looked at whether the ticket is theirs.

        Requests with made-up tokens and tickets take no more room than UNCHECKED_MAX.
        """
        if len(self._unchecked) < UNCHECKED_MAX:
            self._unchecked.add((token_hash, ticket_id))

    async def flush(self) -> None:
        """Write what was noted, if there is room. Raises an error if not all was written; the rest is kept."""
        if not self._database.space.has_room_for_changes:
            return
        seen, self._seen = self._seen, {}
        try:
            await self._write(seen)
        except DatabaseBusy:
            # Perhaps a row is locked: the tickets of other providers must not count as absent for that.
            for provider_id in {provider_id for provider_id, _ in seen}:
                some = {ticket: offer_id for ticket, offer_id in seen.items() if ticket[0] == provider_id}
                try:
                    await self._write(some)
                except HealthPlusError:
                    self._seen = some | self._seen
            if self._seen.keys() & seen.keys():
                raise
        except HealthPlusError:
            self._seen = seen | self._seen
            raise

    async def _write(self, seen: dict[tuple[int, UUID], UUID | None]) -> None:
        if seen:
            providers, tickets = zip(*seen, strict=True)
            await self._database.execute(queries.note_presence, providers, tickets, list(seen.values()))
        if self._unchecked:
            unchecked, self._unchecked = self._unchecked, set()
            hashes, asked_for = zip(*unchecked, strict=True)
            try:
                await self._database.execute(queries.note_presence_of_owners, hashes, asked_for)
            except HealthPlusError:
                self._unchecked |= unchecked
                raise

    async def run(self) -> None:
        """Flush until cancelled, and once more at the end."""
        try:
            await repeat(self.flush, FLUSH_SECONDS, "presence could not be written", self._database, name="presence")
        finally:
            with contextlib.suppress(HealthPlusError, PostgresError):  # the clients will poll again
                await self.flush()
