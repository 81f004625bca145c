"""Why something was not booked, queued or changed at the desk: one text for each code of the booking area."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthplus.database import Record
from healthplus.web.languages import N_, Language

WORDS = {
    "slot_full": N_("This time was taken meanwhile. Choose another."),
    "slot_held": N_("Somebody holds this time, or waits for it in the queue. Nobody passes them. Choose another."),
    "no_such_slot": N_("This time cannot be had any more. Choose another."),
    "claimed": N_(
        "Somebody with this number holds a time, or waits in a queue, just now. Have them book it or give it up, and "
        "try again; else it ends by itself."
    ),
    "overlap": N_("The patient has another appointment at this time. Choose another time."),
    "same_day": N_("The patient has an appointment with this doctor on that day. Choose another day."),
    "too_many_unpaid": N_(
        "The patient, or their family, has as many unpaid appointments ahead as there may be (%(limit)s)."
    ),
    "too_many_ahead": N_("The patient has as many appointments ahead as there may be (%(limit)s)."),
    "online_only": N_(
        "The patient missed several appointments here, and pays online until %(at)s. They can book and pay on the "
        "website themselves."
    ),
    "lapses": N_("Too many times were held with this number and not booked. It can be done from %(at)s on."),
    "hold_budget": N_("Too many times were held with this number and given back. It can be done from %(at)s on."),
    "turns_used": N_("They let two turns go here within a day, and can queue for this doctor from %(at)s on."),
    "phone_tickets": N_("You have %(limit)s callers waiting for this doctor already. Serve one of them first."),
    "offer_over": N_("The minute for it is over, and the time went to the next. Who still waits is shown here."),
    "expired": N_("The five minutes are over, and the time went to the next in the queue."),
    "wrong_state": N_("This was not done: somebody did something else meanwhile. What is shown now is right."),
    "being_paid": N_("This was not done: the patient is paying for it by the link in their message."),
    "too_late": N_("The appointment has begun."),
    "not_found": N_("There is nobody like this here any more. Find them again."),
    "key_reused": N_("This form was sent before with something else in it. Look at it and send it again."),
    "not_working": N_("This doctor does not work any more today. Choose another doctor, or book another day."),
    "no_token": N_(
        "No time is free today, and no walk-in token is left for this session. Choose another doctor, or book another "
        "day."
    ),
    "is_free": N_("This time is free by now: book it as any other."),
    "taken_back": N_("This was sent before, and is taken back or cancelled since. Send it again to do it once more."),
    "cap_reached": N_("This session has as many overbooked as the clinic allows. Choose another session."),
}
WITH_REASON = {
    "same_day": N_(
        "The patient has an appointment with this doctor on that day. Choose another day, or say why there should be "
        "one more."
    ),
    "too_many_unpaid": N_(
        "The patient, or their family, has as many unpaid appointments ahead as there may be (%(limit)s). Say why "
        "there should be one more."
    ),
    "too_many_ahead": N_(
        "The patient has as many appointments ahead as there may be (%(limit)s). Say why there should be one more."
    ),
}
"""Of what the desk may go beyond with a reason, where it can give one."""
CANNOT = N_("This cannot be done as it is now. Look again.")


def refusal(
    answer: Record | Mapping[str, Any], zone: str, language: Language, own: Mapping[str, str] | None = None
) -> str:
    """Return why an outcome of the booking area refuses, with times in a clinic's zone; `own`: a page's own words."""
    retry_at = answer["retry_at"]
    at = f"{language.date(retry_at, zone)}, {language.clock(retry_at, zone)}" if retry_at else ""
    text = (own or {}).get(answer["code"]) or WORDS.get(answer["code"], CANNOT)
    return language.gettext(text) % {"limit": answer["limit_max"], "at": at}
