"""What time it is at the database, without asking it for every answer."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime, timedelta

from healthplus.database import Database, PostgresError
from healthplus.errors import HealthPlusError

logger = logging.getLogger(__name__)


class DatabaseClock:
    """The product's only clock is the database's; this follows it, to show how much of a hold is left.

    Nothing is decided by it: a step of the database's clock shows here up to EVERY_SECONDS later.
    """

    EVERY_SECONDS = 1.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the database's time, to within a round trip; it must have been followed once."""
        assert self._seen is not None
        theirs, at = self._seen
        return theirs + timedelta(seconds=time.monotonic() - at)

    async def follow(self) -> None:
        """Look at the database's clock once."""
        theirs: datetime = await self._database.fetch_value("SELECT public.app_now()")
        self._seen = theirs, time.monotonic()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await asyncio.sleep(self.EVERY_SECONDS)
            try:
                await self.follow()
            except (HealthPlusError, PostgresError) as error:
                logger.warning("the database's clock could not be read: %s", type(error).__name__)
