"""The problem documents that the API's operations answer with, as its description lists them."""

from __future__ import annotations

from litestar.openapi.datastructures import ResponseSpec

from healthplus.booking.outcomes import HoldRefused, JoinRefused
from healthplus.errors import HealthPlusError
from healthplus.web.api.urls import hold_url, wait_url
from healthplus.web.http.errors import MEDIA_TYPE, Problem
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.services import AnyRequest, services

PROBLEMS = {
    status: ResponseSpec(Problem, media_type=MEDIA_TYPE, description=description, generate_examples=False)
    for status, description in (
        (400, "The request is malformed, or its Idempotency-Key is missing."),
        (401, "Sign in first."),
        (403, "It may not be done by who asks, or was not signed by whom it should be."),
        (404, "There is no such thing, or it is somebody else's."),
        (408, "The body did not arrive within 10 seconds."),
        (409, "It cannot be done as things stand."),
        (410, "It is over: expired."),
        (422, "The request makes no sense."),
        (429, "Too much of it; Retry-After says when again."),
        (503, "Not now; try again with the same key."),
    )
}
READ_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 404, 422, 503)}


async def error_for_refused_claim(
    request: AnyRequest, outcome: HoldRefused | JoinRefused, patient_id: int
) -> HealthPlusError:
    """Return the error for a refused hold or ticket; where the patient has another, `yours` is the URL of that one."""
    error = error_for_refusal(outcome)
    if outcome.code == "claimed" and (claim := await services(request).book.claim(patient_id)):
        if (booking_id := claim["booking_id"]) is not None:
            error.members["yours"] = hold_url(claim["provider_id"], booking_id)
        else:
            error.members["yours"] = wait_url(claim["provider_id"], claim["ticket_id"])
    return error
