"""Charts as everybody sees them: each is computed once for all who look at it, and again when its book changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.booking.book import Book
from healthplus.database import Database, Record, load
from healthplus.web.book_watchers import BookWatchers

queries = load(Path(__file__).with_name("shared_charts.sql"))

WAKE_EVERY_SECONDS = 1.0
"""How often at most those who look at a book's charts are woken."""
_CHARTS_MAX = 2000
DAYS = 7


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


class Charts(BookWatchers):
    """The charts that clients look at through this process."""

    def __init__(self, database: Database, book: Book) -> None:
        super().__init__(database, WAKE_EVERY_SECONDS, "charts")
        self._book = book
        self._known: OrderedDict[ChartKey, tuple[tuple[object, ...], asyncio.Task[Chart]]] = OrderedDict()

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
