"""The problem documents that the API's operations answer with, as its description lists them."""

from __future__ import annotations

from litestar.openapi.datastructures import ResponseSpec

from healthplus.booking.outcomes import RefusalCode, Refused
from healthplus.errors import HealthPlusError
from healthplus.web.api.urls import booking_url, hold_url, wait_url
from healthplus.web.http.errors import MEDIA_TYPE, Problem
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.services import AnyRequest, services


def _described(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, media_type=MEDIA_TYPE, description=description, generate_examples=False)


PROBLEMS = {
    status: _described(description)
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
PROOF_NEEDED = {
    428: _described(
        "Many codes are being asked for, so this one costs work or time. Either solve `challenge` (ALTCHA, version 2): "
        "try the counters 0, 1, 2 … below 2^32, each as four bytes, the highest first, after the bytes of `nonce`; "
        "derive a key from that by PBKDF2 with SHA-256, the bytes of `salt`, `cost` iterations and `keyLength` bytes; "
        "the one whose key begins, in hexadecimal, with `keyPrefix` is the solution. Send the request again with, as "
        '`proof`, the Base64 of `{"challenge": <challenge>, "solution": {"counter": <n>, "derivedKey": "<hex>"}}`. Or '
        "wait for `retry_after` seconds, and send it again with `wait_token` as `proof`. A proof counts once, for one "
        "number. What an earlier sign-in gave as `device`, sent along, makes a code for the same number free."
    )
}
READ_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 404, 422, 503)}


async def error_for_refused_time(
    request: AnyRequest, outcome: Refused[RefusalCode], patient_id: int
) -> HealthPlusError:
    """Return the error for a refused hold, move, offer or ticket.

    Where the patient has a hold, ticket or appointment in the way, `yours` is the URL of that one.
    """
    error = error_for_refusal(outcome)
    if outcome.provider_id is not None and outcome.booking_id is not None:
        error.members["yours"] = booking_url(outcome.provider_id, outcome.booking_id, outcome.state or "booked")
    if outcome.code == "claimed" and (claim := await services(request).book.claim(patient_id)):
        if (booking_id := claim["booking_id"]) is not None:
            error.members["yours"] = hold_url(claim["provider_id"], booking_id)
        else:
            error.members["yours"] = wait_url(claim["provider_id"], claim["ticket_id"])
    return error
