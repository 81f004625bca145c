"""Sessions: which patient a token signs in. They are kept in the database, and can be revoked there."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

from healthplus.database import Database, load
from healthplus.errors import DatabaseBusy, DatabaseReadOnly, Unauthenticated

queries = load(Path(__file__).with_name("queries.sql"))

TOKEN_LENGTH_MAX = 128
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac", "Linux")


def hash_token(token: str) -> bytes:
    # Tokens are 256 random bits, so one round of a fast hash is as good as a slow one.
    return hashlib.sha256(token.encode()).digest()


async def patient_of_token(database: Database, token: str) -> int | None:
    """Return the id of the patient whose token this is; None when it is unknown, revoked or expired."""
    return None if len(token) > TOKEN_LENGTH_MAX else await patient_of_hash(database, hash_token(token))


async def patient_of_hash(database: Database, token_hash: bytes) -> int | None:
    """Return what `patient_of_token` returns, by a token's hash."""
    row = await database.fetch_row(queries.session, token_hash)
    if row is None:
        return None
    if row["first_today"]:
        with contextlib.suppress(DatabaseBusy, DatabaseReadOnly):  # the next request will note it
            await database.execute(queries.note_use, token_hash)
    patient_id: int = row["patient_id"]
    return patient_id


def agent_label(user_agent: str) -> str:
    """Return browser and system, such as "Firefox on Android": enough to tell a patient's devices apart, no more."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for name in _SYSTEMS if name in user_agent), "")
    return " on ".join(filter(None, (browser, system)))


class KnownTokens:
    """A short cache of whose token is whose, which every request needs to know.

    A token that another process revoked can therefore still be used to read for up to SECONDS_MAX. What changes
    something looks it up afresh, or does so in its own statement: that needs to know whose token it is, which never
    changes. Unknown tokens are not cached: a new one works at once, and guesses take no room.
    """

    SECONDS_MAX = 5.0
    OWNER_SECONDS_MAX = 60.0
    TOKENS_MAX = 10_000

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[int, float]] = {}
        self._ended = 0

    async def patient_of(self, token: str, *, afresh: bool = False) -> int | None:
        """Return what `patient_of_token` returns, at most SECONDS_MAX old; not from the cache if `afresh`."""
        if len(token) > TOKEN_LENGTH_MAX:
            return None
        return await self.patient_of_hash(hash_token(token), afresh=afresh)

    async def patient_of_hash(self, token_hash: bytes, *, afresh: bool = False) -> int | None:
        """Return what `patient_of` returns, by a token's hash."""
        return await self._look_up(token_hash, 0.0 if afresh else self.SECONDS_MAX)

    async def owner_of(self, token: str) -> tuple[int, bytes] | None:
        """Return whose token this is, as known at most OWNER_SECONDS_MAX ago, and its hash.

        For a change whose own statement looks whether it still is.
        """
        if len(token) > TOKEN_LENGTH_MAX:
            return None
        token_hash = hash_token(token)
        patient_id = await self._look_up(token_hash, self.OWNER_SECONDS_MAX)
        return None if patient_id is None else (patient_id, token_hash)

    async def _look_up(self, token_hash: bytes, seconds_max: float) -> int | None:
        now = time.monotonic()
        if (known := self._known.get(token_hash)) is not None and now < known[1] + seconds_max:
            return known[0]
        ended = self._ended
        patient_id = await patient_of_hash(self._database, token_hash)
        if patient_id is None:
            self._known.pop(token_hash, None)
        # A session that was ended during this look-up may have been read before its end.
        elif ended == self._ended:
            # All are kept equally long, so the first in the dict is the oldest.
            self._known.pop(token_hash, None)
            while len(self._known) >= self.TOKENS_MAX:
                del self._known[next(iter(self._known))]
            self._known[token_hash] = (patient_id, now)
        return patient_id

    async def require(self, token_hash: bytes, patient_id: int) -> None:
        """Raise Unauthenticated unless a token, by its hash, signed this patient in at most SECONDS_MAX ago."""
        if await self.patient_of_hash(token_hash) != patient_id:
            raise unknown_token()

    async def require_afresh(self, token_hash: bytes, patient_id: int) -> None:
        """Raise Unauthenticated unless a token, by its hash, signs this patient in at this moment."""
        if await self.patient_of_hash(token_hash, afresh=True) != patient_id:
            raise unknown_token()

    def forget_token(self, token_hash: bytes | None) -> None:
        """Drop a token from the cache that was found to sign nobody in."""
        self._known.pop(token_hash or b"", None)

    def forget(self, patient_id: int) -> None:
        """Drop a patient's tokens from the cache, after some were revoked."""
        self._ended += 1
        for key in [key for key, known in self._known.items() if known[0] == patient_id]:
            del self._known[key]


def unknown_token() -> Unauthenticated:
    """Return the error for a token that signs nobody in."""
    return Unauthenticated("This token is not known, or was revoked.")
