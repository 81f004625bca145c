"""What pages say where an account's own appointments, or what it did with holds, are in the way of another."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from healthplus.booking.outcomes import ACCOUNT_UNPAID_MAX, RefusalCode, Refused
from healthplus.database import Record
from healthplus.web.languages import HOME_ZONE, N_
from healthplus.web.pages.addresses import appointment_path
from healthplus.web.pages.booking import booking_queries
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.session import require_patient
from healthplus.web.services import AnyRequest, services

_TEXTS = {
    "overlap": N_("%(name)s has another appointment at that time."),
    "same_day": N_("%(name)s has an appointment here on that day already. One a day is possible."),
    "too_many_unpaid": N_(
        "%(name)s has %(limit)d appointments ahead that are not paid online, and more are not possible. Cancel one "
        "that is not needed, or choose a time that is paid online."
    ),
    "too_many_ahead": N_(
        "%(name)s has %(limit)d appointments ahead, and more are not possible. Cancel one of them first."
    ),
    "hold_budget": N_(
        "Too many holds were given up, moved or ran out in a short time. You can hold a time or join a queue again "
        "from %(when)s."
    ),
    "turns_used": N_(
        "You let two turns go here within a day. You can join this queue again from %(when)s; until then, choose a "
        "free time or another doctor."
    ),
    "lapses": N_(
        "Three of your holds ran out unpaid within a day. You can hold a time or join a queue again from %(when)s."
    ),
}
_ACCOUNT_UNPAID = N_(
    "This account has %(limit)d appointments ahead that are not paid online, and more are not possible. Cancel one "
    "that is not needed, or choose a time that is paid online."
)
_OF_ONE_PERSON = ("overlap", "same_day", "too_many_unpaid", "too_many_ahead")


class Limit(NamedTuple):
    """Why not: a text, and the appointment in the way, if any, with the address of its page.

    `replaces` goes into the form by which the refused time is held instead of that appointment; "" where it cannot be.
    `is_of_one_person`: somebody else of the account could have the time.
    """

    text: str
    appointment: Record | None
    path: str
    replaces: str
    is_of_one_person: bool


async def limit_of(request: AnyRequest, outcome: Refused[RefusalCode] | None, zone: str = HOME_ZONE) -> Limit | None:
    """Return what a refusal says of the patient's own appointments and limits; None if it is for another reason."""
    if outcome is None or outcome.code not in _TEXTS:
        return None
    language = language_of(request)
    provider_id, booking_id = outcome.provider_id, outcome.booking_id
    own = None
    if provider_id is not None and booking_id is not None:
        own = await services(request).database.fetch_row(
            booking_queries.in_the_way, provider_id, booking_id, require_patient(request).patient_id
        )
    is_of_account = outcome.code == "too_many_unpaid" and outcome.limit_max == ACCOUNT_UNPAID_MAX
    text = Markup(language.gettext(_ACCOUNT_UNPAID if is_of_account else _TEXTS[outcome.code])) % {  # noqa: S704 - ours
        "name": (own and own["patient_name"]) or language.gettext("This person"),
        "when": language.moment(outcome.retry_at, zone) if outcome.retry_at else "",
        "limit": outcome.limit_max or 0,
    }
    is_of_one_person = outcome.code in _OF_ONE_PERSON and not is_of_account
    if own is None:
        return Limit(text, None, "", "", is_of_one_person)
    can_replace = outcome.state == "booked" and outcome.code != "too_many_unpaid"
    return Limit(
        text,
        own,
        appointment_path(own["provider_id"], own["booking_id"]),
        f"{provider_id}/{booking_id}" if can_replace else "",
        is_of_one_person,
    )
