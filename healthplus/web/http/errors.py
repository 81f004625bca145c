"""Every error as a problem document (RFC 9457), by one handler; and every refusal of a booking verb as an error."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import QueryParameter

from healthplus import errors
from healthplus.booking.book import STATUS_TEXTS, Outcome
from healthplus.database import PostgresError
from healthplus.errors import HealthPlusError
from healthplus.web.services import AnyRequest

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# SQLSTATE classes that mean "not now": rolled back for another's sake, or out of room.
_TRANSIENT = ("40", "53")


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
    tries_left: int | None = None
    appointments: list[str] | None = None
    scope: str | None = None
    violated_policies: list[str] | None = msgspec.field(default=None, name="violated-policies")


_REFUSALS: dict[str, type[HealthPlusError]] = {
    refusal.code: refusal
    for refusal in (
        errors.NotFound,
        errors.SlotFull,
        errors.SlotHeld,
        errors.NoSuchSlot,
        errors.Claimed,
        errors.TooManyLapses,
        errors.KeyReused,
        errors.HoldExpired,
        errors.OfferOver,
        errors.WrongState,
        errors.TooLate,
        errors.PaymentRequired,
    )
}

_NO_SUCH_SLOT = {
    "no_such_provider": "There is no such provider; search for one.",
    "no_such_clinic": "The provider does not work at this clinic; look at the provider's slots for where they do.",
    "past": "This time is past; choose a later slot.",
    "closed": "The provider is not open at this time, or not for so long; choose one of their slots.",
    "beyond_horizon": "This time is further ahead than the provider can be booked; choose an earlier slot.",
    "off_grid": "No slot starts at this time; choose one of the provider's slots.",
    "too_late": "This slot starts too soon to be booked here; choose a later one, or call the clinic.",
    "slots_needed": "One appointment here cannot take so many slots; ask for fewer.",
    "on_leave": "The provider is away at this time; choose another slot.",
}


def refusal(outcome: Outcome) -> HealthPlusError:
    """Give the error that says what a verb's refusal means and what to do next."""
    kind = _REFUSALS[outcome.code]
    detail = None
    if outcome.code == "no_such_slot":
        assert outcome.reason is not None
        detail = _NO_SUCH_SLOT[outcome.reason]
        if outcome.reason in ("no_such_provider", "no_such_clinic"):
            kind = errors.NotFound
    elif outcome.code == "slot_held" and outcome.alternatives:
        detail = "Others are holding this time; choose one of the alternatives, or wait."
    elif outcome.code == "slot_full" and not outcome.alternatives:
        detail = "Others have booked this time, and nothing near by is free; choose another day."
    elif outcome.code == "wrong_state" and outcome.state is not None:
        detail = f"This cannot be done with what is {outcome.state.replace('_', ' ')}; look at it again."
    members = {
        "status_text": STATUS_TEXTS.get(outcome.code),
        "reason": outcome.reason,
        "can_wait": outcome.can_wait,
        "alternatives": outcome.alternatives,
        "state": outcome.state,
    }
    return kind(detail, **{name: value for name, value in members.items() if value is not None})


def render(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """Turn any exception into a problem document."""
    problem, headers = problem_of(request, error)
    return Response(problem, status_code=problem["status"], headers=headers, media_type=MEDIA_TYPE)


def problem_of(request: AnyRequest, error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Give what an answer says of an exception, and its headers; log what is a fault of ours."""
    ours = _ours(request, error)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, HTTPException) and error.headers:
        headers.update(error.headers)
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
    if (seconds := ours.members.get("retry_after")) is not None:
        headers["Retry-After"] = str(seconds)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
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
    return problem, headers


def _ours(request: AnyRequest, error: Exception) -> HealthPlusError:
    if isinstance(error, HealthPlusError):
        return error
    if isinstance(error, ValidationException):
        wrong = error.extra if isinstance(error.extra, list) else []
        if any(one.get("source") == "path" for one in wrong):
            return errors.NotFound()  # no row has such an id
        takes = _what_parameters_take(request)
        said = "; ".join(
            f"{one.get('key', 'value').rstrip('_')}: {takes.get(one.get('key'), one['message']).rstrip('.')}"
            for one in wrong
        )
        return errors.Malformed(f"{said or error.detail.partition(' for path ')[0]}.")
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return HealthPlusError(_detail(error))
    if isinstance(error, PostgresError) and (error.sqlstate or "").startswith(_TRANSIENT):
        return errors.DatabaseError("The database is too busy for this just now; nothing was changed. Try again.")
    return HealthPlusError("Something went wrong here, and was logged; try again with the same key.")


def _what_parameters_take(request: AnyRequest) -> dict[str | None, str]:
    """Give what the asked route's documentation says of its query parameters, by their names in Python."""
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
    # Neither the text of what is not ours nor what stands in the address: either may carry a phone number.
    if isinstance(error, HealthPlusError):
        said = error.detail
    else:
        said = f"{getattr(error, 'sqlstate', '')}\n{''.join(traceback.format_tb(error.__traceback__))}"
    route = request.scope.get("path_template", "an unknown address")
    logger.error("%s %s: %d, %s %s", request.method, route, status, type(error).__name__, said)
