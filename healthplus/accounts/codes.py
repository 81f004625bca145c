"""Signing in by a code that is sent to the patient's phone; its limits are in functions/sign_in_codes.sql."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import re
import secrets
from uuid import UUID, uuid4

import msgspec

from healthplus.accounts.consent import CURRENT
from healthplus.accounts.phone_numbers import phone_number
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import hash_token, patient_of_token, queries
from healthplus.database import Database, Record
from healthplus.errors import (
    BadInput,
    CodeOver,
    ConsentOutdated,
    HealthPlusError,
    KeyReused,
    NotFound,
    TooManyCodes,
    WrongCode,
)
from healthplus.settings import Settings

logger = logging.getLogger(__name__)

_RANGE_DIGITS = 4
"""How many last digits the numbers of one range differ in."""

_FULL = {
    "number": "Another code can be sent to this number in {wait}; one sent before may still be on its way.",
    "prefix": "Too many codes were asked for just now; try again in {wait}.",
    "address": "Too many codes were asked for from where you are; try again in {wait}.",
    "all": "Too many codes were asked for just now; try again in {wait}.",
    "guesses": "Too many wrong codes were given for this number; it can be used again in {wait}. "
    "Until then, call the clinic to book.",
}


class Sent(msgspec.Struct, frozen=True):
    """A code to be sent to `phone`. `code` is None when the request is a repeat: nothing is sent again.

    `expires_in` and `resend_in` are seconds: until the code expires, and until another may be requested.
    """

    challenge_id: UUID
    phone: str
    code: str | None
    expires_in: int
    resend_in: int

    def __repr__(self) -> str:
        return f"Sent({self.challenge_id})"


class Codes:
    """Makes codes and checks them. No error's text has a code or a number in it."""

    def __init__(self, database: Database, secret: Secret, settings: Settings) -> None:
        self._database = database
        self._secret = secret
        self._region = settings.phone_region
        self._per_day = settings.sms_codes_per_day
        # The database takes these calls one at a time. A flood of them must wait here, not hold every connection.
        self._one_at_a_time = asyncio.Lock()

    async def request(self, phone: str, consent_version: str, address: str, key: str) -> Sent:
        """Make a code to be sent to a number, which may be written in any usual way.

        `address` is where the request comes from, `key` its idempotency key. Raises PhoneRefused, ConsentOutdated,
        TooManyCodes and KeyReused.
        """
        phone = phone_number(phone, self._region)
        if consent_version != CURRENT.version:
            raise ConsentOutdated
        challenge_id, code = uuid4(), f"{secrets.randbelow(10**6):06}"
        mac = self._secret.mac
        async with self._one_at_a_time:
            row = await self._database.fetch_row(
                queries.request_code,
                challenge_id,
                phone,
                mac("phone", phone),
                mac("prefix", phone[:-_RANGE_DIGITS]),
                mac("address", address),
                mac("key", key),
                mac("request", phone, consent_version),
                self._code_hash(challenge_id, code),
                consent_version,
                self._per_day,
            )
        assert row is not None
        if row["outcome"] == "key_reused":
            raise KeyReused
        if row["outcome"] == "full":
            raise _too_many(row["reason"], row["retry_after"])
        is_new = row["outcome"] == "sent"
        return Sent(row["challenge_id"], phone, code if is_new else None, row["expires_in"], row["resend_in"])

    async def verify(self, challenge_id: UUID, code: str, key: str, agent: str) -> tuple[int, str]:
        """Check a code; return the patient whose number it was sent to, and a token that signs them in.

        A repeat with the same `key` returns the same ones. `agent` names the patient's device. Raises BadInput,
        NotFound, WrongCode, CodeOver, TooManyCodes and KeyReused.
        """
        code = re.sub(r"[\s-]", "", code)
        if not re.fullmatch(r"[0-9]{6}", code):
            raise BadInput("code: a code is six digits, as in the text message.")
        key_hash = self._secret.mac("key", key)
        async with self._one_at_a_time:
            tried = await self._database.fetch_row(queries.try_code, challenge_id, key_hash)
        assert tried is not None
        is_repeat = tried["outcome"] == "repeated"
        if not (is_repeat or tried["outcome"] == "try"):
            raise _refusal(tried)
        if not hmac.compare_digest(tried["code_hash"], self._code_hash(challenge_id, code)):
            if is_repeat:
                raise KeyReused
            raise _wrong(tried["tries_left"])
        # Not at random: a repeat of the request must return the same token, although only its hash is kept.
        digest = self._secret.mac("token", str(challenge_id), code, key)
        token = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not is_repeat:
            signed_in = await self._database.fetch_row(
                queries.sign_in, challenge_id, key_hash, hash_token(token), agent, CURRENT.purpose
            )
            assert signed_in is not None
            if signed_in["outcome"] == "over":
                raise CodeOver
        patient_id = await patient_of_token(self._database, token)
        if patient_id is None:
            raise CodeOver  # signed out since
        return patient_id, token

    def _code_hash(self, challenge_id: UUID, code: str) -> bytes:
        return self._secret.mac("code", str(challenge_id), code)


def _too_many(reason: str, seconds: int) -> TooManyCodes:
    return TooManyCodes(_FULL[reason].format(wait=_duration(seconds)), reason=reason, retry_after=seconds)


def _refusal(tried: Record) -> HealthPlusError:
    match tried["outcome"]:
        case "not_found":
            return NotFound()
        case "paused":
            return _too_many("guesses", tried["retry_after"])
        case "spent":
            return CodeOver("Too many wrong codes were given; ask for a new one.", reason="spent")
        case _:  # over
            return CodeOver()


def _wrong(tries_left: int) -> WrongCode:
    left = {0: "ask for a new one", 1: "one more try is left"}.get(tries_left, f"{tries_left} more tries are left")
    return WrongCode(f"This is not the code that was sent; {left}.", tries_left=tries_left)


def _duration(seconds: int) -> str:
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds > length:
            return f"{-(-seconds // length)} {unit}s"
    return f"{seconds} seconds" if seconds != 1 else "1 second"
