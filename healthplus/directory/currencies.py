"""The currencies of clinics, for amounts that come without."""

from __future__ import annotations

import sys
from pathlib import Path

from healthplus.database import Database, load

queries = load(Path(__file__).with_name("directory.sql"))


class Currencies:
    """Looks each clinic up once. Only for clinics with bookings: those keep their currency for good."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, str] = {}

    async def of(self, clinic_id: int) -> str:
        """Return the currency of a clinic that has a booking."""
        if clinic_id not in self._known:
            self._known[clinic_id] = sys.intern(await self._database.fetch_value(queries.currency, clinic_id))
        return self._known[clinic_id]
