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
from healthplus.web.shared_charts import DAYS, Chart, ChartKey


class Cell(NamedTuple):
    """A slot as one person sees it: `free`, `short` (too short a gap), `held`, `booked` or `mine`.

    `held_until`: when a hold ends, as its patient sees it; None also where the slot is kept for the queue.
    """

    starts_at: datetime
    ends_at: datetime
    state: str
    held_until: datetime | None


class DayPart(NamedTuple):
    """A morning, afternoon or evening with slots, and how many of them are free and held."""

    name: str
    cells: list[Cell]
    free: int
    held: int


class ChartUpdate(msgspec.Struct):
    """What a chart's script is sent: `cells` and `held_until` in the order of the slots, counts in that of the page.

    `shape` changes when there are other slots than before, or other days and parts that have any.
    """

    version: str
    shape: str
    cells: list[str]
    held_until: list[datetime | None]
    free: list[int]
    week: list[int]


class PatientChart(NamedTuple):
    """A day's slots, and for each part of the day the counts of free starts on each of `days`; None: closed then."""

    cells: list[Cell]
    parts: list[DayPart]
    days: list[date]
    week: list[tuple[str, list[int | None]]]

    def free_on(self, day: date) -> int:
        """Return how many starts are free on one of the days."""
        at = self.days.index(day)
        return sum(counts[at] or 0 for _, counts in self.week)

    def update(self) -> ChartUpdate:
        shape = repr(
            (
                [cell.starts_at for cell in self.cells],
                [(part, [count is None for count in counts]) for part, counts in self.week],
            )
        )
        free = [part.free for part in self.parts]
        week = [count for _, counts in self.week for count in counts if count is not None]
        shown = ([cell.state for cell in self.cells], [cell.held_until for cell in self.cells], free, week)
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
            parts.append(DayPart(part, own, states.count("free"), states.count("held")))
    days = [key.first_day + timedelta(days=number) for number in range(DAYS)]
    week = [(part, [_count(chart, day, part) for day in days]) for part in PARTS]
    # A part that is closed on all days, such as the mornings of a doctor of the evenings, is left out.
    return PatientChart(cells, parts, days, [row for row in week if any(count is not None for count in row[1])])


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


def _count(chart: Chart, day: date, part: str) -> int | None:
    begins, ends = PARTS[part]
    counts = [count for hour, count in chart.week.get(day, {}).items() if begins <= hour < ends]
    return sum(counts) if counts else None


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
