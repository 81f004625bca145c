"""What can be had without waiting in a queue: other days of the same provider, and others like them nearby."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.database import Record
from healthplus.search.find import Available, Order, SearchRequest, find
from healthplus.web.pages.addresses import chart_path
from healthplus.web.pages.free_times import Location, next_times
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import ChartKey

_DAYS_SHOWN = 3
_OTHERS_SHOWN = 3


class FreeDay(NamedTuple):
    """A day of the same provider with `free` times, and where its chart is."""

    on: date
    free: int
    path: str


class Other(NamedTuple):
    """Another provider's row of the query `find`, their first free time, and where it can be chosen."""

    row: Record
    starts_at: datetime
    path: str


class QueueAlternatives(NamedTuple):
    days: list[FreeDay]
    others: list[Other]


async def queue_alternatives(request: AnyRequest, queue: Record, key: ChartKey) -> QueueAlternatives:
    """Return what is free now besides a row of the query `queue`, whose day and length `key` says."""
    return QueueAlternatives(await _other_days(request, queue, key), await _others(request, queue))


async def _other_days(request: AnyRequest, queue: Record, key: ChartKey) -> list[FreeDay]:
    week = (await services(request).charts.chart(key)).week
    where = queue["provider_id"], queue["provider"], queue["clinic_id"]
    return [
        FreeDay(on, free, chart_path(*where, services=key.service_ids, day=on, n=key.slots_needed))
        for on, free in sorted(week.items())
        if free and on != key.day
    ][:_DAYS_SHOWN]


async def _others(request: AnyRequest, queue: Record) -> list[Other]:
    if queue["speciality"] is None:
        return []
    database = services(request).database
    wanted = SearchRequest(
        city=queue["city_slug"],
        specialities=[queue["speciality"]],
        types=["doctor"],
        latitude=queue["latitude"],
        longitude=queue["longitude"],
        available=Available.WEEK,
        order=Order.DATE_ASC,
    )
    found = await find(database, wanted, 0, _OTHERS_SHOWN + 1)
    rows = [row for row in found if row["provider_id"] != queue["provider_id"]][:_OTHERS_SHOWN]
    free = await next_times(database, [Location(row["provider_id"], row["clinic_id"]) for row in rows], 1)
    others = []
    for row in rows:
        times = free.get((row["provider_id"], row["clinic_id"]))
        if times and times.starts:
            start = times.starts[0]
            on = start.astimezone(ZoneInfo(row["time_zone"])).date()
            path = chart_path(row["provider_id"], row["name"], row["clinic_id"], day=on, start=start)
            others.append(Other(row, start, path))
    return others
