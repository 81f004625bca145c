"""Signing in by a code sent to a phone."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from healthplus.accounts import codes as accounts
from healthplus.accounts.consent import CURRENT, require_consent
from healthplus.accounts.phone_numbers import masked
from healthplus.accounts.sessions import agent_label
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.me import Profile, profile_of_row
from healthplus.web.api.problems import PROBLEMS, PROOF_NEEDED
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.services import AnyRequest, requester_of, services

_NO_STORE = {"Cache-Control": "no-store"}
_CODE_PROBLEMS = {**{status: PROBLEMS[status] for status in (400, 409, 422, 429, 503)}, **PROOF_NEEDED}
_VERIFY_PROBLEMS = {status: PROBLEMS[status] for status in (400, 404, 410, 422, 503)}
_DESK_PROBLEMS = {status: PROBLEMS[status] for status in (400, 409, 410, 422, 503)}

Device = (
    Annotated[
        str, Meta(max_length=100, description="What an earlier sign-in on this device gave; then a code costs nothing.")
    ]
    | None
)


class Consent(Struct):
    """What a patient agrees to by requesting a code. Show the text, and send back its version."""

    version: str
    purpose: str
    text: str


class CodeRequest(Struct, forbid_unknown_fields=True):
    """A mobile number as people write it, and the version of the consent that was shown and agreed to.

    `proof` answers a 428 to the same request before.
    """

    phone: Annotated[str, Meta(max_length=100)]
    consent: Annotated[str, Meta(max_length=100)]
    device: Device = None
    proof: Annotated[str, Meta(max_length=4000)] | None = None


class CodeSent(Struct):
    """A code is on its way. Both times are in seconds: how long it works, and until another can be sent."""

    id: UUID
    sent_to: str
    expires_in: int
    resend_in: int


class Verification(Struct, forbid_unknown_fields=True):
    """The six digits; spaces do not matter."""

    code: Annotated[str, Meta(max_length=100)]
    device: Device = None


class DeskVerification(Struct, forbid_unknown_fields=True):
    """The twelve letters and digits that the desk told, and the version of the consent that was agreed to."""

    code: Annotated[str, Meta(max_length=100)]
    consent: Annotated[str, Meta(max_length=100)]
    device: Device = None


class SignedIn(Struct):
    """Send `token` with each request, as `Authorization: Bearer <token>`. It works for 90 days, or until revoked.

    Keep `device`, which is secret too, and send it when a code is asked for again on the same device.
    """

    token: str
    device: str
    patient: Profile


class SignInController(Controller):
    tags = ("Signing in",)

    @get("/consent")
    async def consent(self) -> Consent:
        """Read what patients agree to when they sign in."""
        return Consent(*CURRENT)

    @post("/codes", status_code=202, responses=_CODE_PROBLEMS)
    async def send_code(
        self, request: AnyRequest, data: JSONBody[CodeRequest], idempotency_key: IdempotencyKey
    ) -> Response[CodeSent]:
        """Send a code to a mobile number by SMS. The answer is the same whether or not the number is known."""
        app = services(request)
        app.code_messages.require_sender()
        requester = requester_of(request, data.device)
        sent = await app.codes.request(data.phone, data.consent, requester, idempotency_key, data.proof)
        app.code_messages.send(sent)
        shown = CodeSent(sent.challenge_id, masked(sent.phone), sent.expires_in, sent.resend_in)
        return JsonAnswer(shown, status_code=202, headers=_NO_STORE)

    @post("/codes/{code_id:uuid}/verify", responses=_VERIFY_PROBLEMS)
    async def verify(
        self,
        request: AnyRequest,
        code_id: FromPath[UUID],
        data: JSONBody[Verification],
        idempotency_key: IdempotencyKey,
    ) -> Response[SignedIn]:
        """Sign in with the code; a number that is new becomes a patient. Five tries a code, or two under attack."""
        codes, agent = services(request).codes, agent_label(request.headers.get("user-agent", ""))
        return await _shown(request, await codes.verify(code_id, data.code, idempotency_key, agent, data.device))

    @post("/codes/desk/verify", responses=_DESK_PROBLEMS)
    async def verify_desk_code(
        self, request: AnyRequest, data: JSONBody[DeskVerification], idempotency_key: IdempotencyKey
    ) -> Response[SignedIn]:
        """Sign in with a code that a clinic's desk gave to the patient who stood there; it works for 15 minutes."""
        require_consent(data.consent)
        codes, agent = services(request).codes, agent_label(request.headers.get("user-agent", ""))
        return await _shown(request, await codes.verify_desk_code(data.code, idempotency_key, agent, data.device))


async def _shown(request: AnyRequest, signed_in: accounts.SignedIn) -> Response[SignedIn]:
    patient = profile_of_row(await services(request).patients.profile(signed_in.patient_id))
    return JsonAnswer(SignedIn(signed_in.token, signed_in.device, patient), headers=_NO_STORE)
