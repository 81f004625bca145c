"""Charts as everybody sees them: each worked out once for all who look, and told anew when its book changes."""

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
from healthplus.database import Database, PostgresError, Record, load
from healthplus.errors import HealthPlusError

queries = load(Path(__file__).with_name("shared_charts.sql"))
logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
"""How late a change is heard of at most when its hint was lost."""
TELL_EVERY_SECONDS = 1.0
NEWS_SECONDS = 25.0
"""How long whoever watches waits for news at most."""
_CHARTS_MAX = 2000
DAYS = 7

T = TypeVar("T")


class Asked(NamedTuple):
    """A day's chart, and counts of the `DAYS` from `first_day`, for visits of `slots_needed`, in the clinic's zone."""

    provider_id: int
    clinic_id: int
    day: date
    first_day: date
    slots_needed: int
    zone: str

    def midnight(self, on: date) -> datetime:
        return datetime.combine(on, time(), ZoneInfo(self.zone))


class Chart(NamedTuple):
    """The day's slots as Book.chart gives them, to nobody in particular; and free starts by day and hour of the week.

    A day that is not in `week` is closed.
    """

    slots: list[Record]
    week: dict[date, dict[int, int]]


class Charts:
    """The charts that somebody looks at through this process."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._known: OrderedDict[Asked, tuple[tuple[object, ...], asyncio.Task[Chart]]] = OrderedDict()
        self._watchers: defaultdict[int, set[asyncio.Future[None]]] = defaultdict(set)
        self._resting: dict[int, bool] = {}
        """Books whose watchers were woken less than a second ago, and whether more has been heard since."""
        self._versions: dict[int, tuple[int, datetime]] = {}
        self.draining = False

    async def chart(self, asked: Asked) -> Chart:
        """Give a chart as it is now."""
        stamp = await self._book.chart_stamp(asked.provider_id)
        assert stamp is not None
        known = self._known.get(asked)
        if known is None or known[0] != tuple(stamp) or _failed(known[1]):
            known = tuple(stamp), asyncio.create_task(self._read(asked))
            known[1].add_done_callback(_failed)  # it may be that nobody waits any more to hear of it
            self._known[asked] = known
            if len(self._known) > _CHARTS_MAX:
                self._known.popitem(last=False)
        self._known.move_to_end(asked)
        # Shielded: whoever hangs up must not take it from the others who wait for it.
        return await asyncio.shield(known[1])

    async def as_soon_as(self, provider_id: int, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """Give what `look` finds as soon as it finds something; it looks anew whenever a provider's book has changed.

        None after NEWS_SECONDS, and at once where this process drains.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + NEWS_SECONDS
        while True:
            # Listened for before looking: whatever happens after the look is heard.
            with self._watching(provider_id) as change:
                found = await look()
                left = until - loop.time()
                if found is not None or left <= 0 or self.draining:
                    return found
                await asyncio.wait((change,), timeout=left)

    def heard(self, provider_ids: Iterable[int]) -> None:
        """Take a hint that these books may have changed."""
        for provider_id in provider_ids:
            if provider_id in self._resting:
                self._resting[provider_id] = True
            elif provider_id in self._watchers:
                self._tell(provider_id)

    def drain(self) -> None:
        """Answer all who watch, now and from now on, so that this process can end."""
        self.draining = True
        for provider_id in self._watchers:
            self._wake(provider_id)

    async def run(self) -> None:
        """Look for what hints did not tell, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            if not self._watchers:
                self._versions.clear()
                continue
            try:
                rows = await self._database.fetch(queries.versions, list(self._watchers))
            except (HealthPlusError, PostgresError) as error:
                logger.warning("whether charts have changed could not be read: %s", type(error).__name__)
                continue
            # With each minute that begins, slots go out of reach. A book that was not watched a moment ago may have
            # changed since its watchers looked.
            seen = {row["provider_id"]: (row["version"], row["minute"]) for row in rows}
            self.heard(provider_id for provider_id, now in seen.items() if self._versions.get(provider_id) != now)
            self._versions = seen

    @contextlib.contextmanager
    def _watching(self, provider_id: int) -> Iterator[asyncio.Future[None]]:
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers[provider_id].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[provider_id].discard(watcher)
            if not self._watchers[provider_id]:
                del self._watchers[provider_id]

    def _tell(self, provider_id: int) -> None:
        """Wake all who watch a book, and again in a second if more has happened by then: each of them looks anew."""
        self._wake(provider_id)
        self._resting[provider_id] = False
        asyncio.get_running_loop().call_later(TELL_EVERY_SECONDS, self._rested, provider_id)

    def _rested(self, provider_id: int) -> None:
        if self._resting.pop(provider_id) and provider_id in self._watchers:
            self._tell(provider_id)

    def _wake(self, provider_id: int) -> None:
        for watcher in self._watchers[provider_id]:
            if not watcher.done():
                watcher.set_result(None)

    async def _read(self, asked: Asked) -> Chart:
        day = asked.midnight(asked.day), asked.midnight(asked.day + timedelta(days=1))
        week = asked.midnight(asked.first_day), asked.midnight(asked.first_day + timedelta(days=DAYS))
        slots, counts = await asyncio.gather(
            self._book.chart(asked.provider_id, asked.clinic_id, *day, asked.slots_needed, None),
            self._database.fetch(
                queries.week, asked.provider_id, asked.clinic_id, *week, asked.slots_needed, asked.zone
            ),
        )
        free: dict[date, dict[int, int]] = {}
        for row in counts:
            free.setdefault(row["day"], {})[row["hour"]] = row["free"]
        return Chart(slots, free)


def _failed(task: asyncio.Task[Chart]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
