"""Logging in at the desk, locking and opening the screen, handing a shared computer over. Rules: healthplus/staff."""

from __future__ import annotations

import secrets

from litestar import Controller, Response, get, post
from litestar.datastructures import Cookie

from healthplus.errors import HealthPlusError, LogInRefused
from healthplus.staff import passkeys
from healthplus.staff.log_in import LoggedIn, SecondFactorNeeded
from healthplus.web.desk.session import (
    ANSWER_LENGTH_MAX,
    FIELD_LENGTH_MAX,
    challenge_of,
    come_from,
    desk_page,
    desk_path_of,
    end_cookie,
    error_values,
    find_passkey_site,
    logged_in_cookies,
    needs,
    new_challenge,
    require_staff,
    staff_of,
)
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.sealed_cookies import sealed_cookie, unsealed_cookie
from healthplus.web.pages.session import form_of, site
from healthplus.web.services import AnyRequest, services

_SECOND_FACTOR_COOKIE = "desk-second-factor"
_SECOND_FACTOR_SECONDS = 300


class LogInController(Controller):
    path = "/desk"

    @get("/log-in", **needs("anybody"))
    async def ask(self, request: AnyRequest) -> Response[str]:
        if (session := staff_of(request)) is not None:
            return see_other(request, "/desk/locked" if session.is_locked else _next(request))
        return _log_in_page(request)

    @get("/switch", **needs("anybody"))
    async def ask_another(self, request: AnyRequest) -> Response[str]:
        """Show the form to a colleague who takes a shared computer over; the open session ends once they are in."""
        return _log_in_page(request)

    @post("/log-in", **needs("anybody"))
    async def log_in(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        log_on, answer = form.get("log_on", "")[:FIELD_LENGTH_MAX], form.get("answer", "")[:ANSWER_LENGTH_MAX]
        log_in = services(request).log_in
        try:
            if answer:
                return _logged_in(request, await _by_passkey(request, answer))
            password = form.get("password", "")[:FIELD_LENGTH_MAX]
            done = await log_in.with_password(log_on, password, come_from(request))
        except HealthPlusError as error:
            return _log_in_page(request, error, log_on)
        if isinstance(done, SecondFactorNeeded):
            needed = sealed_cookie(request, _SECOND_FACTOR_COOKIE, done, _SECOND_FACTOR_SECONDS)
            return see_other(request, "/desk/log-in/code", {"next": _next(request)}, [needed])
        return _logged_in(request, done)

    @get("/log-in/code", **needs("anybody"))
    async def ask_code(self, request: AnyRequest) -> Response[str]:
        needed = unsealed_cookie(request, _SECOND_FACTOR_COOKIE, SecondFactorNeeded)
        return (
            await _code_page(request, needed)
            if needed
            else see_other(request, "/desk/log-in", {"next": _next(request)})
        )

    @post("/log-in/code", **needs("anybody"))
    async def log_in_with_code(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        needed = unsealed_cookie(request, _SECOND_FACTOR_COOKIE, SecondFactorNeeded)
        if needed is None:
            return _log_in_page(request, LogInRefused(reason="over"))
        try:
            if answer := form.get("answer", "")[:ANSWER_LENGTH_MAX]:
                done = await _by_passkey(request, answer, needed)
            else:
                code = form.get("code", "")[:FIELD_LENGTH_MAX]
                done = await services(request).log_in.with_code(needed, code, come_from(request))
        except LogInRefused as error:
            if error.members.get("reason") == "over":
                return _log_in_page(request, error)
            return await _code_page(request, needed, error)
        except HealthPlusError as error:
            return await _code_page(request, needed, error)
        return _logged_in(request, done)

    @post("/log-out", **needs("locked"))
    async def log_out(self, request: AnyRequest) -> Response[str]:
        await services(request).staff_sessions.end(require_staff(request), come_from(request).requester.address)
        return see_other(request, "/desk/log-in", cookies=[end_cookie(request)])

    @post("/lock", **needs("locked"))
    async def lock(self, request: AnyRequest) -> Response[str]:
        await services(request).staff_sessions.lock(require_staff(request), come_from(request).requester.address)
        return see_other(request, "/desk/locked", {"next": _next(request)})

    @get("/locked", **needs("locked"))
    async def ask_to_open(self, request: AnyRequest) -> Response[str]:
        """Show the locked screen; the script of an idle page leads here, and by then the session is locked."""
        if not require_staff(request).is_locked:
            return see_other(request, _next(request))
        return await _proof_page(request)

    @get("/prove", **needs("logged_in"))
    async def ask_again(self, request: AnyRequest) -> Response[str]:
        return await _proof_page(request)

    @post("/prove", **needs("locked"))
    async def prove(self, request: AnyRequest) -> Response[str]:
        session = require_staff(request)
        form = await form_of(request)
        log_in, requester = services(request).log_in, come_from(request).requester
        try:
            if answer := form.get("answer", "")[:ANSWER_LENGTH_MAX]:
                challenge = challenge_of(request)
                if challenge is None:
                    raise LogInRefused(reason="passkey")
                await log_in.prove_with_passkey(session, challenge, answer, requester)
            else:
                password = form.get("password", "")[:FIELD_LENGTH_MAX]
                await log_in.prove_with_password(session, password, requester)
        except HealthPlusError as error:
            return await _proof_page(request, error)
        return see_other(request, _next(request))

    @post("/seen", **needs("logged_in"))
    async def seen(self) -> Response[bytes]:
        """Note that somebody works on a page without sending anything, so that the screen is not locked."""
        return Response(b"", status_code=204)


async def _by_passkey(request: AnyRequest, answer: str, needed: SecondFactorNeeded | None = None) -> LoggedIn:
    challenge = challenge_of(request)
    if challenge is None:
        raise LogInRefused(reason="passkey")
    return await services(request).log_in.with_passkey(challenge, answer, come_from(request), needed)


def _logged_in(request: AnyRequest, logged_in: LoggedIn) -> Response[str]:
    cookies = [*logged_in_cookies(request, logged_in), site(request).end_cookie(_SECOND_FACTOR_COOKIE)]
    return see_other(request, _next(request), cookies=cookies)


def _log_in_page(request: AnyRequest, error: HealthPlusError | None = None, log_on: str = "") -> Response[str]:
    question = cookie = None
    if (passkey_site := find_passkey_site(request)) is not None:
        challenge = secrets.token_bytes(32)
        question = passkeys.question(passkey_site, challenge)
        cookie = new_challenge(request, challenge, passkey_site)
    return desk_page(
        request,
        "log_in.html",
        cookies=[cookie] if cookie else [],
        question=question,
        log_on=log_on,
        next=_next(request),
        **error_values(request, error),
    )


async def _code_page(
    request: AnyRequest, needed: SecondFactorNeeded, error: HealthPlusError | None = None
) -> Response[str]:
    question, cookies = await _question_to(request, needed.staff_id) if needed.has_passkey else (None, [])
    return desk_page(
        request,
        "code.html",
        cookies=cookies,
        question=question,
        has_app=needed.has_app,
        next=_next(request),
        **error_values(request, error),
    )


async def _proof_page(request: AnyRequest, error: HealthPlusError | None = None) -> Response[str]:
    question, cookies = await _question_to(request, require_staff(request).staff_id)
    return desk_page(
        request,
        "prove.html",
        cookies=cookies,
        question=question,
        next=_next(request),
        **error_values(request, error),
    )


async def _question_to(request: AnyRequest, staff_id: int) -> tuple[str | None, list[Cookie]]:
    """Return what to ask the browser for one of somebody's passkeys, with its cookie; None where there is none."""
    passkey_site = find_passkey_site(request)
    ids = await services(request).log_in.passkey_ids(staff_id) if passkey_site else []
    if passkey_site is None or not ids:
        return None, []
    challenge = secrets.token_bytes(32)
    return passkeys.question(passkey_site, challenge, ids), [new_challenge(request, challenge, passkey_site)]


def _next(request: AnyRequest) -> str:
    return desk_path_of(request.query_params.get("next"))
