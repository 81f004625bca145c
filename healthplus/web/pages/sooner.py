"""Others like a provider, near by, who have a free time, sooner if anybody has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from healthplus.database import Record
from healthplus.search.find import Order, SearchRequest, find
from healthplus.web.pages.addresses import chart_path
from healthplus.web.pages.free_times import Location, next_times
from healthplus.web.services import AnyRequest, services

_SHOWN = 3
_LOOKED_AT = 8
_KEEP_SECONDS = 60.0
"""How old they may be: a chart says truly what is free."""
_WHERE_NONE_IS_FREE = timedelta(days=14)
"""How soon is sooner than never."""


_SOON = timedelta(hours=1)
"""Nobody needs anybody sooner than that."""


_GAIN_MIN = timedelta(hours=12)
"""What is called sooner: five minutes are no gain."""


class Sooner(NamedTuple):
    """A provider at a clinic, as the query `find` has them, and their first free time there."""

    row: Record
    start: datetime
    is_sooner: bool

    @property
    def path(self) -> str:
        """Return the address of the chart with this time chosen."""
        row, day = self.row, self.start.astimezone(ZoneInfo(self.row["time_zone"])).date()
        return chart_path(row["provider_id"], row["name"], row["clinic_id"], day=day, start=self.start)


async def free_sooner(
    request: AnyRequest, provider: Mapping[str, Any], clinic: Mapping[str, Any], start: datetime | None
) -> list[Sooner]:
    """Return the nearest of the provider's kind and first speciality in the clinic's city who are free before `start`.

    Where nobody gains half a day, who are free a little before it; without a `start`, within two weeks. They take new
    patients.
    """
    app = services(request)

    async def read() -> list[Sooner]:
        before = start or app.clock.now() + _WHERE_NONE_IS_FREE
        position = clinic["position"] or {}
        wanted = SearchRequest(
            city=clinic["city"]["slug"],
            specialities=[one["slug"] for one in provider["specialities"][:1]] if provider["type"] == "doctor" else (),
            types=[provider["type"]],
            accepts_new_patients=True,
            starts_before=before,
            latitude=position.get("latitude"),
            longitude=position.get("longitude"),
            order=Order.DISTANCE_ASC if position else Order.BEST,
        )
        rows = [row for row in await find(app.database, wanted, 0, _LOOKED_AT) if row["provider_id"] != provider["id"]]
        times = await next_times(app.database, [Location(row["provider_id"], row["clinic_id"]) for row in rows])
        found = ((row, times.get((row["provider_id"], row["clinic_id"]))) for row in rows)
        others = [
            Sooner(row, free.starts[0], start is None or start - free.starts[0] >= _GAIN_MIN)
            for row, free in found
            if free and free.starts and free.starts[0] < before
        ]
        return ([one for one in others if one.is_sooner] or others)[:_SHOWN]

    if start is not None and start <= app.clock.now() + _SOON:
        return []
    return await app.reads.read(("free sooner", provider["id"], clinic["id"], start), read, seconds=_KEEP_SECONDS)
