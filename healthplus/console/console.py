"""The functions of the console (functions/), as a member of the staff calls them: with the token of their session."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from healthplus.database import Database, Record, load, note_change
from healthplus.errors import DatabaseBusy
from healthplus.staff.refusals import refusals_as_ours

queries = load(Path(__file__).with_name("queries.sql"))

TRY_SECONDS = 2.0
"""How long a change is tried again whose lock is not to be had; with what the last try takes, it is less than five."""
_PAUSE_SECONDS = 0.05


class Console:
    """Calls functions for one session, from one address, which queries have as $1 and $2.

    Every method raises LogInNeeded, ScreenLocked, Forbidden or ProofDue where the database says so, and what those of
    Database raise.
    """

    def __init__(self, database: Database, token_hash: bytes, address: str) -> None:
        """Take the pool of the login whose role the session has where it is to act."""
        self._database = database
        self._first = (token_hash, address)

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        with refusals_as_ours():
            return await self._database.fetch(sql, *self._first, *args)

    async def fetch_row(self, sql: str, *args: object) -> Record | None:
        with refusals_as_ours():
            return await self._database.fetch_row(sql, *self._first, *args)

    async def fetch_value(self, sql: str, *args: object) -> Any:
        with refusals_as_ours():
            return await self._database.fetch_value(sql, *self._first, *args)

    async def change(self, sql: str, *args: object) -> Record | None:
        """Call a function that changes something, and return its row: what fails later cannot undo it.

        What is refused as busy changed nothing, and goes again for `TRY_SECONDS`, as calls of patients do: the first
        act of a connection is planned while it has its book locked, which on a busy machine takes longer than anybody
        waits for a lock.
        """
        until = time.monotonic() + TRY_SECONDS
        while True:
            try:
                row = await self.fetch_row(sql, *args)
                break
            except DatabaseBusy:
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)
        note_change()
        return row
