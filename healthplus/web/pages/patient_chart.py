"""A chart as one patient, or nobody in particular, sees it: the chart that all share, with the patient's own times."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import Record
from healthplus.web.pages.booking import booking_queries
from healthplus.web.pages.queue_windows import PARTS, part_of
from healthplus.web.pages.session import session_of
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import DAYS, ChartKey


class Cell(NamedTuple):
    """A slot as one person sees it: `free`, `short` (too short a gap), `held`, `booked` or `mine`.

    `held_until`: when a hold ends, as its patient sees it; None also where the slot is kept for the queue.
    """

    starts_at: datetime
    ends_at: datetime
    state: str
    held_until: datetime | None


class DayPart(NamedTuple):
    """A morning, afternoon or evening with slots, how many of them are free and held, and whether any is one's own."""

    name: str
    cells: list[Cell]
    free: int
    held: int
    has_own: bool


class ChartUpdate(msgspec.Struct):
    """What a chart's script is sent: `cells` and `held_until` in the order of the slots, counts in that of the page.

    `free` and `held` are of the parts of the day, `week` of the days that are open. `shape` changes when there are
    other slots than before, or other days that have any.
    """

    version: str
    shape: str
    cells: list[str]
    held_until: list[datetime | None]
    free: list[int]
    held: list[int]
    week: list[int]


class PatientChart(NamedTuple):
    """A day's slots, and how many starts are free on each day of its week; None: closed then."""

    cells: list[Cell]
    parts: list[DayPart]
    week: dict[date, int | None]

    def update(self) -> ChartUpdate:
        open_days = {day: free for day, free in self.week.items() if free is not None}
        shape = repr(([cell.starts_at for cell in self.cells], list(open_days)))
        shown = (
            [cell.state for cell in self.cells],
            [cell.held_until for cell in self.cells],
            [part.free for part in self.parts],
            [part.held for part in self.parts],
            list(open_days.values()),
        )
        return ChartUpdate(_digest(repr((shape, shown))), _digest(shape), *shown)


async def patient_chart(request: AnyRequest, key: ChartKey) -> PatientChart:
    """Return a chart as the patient who asks sees it now."""
    chart, taken = await asyncio.gather(services(request).charts.chart(key), own_times(request, key))
    cells = [_cell(row, taken) for row in chart.slots]
    parts = []
    for part in PARTS:
        own = [cell for cell in cells if part_of(cell.starts_at, key.zone) == part]
        states = [cell.state for cell in own]
        if own:
            parts.append(DayPart(part, own, states.count("free"), states.count("held"), "mine" in states))
    days = [key.first_day + timedelta(days=number) for number in range(DAYS)]
    return PatientChart(cells, parts, {day: chart.week.get(day) for day in days})


async def own_times(request: AnyRequest, key: ChartKey) -> list[Record]:
    """Return from when to when the patient who asks has something with this provider on the chart's day."""
    if (session := session_of(request)) is None:
        return []
    day = key.bounds(key.day)
    return await services(request).database.fetch(booking_queries.own_times, key.provider_id, session.patient_id, *day)


def _cell(row: Record, taken: list[Record]) -> Cell:
    state = row["state"]
    if any(one["starts_at"] <= row["starts_at"] < one["ends_at"] for one in taken):
        state = "mine"
    elif state == "free" and not row["fits"]:
        state = "short"
    held_until = row["held_until"] - CLIENT_MARGIN if state == "held" and row["held_until"] else None
    return Cell(row["starts_at"], row["ends_at"], state, held_until)


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
