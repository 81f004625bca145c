"""Who uses the desk's pages: before each of them, whether the person may have it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from litestar import Response
from litestar.datastructures import Cookie

from healthplus.accounts.sessions import agent_label
from healthplus.console.console import Console
from healthplus.errors import Forbidden, HealthPlusError, LogInNeeded, ProofDue, ScreenLocked
from healthplus.setting_checks import is_loopback
from healthplus.staff.log_in import Challenge, From, LoggedIn
from healthplus.staff.passkeys import Site
from healthplus.staff.rights import Right
from healthplus.staff.sessions import LOCK_SECONDS, SESSION_SECONDS, StaffSession
from healthplus.web.desk.office.labels import LABELS
from healthplus.web.desk.office.tabs import has_office, tabs_of
from healthplus.web.desk.texts import error_text
from healthplus.web.http.ids import ID_MAX
from healthplus.web.languages import split_path
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.pages.sealed_cookies import sealed_cookie, unsealed_cookie
from healthplus.web.pages.session import begin_page, local_path, site
from healthplus.web.services import AnyRequest, requester_of, services

_COOKIE, _DEVICE_COOKIE, _CHALLENGE_COOKIE = "desk", "desk-device", "desk-challenge"
_DEVICE_SECONDS = 400 * 86_400
_CHALLENGE_SECONDS = 300
FIELD_LENGTH_MAX, ANSWER_LENGTH_MAX = 1000, 8000
"""Of what is typed, and of a passkey's answer, so much is looked at."""

Access: TypeAlias = Right | Literal["anybody", "logged_in", "locked"]
"""Who may open a route: holders of a right, `anybody`, people `logged_in`, or those even with a `locked` screen."""


def needs(access: Access, *, is_use: bool = True) -> dict[str, Any]:
    """Return the options of a route that is for those who have this access; `is_use`: somebody asks, and no page.

    A page that asks again by itself, without script, says so with `again` in its address. A right is needed at the
    clinic of the path; where that names none, at every clinic.
    """
    return {"opt": {"access": access, "is_use": is_use}}


async def enter_desk(request: AnyRequest) -> None:
    """Before each page of the desk: the one place that decides who may have it. What names no access is for nobody."""
    await begin_page(request)
    token = site(request).read(request, _COOKIE)
    is_use = request.route_handler.opt.get("is_use", True) and "again" not in request.query_params
    session = await services(request).staff_sessions.find(token, is_use=is_use) if token else None
    request.state.staff = session
    access: Access | None = request.route_handler.opt.get("access")
    if access == "anybody":
        return
    if session is None:
        raise LogInNeeded
    if access == "locked":
        return
    if session.is_locked:
        raise ScreenLocked
    if access == "logged_in":
        return
    clinic_id = request.path_params.get("clinic_id")
    if access is None or not session.may(access, clinic_id):
        # Who tries what is not theirs, another clinic's page above all, is seen to.
        address = come_from(request).requester.address
        at = clinic_id if clinic_id is not None and clinic_id <= ID_MAX else None
        await services(request).staff_sessions.note_forbidden(session, access or "", at, address)
        raise Forbidden


def staff_of(request: AnyRequest) -> StaffSession | None:
    """Return who is logged in; None where nobody is."""
    found: StaffSession | None = request.state.get("staff")
    return found


def require_staff(request: AnyRequest) -> StaffSession:
    """Return who is logged in, on a page that only they can have."""
    found = staff_of(request)
    if found is None:
        raise LogInNeeded
    return found


def require_recent_proof(request: AnyRequest, back_to: str | None = None) -> StaffSession:
    """Return who is logged in and has shown so in the last minutes, before something that others must not do.

    Raises ProofDue: they give password or passkey, and come back to `back_to`, by default this page.
    """
    session = require_staff(request)
    if not session.is_proven:
        raise ProofDue(**({"back_to": back_to} if back_to else {}))
    return session


