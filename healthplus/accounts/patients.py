"""Patients: their profiles, the sessions they are signed in with, and their consents."""

from __future__ import annotations

import re
import secrets
from uuid import UUID

from healthplus.accounts.consent import Consent
from healthplus.accounts.idempotency import is_new_request
from healthplus.accounts.phone_numbers import is_mobile, phone_number
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import KnownTokens, hash_token, queries
from healthplus.database import Database, Record, Transaction
from healthplus.errors import BadInput, Conflict, NotFound, TooManyEmails
from healthplus.text import checked_name, identifier

NAME_LENGTH_MAX = 200
_EMAIL_LENGTH_MAX = 254
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
"""With a dot behind the @, which an address of any provider has."""
_EMAIL_CHECKS_MAX = 5
"""How many messages a day go to addresses of a patient, which may be anybody's until they are verified."""


async def add_patient(
    database: Database, name: str, phone: str | None = None, region: str | None = None
) -> tuple[int, str]:
    """Add a patient; return their id and a token, of which only a hash is kept.

    Later sign-ins by a code sent to `phone` are this patient's. It may be a landline, on which the clinic can call
    them; a number without a country code is one of `region`. Raises BadInput, or Conflict when another patient has it.
    """
    name = checked_name(name, NAME_LENGTH_MAX)
    takes_sms = True
    if phone is not None:
        phone = phone_number(phone, region, mobile=False)
        takes_sms = is_mobile(phone)
    token = secrets.token_urlsafe(32)
    async with database.transaction() as transaction:
        patient_id: int | None = await transaction.fetch_value(queries.add_patient, name, phone, takes_sms)
        if patient_id is None:
            raise Conflict("A patient with this phone number exists already.")
        await transaction.execute(queries.add_token, hash_token(token), patient_id)
    return patient_id, token


def _checked_email(email: str) -> str:
    email = identifier(email)
    if not (len(email) <= _EMAIL_LENGTH_MAX and email.isprintable() and _EMAIL.fullmatch(email)):
        raise BadInput("email: this is no e-mail address; write it like asha@example.org.")
    return email


class Patients:
    """What patients can see and change of their own data."""

    def __init__(self, database: Database, secret: Secret, tokens: KnownTokens) -> None:
        self._database = database
        self._secret = secret
        self._tokens = tokens

    async def profile(self, patient_id: int) -> Record:
        """Return name, phone, email, and whether that is verified."""
        row = await self._database.fetch_row(queries.profile, patient_id)
        assert row is not None
        return row

    async def change(self, patient_id: int, changes: dict[str, str | None], key: str) -> bool:
        """Change name or e-mail address; return whether a message is to be sent to the address.

        It is not verified yet, even if it was given before. Raises BadInput, KeyReused and TooManyEmails.
        """
        if (name := changes.get("name")) is not None:
            changes["name"] = checked_name(name, NAME_LENGTH_MAX)
        if (email := changes.get("email")) is not None:
            changes["email"] = _checked_email(email)
        async with self._database.transaction() as transaction:
            if not await self._is_new(transaction, patient_id, "change", key, repr(sorted(changes.items()))):
                return False
            given = [value for name in ("name", "email") for value in (name in changes, changes.get(name))]
            await transaction.execute(queries.change_profile, patient_id, *given)
            after = await transaction.fetch_row(queries.email, patient_id)
            assert after is not None
            if email is None or after["email_verified_at"] is not None:
                return False
            # Locked by the change: checks at once are counted one after another.
            key_hash = self._secret.mac("key", key)
            if await transaction.fetch_value(queries.count_email_checks, patient_id, key_hash) >= _EMAIL_CHECKS_MAX:
                raise TooManyEmails
            await transaction.fetch_value(queries.store_request, patient_id, "email", key_hash, key_hash)
            return True

    async def phone_mac(self, patient_id: int, transaction: Transaction | None = None) -> bytes | None:
        """Return what stands for the patient's number where requests are counted; None if they have no number."""
        row = await (transaction or self._database).fetch_row(queries.profile, patient_id)
        return None if row is None or row["phone"] is None else self._secret.mac("phone", row["phone"])

    async def sessions(self, patient_id: int, token: str) -> list[Record]:
        """Return the patient's sessions; `is_this` marks the one whose token is `token`."""
        return await self._database.fetch(queries.sessions, patient_id, hash_token(token))

    async def end_session(self, patient_id: int, session_id: UUID, key: str) -> None:
        """Sign one device out. Raises NotFound and KeyReused."""
        async with self._database.transaction() as transaction:
            if not await transaction.fetch_value(queries.has_session, patient_id, session_id):
                raise NotFound
            if await self._is_new(transaction, patient_id, "end_session", key, str(session_id)):
                await transaction.execute(queries.end_session, patient_id, session_id)
        self._tokens.forget(patient_id)

    async def end_session_of(self, patient_id: int, token: str) -> None:
        """End the session with this token, which is the patient's."""
        await self._database.execute(queries.end_session_of_token, hash_token(token))
        self._tokens.forget(patient_id)

    async def end_sessions(self, patient_id: int) -> None:
        """Sign the patient out everywhere, and know none of their devices any more: one may be in a thief's hands."""
        async with self._database.transaction() as transaction:
            if (mac := await self.phone_mac(patient_id, transaction)) is not None:
                await transaction.execute(queries.forget_devices_of, mac)
            await transaction.execute(queries.end_sessions, patient_id)
        self._tokens.forget(patient_id)

    async def consents(self, patient_id: int) -> list[Record]:
        """Return the patient's consents, latest first."""
        return await self._database.fetch(queries.consents, patient_id)

    async def agree(self, patient_id: int, consent: Consent) -> None:
        """Note that a patient agrees to a text; nothing where they agreed to none before, or have withdrawn that."""
        async with self._database.transaction() as transaction:
            # Otherwise a withdrawal under way would leave this consent behind.
            await transaction.execute(queries.lock_patient, patient_id)
            await transaction.execute(queries.agree, patient_id, consent.purpose, consent.version)

    async def withdraw_consents(self, patient_id: int) -> None:
        """End every consent and every session: signing in again asks for consent again."""
        async with self._database.transaction() as transaction:
            # Otherwise a code that was requested before would consent again. Signing in locks the challenge first, too.
            if (mac := await self.phone_mac(patient_id, transaction)) is not None:
                await transaction.execute(queries.end_challenges, mac)
                await transaction.execute(queries.forget_devices_of, mac)
            # Otherwise a sign-in under way would leave a session without a consent.
            await transaction.execute(queries.lock_patient, patient_id)
            await transaction.execute(queries.withdraw_consents, patient_id)
            await transaction.execute(queries.end_sessions, patient_id)
        self._tokens.forget(patient_id)

    async def erase(self, transaction: Transaction, patient_id: int) -> None:
        """Delete everything by which the patient could be identified; the number's next sign-in is a new patient's.

        After the commit, the caller must have KnownTokens forget the patient.
        """
        # Signing in locks the challenge first, then the patient: so does this.
        if (mac := await self.phone_mac(patient_id, transaction)) is not None:
            await transaction.execute(queries.end_challenges, mac)
            await transaction.execute(queries.add_former_account, patient_id, mac)
            await transaction.execute(queries.forget_devices_of, mac)
        for query in ("erase_patient", "erase_persons", "erase_consents", "erase_sessions", "erase_keys"):
            await transaction.execute(queries[query], patient_id)

    async def _is_new(self, transaction: Transaction, patient_id: int, operation: str, key: str, request: str) -> bool:
        return await is_new_request(transaction, self._secret, patient_id, operation, key, request)
