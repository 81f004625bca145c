"""Signing in by phone: number and consent, then the code. accounts/codes.py has the rules."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import Cookie

from healthplus import errors
from healthplus.accounts.codes import Sent
from healthplus.accounts.consent import CURRENT
from healthplus.accounts.phone_numbers import masked
from healthplus.accounts.sessions import agent_label
from healthplus.errors import HealthPlusError
from healthplus.web.languages import HOME_ZONE, N_, Language
from healthplus.web.pages.rendering import language_of, page, see_other
from healthplus.web.pages.session import form_of, idempotency_key, local_path, session_of, site
from healthplus.web.services import AnyRequest, client_address, services

_COOKIE = "verify"
_COOKIE_SECONDS = 15 * 60
_COOKIE_LENGTH_MAX = 1000


class Pending(msgspec.Struct, frozen=True):
    """A code that was sent, as a cookie has it: nothing else knows the number to which it can be sent again."""

    challenge_id: UUID
    phone: str
    expires_at: datetime
    resend_at: datetime

    def packed(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


class SignInController(Controller):
    @get("/verify")
    async def ask_number(self, request: AnyRequest) -> Response[str]:
        back_to = _back_to(request)
        if session_of(request):
            return see_other(request, back_to)
        return _number_page(request, back_to)

    @post("/verify")
    async def send_code(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        back_to = _back_to(request)
        phone = form.get("phone", "")[:100]
        try:
            cookie = await _send(
                request, phone, form.get("consent", "")[:100], idempotency_key(form, "phone", "consent")
            )
        except HealthPlusError as error:
            return _number_page(request, back_to, phone, error)
        return see_other(request, "/verify/code", _query(back_to), cookies=[cookie])

    @get("/verify/code")
    async def ask_code(self, request: AnyRequest) -> Response[str]:
        back_to = _back_to(request)
        if session_of(request):
            return see_other(request, back_to)
        pending = _pending(request)
        if pending is None:
            return see_other(request, "/verify", _query(back_to))
        return _code_page(request, back_to, pending)

    @post("/verify/code")
    async def verify(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        back_to = _back_to(request)
        pending = _pending(request)
        if pending is None:
            # By a second click, the first one has signed them in.
            return see_other(request, back_to if session_of(request) else "/verify", _query(back_to))
        if form.get("again"):
            try:
                cookie = await _send(request, pending.phone, CURRENT.version, idempotency_key(form))
            except HealthPlusError as error:
                return _code_page(request, back_to, pending, error)
            return see_other(request, "/verify/code", _query(back_to), cookies=[cookie])
        agent = agent_label(request.headers.get("user-agent", ""))
        try:
            _, token = await services(request).codes.verify(
                pending.challenge_id, form.get("code", "")[:100], idempotency_key(form, "code"), agent
            )
        except HealthPlusError as error:
            return _code_page(request, back_to, pending, error)
        cookies = [site(request).session_cookie(token), site(request).end_cookie(_COOKIE)]
        return see_other(request, back_to, cookies=cookies)

    @post("/sign-out")
    async def sign_out(self, request: AnyRequest) -> Response[str]:
        if (session := session_of(request)) is not None:
            await services(request).patients.end_session_of(session.patient_id, session.token)
        return signed_out(request, "/signed-out")

    @get("/signed-out")
    async def signed_out(self, request: AnyRequest) -> Response[str]:
        if session_of(request):
            return see_other(request, "/")
        return page(request, "sign_in/signed_out.html")


def signed_out(request: AnyRequest, path: str, query: dict[str, object] | None = None) -> Response[str]:
    """Redirect, and have the browser forget the session, and pages that going back would show."""
    cookies = [site(request).end_cookie("session"), site(request).end_cookie(_COOKIE)]
    return see_other(request, path, query, cookies, {"Clear-Site-Data": '"cache"'})


async def _send(request: AnyRequest, phone: str, consent: str, key: str) -> Cookie:
    app = services(request)
    app.code_messages.require_sender()
    sent: Sent = await app.codes.request(phone, consent, client_address(request), key)
    app.code_messages.send(sent)
    now = app.clock.now()
    pending = Pending(
        sent.challenge_id,
        sent.phone,
        now + timedelta(seconds=sent.expires_in),
        now + timedelta(seconds=sent.resend_in),
    )
    return site(request).cookie(_COOKIE, pending.packed(), _COOKIE_SECONDS)


def _pending(request: AnyRequest) -> Pending | None:
    text = site(request).read(request, _COOKIE)
    if text is None or len(text) > _COOKIE_LENGTH_MAX:
        return None
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(text), type=Pending)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        return None
    return found if found.expires_at.tzinfo and found.resend_at.tzinfo else None


def _back_to(request: AnyRequest) -> str:
    return local_path(request.query_params.get("next"))


def _query(back_to: str) -> dict[str, str]:
    return {} if back_to == "/" else {"next": back_to}


def _number_page(
    request: AnyRequest, back_to: str, phone: str = "", error: HealthPlusError | None = None
) -> Response[str]:
    return page(
        request,
        "sign_in/number.html",
        status=error.status if error else 200,
        headers=_retry_after(error),
        query=_query(back_to),
        has_chosen_time=back_to.startswith("/doctor/"),
        phone=phone,
        error=error and _error_text(request, error),
        about_number=isinstance(error, errors.PhoneRefused),
        consent=CURRENT,
    )


def _code_page(
    request: AnyRequest, back_to: str, pending: Pending, error: HealthPlusError | None = None
) -> Response[str]:
    now = services(request).clock.now()
    return page(
        request,
        "sign_in/code.html",
        status=error.status if error else 200,
        headers=_retry_after(error),
        query=_query(back_to),
        has_chosen_time=back_to.startswith("/doctor/"),
        sent_to=masked(pending.phone),
        pending=pending,
        is_over=pending.expires_at <= now or isinstance(error, errors.CodeOver | errors.NotFound),
        is_paused=isinstance(error, errors.TooManyCodes) and error.members["reason"] == "guesses",
        error=error and _error_text(request, error),
        about_code=isinstance(error, errors.BadInput),
        zone=HOME_ZONE,
    )


def _retry_after(error: HealthPlusError | None) -> dict[str, str]:
    seconds = error.members.get("retry_after") if error else None
    return {} if seconds is None else {"Retry-After": str(seconds)}


_ERROR_TEXTS = {
    "phone_refused": N_("This is not a phone number. Write all its digits, as in 98765 43210."),
    "consent_outdated": N_(
        "What you agree to has changed since you opened this page. Read it again, then send the code."
    ),
    "wrong_code": N_("This is not the code that was sent, and it was the last try. Send a new one."),
    "code_over": N_("This code was used or replaced, or its five minutes are over. Send a new one."),
    "not_found": N_("This code was used or replaced, or its five minutes are over. Send a new one."),
    "key_reused": N_("This form was sent before. Send it again."),
    "sign_in_unavailable": N_("Signing in by text message is not set up here. Call the clinic to book."),
    "bad_input": N_("The code has six digits. Type all of them."),
}
_NO_MOBILE = N_("A text message cannot reach this number. Give a mobile number.")
_SPENT = N_("Too many wrong codes were given. Send a new one.")


def _error_text(request: AnyRequest, error: HealthPlusError) -> str:
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
    return language.gettext(text)


def _too_many(language: Language, now: datetime, error: HealthPlusError) -> str:
    _ = language.gettext
    until = now + timedelta(seconds=int(str(error.members["retry_after"])))
    far = language.date(until, HOME_ZONE) != language.date(now, HOME_ZONE)
    when = {"when": language.moment(until, HOME_ZONE) if far else language.time(until, HOME_ZONE, seconds=True)}
    match error.members["reason"]:
        case "number":
            return (
                _("Another code can be sent to this number after %(when)s. One sent before may still be on its way.")
                % when
            )
        case "guesses":
            return (
                _(
                    "Too many wrong codes were given for this number. It can be used again after %(when)s. "
                    "Until then, call the clinic to book."
                )
                % when
            )
        case _other:
            return _("Too many codes were asked for just now. Try again after %(when)s.") % when
