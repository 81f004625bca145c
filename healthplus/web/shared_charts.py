"""Charts as everybody sees them: each is computed once for all who look at it, and again when its book changes.

Long polls wait here for such a change. The change feed says at once which books have changed; a look at the books'
versions, once a second, finds what it has lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from healthplus.booking.book import Book
from healthplus.database import Database, Record, load, repeat
from healthplus.idle import idle

queries = load(Path(__file__).with_name("shared_charts.sql"))
logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
"""How late at most a change is noticed that the change feed has lost."""
WAKE_EVERY_SECONDS = 1.0
"""How often at most the watchers of a book are woken."""
WAIT_SECONDS_MAX = 25.0
"""How long at most a watcher waits for an update."""
_CHARTS_MAX = 2000
DAYS = 7

T = TypeVar("T")


class ChartKey(NamedTuple):
    """The key of a chart, which all who look at the same one share.

    A chart has the slots of `day`, and counts of free starts on the `DAYS` from `first_day` on; a start is free if
    `slots_needed` in a row are, or time for `service_ids`. Days are those of the clinic's `zone`.
    """

    provider_id: int
    clinic_id: int
    day: date
    first_day: date
    slots_needed: int
    zone: str
    service_ids: tuple[int, ...] = ()

    def bounds(self, first: date, days: int = 1) -> tuple[datetime, datetime]:
        """Return the instants from and until which these days last."""
        zone = ZoneInfo(self.zone)
        return datetime.combine(first, time(), zone), datetime.combine(first + timedelta(days=days), time(), zone)


class Chart(NamedTuple):
    """A day's slots as Book.chart returns them for no patient in particular; and counts of free starts by day.

    A day that is not in `week` is closed.
    """

    slots: list[Record]
    week: dict[date, int]


class Charts:
    """The charts that clients look at through this process."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._known: OrderedDict[ChartKey, tuple[tuple[object, ...], asyncio.Task[Chart]]] = OrderedDict()
        self._watchers: defaultdict[int, set[asyncio.Future[None]]] = defaultdict(set)
        self._resting: dict[int, bool] = {}
        """Books whose watchers were woken less than WAKE_EVERY_SECONDS ago, and whether they have changed since."""
        self._versions: dict[int, tuple[int, datetime]] = {}
        self.draining = False

    async def chart(self, key: ChartKey) -> Chart:
        """Return a chart as it is now."""
        stamp = await self._book.chart_stamp(key.provider_id)
        assert stamp is not None
        known = self._known.get(key)
        if known is None or known[0] != tuple(stamp) or _failed(known[1]):
            known = tuple(stamp), asyncio.create_task(self._read(key))
            known[1].add_done_callback(_failed)  # by then nobody may be left who awaits its error
            self._known[key] = known
            if len(self._known) > _CHARTS_MAX:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        # Shielded: a client that hangs up must not cancel the read that others wait for.
        return await asyncio.shield(known[1])

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
            self._look_for_changes, LOOK_EVERY_SECONDS, "whether charts have changed could not be read", name="charts"
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
        """Wake all who watch a book, and again after WAKE_EVERY_SECONDS if it has changed by then."""
        self._wake(provider_id)
        self._resting[provider_id] = False
        asyncio.get_running_loop().call_later(WAKE_EVERY_SECONDS, self._rested, provider_id)

    def _rested(self, provider_id: int) -> None:
        if self._resting.pop(provider_id) and provider_id in self._watchers:
            self._wake_and_rest(provider_id)

    def _wake(self, provider_id: int) -> None:
        for watcher in self._watchers[provider_id]:
            if not watcher.done():
                watcher.set_result(None)

    async def free_by_day(self, key: ChartKey, first: date, days: int) -> dict[date, int]:
        """Return how many starts are free on each of so many days; those that are closed are left out."""
        rows = await self._database.fetch(
            queries.days,
            key.provider_id,
            key.clinic_id,
            *key.bounds(first, days),
            key.slots_needed,
            key.zone,
            list(key.service_ids) or None,
        )
        return {row["day"]: row["free"] for row in rows}

    async def _read(self, key: ChartKey) -> Chart:
        day = key.bounds(key.day)
        slots, week = await asyncio.gather(
            self._book.chart(key.provider_id, key.clinic_id, *day, key.slots_needed, None, key.service_ids),
            self.free_by_day(key, key.first_day, DAYS),
        )
        return Chart(slots, week)


def _failed(task: asyncio.Task[Chart]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
