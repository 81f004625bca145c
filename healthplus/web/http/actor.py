"""Who makes a request: the patient whose bearer token it carries."""

from __future__ import annotations

from typing import NamedTuple

from healthplus.accounts.actors import Patient
from healthplus.accounts.sessions import unknown_token
from healthplus.errors import Unauthenticated
from healthplus.web.http.requests import first_header
from healthplus.web.services import AnyRequest, services

_HOW_TO_SEND = "Send your token as `Authorization: Bearer <token>`."


def bearer_token(request: AnyRequest) -> str | None:
    """Return the token of the Authorization header, or None without one. Raises Unauthenticated for other schemes."""
    header = first_header(request.scope, "Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(_HOW_TO_SEND)
    return token


async def find_patient(request: AnyRequest) -> int | None:
    """Return the id of the patient whose token the request carries, or None without a token.

    Raises Unauthenticated for a token that is unknown or revoked.
    """
    token = bearer_token(request)
    if token is None:
        return None
    patient_id = await services(request).tokens.patient_of(token, afresh=request.method != "GET")
    if patient_id is None:
        raise unknown_token()
    return patient_id


async def require_patient(request: AnyRequest) -> int:
    """Return the id of the patient who makes the request. Raises Unauthenticated."""
    patient_id = await find_patient(request)
    if patient_id is None:
        raise Unauthenticated(_HOW_TO_SEND)
    return patient_id


class Caller(NamedTuple):
    """A patient who makes a request, as known up to KnownTokens.OWNER_SECONDS_MAX ago, with the hash of their token.

    For changes whose own statement checks the token.
    """

    patient_id: int
    token_hash: bytes

    @property
    def actor(self) -> Patient:
        return Patient(self.patient_id)


async def require_caller(request: AnyRequest) -> Caller:
    """Return the patient who makes the request, for a change whose own statement checks the token.

    Raises Unauthenticated without a token, or with one that signed nobody in when it was last looked up.
    """
    token = bearer_token(request)
    if token is None:
        raise Unauthenticated(_HOW_TO_SEND)
    owner = await services(request).tokens.owner_of(token)
    if owner is None:
        raise unknown_token()
    return Caller(*owner)
