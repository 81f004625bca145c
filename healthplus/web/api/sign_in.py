"""Signing in by a code sent to a phone."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from healthplus.accounts.consent import CURRENT
from healthplus.accounts.phone_numbers import masked
from healthplus.accounts.sessions import agent_label
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.me import Profile, profile_of_row
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.services import AnyRequest, client_address, services

_NO_STORE = {"Cache-Control": "no-store"}
_CODE_PROBLEMS = {status: PROBLEMS[status] for status in (400, 409, 422, 429, 503)}
_VERIFY_PROBLEMS = {status: PROBLEMS[status] for status in (400, 404, 410, 422, 429, 503)}


class Consent(Struct):
    """What a patient agrees to by requesting a code. Show the text, and send back its version."""

    version: str
    purpose: str
    text: str


class CodeRequest(Struct, forbid_unknown_fields=True):
    """A mobile number as people write it, and the version of the consent that was shown and agreed to."""

    phone: Annotated[str, Meta(max_length=100)]
    consent: Annotated[str, Meta(max_length=100)]


class CodeSent(Struct):
    """A code is on its way. Both times are in seconds: how long it works, and until another can be sent."""

    id: UUID
    sent_to: str
    expires_in: int
    resend_in: int


class Verification(Struct, forbid_unknown_fields=True):
    """The six digits; spaces do not matter."""

    code: Annotated[str, Meta(max_length=100)]


class SignedIn(Struct):
    """Send `token` with each request, as `Authorization: Bearer <token>`. It works for 90 days, or until revoked."""

    token: str
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
        sent = await app.codes.request(data.phone, data.consent, client_address(request), idempotency_key)
        app.code_messages.send(sent)
        shown = CodeSent(sent.challenge_id, masked(sent.phone), sent.expires_in, sent.resend_in)
        return Response(shown, status_code=202, headers=_NO_STORE)

    @post("/codes/{code_id:uuid}/verify", responses=_VERIFY_PROBLEMS)
    async def verify(
        self,
        request: AnyRequest,
        code_id: FromPath[UUID],
        data: JSONBody[Verification],
        idempotency_key: IdempotencyKey,
    ) -> Response[SignedIn]:
        """Sign in with the code; a number that is new becomes a patient. Five tries a code."""
        app = services(request)
        agent = agent_label(request.headers.get("user-agent", ""))
        patient_id, token = await app.codes.verify(code_id, data.code, idempotency_key, agent)
        shown = SignedIn(token, profile_of_row(await app.patients.profile(patient_id)))
        return Response(shown, headers=_NO_STORE)
