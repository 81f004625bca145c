"""A visit as a file for the patient's own calendar (RFC 5545)."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event

from healthplus.database import Record
from healthplus.web.languages import Language

MEDIA_TYPE = "text/calendar"

_ALARMS_BEFORE = (timedelta(days=1), timedelta(hours=2))
_ZONE_KNOWN = timedelta(days=400)
"""How far around the visit the file says when its zone changes its clocks: a visit may be moved, the file not."""


def calendar_of(visit: Record, url: str, language: Language) -> bytes:
    """Give the file; `visit` is a row of the query of that name, `url` where its page is.

    Taken in again after the visit was moved or cancelled, it replaces the entry made before, by UID and SEQUENCE. It
    does not say what is treated: calendars are shared, and shown on locked screens.
    """
    zone = ZoneInfo(visit["time_zone"])
    is_cancelled = visit["state"] == "cancelled"
    summary = language.gettext("Visit: %(name)s") % {"name": visit["provider"]}
    description = language.gettext("See, move or cancel it: %(url)s") % {"url": url}
    event = Event.new(
        uid=str(visit["booking_id"]),
        sequence=visit["changes"],
        stamp=visit["changed_at"],
        last_modified=visit["changed_at"],
        start=visit["starts_at"].astimezone(zone),
        end=visit["ends_at"].astimezone(zone),
        summary=summary,
        location=visit["address"],
        description=description,
        url=url,
    )
    event.add("status", "CANCELLED" if is_cancelled else "TENTATIVE" if visit["needs_rebooking"] else "CONFIRMED")
    event.add("class", "PRIVATE")
    if visit["latitude"] is not None and visit["longitude"] is not None:
        event.add("geo", (visit["latitude"], visit["longitude"]))
    for before in () if is_cancelled else _ALARMS_BEFORE:
        alarm = Alarm.new(description=summary)
        alarm.add("action", "DISPLAY")
        alarm.add("trigger", -before)
        event.add_component(alarm)
    calendar = Calendar()
    calendar.add("prodid", "-//HealthPlus//Visits//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    day = visit["starts_at"].date()
    calendar.add_missing_timezones(first_date=day - _ZONE_KNOWN, last_date=day + _ZONE_KNOWN)
    file: bytes = calendar.to_ical()
    return file
