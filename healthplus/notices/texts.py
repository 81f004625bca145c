"""The texts of all notices, in English; another language is another table like TEXTS.

They name neither doctor nor clinic nor speciality: others can read a message on a locked screen or over a shoulder, and
it is kept for years. For the same reason their links name nothing either: they lead to pages that ask the reader to
sign in, that of a turn to the offer itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.database import Record
from healthplus.money import INR, in_units
from healthplus.notices.sender import Email, Sms

APPOINTMENTS = "/appointments"
TURN = "/turn"
"""Leads to what the patient who is signed in waits for, or is offered."""


class Text(NamedTuple):
    """A notice. The SMS consists of `message` and `action`, which introduces the link; DLT registers each.

    They are ASCII: with one other letter, an SMS holds half as many. `subject` is the e-mail's.
    """

    subject: str
    message: str
    action: str
    with_fee: bool = False
    page: str = APPOINTMENTS


TEXTS = {
    "booked": Text("Your visit is booked", "Your visit is booked for {when}.", "See, move or cancel it", with_fee=True),
    "moved": Text("Your visit has moved", "Your visit has moved to {when}.", "See, move or cancel it", with_fee=True),
    "cancelled": Text(
        "Your visit is cancelled",
        "Your visit on {when} is cancelled. What was paid online goes back.",
        "Book again",
    ),
    "cancelled_kept": Text(
        "Your visit is cancelled",
        "{when} is cancelled: {kept} is kept by its terms, {returned} goes back.",
        "Details",
    ),
    "replaced": Text(
        "Your earlier visit is cancelled",
        "{when} is cancelled: your new visit replaces it. What was paid online goes back.",
        "Details",
    ),
    "replaced_kept": Text(
        "Your earlier visit is cancelled",
        "Your new visit replaces {when}: {kept} is kept, {returned} goes back.",
        "Details",
    ),
    "needs_rebooking": Text(
        "Please choose another time", "Your visit on {when} cannot take place then.", "Choose another time or cancel"
    ),
    "expired": Text(
        "Your 5 minutes are over",
        "Your 5 minutes are over; {when} was released. No money was taken.",
        "Try again",
    ),
    "expired_paid": Text(
        "Your 5 minutes are over",
        "Your 5 minutes are over; {when} was released. What was paid goes back.",
        "Try again",
    ),
    "offered": Text(
        "It's your turn",
        "It's your turn: {when} is held for you until {until}, then for the next.",
        "Take it",
        with_fee=True,
        page=TURN,
    ),
    "called": Text(
        "A time has come free",
        "{when} is free. Several are asked: the first in line to answer by {until} gets it.",
        "Take it",
        with_fee=True,
        page=TURN,
    ),
    "offer_lapsed": Text("Your turn is over", "Your turn is over: {when} was not taken in time.", "See other times"),
    "offer_missed": Text(
        "A time came while you were away",
        "A time came while you were away. You keep your number, but others go first until you are back.",
        "Be back",
        page=TURN,
    ),
    "refunded": Text(
        "Your money is on its way back",
        "What you paid went back to you. Your bank may take some days to show it.",
        "Details",
    ),
    "refunded_part": Text(
        "Your money is on its way back",
        "{returned} of what you paid went back to you. Your bank may take some days to show it.",
        "Details",
    ),
}

_FUNDING = {"online": "paid online", "clinic": "to be paid at the clinic"}


def template_of(row: Record) -> str:
    """Return the name of the text for a notice.

    An offer that was not taken has other texts than an expired hold, and so has a hold for which money was set aside.
    So has a visit that a new one replaced, or its patient would book again, and any of whose money a part is kept.
    """
    if row["kind"] == "cancelled":
        name = "replaced" if row["is_replaced"] else "cancelled"
        return f"{name}_kept" if row["kept_minor"] else name
    if row["kind"] == "refunded" and row["kept_minor"]:
        return "refunded_part"
    if row["kind"] == "expired" and row["offer"]:
        return "offer_missed" if row["ticket_state"] in ("waiting", "offered", "called") else "offer_lapsed"
    if row["kind"] == "expired" and row["is_paid"]:
        return "expired_paid"
    return str(row["kind"])


def sms_of(row: Record, site_url: str, client_margin: timedelta) -> Sms:
    """Return the SMS for a row of `take_due`. An offer is said to end `client_margin` before it does."""
    template = template_of(row)
    text = TEXTS[template]
    message = text.message.format_map(_facts(row, client_margin))
    return Sms(
        row["address"], f"HealthPlus: {message} {text.action}: {site_url}{text.page}", template, row["notice_id"].hex
    )


def email_of(row: Record, site_url: str, client_margin: timedelta) -> Email:
    """Return the e-mail for a row of `take_due`, as `sms_of` does the SMS; it also states the fee."""
    text = TEXTS[template_of(row)]
    facts = _facts(row, client_margin)
    lines = [text.message.format_map(facts)]
    if text.with_fee and row["funding"] in _FUNDING and row["fee_minor"]:
        lines.append(f"The fee is {facts['fee']}, {_FUNDING[row['funding']]}.")
    lines += [f"{text.action}: {site_url}{text.page}", "HealthPlus"]
    return Email(row["address"], f"HealthPlus: {text.subject}", "\n\n".join(lines) + "\n", row["notice_id"].hex)


def _facts(row: Record, client_margin: timedelta) -> dict[str, str]:
    zone = ZoneInfo(row["time_zone"])
    starts_at = row["starts_at"].astimezone(zone)

    def amount(minor: int) -> str:
        units = in_units(minor, row["currency"])
        return f"{'Rs' if row['currency'] == INR else row['currency']} {units if units % 1 else int(units)}"

    return {
        "when": f"{starts_at:%a} {starts_at.day} {starts_at:%b}, {_clock(starts_at, '%M')} {starts_at:%Z}",
        "until": _clock((row["deadline"] - client_margin).astimezone(zone), "%M:%S"),
        "fee": amount(row["fee_minor"]),
        "kept": amount(row["kept_minor"]),
        "returned": amount(row["returned_minor"]),
    }


def _clock(at: datetime, rest: str) -> str:
    return f"{at.hour % 12 or 12}:{at:{rest}} {'am' if at.hour < 12 else 'pm'}"
