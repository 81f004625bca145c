"""Signing in by a code that is sent to the patient's phone.

What limits codes and guesses is in functions/sign_in_codes.sql, what a code costs in functions/code_prices.sql.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import re
import secrets
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec

from healthplus import text as typed
from healthplus.accounts.actors import Actor
from healthplus.accounts.consent import CURRENT, require_consent
from healthplus.accounts.phone_numbers import phone_number
from healthplus.accounts.proofs import Proof, Proofs
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import hash_token, patient_of_token, queries
from healthplus.database import Database, Record
from healthplus.errors import (
    BadInput,
    CodeOver,
    HealthPlusError,
    KeyReused,
    NotFound,
    ProofNeeded,
    TooManyCodes,
    WrongCode,
)
from healthplus.settings import Settings

logger = logging.getLogger(__name__)

_RANGE_DIGITS = 4
"""How many last digits the numbers of one range differ in."""
_PRICES_AT_ONCE = 3
"""How many requests a process looks up the price for at once: a flood must not hold every connection."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_DESK_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_DESK_LENGTH = 12
"""12 of 30 characters, none of which is taken for another: 58 bits, which nobody guesses in a quarter of an hour."""

_FULL = {
    "number": "Another code can be sent to this number in {wait}; one sent before may still be on its way.",
    "all": "Too many codes are being asked for just now; try again in {wait}. The clinic's desk can give you one, too.",
}


class Requester(NamedTuple):
    """Where a request comes from: its address, the wider network of that, and the token of its device, if any."""

    address: str
    network: str
    device: str | None = None


class SignedIn(NamedTuple):
    """Who has signed in: `token` is the session's; `device` proves next time that the patient's device is known."""

    patient_id: int
    token: str
    device: str


