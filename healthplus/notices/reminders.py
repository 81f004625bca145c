"""Puts reminders of appointments into the outbox when their time has come."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import Database, load, repeat

queries = load(Path(__file__).with_name("queries.sql"))

BATCH_MAX = 2000
"""Each batch looks through all that begin in its stretch of time: many small ones took minutes in a busy evening."""
EVERY_SECONDS = 30.0


class Reminders:
    """The background task that reminds; any number of processes may run it. The database decides what is due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        await repeat(self.remind, EVERY_SECONDS, "patients could not be reminded", self._database, name="reminders")

    async def remind(self) -> None:
        """Put all reminders that are due into the outbox."""
        while await self._database.fetch_value(queries.add_reminders, BATCH_MAX) == BATCH_MAX:
            pass
