"""Clients that wait until a book changes: long polls of charts, and of what a clinic's desk has open.

The change feed says at once which books have changed; a look at the books' versions, once a second, finds what it has
lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from healthplus.database import Database, load, repeat
from healthplus.idle import idle

queries = load(Path(__file__).with_name("book_watchers.sql"))

LOOK_EVERY_SECONDS = 1.0
"""How late at most a change is noticed that the change feed has lost."""
WAIT_SECONDS_MAX = 25.0
"""How long at most a watcher waits for an update."""

T = TypeVar("T")


class BookWatchers:
    """Those who wait, through this process, for changes of books."""

    def __init__(self, database: Database, wake_every_seconds: float, name: str) -> None:
        """Take how often at most the watchers of a book are woken, and the name of the task that looks for changes."""
        self._database = database
        self._name = name
        self._wake_every_seconds = wake_every_seconds
        self._watchers: defaultdict[int, set[asyncio.Future[None]]] = defaultdict(set)
        self._resting: dict[int, bool] = {}
        """Books whose watchers were woken so short a time ago, and whether they have changed since."""
        self._versions: dict[int, tuple[int, datetime]] = {}
        self.draining = False

    async def wait_for_update(
        self, provider_id: int, look: Callable[[], Awaitable[T | None]], *others: int
    ) -> T | None:
        """Return what `look` finds; while that is None, look again when the provider's book, or of `others`, changes.

        None after WAIT_SECONDS_MAX, and where this process drains.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_SECONDS_MAX
        while True:
            # Watched from before the look: a change after it ends the wait.
            with self._watching({provider_id, *others}) as change:
                found = await look()
                left = until - loop.time()
                if found is not None or left <= 0 or self.draining:
                    return found
                async with idle():
                    await asyncio.wait((change,), timeout=left)

    def on_change(self, provider_ids: Iterable[int]) -> None:
        """Wake those who watch these books, which may have changed."""
        for provider_id in provider_ids:
            if provider_id in self._resting:
                self._resting[provider_id] = True
            elif provider_id in self._watchers:
                self._wake_and_rest(provider_id)

    def drain(self) -> None:
        """Answer all who watch, now and from now on, so that this process can end."""
        self.draining = True
        for provider_id in self._watchers:
            self._wake(provider_id)

    async def run(self) -> None:
        """Look for changes that the change feed has lost, until cancelled."""
        await repeat(
            self._look_for_changes, LOOK_EVERY_SECONDS, "whether books have changed could not be read", name=self._name
        )

    async def _look_for_changes(self) -> None:
        rows = await self._database.fetch(queries.versions, list(self._watchers)) if self._watchers else []
        # A minute that begins is a change, too: slots go out of reach. So is a book that was not watched a moment
        # ago: it may have changed since its watchers looked.
        seen = {row["provider_id"]: (row["version"], row["minute"]) for row in rows}
        self.on_change(provider_id for provider_id, now in seen.items() if self._versions.get(provider_id) != now)
        self._versions = seen

    @contextlib.contextmanager
    def _watching(self, provider_ids: Iterable[int]) -> Iterator[asyncio.Future[None]]:
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for provider_id in provider_ids:
            self._watchers[provider_id].add(watcher)
        try:
            yield watcher
        finally:
            for provider_id in provider_ids:
                self._watchers[provider_id].discard(watcher)
                if not self._watchers[provider_id]:
                    del self._watchers[provider_id]

    def _wake_and_rest(self, provider_id: int) -> None:
        """Wake all who watch a book, and again after the pause if it has changed by then."""
        self._wake(provider_id)
        self._resting[provider_id] = False
        asyncio.get_running_loop().call_later(self._wake_every_seconds, self._rested, provider_id)

    def _rested(self, provider_id: int) -> None:
        if self._resting.pop(provider_id) and provider_id in self._watchers:
            self._wake_and_rest(provider_id)

    def _wake(self, provider_id: int) -> None:
        for watcher in self._watchers[provider_id]:
            if not watcher.done():
                watcher.set_result(None)
