"""Which chart the address of a request asks for, and what its patient holds on it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from healthplus.database import Record
from healthplus.web.pages.booking import parsed_day
from healthplus.web.pages.service_choice import ServiceChoice, service_choice
from healthplus.web.pages.session import Claim, PatientSession, session_of
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import DAYS, ChartKey


async def requested_chart(
    request: AnyRequest, location: Record, day: str, n: str, start: datetime | None
) -> tuple[ChartKey, ServiceChoice]:
    """Read from an address what is to be done, and which chart shows when it can be.

    What makes no sense there is as if it were not there. Where no day is asked for, it is the first that is open.
    """
    session = session_of(request)
    claim = session.claim if session else None
    is_here = claim is not None and (claim.provider_id, claim.row["clinic_id"]) == (
        location["provider_id"],
        location["clinic_id"],
    )
    choice = await service_choice(request, location, claim.row["service_ids"] if claim and is_here else None)
    key = _chart_key(request, location, choice, day, n, start)
    if start is None and not day:
        key = await _first_open(request, key)
    return key, choice


async def _first_open(request: AnyRequest, key: ChartKey) -> ChartKey:
    """Return the chart of the week's first day with a free time where the day itself has no slots, as after hours."""
    chart = await services(request).charts.chart(key)
    if chart.slots:
        return key
    return key._replace(day=next((day for day in sorted(chart.week) if chart.week[day]), key.day))


def _chart_key(
    request: AnyRequest, location: Record, choice: ServiceChoice, day: str, n: str, start: datetime | None
) -> ChartKey:
    today, last = days_bookable(request, location)
    shown = parsed_day(day) or (start.astimezone(ZoneInfo(location["time_zone"])).date() if start else today)
    shown = min(max(shown, today), last)
    slots_needed = min(max(int(n) if n.isdecimal() and len(n) < 3 else 1, 1), location["slots_max"])
    slots_needed = 1 if choice.chosen else slots_needed
    first = today + timedelta(days=(shown - today).days // DAYS * DAYS)
    where = location["provider_id"], location["clinic_id"]
    return ChartKey(*where, shown, first, slots_needed, location["time_zone"], choice.ids)


def hold_here(session: PatientSession | None, key: ChartKey) -> Claim | None:
    """Return the patient's live hold if it can be moved to another time of this chart, with its five minutes."""
    if session is None or session.claim is None or session.claim.kind != "hold":
        return None
    claim = session.claim
    row = claim.row
    slots_needed = 1 if row["service_ids"] else row["slots_needed"]
    here = (claim.provider_id, row["clinic_id"], slots_needed, tuple(row["service_ids"] or ()))
    return claim if here == (key.provider_id, key.clinic_id, key.slots_needed, key.service_ids) else None


def days_bookable(request: AnyRequest, location: Record) -> tuple[date, date]:
    """Return the first and the last day that can be booked now, in the clinic's zone."""
    today = services(request).clock.now().astimezone(ZoneInfo(location["time_zone"])).date()
    return today, today + timedelta(days=location["max_booking_days"])
