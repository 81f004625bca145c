"""Fetch the pictures that a file names, before the import locks anything, and store them as we encode them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from healthplus.database import Database, load
from healthplus.directory.pictures import Encoded, encode
from healthplus.errors import BadInput
from healthplus.imports.entries import Entry
from healthplus.imports.fetch import Fetcher

_queries = load(Path(__file__).with_name("import.sql"))

_BYTES_MAX = 5 * 1024 * 1024
_AT_ONCE = 8


class PhotoFetcher:
    """Fetches pictures; each address once."""

    def __init__(self, db: Database, fetcher: Fetcher | None = None) -> None:
        self._db = db
        self._fetcher = fetcher or Fetcher()
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._encoding = asyncio.Lock()  # one large picture at a time fits into the memory

    async def fetch(
        self, entries: Sequence[Entry], *, store: bool, again: bool
    ) -> tuple[dict[str, str], list[tuple[int, str]]]:
        """Return the hashes of pictures by their addresses, and the line and reason of each that could not be had.

        What was fetched from an address before is not fetched again, unless `again`. `store`: keep what is fetched;
        what no provider or clinic names a day later is deleted.
        """
        lines: dict[str, int] = {}
        for entry in entries:
            for address in (entry.provider.photo, *(entry.clinic.pictures or ())):
                if address:
                    lines.setdefault(address, entry.line)
        rows = await self._db.fetch(_queries.fetched_photos, list(lines)) if lines and not again else []
        hashes: dict[str, str] = {row["source"]: row["hash"] for row in rows}
        failures: list[tuple[int, str]] = []

        async def fetch_one(address: str) -> None:
            async with self._free:
                try:
                    content = await self._fetcher.fetch(address, _BYTES_MAX)
                    async with self._encoding:
                        encoded = await asyncio.to_thread(encode, content)
                except BadInput as problem:
                    failures.append((lines[address], f"{address}: {problem}"))
                    return
                if store:
                    await self._store(encoded)
                hashes[address] = encoded.hash

        async with asyncio.TaskGroup() as tasks:
            for address in lines.keys() - hashes.keys():
                tasks.create_task(fetch_one(address))
        return hashes, sorted(failures)

    async def _store(self, encoded: Encoded) -> None:
        self._db.space.require_for_bookings()
        await self._db.execute(_queries.store_photo, encoded.hash, list(encoded.webp), list(encoded.webp.values()))
