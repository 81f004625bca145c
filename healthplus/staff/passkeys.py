"""Passkeys (WebAuthn): what a browser is asked, and whether its answer is good."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import webauthn
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)


class Site(NamedTuple):
    """For which site a passkey is: the host, and the whole origin that pages have."""

    host: str
    origin: str


class NewPasskey(NamedTuple):
    credential_id: bytes
    public_key: bytes
    sign_count: int


def question(site: Site, challenge: bytes, credential_ids: Iterable[bytes] = ()) -> str:
    """Return what to ask a browser in which somebody is to show a passkey, as JSON; by default any that they have.

    The device always asks for the person's finger, face or PIN, so a passkey is two factors.
    """
    options = webauthn.generate_authentication_options(
        rp_id=site.host,
        challenge=challenge,
        allow_credentials=[PublicKeyCredentialDescriptor(one) for one in credential_ids],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def question_for_new(
    site: Site, challenge: bytes, handle: UUID, log_on: str, name: str, credential_ids: Iterable[bytes]
) -> str:
    """Return what to ask a browser that is to make a passkey; not on a device that has one of `credential_ids`."""
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name="HealthPlus",
        user_id=handle.bytes,
        user_name=log_on,
        user_display_name=name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(one) for one in credential_ids],
    )
    return webauthn.options_to_json(options)


def credential_id_of(answer: str) -> bytes | None:
    """Return the id of the passkey with which a browser answered; None where that is no answer."""
    try:
        return base64url_to_bytes(json.loads(answer)["rawId"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def new_passkey(site: Site, challenge: bytes, answer: str) -> NewPasskey | None:
    """Return the passkey that a browser made; None where the answer is not good."""
    try:
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)


def sign_count_of(site: Site, challenge: bytes, answer: str, public_key: bytes, sign_count: int) -> int | None:
    """Return the passkey's new count of uses; None where the answer is not good, or the count went back."""
    try:
        shown = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    return shown.new_sign_count
