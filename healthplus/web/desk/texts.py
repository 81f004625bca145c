"""What the desk's pages call roles and rights, and how they say errors."""

from __future__ import annotations

from healthplus.errors import (
    HealthPlusError,
    LastFactor,
    LogInRefused,
    StaffLinkOver,
    TooManyGuesses,
    WeakPassword,
)
from healthplus.staff.rights import Right, Role
from healthplus.web.languages import N_, Language

ROLES: dict[Role, str] = {
    "desk": N_("Front desk"),
    "practitioner": N_("Doctor (own day)"),
    "ward": N_("Ward administrator"),
    "administrator": N_("Administrator"),
}
RIGHTS: dict[Right, str] = {
    "see_clinic": N_("See the clinic’s day, its patients and queues"),
    "see_own_day": N_("See your own day and patients"),
    "add_patient": N_("Add patients"),
    "book": N_("Book by phone, add walk-ins, and join callers to the queue"),
    "record_attendance": N_("Record who arrived, was called, was seen, left or did not come"),
    "take_payment": N_("Take payments at the desk, and keep your own till"),
    "manage_tills": N_("See all tills of the clinic, and open closed ones again"),
    "change_booking": N_("Move, cancel and refund appointments, and correct what was recorded"),
    "ask_change": N_("Ask the ward administrator to change an appointment"),
    "manage_schedule": N_("Change shifts, leave, services, fees and terms"),
    "ask_leave": N_("Ask for leave"),
    "manage_desk_accounts": N_("Manage the accounts of the clinic’s desk"),
    "manage_staff": N_("Manage all accounts and roles"),
    "manage_clinics": N_("Add clinics"),
    "add_speciality": N_("Add specialities that no doctor here has yet"),
    "see_operations": N_("See every clinic, errors and back-ups"),
    "see_audit": N_("See who saw and changed what"),
    "manage_keys": N_("Manage the keys of programs"),
    "manage_breaches": N_("Keep the record of data breaches"),
}
WITHOUT_PAGES: frozenset[Right] = frozenset({"ask_leave"})
"""Rights that no page is for yet, so that nobody is promised them; a test compares them with the routes."""
PROMISED = {right: text for right, text in RIGHTS.items() if right not in WITHOUT_PAGES}
_REFUSED = {
    None: N_("This log-on ID and password don’t belong together."),
    "password": N_("This password isn’t right. Try again."),
    "code": N_("This code isn’t right, or was used before. Take the next one from your app."),
    "passkey": N_("This passkey couldn’t be used. Try again, or use your password."),
    "over": N_("That took too long. Log in again."),
}
_WEAK = {
    "short": N_(
        "A password needs 15 characters or more; 8 are enough with a second factor: a code from an app, or a passkey."
    ),
    "long": N_("A password can have 256 characters at most."),
    "own_words": N_("This is made of names that others know: yours, the clinic’s or ours. Choose other words."),
    "common": N_("This password is among the first to be guessed. Choose several words that don’t belong together."),
}


def error_text(error: HealthPlusError, language: Language) -> str:
    """Return what a page says of an error of logging in, or of changing what one logs in with."""
    reason = error.members.get("reason")
    match error:
        case TooManyGuesses():
            seconds = error.members["retry_after"]
            return language.gettext("Too many guesses were made from here. Try again in %(seconds)s seconds.") % {
                "seconds": seconds
            }
        case LogInRefused():
            return language.gettext(_REFUSED[reason if isinstance(reason, str) else None])
        case WeakPassword():
            return language.gettext(_WEAK[str(reason)])
        case LastFactor():
            return language.gettext(
                "Your password is short, so it needs a second factor. Choose a password of 15 characters or more first."
            )
        case StaffLinkOver():
            return language.gettext("This link was used, or its day is over. Ask an administrator for a new one.")
        case _:
            return language.gettext("That didn’t work. Try again.")
