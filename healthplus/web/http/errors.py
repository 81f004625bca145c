"""Every error as a problem document (RFC 9457)."""

from __future__ import annotations

import logging
import math
import traceback
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import QueryParameter

from healthplus import errors
from healthplus.database import PostgresError, has_changed
from healthplus.errors import HealthPlusError
from healthplus.logs import backend_of
from healthplus.web.http.requests import REQUEST_ID
from healthplus.web.services import AnyRequest, services

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# SQLSTATE classes that mean "not now": rolled back in favour of another transaction, or out of room.
_TRANSIENT = ("40", "53")
# In the log once for all that see it, or counted: not a line for each request.
_NOT_LOGGED = (errors.DatabaseUnreachable, errors.DiskFull, errors.Overloaded)


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong, and what to do about it. `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    status_text: str | None = None
    reason: str | None = None
    can_wait: bool | None = None
    alternatives: list[datetime] | None = None
    state: str | None = None
    money: str | None = None
    yours: str | None = None
    retry_after: int | None = None
    retry_at: datetime | None = None
    limit: int | None = None
    tries_left: int | None = None
    challenge: dict[str, Any] | None = None
    wait_token: str | None = None
    appointments: list[str] | None = None
    scope: str | None = None
    request_id: str | None = None
    violated_policies: list[str] | None = msgspec.field(default=None, name="violated-policies")


def render(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """Answer any exception with a problem document."""
    problem, headers = problem_of(request, error)
    return Response(problem, status_code=problem["status"], headers=headers, media_type=MEDIA_TYPE)


def problem_of(request: AnyRequest, error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the members of the problem document for an exception, and the headers; log a fault of ours."""
    ours = _truly(request, _as_healthplus_error(request, error))
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, HTTPException) and error.headers:
        headers.update({name.title(): value for name, value in error.headers.items()})
        if "GET" in headers.get("Allow", ""):
            headers["Allow"] += ", HEAD"
    status = ours.status
    title, code = ours.title, ours.code
    if isinstance(error, HTTPException) and type(ours) is HealthPlusError:
        status = error.status_code
        title = HTTPStatus(status).phrase
        code = title.lower().replace(" ", "_")
    if isinstance(ours, errors.Unauthenticated):
        headers["WWW-Authenticate"] = ours.challenge
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if isinstance(retry_at := ours.members.get("retry_at"), datetime):
        left = retry_at - services(request).clock.now()
        ours.members["retry_after"] = max(1, math.ceil(left.total_seconds()))
    if (seconds := ours.members.get("retry_after")) is not None:
        headers["Retry-After"] = str(seconds)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(ours, _NOT_LOGGED):
        _log(request, error, status)
    problem: dict[str, Any] = {
        "type": f"urn:healthplus:problem:{code}",
        "title": title,
        "status": status,
        # The detail of a lost connection names hosts: that is for the log.
        "detail": ours.title if isinstance(ours, errors.DatabaseUnreachable) else ours.detail,
        "code": code,
        **ours.members,
    }
    return problem | _id_of(request), headers


def _id_of(request: AnyRequest) -> dict[str, str]:
    """Return the member with the request's id; none where a request did not come through the entrance."""
    state = request.scope["state"]
    return {"request_id": state[REQUEST_ID]} if REQUEST_ID in state else {}


def _as_healthplus_error(request: AnyRequest, error: Exception) -> HealthPlusError:
    if isinstance(error, HealthPlusError):
        return error
    if isinstance(error, ValidationException):
        return _as_bad_parameters(request, error)
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return HealthPlusError(_detail(error))
    if isinstance(error, PostgresError) and (error.sqlstate or "").startswith(_TRANSIENT):
        return errors.DatabaseBusy()
    return HealthPlusError("Something went wrong here, and was logged; try again with the same key.")


def _as_bad_parameters(request: AnyRequest, error: ValidationException) -> HealthPlusError:
    faults = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("source") == "path" for fault in faults):
        return errors.NotFound()  # no row has such an id
    if any(fault.get("key") == "data" for fault in faults):
        return errors.Malformed("The request needs a body, in JSON.")
    descriptions = _parameter_descriptions(request)
    detail = "; ".join(
        f"{fault.get('key', 'value').rstrip('_')}: {descriptions.get(fault.get('key'), fault['message']).rstrip('.')}"
        for fault in faults
    )
    return errors.Malformed(f"{detail or error.detail.partition(' for path ')[0]}.")


def _truly(request: AnyRequest, error: HealthPlusError) -> HealthPlusError:
    """Return the error as it is for the whole request, of which the failed call is perhaps only a part."""
    if not isinstance(error, errors.DatabaseBusy | errors.DatabaseReadOnly | errors.DatabaseUnreachable):
        return error
    if request.method in ("GET", "HEAD"):
        return errors.DatabaseUnreachable() if isinstance(error, errors.OutcomeUnknown) else error
    return errors.OutcomeUnknown() if has_changed() else error


def _parameter_descriptions(request: AnyRequest) -> dict[str | None, str]:
    """Return what the route's documentation says of its query parameters, by their names in Python."""
    handler = request.route_handler
    signatures = [
        handler.parsed_fn_signature,
        *(one.parsed_fn_signature for one in handler.resolve_dependencies().values()),
    ]
    return {
        name: field.kwarg_definition.description
        for signature in signatures
        for name, field in signature.parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter) and field.kwarg_definition.description
    }


def _detail(error: HTTPException) -> str:
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return "There is nothing at this address; see /api/v1/openapi.json for what there is."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return "This address does not take this method; see the Allow header for those it takes."
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "The request's body is larger than any this product takes."
        case _:
            return error.detail


def _log(request: AnyRequest, error: Exception, status: int) -> None:
    # Neither another library's error text nor the path's values: either may carry a phone number.
    if isinstance(error, HealthPlusError):
        detail = error.detail
    else:
        detail = f"{getattr(error, 'sqlstate', '')}\n{''.join(traceback.format_tb(error.__traceback__))}"
    if (backend := backend_of(error)) is not None:
        detail = f"in backend {backend} {detail}"
    route = f"{request.method} {request.scope.get('path_template', 'an unknown address')}"
    about = {"failure": error, "route": route}
    logger.error("%s: %d, %s %s", route, status, type(error).__name__, detail, extra=about)
