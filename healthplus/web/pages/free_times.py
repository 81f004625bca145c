"""The next times that can be had, as pages show them: day by day, on the clinic's own clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.database import Database, load

queries = load(Path(__file__).with_name("find.sql"))

SHOWN = 3


class Day(NamedTuple):
    """Times of one day there."""

    on: date
    time_zone: str
    starts: list[datetime]


async def next_times(
    database: Database, posts: Iterable[tuple[int, int, datetime | None]], count: int = SHOWN
) -> dict[tuple[int, int], list[datetime]]:
    """Give the next times by provider and clinic, all in one query; each from an instant on, or from now."""
    columns = [list(column) for column in zip(*posts, strict=True)]
    if not columns:
        return {}
    rows = await database.fetch(queries.next_times, *columns, count)
    return {(row["provider_id"], row["clinic_id"]): row["times"] for row in rows}


def by_day(starts: Iterable[datetime], time_zone: str) -> list[Day]:
    local = (start.astimezone(ZoneInfo(time_zone)) for start in starts)
    return [Day(on, time_zone, list(times)) for on, times in groupby(local, datetime.date)]
