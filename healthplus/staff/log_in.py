"""Logging in as a member of the staff: by password and second factor, or by passkey.

What slows guesses is in functions/guesses.sql. Whether there is an account shows neither in words nor in time.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from healthplus.accounts.codes import Requester
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import hash_token
from healthplus.database import Database, Record
from healthplus.errors import LogInRefused, TooManyGuesses
from healthplus.idle import idle
from healthplus.refusals import refused
from healthplus.staff import passkeys
from healthplus.staff.accounts import normal_log_on
from healthplus.staff.apps import AppSecrets, step_of_code
from healthplus.staff.passwords import Passwords
from healthplus.staff.sessions import StaffSession, queries

_LOG_ON_LENGTH_MAX = 100


class From(NamedTuple):
    """Where a log-in comes from. `token` is of the session that is open there, which the new one replaces."""

    requester: Requester
    agent: str
    token: str | None = None


class LoggedIn(NamedTuple):
    """A session that has begun: its token, and that of the browser, which is known from now on."""

    token: str
    device: str


class SecondFactorNeeded(NamedTuple):
    """The password was right; a code or a passkey is still to come."""

    staff_id: int
    version: int
    log_on: str
    has_app: bool
    has_passkey: bool


class Challenge(NamedTuple):
    """What a passkey was asked to sign, until when, and for which site."""

    value: bytes
    expires_at: datetime
    site: passkeys.Site


class LogIn:
    """Begins sessions, and lets people show again who they are. No error says which part of what was given is wrong."""

    def __init__(self, database: Database, secret: Secret, passwords: Passwords) -> None:
        self._database = database
        self._secret = secret
        self._passwords = passwords
        self._apps = AppSecrets(secret)

    async def with_password(self, log_on: str, password: str, come_from: From) -> LoggedIn | SecondFactorNeeded:
        """Check a password. Raises LogInRefused and TooManyGuesses."""
        log_on = _normal_log_on(log_on)
        account = await self._check(log_on, password, come_from.requester, "log_in")
        factors = await self._database.fetch_row(queries.factors, account["staff_id"], account["version"])
        if factors is None:
            raise LogInRefused
        has_app, has_passkey = factors["has_app"], factors["has_passkey"]
        if has_app or has_passkey:
            return SecondFactorNeeded(account["staff_id"], account["version"], log_on, has_app, has_passkey)
        return await self._begin(account["staff_id"], account["version"], log_on, come_from, "password")

    async def with_code(self, needed: SecondFactorNeeded, code: str, come_from: From) -> LoggedIn:
        """Check the code of an app, after the password. Raises LogInRefused and TooManyGuesses."""
        key = await self._count_code(needed, come_from.requester.device)
        factors = await self._database.fetch_row(queries.factors, needed.staff_id, needed.version)
        if factors is None or not factors["has_app"]:
            raise LogInRefused(reason="over")
        app_secret = self._apps.unseal(factors["totp_secret"], needed.staff_id)
        step = app_secret and step_of_code(app_secret, code, factors["now_at"], factors["totp_step"])
        if not step or not await self._database.fetch_value(queries.use_code, needed.staff_id, needed.version, step):
            await self._note_refusal("", None, come_from.requester, "log_in", "code", needed.staff_id)
            raise LogInRefused(reason="code")
        await self._database.execute(queries.return_guess, [key])
        return await self._begin(
            needed.staff_id,
            needed.version,
            needed.log_on,
            come_from,
            "password and code",
        )

    async def with_passkey(
        self, challenge: Challenge, answer: str, come_from: From, needed: SecondFactorNeeded | None = None
    ) -> LoggedIn:
        """Check a passkey's answer; of the person whose password was right, if one was. Raises LogInRefused."""
        staff_id = needed.staff_id if needed else None
        row = await self._check_passkey(challenge, answer, staff_id, come_from.requester, "log_in")
        return await self._begin(row["staff_id"], row["version"], row["log_on"], come_from, "passkey")

    async def prove_with_password(self, session: StaffSession, password: str, requester: Requester) -> None:
        """Check a password; unlock the screen and renew the proof. Raises LogInRefused and TooManyGuesses."""
        account = await self._check(session.log_on, password, requester, _proof_action(session), session)
        await self._prove(session, account["version"], "password", requester)

    async def prove_with_passkey(
        self, session: StaffSession, challenge: Challenge, answer: str, requester: Requester
    ) -> None:
        """Check a passkey; unlock the screen and renew the proof. Raises LogInRefused."""
        action = _proof_action(session)
        row = await self._check_passkey(challenge, answer, session.staff_id, requester, action, session)
        await self._prove(session, row["version"], "passkey", requester)

    async def passkey_ids(self, staff_id: int) -> list[bytes]:
        """Return the ids of somebody's passkeys, for a question to their browser."""
        return [credential_id for (credential_id,) in await self._database.fetch(queries.credentials, staff_id)]

    async def _check(
        self, log_on: str, password: str, requester: Requester, action: str, session: StaffSession | None = None
    ) -> Record:
        """Return the account whose password this is."""
        mac = self._secret.mac
        tried = await self._database.fetch_row(
            queries.count_guess,
            log_on,
            mac("staff account at address", log_on, requester.address),
            mac("staff address", requester.address),
            mac("staff network", requester.network),
            mac("staff account", log_on),
            self._device_hash(log_on, requester.device),
        )
        assert tried is not None
        _require_room(tried["wait_seconds"], "desk_guesses")
        if tried["held_seconds"]:
            async with idle():
                await asyncio.sleep(tried["held_seconds"])
        if not await self._fits(tried, password):
            actor, session_id = _who(session)
            await self._note_refusal(actor, session_id, requester, action, "password", tried["staff_id"])
            raise LogInRefused
        await self._database.execute(queries.return_guess, tried["counted"])
        return tried

    async def _fits(self, tried: Record, password: str) -> bool:
        try:
            return await self._passwords.verify(
                tried["password_hash"], password, is_known=tried["is_known"], is_beyond=tried["is_beyond"]
            )
        except TooManyGuesses:
            await self._database.execute(queries.return_guess, tried["counted"])  # it was not made
            refused.count("desk_guesses")
            raise

    async def _check_passkey(
        self,
        challenge: Challenge,
        answer: str,
        staff_id: int | None,
        requester: Requester,
        action: str,
        session: StaffSession | None = None,
    ) -> Record:
        """Return the passkey that answered a challenge well, once; it must be of `staff_id`, if not None."""
        row = await self._answered(challenge, answer)
        if row is None or staff_id not in (None, row["staff_id"]):
            key = self._secret.mac("staff answers", requester.address)
            if await self._database.fetch_value(queries.count_answer, key):
                actor, session_id = _who(session)
                await self._note_refusal(actor, session_id, requester, action, "passkey", staff_id)
            else:
                refused.count("desk_answers")
            raise LogInRefused(reason="passkey")
        return row

    async def _answered(self, challenge: Challenge, answer: str) -> Record | None:
        credential_id = passkeys.credential_id_of(answer)
        row = credential_id and await self._database.fetch_row(queries.passkey, credential_id)
        if not row or challenge.expires_at <= row["now_at"]:
            return None
        count = passkeys.sign_count_of(challenge.site, challenge.value, answer, row["public_key"], row["sign_count"])
        if count is None:
            return None
        spent = hash_token(challenge.value.hex())
        is_first = await self._database.fetch_value(
            queries.use_passkey, credential_id, count, spent, challenge.expires_at
        )
        return row if is_first else None

    async def _prove(self, session: StaffSession, version: int, how: str, requester: Requester) -> None:
        action = _proof_action(session)
        if not await self._database.fetch_value(
            queries.prove_session, session.token_hash, version, action, how, requester.address
        ):
            raise LogInRefused(reason="over")

    async def _begin(self, staff_id: int, version: int, log_on: str, come_from: From, how: str) -> LoggedIn:
        # Always a token of our own making, never one that the browser came with.
        token, device = secrets.token_urlsafe(32), self._own_device(come_from.requester.device)
        former = hash_token(come_from.token) if come_from.token else None
        session_id: UUID | None = await self._database.fetch_value(
            queries.begin_session,
            staff_id,
            version,
            hash_token(token),
            former,
            self._device_hash(log_on, device),
            come_from.agent,
            come_from.requester.address,
            how,
        )
        if session_id is None:
            raise LogInRefused(reason="over")
        return LoggedIn(token, device)

    async def _count_code(self, needed: SecondFactorNeeded, device: str | None) -> bytes:
        """Count a guess at a code; return the bucket that it went into."""
        device_hash = self._device_hash(needed.log_on, device)
        keys = (self._secret.mac("staff code", who) for who in (device_hash.hex(), f"strangers to {needed.staff_id}"))
        row = await self._database.fetch_row(queries.count_code, needed.staff_id, device_hash, *keys)
        assert row is not None
        _require_room(row["wait_seconds"], "desk_codes")
        key: bytes = row["key_hash"]
        return key

    def _own_device(self, device: str | None) -> str:
        """Return the browser's token where it is one of ours, as colleagues share it, or a new one.

        What somebody has planted there would be known to them, too.
        """
        name = (device or "").partition(".")[0]
        if device is None or not hmac.compare_digest(self._named_device(name).encode(), device.encode()):
            return self._named_device(secrets.token_urlsafe(24))
        return device

    def _named_device(self, name: str) -> str:
        return f"{name}.{self._secret.mac('staff browser', name).hex()}"

    def _device_hash(self, log_on: str, device: str | None) -> bytes:
        return self._secret.mac("staff device", log_on, device or "")

    async def _note_refusal(
        self, actor: str, session_id: UUID | None, requester: Requester, action: str, what: str, staff_id: int | None
    ) -> None:
        # Not what was typed: people type passwords where log-on IDs go.
        await self._database.execute(
            queries.append_refusal, actor, session_id, requester.address, action, what, staff_id
        )


def _normal_log_on(log_on: str) -> str:
    return normal_log_on(log_on)[:_LOG_ON_LENGTH_MAX]


def _proof_action(session: StaffSession) -> str:
    return "unlock" if session.is_locked else "prove"


def _who(session: StaffSession | None) -> tuple[str, UUID | None]:
    return ("", None) if session is None else (str(session.actor), session.session_id)


def _require_room(wait_seconds: int, limit: str) -> None:
    if wait_seconds:
        refused.count(limit)
        raise TooManyGuesses(retry_after=wait_seconds)
