"""When a patient's visit is expected to begin, where the doctor runs late: what their pages say of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from healthplus.database import Record, load
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("delays.sql"))

_KEEP_SECONDS = 600.0


class Delay(NamedTuple):
    """By how many minutes a visit is late, and when to come; `is_free`: changing the appointment costs nothing now."""

    minutes: int
    come_at: datetime
    is_free: bool


async def delay_of(request: AnyRequest, appointment: Record) -> Delay | None:
    """Return the delay of an appointment of today whose patient has not come, where there is one worth saying."""
    if appointment["state"] != "booked" or appointment["needs_rebooking"]:
        return None
    which: tuple[int, UUID] = appointment["provider_id"], appointment["booking_id"]
    row = await services(request).database.fetch_row(queries.leave_home, *which)
    if row is None:
        return None
    return Delay(int((row["expected_at"] - row["starts_at"]) / timedelta(minutes=1)), row["come_at"], row["is_free"])


async def told_off(request: AnyRequest, clinic_id: int) -> dict[str, Any] | None:
    """Return how far off it was what a clinic's patients were told of delays, in `minutes`; None: nobody was told.

    It changes with each session, so it is read every ten minutes.
    """

    async def read() -> dict[str, Any] | None:
        found: dict[str, Any] | None = await services(request).database.fetch_value(queries.told_off, clinic_id)
        return found

    return await services(request).reads.read((told_off, clinic_id), read, seconds=_KEEP_SECONDS)
