"""Encrypts what a browser is to show (RFC 8291, with RFC 8188's aes128gcm), and signs who sends it (VAPID, RFC 8292).

Push services see only how long a message is.
"""

from __future__ import annotations

import base64
import os
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PUBLIC_KEY_BYTES = 65
CLIENT_SECRET_BYTES = 16
_CURVE = ec.SECP256R1()
_RECORD_BYTES = 4096
TEXT_BYTES_MAX = _RECORD_BYTES - 86 - 17
"""What fits into one message, of which push services take 4096 bytes: less its head, and an end mark with its seal."""
PRIVATE_KEY_BYTES = 32


def encrypt(
    text: bytes,
    client_key: bytes,
    client_secret: bytes,
    *,
    salt: bytes | None = None,
    private_key: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Return the body of a message for a browser with these keys. `salt` and `private_key` are the message's own.

    Raises ValueError for a key that is no point of the curve.
    """
    assert len(text) <= TEXT_BYTES_MAX
    salt = os.urandom(16) if salt is None else salt
    private_key = private_key or ec.generate_private_key(_CURVE)
    own_key = public_bytes(private_key)
    shared = private_key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, client_key))
    secret = _derive(shared, client_secret, b"WebPush: info\0" + client_key + own_key, 32)
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + _RECORD_BYTES.to_bytes(4, "big") + len(own_key).to_bytes(1, "big") + own_key
    return head + AESGCM(key).encrypt(nonce, text + b"\2", None)  # 2: of the last record


def authorization(private_key: ec.EllipticCurvePrivateKey, endpoint: str, contact: str, expires_at: int) -> str:
    """Return the header by which a push service knows the sender; `contact` is where its operator can write to."""
    parts = urlsplit(endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": expires_at, "sub": contact}
    signed = ".".join(to_text(msgspec.json.encode(part)) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
    r, s = decode_dss_signature(private_key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"vapid t={signed}.{to_text(signature)}, k={to_text(public_bytes(private_key))}"


def new_private_key() -> str:
    """Return a new key of a sender, as the settings have it."""
    number = ec.generate_private_key(_CURVE).private_numbers().private_value
    return to_text(number.to_bytes(PRIVATE_KEY_BYTES, "big"))


def private_key_of(text: str) -> ec.EllipticCurvePrivateKey:
    """Return the key that the settings have. Raises ValueError."""
    return ec.derive_private_key(int.from_bytes(from_text(text, PRIVATE_KEY_BYTES), "big"), _CURVE)


def public_bytes(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key as browsers have it, 65 bytes."""
    return private_key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def require_public_key(key: bytes) -> None:
    """Raise ValueError for what is no browser's key."""
    ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, key)


def to_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_text(text: str, length: int) -> bytes:
    """Return so many bytes from base64 as browsers write it. Raises ValueError."""
    content = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    if len(content) != length:
        raise ValueError(f"{len(content)} bytes instead of {length}")
    return content


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
