"""The next free times, as pages show them: day by day, in the clinic's zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.database import Database, load

queries = load(Path(__file__).with_name("find.sql"))

SHOWN = 3


class FreeTimes(NamedTuple):
    """Some of the next free times, in order, and how many the first of their days has."""

    starts: Sequence[datetime] = ()
    that_day: int = 0


class Day(NamedTuple):
    """Some of a day's free times, in the clinic's zone, and how many it has; None: not counted."""

    on: date
    time_zone: str
    starts: list[datetime]
    total: int | None


class Location(NamedTuple):
    """Where to look for free times: from which instant on (None: from now on), with time for which services."""

    provider_id: int
    clinic_id: int
    starts_from: datetime | None = None
    service_ids: Sequence[int] = ()


async def next_times(
    database: Database, locations: Iterable[Location], count: int = SHOWN
) -> dict[tuple[int, int], FreeTimes]:
    """Return the next times by provider and clinic, spread over the day, all in one query."""
    # The driver has no arrays of arrays of other lengths.
    rows_asked = [
        (*one[:3], f"{{{','.join(map(str, one.service_ids))}}}" if one.service_ids else None) for one in locations
    ]
    if not rows_asked:
        return {}
    columns = [list(column) for column in zip(*rows_asked, strict=True)]
    rows = await database.fetch(queries.next_times, *columns, count)
    return {(row["provider_id"], row["clinic_id"]): FreeTimes(row["times"], row["that_day"]) for row in rows}


def by_day(free: FreeTimes, time_zone: str) -> list[Day]:
    """Return free times by the days on which they are."""
    local = (start.astimezone(ZoneInfo(time_zone)) for start in free.starts)
    days = [Day(on, time_zone, list(times), None) for on, times in groupby(local, datetime.date)]
    return [days[0]._replace(total=free.that_day), *days[1:]] if days else []