def again(path: str) -> str:
    """Return the address of a page that says that a press was not done, as who pressed had to show who they are."""
    return f"{path}?done=again"


def console(request: AnyRequest) -> Console:
    """Return what calls the console's functions for who is logged in, as the role that gives them this route's right.

    The database looks again whether they have the right that the function is for.
    """
    session = require_staff(request)
    role = session.role_for(request.route_handler.opt["access"], request.path_params.get("clinic_id"))
    if role is None:
        raise Forbidden
    address = come_from(request).requester.address
    return Console(services(request).logins.of(role), session.token_hash, address)


def desk_path_of(text: object) -> str:
    """Return a path of the desk that came as a parameter; its first page for anything else."""
    path = local_path(text, "/desk")
    return path if path.split("?")[0].split("/")[1] in ("desk", "office") else "/desk"


def come_from(request: AnyRequest) -> From:
    """Return where a log-in comes from."""
    read = site(request).read
    agent = agent_label(request.headers.get("user-agent", ""))
    return From(requester_of(request, read(request, _DEVICE_COOKIE)), agent, read(request, _COOKIE))


def logged_in_cookies(request: AnyRequest, logged_in: LoggedIn) -> list[Cookie]:
    return [
        site(request).cookie(_COOKIE, logged_in.token, SESSION_SECONDS),
        site(request).cookie(_DEVICE_COOKIE, logged_in.device, _DEVICE_SECONDS),
    ]


def end_cookie(request: AnyRequest) -> Cookie:
    return site(request).end_cookie(_COOKIE)


def find_passkey_site(request: AnyRequest) -> Site | None:
    """Return for which site passkeys are; None where browsers have none: at an address, or without TLS."""
    own = urlsplit(site(request).url)
    if is_loopback(own.hostname or ""):
        # On this machine browsers have them at http://localhost alone.
        host = request.headers.get("host", "")
        return Site("localhost", f"http://{host}") if host.partition(":")[0] == "localhost" else None
    return Site(own.hostname or "", f"{own.scheme}://{own.netloc}") if own.scheme == "https" else None


def new_challenge(request: AnyRequest, value: bytes, passkey_site: Site) -> Cookie:
    """Return the cookie that keeps what a passkey is asked to sign."""
    expires_at = services(request).clock.now() + timedelta(seconds=_CHALLENGE_SECONDS)
    return sealed_cookie(request, _CHALLENGE_COOKIE, Challenge(value, expires_at, passkey_site), _CHALLENGE_SECONDS)


def challenge_of(request: AnyRequest) -> Challenge | None:
    return unsealed_cookie(request, _CHALLENGE_COOKIE, Challenge)


def error_values(request: AnyRequest, error: HealthPlusError | None) -> dict[str, Any]:
    """Return what a page about logging in says of an error, with its status."""
    return {
        "status": error.status if error else 200,
        "error": error_text(error, language_of(request)) if error else None,
        "about_code": error is not None and error.members.get("reason") == "code",
    }


def _here(request: AnyRequest) -> str:
    """Return the address of this page, to come back to; of an answer to a form, that of the page that sent it."""
    if request.method != "GET":
        sent_from = re.match(r"https?://[^/]+(/[^?#]*)", request.headers.get("referer", ""))
        return desk_path_of(sent_from[1] if sent_from else None)
    path = split_path(request.url.path)[1]
    if request.url.query and not path.endswith("/welcome"):  # a link is secret
        path += f"?{request.url.query}"
    return path


def desk_page(
    request: AnyRequest, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> Response[str]:
    """Return a page of the desk. Nobody keeps it: on a shared computer, going back must not show it to another."""
    return page(
        request,
        f"desk/{template}",
        status=status,
        headers={**(headers or {}), "Cache-Control": "no-store"},
        staff=staff_of(request),
        has_office=has_office,
        lock_seconds=LOCK_SECONDS,
        here=_here(request),
        labels=LABELS,
        tabs_of=tabs_of,
        **values,
    )
