"""Second factor: codes that an app on the person's phone makes from the time (TOTP, RFC 6238)."""

from __future__ import annotations

import hmac
import os
from datetime import datetime

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthplus import text as typed
from healthplus.accounts.secret import Secret

_STEP_SECONDS = 30
_SKEW_STEPS = 1
"""So many steps may the phone's clock be off."""
_NONCE_BYTES = 12


def new_app_secret() -> str:
    """Return a secret for an app, in base32, as people can type it."""
    return pyotp.random_base32()


def app_link(app_secret: str, log_on: str) -> str:
    """Return the link with which an app on the same device takes a secret over."""
    return pyotp.TOTP(app_secret).provisioning_uri(name=log_on, issuer_name="HealthPlus")


def step_of_code(app_secret: str, code: str, now: datetime, last_step: int = 0) -> int | None:
    """Return the time step that a code is of; None where it is wrong, or not later than the last that was used."""
    code = typed.code(code)
    present = int(now.timestamp()) // _STEP_SECONDS
    totp = pyotp.TOTP(app_secret)
    found = None
    for step in range(present - _SKEW_STEPS, present + _SKEW_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()) and step > last_step:
            found = step
    return found


class AppSecrets:
    """Keeps secrets of apps so that the database alone does not make codes: sealed with the product's key."""

    def __init__(self, secret: Secret) -> None:
        self._cipher = AESGCM(secret.mac("secrets of apps"))

    def seal(self, app_secret: str, staff_id: int) -> bytes:
        """Return what to store of a person's secret, which `unseal` gives back for that person alone."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, app_secret.encode(), str(staff_id).encode())

    def unseal(self, sealed: bytes, staff_id: int) -> str | None:
        """Return the secret; None where it was sealed with another key, or for another person."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], str(staff_id).encode()).decode()
        except InvalidTag:
            return None
