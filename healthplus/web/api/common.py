"""What the controllers share: who asks, and how a request's parts are read."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter

from healthplus.booking.book import Outcome
from healthplus.errors import BadInput, HealthPlusError, Malformed, Unauthenticated
from healthplus.web.api.models import ID_MAX, hold_url, wait_url
from healthplus.web.http.errors import MEDIA_TYPE, Problem, refusal
from healthplus.web.services import AnyRequest, services

YEAR_MIN, YEAR_MAX = 2000, 2199
"""No appointment is ever outside, and near the ends of the years 1 to 9999 not every instant can be kept in UTC."""

ProviderId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX, description="The person or resource.")]
ClinicId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
UNREAD_BYTES_MAX = 1024 * 1024
IdempotencyKey: TypeAlias = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        pattern="^[ -~]{1,255}$",
        description="A text of your own, new for each new request: a repeat gives the first result for 24 hours.",
    ),
]

PROBLEMS = {
    status: ResponseSpec(Problem, media_type=MEDIA_TYPE, description=description, generate_examples=False)
    for status, description in (
        (400, "The request is malformed, or its Idempotency-Key is missing."),
        (401, "Sign in first."),
        (403, "It may not be done by who asks, or was not signed by whom it should be."),
        (404, "There is no such thing, or it is somebody else's."),
        (409, "It cannot be done as things stand."),
        (410, "It is over: expired."),
        (422, "The request makes no sense."),
        (429, "Too much of it; Retry-After says when again."),
        (503, "Not now; try again with the same key."),
    )
}
READ_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 404, 422, 503)}


class ApiRequest(Request[Any, Any, State]):
    """Decodes a body straight into its handler's type, strictly: "3" is no number, and a body has no unknown fields."""

    async def body(self) -> bytes:
        """Give the whole body. Raises RequestEntityTooLarge or Malformed."""
        try:
            return await super().body()
        except InternalServerException:
            # Litestar's name for a client that went away: no fault of ours, and nothing to log.
            raise Malformed("The body ended too early.") from None
        except RequestEntityTooLarge:
            # The server hangs up once we have answered, and a client that is still sending then never sees the answer.
            unread = UNREAD_BYTES_MAX
            while unread > 0 and (event := await self.receive())["type"] == "http.request":
                unread -= len(event["body"])
                if not event["more_body"]:
                    break
            raise

    async def json(self) -> Any:
        """Give the body as the handler's `data`. Raises BadInput, as 400 for what is no JSON at all."""
        field = self.route_handler.parsed_data_field
        assert field is not None
        try:
            return _decoder(field.annotation).decode(await self.body())
        except msgspec.ValidationError as error:
            raise BadInput(f"{error}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The body is not JSON in UTF-8.") from None


@lru_cache
def _decoder(body_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body_type)


def bearer_token(request: AnyRequest) -> str | None:
    """Give the token that the request carries; None without one. Raises Unauthenticated for anything else."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Send your token as `Authorization: Bearer <token>`.")
    return token


async def patient_or_anyone(request: AnyRequest) -> int | None:
    """Give the patient whose token the request carries; None without one. Raises Unauthenticated for any other."""
    token = bearer_token(request)
    if token is None:
        return None
    patient_id = await services(request).tokens.patient_of(token, afresh=request.method != "GET")
    if patient_id is None:
        raise Unauthenticated("This token is not known, or was revoked.")
    return patient_id


async def patient(request: AnyRequest) -> int:
    """Give the patient who asks. Raises Unauthenticated."""
    patient_id = await patient_or_anyone(request)
    if patient_id is None:
        raise Unauthenticated("Send your token as `Authorization: Bearer <token>`.")
    return patient_id


async def refused(request: AnyRequest, outcome: Outcome, patient_id: int) -> HealthPlusError:
    """Give the error for a refused hold or wait; where the patient has another, it says where that is, as `yours`."""
    error = refusal(outcome)
    if outcome.code == "claimed" and (claim := await services(request).book.claim(patient_id)):
        held = claim["booking_id"]
        place = hold_url(claim["provider_id"], held) if held else wait_url(claim["provider_id"], claim["ticket_id"])
        error.members["yours"] = place
    return error


def actor(patient_id: int) -> str:
    """Name a patient in events, and as the owner of idempotency keys."""
    return f"patient:{patient_id}"


def checked_instant(name: str, instant: datetime) -> datetime:
    """Give back an instant that has an offset and lies within reach. Raises BadInput."""
    if instant.tzinfo is None:
        raise BadInput(
            f"{name}: say which offset from UTC you mean, as in 2026-11-23T10:00:00+05:30 (in a URL, + is %2B)."
        )
    if not YEAR_MIN <= instant.year <= YEAR_MAX:
        raise BadInput(f"{name}: the year must be between {YEAR_MIN} and {YEAR_MAX}.")
    return instant