class DeskCode(NamedTuple):
    """A code to be told to the person who stands at the desk; its text is written in groups of four."""

    code: str
    expires_at: datetime


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
        self._proofs = Proofs(secret)
        self._region = settings.phone_region
        self._is_demo = settings.is_demo
        self._per_day = settings.sms_codes_per_day
        # The database takes these calls one at a time. A flood of them must wait here, not hold every connection.
        self._one_at_a_time = asyncio.Lock()
        self._few_at_a_time = asyncio.Semaphore(_PRICES_AT_ONCE)

    def number(self, phone: str) -> str:
        """Return the mobile number that somebody typed, in E.164. Raises PhoneRefused."""
        return phone_number(phone, self._region, demo=self._is_demo)

    async def request(
        self, phone: str, consent_version: str, requester: Requester, key: str, proof: str | None = None
    ) -> Sent:
        """Make a code to be sent to a number, which may be written in any usual way.

        `key` is the request's idempotency key; `proof` shows that a stranger has worked or waited for the code. Raises
        PhoneRefused, ConsentOutdated, ProofNeeded, TooManyCodes and KeyReused.
        """
        phone = self.number(phone)
        require_consent(consent_version)
        mac = self._secret.mac
        asked = (
            mac("phone", phone),
            mac("prefix", phone[:-_RANGE_DIGITS]),
            mac("address", requester.address),
            mac("network", requester.network),
            device_hash(requester.device),
            mac("key", key),
        )
        proven = self._proofs.read(proof, phone) if proof else None
        async with self._few_at_a_time:
            price = await self._database.fetch_row(queries.price_of_code, *asked, self._per_day, proven and proven.hash)
        assert price is not None
        if proven and proven.expires_at <= price["now_at"]:
            proven = None
        if not price["is_repeat"]:
            if price["cools_for"]:
                raise _too_many("number", price["cools_for"])
            if price["step"] and not _pays(proven, price):
                raise self._proof_needed(phone, price, proof, proven)
        challenge_id, code = uuid4(), f"{secrets.randbelow(10**6):06}"
        async with self._one_at_a_time:
            row = await self._database.fetch_row(
                queries.request_code,
                challenge_id,
                phone,
                *asked,
                mac("request", phone, consent_version),
                self._code_hash(challenge_id, code),
                consent_version,
                self._per_day,
                *(proven or (None,) * 4),
            )
        assert row is not None
        match row["outcome"]:
            case "key_reused":
                raise KeyReused
            case "full":
                raise _too_many(row["reason"], row["retry_after"])
            case "unpaid":
                raise self._proof_needed(phone, row, proof, proven)
        is_new = row["outcome"] == "sent"
        return Sent(row["challenge_id"], phone, code if is_new else None, row["expires_in"], row["resend_in"])

    def _proof_needed(self, phone: str, price: Record, proof: str | None, proven: Proof | None) -> ProofNeeded:
        """Return the error with a challenge of the price; a client that has begun to wait goes on with its token."""
        now, wait = price["now_at"], timedelta(seconds=price["wait_seconds"])
        if proven is None or proven.since is None or price["is_spent"]:
            proof, since = self._proofs.token(phone, now), now
        else:
            since = proven.since
        return ProofNeeded(
            reason=price["reason"],
            challenge=self._proofs.challenge(phone, price["step"], now),
            wait_token=proof,
            retry_after=max(1, ceil((since + wait - now).total_seconds())),
        )

    async def issue_at_desk(self, phone: str, actor: Actor) -> DeskCode:
        """Make a code for the person who stands at the desk and has this number; no message is sent.

        `actor` is who issues it. Raises PhoneRefused.
        """
        phone = phone_number(phone, self._region, mobile=False)
        code = "".join(secrets.choice(_DESK_ALPHABET) for _ in range(_DESK_LENGTH))
        row = await self._database.fetch_row(
            queries.issue_code,
            uuid4(),
            phone,
            self._secret.mac("phone", phone),
            self._secret.mac("nobody"),
            self._secret.mac("desk code", code),
            CURRENT.version,
            str(actor),
        )
        assert row is not None
        logger.info("%s issued a sign-in code at the desk", actor)
        return DeskCode("-".join(code[i : i + 4] for i in range(0, _DESK_LENGTH, 4)), row["expires_at"])

    async def verify(self, challenge_id: UUID, code: str, key: str, agent: str, device: str | None = None) -> SignedIn:
        """Check a code, and sign in the patient whose number it was sent to; a number that is new becomes a patient.

        A repeat with the same `key` returns the same. `agent` names the patient's device, `device` is its token from an
        earlier sign-in. Raises BadInput, NotFound, WrongCode, CodeOver and KeyReused.
        """
        code = typed.code(code)
        if not re.fullmatch(r"[0-9]{6}", code):
            raise BadInput("code: a code is six digits, as in the text message.")
        key_hash = self._secret.mac("key", key)
        async with self._one_at_a_time:
            tried = await self._database.fetch_row(queries.count_guess, challenge_id, key_hash)
        assert tried is not None
        is_repeat = tried["outcome"] == "repeated"
        if not (is_repeat or tried["outcome"] == "try"):
            raise _refusal(tried)
        if not hmac.compare_digest(tried["code_hash"], self._code_hash(challenge_id, code)):
            if is_repeat:
                raise KeyReused
            raise _wrong(tried["tries_left"])
        return await self._sign_in(challenge_id, code, key, agent, device)

    async def verify_desk_code(self, code: str, key: str, agent: str, device: str | None = None) -> SignedIn:
        """Sign in with a code from the desk, which says itself whose it is. Raises BadInput and CodeOver."""
        code = typed.code(code)
        if not re.fullmatch(rf"[{_DESK_ALPHABET}]{{{_DESK_LENGTH}}}", code):
            raise BadInput("code: a code from the desk has 12 letters and digits.", reason="desk")
        key_hash = self._secret.mac("key", key)
        row = await self._database.fetch_row(queries.issued_code, self._secret.mac("desk code", code), key_hash)
        if row is None:
            raise CodeOver(
                "This code is not known, was used, or its 15 minutes are over; ask the desk for a new one.",
                reason="desk",
            )
        return await self._sign_in(row["challenge_id"], code, key, agent, device)

    async def _sign_in(self, challenge_id: UUID, code: str, key: str, agent: str, device: str | None) -> SignedIn:
        # Not at random: a repeat of the request must return the same tokens, although only their hashes are kept.
        token, new_device = (
            base64.urlsafe_b64encode(self._secret.mac(purpose, str(challenge_id), code, key)).decode().rstrip("=")
            for purpose in ("token", "device")
        )
        if device_hash(device) is None:
            device = new_device
        signed_in = await self._database.fetch_row(
            queries.sign_in,
            challenge_id,
            self._secret.mac("key", key),
            hash_token(token),
            agent,
            CURRENT.purpose,
            device_hash(device),
        )
        assert signed_in is not None
        if signed_in["outcome"] == "over":
            raise CodeOver
        patient_id = await patient_of_token(self._database, token)
        if patient_id is None:
            raise CodeOver  # signed out since
        return SignedIn(patient_id, token, device or new_device)

    def _code_hash(self, challenge_id: UUID, code: str) -> bytes:
        return self._secret.mac("code", str(challenge_id), code)


def _pays(proven: Proof | None, price: Record) -> bool:
    wait = timedelta(seconds=price["wait_seconds"])
    return proven is not None and not price["is_spent"] and proven.pays(price["step"], wait, price["now_at"])


def _too_many(reason: str, seconds: int) -> TooManyCodes:
    return TooManyCodes(_FULL[reason].format(wait=_duration(seconds)), reason=reason, retry_after=seconds)


def device_hash(device: str | None) -> bytes | None:
    """Return what is kept of a device's token; None for what is no such token."""
    return hash_token(device) if device and _TOKEN.fullmatch(device) else None


def _refusal(tried: Record) -> HealthPlusError:
    match tried["outcome"]:
        case "not_found":
            return NotFound()
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
