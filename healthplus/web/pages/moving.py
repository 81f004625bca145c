"""The page on which a patient chooses another time for an appointment."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from litestar import Response

from healthplus.database import Record, load
from healthplus.web.languages import Language
from healthplus.web.pages.chart_month import next_month, weeks_of
from healthplus.web.pages.chart_view import SlotTimes, slot_times
from healthplus.web.pages.limits import Limit
from healthplus.web.pages.queue_windows import part_of
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.pages.session import require_patient
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("appointments.sql"))

_WEEK = timedelta(days=7)


async def move_page(
    request: AnyRequest,
    appointment: Record,
    day: date | None,
    status: int = 200,
    error: str | None = None,
    chosen: datetime | None = None,
    limit: Limit | None = None,
) -> Response[str]:
    """Return the page with a week of days and the free times of one: `day`, or else the first that has any.

    `chosen` is a time that was chosen before. It stays so where it cannot be had: others may only hold it.
    """
    shown = partial(
        page,
        request,
        "appointments/move.html",
        status=status,
        appointment=appointment,
        booked=await services(request).known_services.of(appointment["service_ids"]),
        error=error,
        gone=None,
        limit=limit,
    )
    if appointment["state"] != "booked" or appointment["begun"]:
        return shown()
    app = services(request)
    zone = ZoneInfo(appointment["time_zone"])
    now = app.clock.now()
    today, appointment_day = now.astimezone(zone).date(), appointment["starts_at"].astimezone(zone).date()
    last_day = today + timedelta(days=appointment["max_booking_days"])
    which = (appointment["provider_id"], appointment["booking_id"])
    terms = await app.book.terms(*which, require_patient(request).patient_id)
    assert terms is not None
    if day is None:
        # Near the day that suited until now, if there is anything.
        start = await app.database.fetch_value(queries.next_free_start, *which, _midnight(appointment_day, zone)) or (
            await app.database.fetch_value(queries.next_free_start, *which, now)
        )
        day = start.astimezone(zone).date() if start else appointment_day
    day = min(max(day, today), last_day)
    week = today + (day - today) // _WEEK * _WEEK
    starts: dict[date, list[datetime]] = {week + timedelta(days=n): [] for n in range(7)}
    rows = await app.database.fetch(queries.free_starts, *which, _midnight(week, zone), _midnight(week + _WEEK, zone))
    for row in rows:
        starts[row["starts_at"].astimezone(zone).date()].append(row["starts_at"])
    free = starts[day]
    later = None if free else await app.database.fetch_value(queries.next_free_start, *which, _midnight(day, zone))
    language = language_of(request)
    if chosen and chosen not in free and error is None:
        said = language.gettext("%(time)s is taken by now. Your appointment is unchanged.")
        shown = partial(shown, gone=said % {"time": language.clock(chosen, appointment["time_zone"])})
        chosen = None
    return shown(
        chosen=chosen,
        kept_minor=terms.kept_minor if appointment["money"] else 0,
        day=day,
        today=today,
        day_parts=_parts(sorted({*free, chosen}) if chosen else free, appointment, language),
        zone_name=language.zone(free or [chosen or _midnight(day, zone)], appointment["time_zone"]),
        days={one: len(free) for one, free in starts.items() if one <= last_day},
        free=free,
        later=later.astimezone(zone).date() if later else None,
        earlier_week=week - _WEEK if week > today else None,
        later_week=week + _WEEK if week + _WEEK <= last_day else None,
    )


async def move_month_page(request: AnyRequest, appointment: Record, month: date) -> Response[str]:
    """Return the page with how many times each day of a month has to which an appointment can be moved."""
    if appointment["state"] != "booked" or appointment["begun"]:
        return await move_page(request, appointment, None)
    app, zone = services(request), ZoneInfo(appointment["time_zone"])
    today = app.clock.now().astimezone(zone).date()
    last_day = today + timedelta(days=appointment["max_booking_days"])
    first = max(min(month, last_day).replace(day=1), today)
    last = min(next_month(first) - timedelta(days=1), last_day)
    which = appointment["provider_id"], appointment["booking_id"]
    bounds = _midnight(first, zone), _midnight(last + timedelta(days=1), zone)
    rows = await app.database.fetch(queries.free_starts, *which, *bounds)
    before, after = first.replace(day=1) - timedelta(days=1), next_month(first)
    return page(
        request,
        "chart/move_month.html",
        appointment=appointment,
        booked=await app.known_services.of(appointment["service_ids"]),
        first=first,
        last=last,
        weeks=weeks_of(first),
        free=Counter(row["starts_at"].astimezone(zone).date() for row in rows),
        earlier=before if before >= today else None,
        later=after if after <= last_day else None,
    )


def _parts(
    starts: list[datetime], appointment: Record, language: Language
) -> dict[str, list[tuple[datetime, SlotTimes]]]:
    """Return the times of a day by its parts, each with how it is written."""
    zone, length = appointment["time_zone"], appointment["ends_at"] - appointment["starts_at"]
    parts: dict[str, list[tuple[datetime, SlotTimes]]] = {}
    for start in starts:
        times = slot_times(start, start + length, zone, language)
        parts.setdefault(part_of(start, zone), []).append((start, times))
    return parts


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
