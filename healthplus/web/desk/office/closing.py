"""Closing after a last day: shifts end with it, so that what was booked for later can be moved to days before."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from healthplus.console.console import queries
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, change
from healthplus.web.desk.office.week import stored_shift
from healthplus.web.services import AnyRequest


def last_day_of(form: Form, zone: str, now: datetime) -> date | None:
    """Return the last day that a form to close has; None for none, or where it is over, which the form then says."""
    last = form.day("last_day")
    if last is not None and last < now.astimezone(ZoneInfo(zone)).date():
        form.fail("last_day", form.gettext("This is over already."))
        return None
    return last


async def end_shifts(
    request: AnyRequest, clinic_id: int, provider_id: int, last: date, seen: datetime | None, moves: dict[str, str]
) -> dict[str, Any]:
    """End a provider's shifts at a clinic with a day, over what was seen; answers as change_shifts does."""
    week = await ask(request, queries.week, clinic_id, provider_id, last - timedelta(days=last.weekday()))
    remove = [one["shift_id"] for one in week["all_shifts"] if (one["valid_from"] or "") > last.isoformat()]
    put = [
        {**stored_shift(one), "shift_id": one["shift_id"], "valid_to": (last + timedelta(days=1)).isoformat()}
        for one in week["all_shifts"]
        if one["shift_id"] not in remove and (one["valid_until"] or "9999") > last.isoformat()
    ]
    was = {str(one["shift_id"]): one["digest"] for one in week["all_shifts"]}
    return await change(request, queries.change_shifts, clinic_id, provider_id, remove, put, was, seen, moves)
