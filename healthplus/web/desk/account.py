"""What members of the staff see first, and what they change of their own accounts."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.errors import BadInput, HealthPlusError, StaffLinkOver
from healthplus.staff import passkeys
from healthplus.staff.apps import app_link, new_app_secret
from healthplus.web.desk.office.tabs import first_page
from healthplus.web.desk.session import (
    ANSWER_LENGTH_MAX,
    FIELD_LENGTH_MAX,
    challenge_of,
    come_from,
    desk_page,
    end_cookie,
    error_values,
    find_passkey_site,
    needs,
    new_challenge,
    require_recent_proof,
    require_staff,
)
from healthplus.web.desk.texts import PROMISED, ROLES
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest, services

_ACCOUNT = "/desk/account"
_APP_PURPOSE = "desk app"


class DeskController(Controller):
    path = "/desk"

    @get(**needs("logged_in"))
    async def first(self, request: AnyRequest) -> Response[str]:
        session = require_staff(request)
        memberships = await services(request).staff_sessions.memberships(session)
        return desk_page(
            request,
            "first.html",
            clinics=[(row, first_page(session, row["clinic_id"])) for row in memberships],
            roles=ROLES,
            rights=[text for right, text in PROMISED.items() if session.may_anywhere(right)],
            has_right=bool(session.roles),
        )

    @get("/welcome", **needs("anybody"))
    async def ask_password(self, request: AnyRequest) -> Response[str]:
        return await _welcome_page(request)

    @post("/welcome", **needs("anybody"))
    async def choose_password(self, request: AnyRequest) -> Response[str]:
        form = await form_of(request)
        app_secret = _unsealed_app(request, form)
        try:
            await services(request).own_account.use_link(
                _link(request),
                form.get("password", "")[:FIELD_LENGTH_MAX],
                app_secret,
                form.get("code", "")[:FIELD_LENGTH_MAX],
                come_from(request).requester.address,
            )
        except HealthPlusError as error:
            return await _welcome_page(request, error, app_secret)
        return see_other(request, "/desk/log-in", {"next": "/desk"})


class AccountController(Controller):
    path = _ACCOUNT

    @get(**needs("logged_in"))
    async def read(self, request: AnyRequest) -> Response[str]:
        return await _account_page(request)

    @get("/password", **needs("logged_in"))
    async def ask_password(self, request: AnyRequest) -> Response[str]:
        require_recent_proof(request)
        return _password_page(request)

    @post("/password", **needs("logged_in"))
    async def change_password(self, request: AnyRequest) -> Response[str]:
        session = require_recent_proof(request, f"{_ACCOUNT}/password")
        password = (await form_of(request)).get("password", "")[:FIELD_LENGTH_MAX]
        try:
            await services(request).own_account.change_password(session, password, _address(request))
        except HealthPlusError as error:
            return _password_page(request, error)
        return see_other(request, _ACCOUNT, {"done": "password"})

    @get("/app", **needs("logged_in"))
    async def ask_app(self, request: AnyRequest) -> Response[str]:
        require_recent_proof(request)
        return _app_page(request)

    @post("/app", **needs("logged_in"))
    async def set_up_app(self, request: AnyRequest) -> Response[str]:
        session = require_recent_proof(request, f"{_ACCOUNT}/app")
        form = await form_of(request)
        app_secret = _unsealed_app(request, form)
        if app_secret is None:
            return _app_page(request)
        code = form.get("code", "")[:FIELD_LENGTH_MAX]
        try:
            await services(request).own_account.set_up_app(session, app_secret, code, _address(request))
        except HealthPlusError as error:
            return _app_page(request, error, app_secret)
        return see_other(request, _ACCOUNT, {"done": "app"})

    @post("/app/remove", **needs("logged_in"))
    async def remove_app(self, request: AnyRequest) -> Response[str]:
        session = require_recent_proof(request, _ACCOUNT)
        try:
            await services(request).own_account.remove_app(session, _address(request))
        except HealthPlusError as error:
            return await _account_page(request, error)
        return see_other(request, _ACCOUNT, {"done": "removed"})

    @get("/passkey", **needs("logged_in"))
    async def ask_passkey(self, request: AnyRequest) -> Response[str]:
        require_recent_proof(request)
        return await _passkey_page(request)

    @post("/passkey", **needs("logged_in"))
    async def add_passkey(self, request: AnyRequest) -> Response[str]:
        session = require_recent_proof(request, f"{_ACCOUNT}/passkey")
        answer = (await form_of(request)).get("answer", "")[:ANSWER_LENGTH_MAX]
        challenge = challenge_of(request)
        where = come_from(request)
        try:
            if challenge is None:
                raise BadInput
            await services(request).own_account.add_passkey(
                session, challenge, answer, where.agent, where.requester.address
            )
        except HealthPlusError as error:
            return await _passkey_page(request, error)
        return see_other(request, _ACCOUNT, {"done": "passkey"})

    @post("/passkey/{passkey_id:uuid}/remove", **needs("logged_in"))
    async def remove_passkey(self, request: AnyRequest, passkey_id: FromPath[UUID]) -> Response[str]:
        session = require_recent_proof(request, _ACCOUNT)
        try:
            await services(request).own_account.remove_passkey(session, passkey_id, _address(request))
        except HealthPlusError as error:
            return await _account_page(request, error)
        return see_other(request, _ACCOUNT, {"done": "removed"})

    @post("/session/{session_id:uuid}/end", **needs("logged_in"))
    async def end_session(self, request: AnyRequest, session_id: FromPath[UUID]) -> Response[str]:
        await services(request).staff_sessions.end_other(require_staff(request), session_id, _address(request))
        return see_other(request, _ACCOUNT, {"done": "ended"})

    @post("/log-out-everywhere", **needs("logged_in"))
    async def log_out_everywhere(self, request: AnyRequest) -> Response[str]:
        await services(request).staff_sessions.end_all(require_staff(request), _address(request))
        return see_other(request, "/desk/log-in", cookies=[end_cookie(request)])


def _link(request: AnyRequest) -> str:
    return request.query_params.get("link", "")


def _address(request: AnyRequest) -> str:
    return come_from(request).requester.address


def _unsealed_app(request: AnyRequest, form: dict[str, str]) -> str | None:
    """Return the secret that the form's page showed; None where it was not one of ours."""
    content = services(request).secret.unseal(_APP_PURPOSE, form.get("app", "")[:FIELD_LENGTH_MAX])
    return None if content is None else content.decode()


