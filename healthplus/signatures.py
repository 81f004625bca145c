"""Signatures of what other servers send: `t=<seconds since 1970>,v1=<HMAC of time and body>`, as gateways have them."""

from __future__ import annotations

import hashlib
import hmac
import re
import time

TOLERANCE_SECONDS = 300


def sign(secret: str, body: bytes, at: float) -> str:
    """Return the signature of a body sent at a time, in seconds since 1970."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={int(at)},v1={digest}"


def is_signed(secret: str | None, signature: str, body: bytes) -> bool:
    """Return whether a body has the signature that `sign` makes, and was sent just now; nothing is without a secret."""
    at = signature.removeprefix("t=").partition(",")[0]
    if not secret or not re.fullmatch("[0-9]{1,12}", at):
        return False
    # They stamp with their own clock, not the product's. A request not yet known to be genuine costs no query.
    if abs(time.time() - int(at)) > TOLERANCE_SECONDS:  # noqa: TID251
        return False
    return hmac.compare_digest(sign(secret, body, int(at)).encode(), signature.encode())
