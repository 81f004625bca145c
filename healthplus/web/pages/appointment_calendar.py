"""An appointment as a file for the patient's own calendar (RFC 5545)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event

from healthplus.booking.numbers import number_of
from healthplus.database import Record
from healthplus.directory.preparation import Preparation
from healthplus.web.languages import Language

MEDIA_TYPE = "text/calendar"

_ALARMS_BEFORE = (timedelta(days=1), timedelta(hours=2))
_ZONE_KNOWN = timedelta(days=400)
"""How far around the appointment the file has its zone's clock changes: the appointment may be moved."""


def _on_clock(starts: datetime, ends: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return from when to when by the clinic's clock; in UTC where that shows an hour for the second time.

    A file can name only the first of the two.
    """
    local = starts.astimezone(ZoneInfo(zone)), ends.astimezone(ZoneInfo(zone))
    return (starts.astimezone(UTC), ends.astimezone(UTC)) if any(at.fold for at in local) else local


def calendar_of(appointment: Record, preparations: Iterable[Preparation], url: str, language: Language) -> bytes:
    """Return the file; `appointment` is a row of the query of that name, `url` the address of its page.

    Added again after the appointment was moved or cancelled, it replaces the entry made before, by UID and SEQUENCE.
    It names neither speciality nor service, also where it says what is to be done before: calendars are shared, and
    shown on locked screens.
    """
    starts, ends = _on_clock(appointment["starts_at"], appointment["ends_at"], appointment["time_zone"])
    is_cancelled = appointment["state"] == "cancelled"
    summary = language.gettext("Appointment: %(name)s") % {"name": appointment["provider"]}
    number = language.gettext("Appointment number: %(number)s") % {"number": number_of(appointment["booking_id"])}
    description = language.gettext("See, reschedule or cancel it: %(url)s") % {"url": url} + f"\n{number}"
    if appointment["patient_name"]:
        description = language.gettext("For %(name)s") % {"name": appointment["patient_name"]} + f"\n{description}"
    for one in () if is_cancelled else preparations:
        text = language.known_name("preparation", one.text)
        description = language.gettext("Before you come: %(text)s") % {"text": text} + f"\n{description}"
    event = Event.new(
        uid=str(appointment["booking_id"]),
        sequence=appointment["changes"],
        stamp=appointment["changed_at"],
        last_modified=appointment["changed_at"],
        start=starts,
        end=ends,
        summary=summary,
        location=appointment["address"],
        description=description,
        url=url,
    )
    event.add("status", "CANCELLED" if is_cancelled else "TENTATIVE" if appointment["needs_rebooking"] else "CONFIRMED")
    event.add("class", "PRIVATE")
    if appointment["latitude"] is not None and appointment["longitude"] is not None:
        event.add("geo", (appointment["latitude"], appointment["longitude"]))
    for before in () if is_cancelled else _ALARMS_BEFORE:
        alarm = Alarm.new(description=summary)
        alarm.add("action", "DISPLAY")
        alarm.add("trigger", -before)
        event.add_component(alarm)
    calendar = Calendar()
    calendar.add("prodid", "-//HealthPlus//Appointments//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    day = appointment["starts_at"].date()
    calendar.add_missing_timezones(first_date=day - _ZONE_KNOWN, last_date=day + _ZONE_KNOWN)
    file: bytes = calendar.to_ical()
    return file
