"""Signing in by phone: number and consent, then the code. accounts/codes.py has the rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import Cookie

from healthplus import errors
from healthplus.accounts.codes import SignedIn
from healthplus.accounts.consent import CURRENT, require_consent
from healthplus.accounts.phone_numbers import masked, written
from healthplus.accounts.sessions import agent_label
from healthplus.database import load
from healthplus.errors import HealthPlusError, ProofNeeded
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.chosen_queue import chosen_queue, forget_chosen_queue, join_chosen_queue
from healthplus.web.pages.chosen_time import chosen_time, forget_chosen_time, hold_chosen_time
from healthplus.web.pages.rendering import language_of, page, see_other
from healthplus.web.pages.sealed_cookies import sealed_cookie, unsealed_cookie
from healthplus.web.pages.session import form_of, idempotency_key, local_path, session_of, site
from healthplus.web.pages.sign_in_texts import error_text
from healthplus.web.services import AnyRequest, requester_of, services

queries = load(Path(__file__).with_name("sign_in.sql"))

_COOKIE, _WAIT_COOKIE, _DEVICE_COOKIE = "verify", "wait", "device"
_COOKIE_SECONDS = 15 * 60
_WAIT_SECONDS = 2 * 3600
_CLINIC = re.compile(r"/doctor/(\d{1,9})/[^/?]+/(\d{1,9})(?![^/?])")
"""Where the chart or the queue of a provider at a clinic is."""
_CHART = re.compile(rf"{_CLINIC.pattern}(?!/)")
_DEVICE_SECONDS = 400 * 86_400
"""As long as a device is known (accounts.device_time in the database), and the longest that browsers keep a cookie."""


class Pending(msgspec.Struct, frozen=True):
    """A code that was sent, as a cookie has it: nothing else knows the number to which it can be sent again."""

    challenge_id: UUID
    phone: str
    expires_at: datetime
    resend_at: datetime


class Waiting(msgspec.Struct, frozen=True):
    """A code that was asked for and costs work or time, as a cookie has it: what was typed, and what it costs.

    It can be sent with `token` from `from_at` on, having waited since `since`, or earlier with `challenge` solved.
    """

    phone: str
    consent: str
    key: str
    token: str
    challenge: dict[str, Any]
    since: datetime
    from_at: datetime


class SignInController(Controller):
    @get("/verify")
    async def ask_number(self, request: AnyRequest) -> Response[str]:
        back_to = _back_to(request)
        if session_of(request):
            return see_other(request, back_to)
        return await _number_page(request)

    @post("/verify")
    async def send_code(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        phone, consent = form.get("phone", "")[:100], form.get("consent", "")[:100]
        try:
            return await _send(request, phone, consent, idempotency_key(form, "phone", "consent"))
        except HealthPlusError as error:
            return await _number_page(request, phone, error)

    @get("/verify/wait")
    async def wait(self, request: AnyRequest) -> Response[str]:
        waiting = unsealed_cookie(request, _WAIT_COOKIE, Waiting)
        if waiting is None:
            return see_other(request, "/verify", _query(_back_to(request)))
        return await _wait_page(request, waiting)

    @post("/verify/wait")
    async def send_code_after_all(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        waiting = unsealed_cookie(request, _WAIT_COOKIE, Waiting)
        if waiting is None:  # sent before, by a second click
            pending = unsealed_cookie(request, _COOKIE, Pending)
            return see_other(request, "/verify/code" if pending else "/verify", _query(_back_to(request)))
        proof = form.get("proof", "")[:4000]
        try:
            return await _send(request, waiting.phone, waiting.consent, waiting.key, proof or waiting.token, waiting)
        except errors.TooManyCodes as error:
            return await _wait_page(request, waiting, error, proof)
        except HealthPlusError as error:
            return await _number_page(request, waiting.phone, error)

    @get("/verify/code")
    async def ask_code(self, request: AnyRequest) -> Response[str]:
        back_to = _back_to(request)
        if session_of(request):
            return see_other(request, back_to)
        pending = unsealed_cookie(request, _COOKIE, Pending)
        if pending is None:
            return see_other(request, "/verify", _query(back_to))
        return await _code_page(request, pending)

    @post("/verify/code")
    async def verify(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        back_to = _back_to(request)
        pending = unsealed_cookie(request, _COOKIE, Pending)
        if pending is None:
            # By a second click, the first one has signed them in.
            return see_other(request, back_to if session_of(request) else "/verify", _query(back_to))
        try:
            if form.get("again"):
                return await _send(request, pending.phone, CURRENT.version, idempotency_key(form))
            agent = agent_label(request.headers.get("user-agent", ""))
            signed_in = await services(request).codes.verify(
                pending.challenge_id, form.get("code", "")[:100], idempotency_key(form, "code"), agent, _device(request)
            )
        except HealthPlusError as error:
            if not _was_last_try(error):
                return await _code_page(request, pending, error)
            pending = msgspec.structs.replace(pending, expires_at=services(request).clock.now())
            ended = sealed_cookie(request, _COOKIE, pending, _COOKIE_SECONDS)
            return await _code_page(request, pending, error, [ended])
        return await _signed_in(request, signed_in)

    @get("/verify/desk")
    async def ask_desk_code(self, request: AnyRequest) -> Response[str]:
        if session_of(request):
            return see_other(request, _back_to(request))
        return await _desk_page(request)

    @post("/verify/desk")
    async def verify_desk_code(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        code = form.get("code", "")[:100]
        agent = agent_label(request.headers.get("user-agent", ""))
        try:
            require_consent(form.get("consent", ""))
            signed_in = await services(request).codes.verify_desk_code(
                code, idempotency_key(form, "code"), agent, _device(request)
            )
        except HealthPlusError as error:
            return await _desk_page(request, code, error)
        return await _signed_in(request, signed_in)

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


async def _signed_in(request: AnyRequest, signed_in: SignedIn) -> Response[str]:
    await services(request).preferences.note_language(signed_in.patient_id, language_of(request).code)
    back_to, more = _back_to(request), list[Cookie]()
    if (chosen := chosen_queue(request, back_to)) is not None:
        path, query, more = await join_chosen_queue(request, signed_in.patient_id, chosen)
    else:
        path, query = await hold_chosen_time(request, signed_in.patient_id, back_to)
    cookies = [
        *more,
        site(request).session_cookie(signed_in.token),
        site(request).end_cookie(_COOKIE),
        *forget_chosen_time(request),
        *forget_chosen_queue(request),
        site(request).cookie(_DEVICE_COOKIE, signed_in.device, _DEVICE_SECONDS),
    ]
    return see_other(request, path, query, cookies)


async def _send(
    request: AnyRequest, phone: str, consent: str, key: str, proof: str | None = None, waiting: Waiting | None = None
) -> Response[str]:
    """Send a code, and lead to where it is typed; or to where its price is paid, `waiting` on if it was waited for."""
    app = services(request)
    app.code_messages.require_sender()
    now = app.clock.now()
    query = _query(_back_to(request))
    try:
        sent = await app.codes.request(phone, consent, requester_of(request, _device(request)), key, proof)
    except ProofNeeded as error:
        new = _waiting(error, phone, consent, key, now)
        if waiting is not None and proof != waiting.token:  # worked for less than it costs by now: they still wait
            since = waiting.since
            new = msgspec.structs.replace(new, token=waiting.token, since=since, from_at=since + (new.from_at - now))
        return see_other(request, "/verify/wait", query, [sealed_cookie(request, _WAIT_COOKIE, new, _WAIT_SECONDS)])
    app.code_messages.send(sent, language_of(request).code)
    pending = Pending(
        sent.challenge_id,
        sent.phone,
        now + timedelta(seconds=sent.expires_in),
        now + timedelta(seconds=sent.resend_in),
    )
    cookies = [sealed_cookie(request, _COOKIE, pending, _COOKIE_SECONDS), site(request).end_cookie(_WAIT_COOKIE)]
    return see_other(request, "/verify/code", query, cookies)


def _waiting(error: ProofNeeded, phone: str, consent: str, key: str, now: datetime) -> Waiting:
    seconds = error.members["retry_after"]
    return msgspec.convert(
        {**error.members, "phone": phone, "consent": consent, "key": key, "token": error.members["wait_token"]}
        | {"since": now, "from_at": now + timedelta(seconds=int(str(seconds)))},
        Waiting,
    )


def _device(request: AnyRequest) -> str | None:
    return site(request).read(request, _DEVICE_COOKIE)


def _back_to(request: AnyRequest) -> str:
    return local_path(request.query_params.get("next"))


def _query(back_to: str) -> dict[str, str]:
    return {} if back_to == "/" else {"next": back_to}


async def _page(
    request: AnyRequest, template: str, error: HealthPlusError | None, cookies: Sequence[Cookie] = (), **values: object
) -> Response[str]:
    """Return a page of signing in, with what went wrong."""
    back_to = _back_to(request)
    chosen = await chosen_time(request, back_to)
    waits = isinstance(error, errors.TooManyCodes)
    seconds = error.members.get("retry_after") if error else None
    return page(
        request,
        template,
        status=error.status if error else 200,
        headers={} if seconds is None else {"Retry-After": str(seconds)},
        cookies=cookies,
        query=_query(back_to),
        has_chosen_time=bool(_CHART.match(back_to)),
        chosen_queue=chosen_queue(request, back_to),
        chosen_time=chosen and chosen[0],
        chosen_services=chosen[1] if chosen else (),
        error=error and error_text(request, error),
        error_title=language_of(request).gettext("No new code yet") if waits else "",
        consent=CURRENT,
        **values,
    )


async def _number_page(request: AnyRequest, phone: str = "", error: HealthPlusError | None = None) -> Response[str]:
    about_number = isinstance(error, errors.PhoneRefused)
    has_code = isinstance(error, errors.TooManyCodes) and _has_code(request, phone)
    return await _page(request, "sign_in/number.html", error, phone=phone, about_number=about_number, has_code=has_code)


def _has_code(request: AnyRequest, phone: str) -> bool:
    """Return whether this browser was sent a code for that number that still works."""
    pending, app = unsealed_cookie(request, _COOKIE, Pending), services(request)
    return pending is not None and pending.phone == app.codes.number(phone) and pending.expires_at > app.clock.now()


async def _wait_page(
    request: AnyRequest, waiting: Waiting, error: HealthPlusError | None = None, proof: str = ""
) -> Response[str]:
    now = services(request).clock.now()
    from_at = waiting.from_at
    if error is not None:  # the budget is used up: both proofs stay good until there is a message again
        from_at = max(now + timedelta(seconds=int(str(error.members["retry_after"]))), from_at if not proof else now)
    return await _page(
        request,
        "sign_in/wait.html",
        error,
        sent_to=masked(waiting.phone),
        challenge=msgspec.json.encode(waiting.challenge).decode(),
        proof=proof,
        from_at=from_at,
        seconds_left=max(0, ceil((from_at - now).total_seconds())),
        zone=HOME_ZONE,
    )


async def _desk_page(request: AnyRequest, code: str = "", error: HealthPlusError | None = None) -> Response[str]:
    about_code = isinstance(error, errors.BadInput | errors.CodeOver)
    return await _page(request, "sign_in/desk.html", error, code=code, about_code=about_code)


def _was_last_try(error: HealthPlusError) -> bool:
    return isinstance(error, errors.WrongCode) and not error.members.get("tries_left")


async def _code_page(
    request: AnyRequest, pending: Pending, error: HealthPlusError | None = None, cookies: Sequence[Cookie] = ()
) -> Response[str]:
    now = services(request).clock.now()
    clinic = _CLINIC.match(_back_to(request))
    return await _page(
        request,
        "sign_in/code.html",
        error,
        cookies,
        # Whole, as only the browser in which it was typed has the cookie: a wrong digit can be seen.
        sent_to=written(pending.phone),
        pending=pending,
        is_over=pending.expires_at <= now or isinstance(error, errors.CodeOver | errors.NotFound),
        about_code=isinstance(error, errors.BadInput),
        clinic_phone=clinic
        and await services(request).database.fetch_value(queries.clinic_phone, *map(int, clinic.groups())),
        zone=HOME_ZONE,
    )
