"""Patients, and the bearer tokens by which programs act for them."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from pathlib import Path

from healthplus.database import Database, load
from healthplus.errors import BadInput, Conflict

queries = load(Path(__file__).with_name("queries.sql"))

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TOKEN_LENGTH_MAX = 128
_NAME_LENGTH_MAX = 200


async def add_patient(database: Database, name: str, phone: str | None = None) -> tuple[int, str]:
    """Add a patient; give their id and a token, which is kept only as a hash and cannot be shown again.

    `phone` is in E.164, as in +919876543210. Raises BadInput, or Conflict when another patient has that number.
    """
    name = name.strip()
    if not (0 < len(name) <= _NAME_LENGTH_MAX and name.isprintable()):
        raise BadInput(f"A patient's name has 1 to {_NAME_LENGTH_MAX} printable characters.")
    if phone is not None and not _E164.fullmatch(phone):
        raise BadInput(
            "Write the phone number in full: +, country code and number without spaces, as in +919876543210."
        )
    token = secrets.token_urlsafe(32)
    async with database.transaction() as transaction:
        patient_id: int | None = await transaction.fetch_value(queries.add_patient, name, phone)
        if patient_id is None:
            raise Conflict("A patient with this phone number exists already.")
        await transaction.execute(queries.add_token, _hash(token), patient_id)
    return patient_id, token


async def patient_of_token(database: Database, token: str) -> int | None:
    """Give the id of the patient whose token this is; None when it is nobody's or was revoked."""
    if len(token) > _TOKEN_LENGTH_MAX:
        return None
    patient_id: int | None = await database.fetch_value(queries.patient_of_token, _hash(token))
    return patient_id


def _hash(token: str) -> bytes:
    # Tokens are 256 random bits, so one round of a fast hash is as good as a slow one.
    return hashlib.sha256(token.encode()).digest()


class KnownTokens:
    """Remembers for a moment whose token is whose, since every request asks.

    A revoked token may therefore be let in for up to SECONDS_MAX longer by a process that has just seen it. Tokens that
    were not found are not remembered: one made a moment ago works at once, and guesses take no room.
    """

    SECONDS_MAX = 5.0
    TOKENS_MAX = 10_000

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[int, float]] = {}

    async def patient_of(self, token: str) -> int | None:
        """Give what `patient_of_token` gives, at most SECONDS_MAX old."""
        now = time.monotonic()
        key = _hash(token)
        if (known := self._known.get(key)) is not None and now < known[1]:
            return known[0]
        patient_id = await patient_of_token(self._database, token)
        if patient_id is not None:
            # All live equally long, so the first in the dict is the oldest.
            self._known.pop(key, None)
            while len(self._known) >= self.TOKENS_MAX:
                del self._known[next(iter(self._known))]
            self._known[key] = (patient_id, now + self.SECONDS_MAX)
        return patient_id
