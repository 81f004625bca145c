"""Errors as pages for people; programs get problem documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from litestar import Response

from healthplus.errors import DiskFull, Unauthenticated
from healthplus.web.http import errors
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.session import local_path
from healthplus.web.services import AnyRequest

_KEPT_HEADERS = ("Allow", "Retry-After")
_TEMPLATES = {403: "forbidden", 404: "not_found", 405: "not_found", 410: "over", 429: "too_many", 503: "not_now"}


def render(request: AnyRequest, error: Exception) -> Response[Any]:
    """Turn any exception into a page in the reader's language, or, below /api, into a problem document."""
    if request.url.path.startswith("/api/"):
        return errors.render(request, error)
    if isinstance(error, Unauthenticated):
        return _sign_in(request, error)
    problem, headers = said_of(request, error)
    status = problem["status"]
    name = _TEMPLATES.get(status, "fault" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused")
    if isinstance(error, DiskFull):
        name = "disk_low" if problem["reason"] == "bookings" else "disk_full"
    said = {"code": problem["code"], "request_id": problem.get("request_id")}
    return page(request, f"errors/{name}.html", status=status, headers=headers, **said)


def said_of(request: AnyRequest, error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a program would be told of an error, and the headers of a page that says it; it is logged."""
    problem, headers = errors.problem_of(request, error)
    kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
    return problem, {"Cache-Control": "no-store", **kept}


def _sign_in(request: AnyRequest, error: Unauthenticated) -> Response[str]:
    """Redirect to signing in, and from there back: to the same page, or to the one that a form was on."""
    back_to = error.members.get("back_to")
    if back_to is None and request.method == "GET":
        back_to = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    return see_other(request, "/verify", {"next": local_path(back_to)})
