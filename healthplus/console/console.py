"""The functions of the console (functions/), as a member of the staff calls them: with the token of their session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from healthplus.database import Database, PostgresError, Record, load, note_change
from healthplus.errors import Forbidden, HealthPlusError, LogInNeeded, ProofDue, ScreenLocked

queries = load(Path(__file__).with_name("queries.sql"))

_REFUSALS: dict[str | None, type[HealthPlusError]] = {
    "HP401": LogInNeeded,
    "HP403": Forbidden,
    "HP423": ScreenLocked,
    "HP428": ProofDue,
}
"""What staff.authorise and staff.require_proof raise."""


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
        with _refusals_as_ours():
            return await self._database.fetch(sql, *self._first, *args)

    async def fetch_row(self, sql: str, *args: object) -> Record | None:
        with _refusals_as_ours():
            return await self._database.fetch_row(sql, *self._first, *args)

    async def fetch_value(self, sql: str, *args: object) -> Any:
        with _refusals_as_ours():
            return await self._database.fetch_value(sql, *self._first, *args)

    async def change(self, sql: str, *args: object) -> Record | None:
        """Call a function that changes something, and return its row: what fails later cannot undo it."""
        row = await self.fetch_row(sql, *args)
        note_change()
        return row


@contextlib.contextmanager
def _refusals_as_ours() -> Iterator[None]:
    try:
        yield
    except PostgresError as error:
        refusal = _REFUSALS.get(error.sqlstate)
        if refusal is None:
            raise
        raise refusal from None
