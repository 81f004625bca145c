"""What people read when signing in goes wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

from markupsafe import Markup

from healthplus import errors
from healthplus.country import HERE
from healthplus.errors import HealthPlusError
from healthplus.web.languages import HOME_ZONE, N_, Language
from healthplus.web.pages.rendering import language_of
from healthplus.web.services import AnyRequest, services

_ERROR_TEXTS = {
    "phone_refused": N_("This is not a phone number. Write all its digits, as in %(example)s."),
    "consent_outdated": N_(
        "What you agree to has changed since you opened this page. Read it again, then send the code."
    ),
    "wrong_code": N_("This is not the code that was sent, and it was the last try. Send a new one."),
    "code_over": N_("This code was used, or its five minutes are over. Send a new one."),
    "not_found": N_("This code was used, or its five minutes are over. Send a new one."),
    "key_reused": N_("This form was sent before. Send it again."),
    "sign_in_unavailable": N_("Signing in by text message is not set up here. Call the clinic to book."),
    "bad_input": N_("The code has six digits. Type all of them."),
}
_NO_MOBILE = N_("A text message cannot reach this number. Give a mobile number.")
_DESK_TEXTS = {
    "bad_input": N_("A code from the desk has 12 letters and digits. Type all of them."),
    "code_over": N_("This code is not known, was used, or its 15 minutes are over. Ask the desk for a new one."),
}
_SPENT = N_("Too many wrong codes were given. Send a new one.")


def error_text(request: AnyRequest, error: HealthPlusError) -> str:
    """Return in the reader's language what went wrong and what to do. Raises what is no fault of theirs."""
    language = language_of(request)
    if isinstance(error, errors.TooManyCodes):
        return _too_many(language, services(request).clock.now(), error)
    if left := error.members.get("tries_left"):
        return language.ngettext(
            "This is not the code that was sent. You have %(num)d more try.",
            "This is not the code that was sent. You have %(num)d more tries.",
            int(str(left)),
        ) % {"num": left}
    if error.code not in _ERROR_TEXTS:
        raise error
    text = _ERROR_TEXTS[error.code]
    if isinstance(error, errors.PhoneRefused) and error.detail != error.title:
        text = _NO_MOBILE
    elif error.members.get("reason") == "spent":
        text = _SPENT
    elif error.members.get("reason") == "desk":
        text = _DESK_TEXTS[error.code]
    return language.gettext(text) % {"example": HERE.phone.example}


def _too_many(language: Language, now: datetime, error: HealthPlusError) -> str:
    _ = language.gettext
    until = now + timedelta(seconds=int(str(error.members["retry_after"])))
    far = language.date(until, HOME_ZONE) != language.date(now, HOME_ZONE)
    when = {"when": language.moment(until, HOME_ZONE) if far else language.time(until, HOME_ZONE, seconds=True)}
    match error.members["reason"]:
        case "number":
            text = _("Another code can be sent to this number after %(when)s. One sent before may still be on its way.")
        case _other:
            text = _(
                "We are sending too many codes just now. Try again after %(when)s, or ask the clinic’s desk for a code."
            )
    return Markup(text) % when  # noqa: S704 - a text of ours
