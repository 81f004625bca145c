"""Tells patients who are still to come that their doctor runs late, and when to come."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import Database, load, repeat

queries = load(Path(__file__).with_name("queries.sql"))

DAYS_MAX = 10
"""Doctors' days that one transaction looks into: it locks those whom it tells (FOR SHARE), and their arrival waits."""
EVERY_SECONDS = 10.0


class Delays:
    """The background task; any number of processes may run it. The database decides what is due to be looked into."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        await repeat(self.tell, EVERY_SECONDS, "patients could not be told of delays", self._database, name="delays")

    async def tell(self) -> None:
        """Look into all days that are due, and put what patients are to be told into the outbox."""
        while await self._database.fetch_value(queries.add_delays, DAYS_MAX) == DAYS_MAX:
            pass
