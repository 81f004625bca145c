"""What the pages from the chart to the appointment share."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from healthplus.database import Record, load
from healthplus.errors import NotFound
from healthplus.web.http.ids import ID_MAX
from healthplus.web.http.instants import YEAR_MAX, YEAR_MIN
from healthplus.web.languages import N_, Language
from healthplus.web.services import AnyRequest, services

booking_queries = load(Path(__file__).with_name("booking.sql"))

ARRIVE_EARLY = timedelta(minutes=10)
"""How long before an appointment pages ask its patient to be there."""

_NO_SUCH_SLOT = {
    "past": N_("This time is past. Choose a later one."),
    "closed": N_("There are no appointments at this time. Choose one of the times below."),
    "beyond_horizon": N_("This is further ahead than can be booked. Choose an earlier day."),
    "off_grid": N_("No appointment begins at this time. Choose one of the times below."),
    "too_late": N_("This starts too soon to be booked here. Choose a later time, or call the clinic."),
    "slots_needed": N_("One appointment here cannot be so long. Choose a shorter one."),
    "on_leave": N_("The provider is away at this time. Choose another day."),
    "desk_only": N_("Only the clinic’s desk gives this time. Call them, or choose another."),
    "too_long": N_("The clinic closes before all of it would be done. Choose an earlier time."),
    "not_that_day": N_("It is not done on this day of the week. Choose another day."),
    "no_such_service": N_("That is not offered here. Choose again."),
    "service_closed": N_("What you chose has just changed. Choose again."),
    "not_together": N_("These cannot be done in one appointment. Book each as its own appointment."),
    "too_many_services": N_("These are too many for one appointment. Book some of them as another appointment."),
    "too_dear": N_("Together these cost more than one appointment may. Book some of them as another appointment."),
}


def parsed_instant(text: str) -> datetime | None:
    """Return the instant in a text of an address or form; None where it is no instant."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign in an address may come as a space
    except ValueError:
        return None
    return at if at.tzinfo and YEAR_MIN <= at.year <= YEAR_MAX else None


def no_such_slot_text(language: Language, reason: str) -> str:
    """Return why a verb refused a slot as `no_such_slot`."""
    return language.gettext(_NO_SUCH_SLOT.get(reason, _NO_SUCH_SLOT["closed"]))


def parsed_day(text: str) -> date | None:
    """Return the day in a text of an address; None where it is no day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parsed_number(text: str, most: int = ID_MAX) -> int:
    """Return the number from 1 to `most`, by default an id, in a text of an address. Raises NotFound."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise NotFound
    return int(text)


async def practice_location(request: AnyRequest, provider_id: int, clinic_id: int) -> Record:
    """Return a provider at a clinic, as the query of this name has them. Raises NotFound where there is none."""
    location = await services(request).database.fetch_row(booking_queries.practice_location, provider_id, clinic_id)
    if location is None:
        raise NotFound
    return location
