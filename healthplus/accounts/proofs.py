"""Proofs that a stranger has worked, or waited, for a code (ALTCHA, version 2, with PBKDF2 and SHA-256).

How much is asked for is decided in functions/code_prices.sql; which proofs were used, the database remembers.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import altcha.v2
import msgspec

from healthplus.accounts.secret import Secret

_ALGORITHM = "PBKDF2/SHA-256"
_ITERATIONS = 2000
"""Of PBKDF2 in a try: 0.5 ms on a core of a server, which makes a challenge by one; a browser's overhead is less."""
_TRIES_OF_A_STEP = 250
"""The first step takes twice as many tries at most, and half of that on average; each further step twice that."""
_WORK_TIME = timedelta(minutes=10)
"""How long a challenge can be solved: many times what the highest step takes on a slow phone."""
_WAIT_TIME = timedelta(hours=2)
"""How long a token can be waited with, at most; the longest wait is an hour."""
_LENGTH_MAX = 4000


class Proof(NamedTuple):
    """A proof that is genuine: of work of so many `steps`, or of having waited `since` an instant.

    `hash` names it where used ones are remembered, which is until it `expires_at`.
    """

    hash: bytes
    expires_at: datetime
    steps: int | None
    since: datetime | None

    def pays(self, steps: int, wait: timedelta, now: datetime) -> bool:
        """Return whether it is worth a price of so many steps, or that wait; it may have risen by a step meanwhile."""
        return self.steps >= steps - 1 if self.steps else self.since is not None and self.since <= now - wait


class _Terms(msgspec.Struct, frozen=True):
    """What is signed: for whose request, from and until when (Unix time), and for how many steps of work."""

    who: str
    since: int
    until: int
    steps: int | None = None


class Proofs:
    """Makes challenges and tokens, and reads what clients send back. Each counts for one number only."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._hmac_secret = secret.mac("proof of work")
        self._hmac_key_secret = secret.mac("key of a proof of work")

    def challenge(self, phone: str, steps: int, now: datetime) -> dict[str, Any]:
        """Return a challenge as ALTCHA has it: find the counter whose derived key begins with the prefix.

        Counters are tried from 0 on; the one looked for is below 2 ** `steps` * _TRIES_OF_A_STEP.
        """
        challenge = altcha.v2.create_challenge(
            _ALGORITHM,
            _ITERATIONS,
            counter=secrets.randbelow(2**steps * _TRIES_OF_A_STEP),
            data=msgspec.to_builtins(self._terms(phone, now, _WORK_TIME, steps)),
            hmac_secret=self._hmac_secret,
            hmac_key_secret=self._hmac_key_secret,
        )
        found: dict[str, Any] = challenge.to_dict()
        return found

    def token(self, phone: str, now: datetime) -> str:
        """Return a token that proves, when it comes back, since when its holder has waited."""
        return self._secret.seal("waiting", msgspec.json.encode(self._terms(phone, now, _WAIT_TIME)))

    def read(self, proof: str, phone: str) -> Proof | None:
        """Return what a client's text proves, a token of ours or a solved challenge; None when it proves nothing.

        Whether its time is over or it was used before is not looked at.
        """
        if len(proof) > _LENGTH_MAX:
            return None
        if "." in proof:
            content = self._secret.unseal("waiting", proof)
            terms, name = content and msgspec.json.decode(content, type=_Terms), proof
        else:
            terms, name = self._solved(proof)
        if not terms or terms.who != self._who(phone):
            return None
        return Proof(
            self._secret.mac("proof", name),
            _instant(terms.until),
            terms.steps,
            None if terms.steps else _instant(terms.since),
        )

    def _solved(self, payload: str) -> tuple[_Terms | None, str]:
        found = altcha.v2.verify_solution(payload, self._hmac_secret, hmac_key_secret=self._hmac_key_secret)
        if not found.verified:
            return None, ""
        challenge = altcha.v2.Payload.from_base64(payload).challenge
        return msgspec.convert(challenge.parameters.data, _Terms), str(challenge.signature)

    def _terms(self, phone: str, now: datetime, lasts: timedelta, steps: int | None = None) -> _Terms:
        return _Terms(self._who(phone), int(now.timestamp()), int((now + lasts).timestamp()), steps)

    def _who(self, phone: str) -> str:
        return self._secret.mac("who proves", phone)[:12].hex()


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
