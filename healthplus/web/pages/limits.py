"""What pages say where an account's own appointments, or what it did with holds, are in the way of another."""

from __future__ import annotations

from typing import NamedTuple

from healthplus.booking.outcomes import RefusalCode, Refused
from healthplus.web.languages import HOME_ZONE, N_, Language
from healthplus.web.pages.addresses import appointment_path

_TEXTS = {
    "overlap": N_("There is an appointment for the same person then: %(when)s. Choose another time."),
    "same_day": N_("There is an appointment for the same person here on that day: %(when)s. Choose another day."),
    "too_many_unpaid": N_(
        "Up to %(limit)d appointments that are not paid online can be ahead. Cancel one that is not needed, or choose "
        "a time that is paid online."
    ),
    "too_many_ahead": N_("A person can have up to %(limit)d appointments ahead. Cancel one that is not needed first."),
    "hold_budget": N_(
        "Too many holds were given up, moved or ran out in a short time. You can hold again from %(when)s."
    ),
    "turns_used": N_(
        "Two turns were let go here within a day. You can wait here again from %(when)s; until then, choose a free "
        "time or another doctor."
    ),
    "lapses": N_(
        "Three of your holds ran out unpaid within a day. You can hold a time or join a queue again from %(when)s."
    ),
}


class Limit(NamedTuple):
    """Why not: a text; the address of the appointment in the way, if any; and what replacing that one is called.

    `replaces` goes into the form by which the refused time is held instead of that appointment; "" where it cannot be.
    """

    text: str
    appointment: str | None
    replaces: str


def limit_of(outcome: Refused[RefusalCode] | None, language: Language, zone: str = HOME_ZONE) -> Limit | None:
    """Return what a refusal says of the patient's own appointments and limits; None if it is for another reason."""
    if outcome is None or outcome.code not in _TEXTS:
        return None
    at = outcome.retry_at or outcome.starts_at
    when = language.moment(at, zone) if at else ""
    text = language.gettext(_TEXTS[outcome.code]) % {"when": when, "limit": outcome.limit_max or 0}
    if outcome.provider_id is None or outcome.booking_id is None:
        return Limit(text, None, "")
    can_replace = outcome.state == "booked" and outcome.code != "too_many_unpaid"
    replaces = f"{outcome.provider_id}/{outcome.booking_id}" if can_replace else ""
    return Limit(text, appointment_path(outcome.provider_id, outcome.booking_id), replaces)
