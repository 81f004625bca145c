"""The database's time, known without a query for every answer."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from healthplus.database import Database, repeat


class DatabaseClock:
    """Follows the database's clock, the product's only one, to show how much of a hold is left.

    Nothing is decided by it: when the database's clock is set, this one follows up to EVERY_SECONDS later.
    """

    EVERY_SECONDS = 1.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the database's time, to within a round trip. `follow` must have read it once."""
        assert self._seen is not None
        database_now, at = self._seen
        return database_now + timedelta(seconds=time.monotonic() - at)

    async def follow(self) -> None:
        """Read the database's clock once."""
        database_now: datetime = await self._database.fetch_value("SELECT public.app_now()")
        self._seen = database_now, time.monotonic()

    async def run(self) -> None:
        """Follow until cancelled."""
        await repeat(self.follow, self.EVERY_SECONDS, "the database's clock could not be read", name="clock")
