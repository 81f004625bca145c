"""The product's secret key, and the keyed hashes made with it."""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import secrets
import tempfile
from dataclasses import replace

from healthplus.errors import BadInput
from healthplus.setting_checks import SECRET_LENGTH_MIN
from healthplus.settings import Settings


class Secret:
    """Makes keyed hashes, which only a holder of the key can make or check.

    A new key ends no session. It ends the sign-ins under way and the links sent by e-mail; every count of requests and
    guesses starts again, no device is known any more, and staff have to set up their apps for codes again.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def mac(self, purpose: str, *parts: str) -> bytes:
        """Return 32 bytes that stand for these parts and this purpose alone."""
        return hmac.digest(self._key, "\0".join((purpose, *parts)).encode(), "sha256")

    def seal(self, purpose: str, content: bytes) -> str:
        """Return a text for a cookie or a link that holds the content, readable, and proves that it comes from here."""
        text = _text_of(content)
        return f"{text}.{_text_of(self.mac(purpose, text))}"

    def unseal(self, purpose: str, sealed: str) -> bytes | None:
        """Return the content of a text that `seal` made for this purpose; None for any other text."""
        text, _, seal = sealed.partition(".")
        if not (sealed.isascii() and hmac.compare_digest(seal, _text_of(self.mac(purpose, text)))):
            return None
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def with_secret_key(settings: Settings) -> Settings:
    """Return settings with a key: the operator's, or one kept in the data folder, where the first call makes it.

    Raises BadInput when none can be kept there, or the one that is there is too short.
    """
    if settings.secret_key:
        return settings
    path = settings.data_folder / "secret-key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Complete before it has its name, and never replaced: two processes that start at once use the same key.
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:  # readable for its owner only
                draft.write(secrets.token_urlsafe(SECRET_LENGTH_MIN))
                draft.flush()
                os.fsync(draft.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(draft.name, path)
        key = path.read_text()
    except OSError as error:
        raise BadInput(
            f"No secret key can be kept in {path.parent} ({error.strerror}); set HEALTHPLUS_SECRET_KEY."
        ) from None
    if len(key) < SECRET_LENGTH_MIN:
        raise BadInput(f"The secret key in {path} is too short; remove that file, and another one is made.")
    return replace(settings, secret_key=key)