def _app_values(request: AnyRequest, log_on: str, app_secret: str | None) -> dict[str, Any]:
    """Return what a page shows for setting up an app; a new secret, unless the form had one."""
    app_secret = app_secret or new_app_secret()
    return {
        "app": services(request).secret.seal(_APP_PURPOSE, app_secret.encode()),
        "app_secret": " ".join(app_secret[i : i + 4] for i in range(0, len(app_secret), 4)),
        "app_link": app_link(app_secret, log_on),
    }


async def _welcome_page(
    request: AnyRequest, error: HealthPlusError | None = None, app_secret: str | None = None
) -> Response[str]:
    try:
        link = await services(request).own_account.link(_link(request))
    except StaffLinkOver as over:
        return desk_page(request, "link_over.html", status=over.status)
    return desk_page(
        request,
        "welcome.html",
        link=link,
        token=_link(request),
        **_app_values(request, link["log_on"], app_secret),
        **error_values(request, error),
    )


async def _account_page(request: AnyRequest, error: HealthPlusError | None = None) -> Response[str]:
    session = require_staff(request)
    own = services(request).own_account
    done = request.query_params.get("done", "")
    return desk_page(
        request,
        "account.html",
        factors=await own.factors(session),
        passkeys=await own.passkeys(session),
        sessions=await services(request).staff_sessions.of(session),
        can_have_passkeys=find_passkey_site(request) is not None,
        zone=HOME_ZONE,
        done=done if error is None and request.method == "GET" else "",
        **error_values(request, error),
    )


def _password_page(request: AnyRequest, error: HealthPlusError | None = None) -> Response[str]:
    return desk_page(request, "password.html", **error_values(request, error))


def _app_page(
    request: AnyRequest, error: HealthPlusError | None = None, app_secret: str | None = None
) -> Response[str]:
    values = _app_values(request, require_staff(request).log_on, app_secret)
    return desk_page(request, "app.html", **values, **error_values(request, error))


async def _passkey_page(request: AnyRequest, error: HealthPlusError | None = None) -> Response[str]:
    session = require_staff(request)
    passkey_site = find_passkey_site(request)
    if passkey_site is None:
        return see_other(request, _ACCOUNT)
    app, challenge = services(request), secrets.token_bytes(32)
    handle = (await app.own_account.factors(session))["handle"]
    ids = await app.log_in.passkey_ids(session.staff_id)
    question = passkeys.question_for_new(passkey_site, challenge, handle, session.log_on, session.name, ids)
    return desk_page(
        request,
        "passkey.html",
        question=question,
        cookies=[new_challenge(request, challenge, passkey_site)],
        **error_values(request, error),
    )
