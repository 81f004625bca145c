"""Whether an e-mail address is the patient's: a link that is sent to it shows so."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import queries
from healthplus.database import Database
from healthplus.errors import LinkOver

_LINK_SECONDS = 24 * 3600
_TOKEN_LENGTH_MAX = 500


class EmailCheck(NamedTuple):
    """What is to be sent to an address: a token that only its reader has."""

    address: str
    token: str


class _Claim(msgspec.Struct, frozen=True):
    """What a token says, signed: which address of which patient can be verified with it, until when (Unix time)."""

    patient_id: int
    address: str
    until: int


class Emails:
    """Makes and takes the tokens by which addresses are verified; no token has an address in it."""

    def __init__(self, database: Database, secret: Secret) -> None:
        self._database = database
        self._secret = secret

    async def check(self, patient_id: int) -> EmailCheck | None:
        """Return what to send to the patient's address; None where there is none, or it is verified."""
        row = await self._database.fetch_row(queries.email, patient_id)
        if row is None or row["email"] is None or row["email_verified_at"] is not None:
            return None
        until = int(row["now_at"].timestamp()) + _LINK_SECONDS
        claim = _Claim(patient_id, self._hash(row["email"]), until)
        return EmailCheck(row["email"], self._secret.seal("e-mail", msgspec.json.encode(claim)))

    async def verify(self, patient_id: int, token: str) -> str:
        """Note that the patient has read what was sent to their address; return it. A repeat changes nothing.

        Raises LinkOver for a token of another account or address, or of more than a day ago.
        """
        content = self._secret.unseal("e-mail", token) if len(token) <= _TOKEN_LENGTH_MAX else None
        row = await self._database.fetch_row(queries.email, patient_id)
        if content is None or row is None or row["email"] is None:
            raise LinkOver
        claim = msgspec.json.decode(content, type=_Claim)
        is_good = claim.patient_id == patient_id and claim.address == self._hash(row["email"])
        if not is_good or claim.until <= row["now_at"].timestamp():
            raise LinkOver
        verified: str | None = await self._database.fetch_value(queries.verify_email, patient_id, row["email"])
        if verified is None:  # changed meanwhile
            raise LinkOver
        return verified

    def _hash(self, address: str) -> str:
        return self._secret.mac("e-mail address", address)[:16].hex()
