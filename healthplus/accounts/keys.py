"""Developers' keys: which program may call the API, for what, and how often."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Coroutine, Sequence
from contextvars import Context
from datetime import timedelta
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from healthplus.accounts.sessions import hash_token, queries
from healthplus.database import Database, PostgresError, Record, Transaction
from healthplus.errors import HealthPlusError, NotFound, OutOfScope, UnknownDeveloperKey
from healthplus.text import checked_name

Scope: TypeAlias = Literal["search", "book"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PER_MINUTE, PER_DAY = 60, 5000
"""The default quotas of a key: a request a second, for a program that is not busy all day."""

AHEAD_SECONDS = 0.05
AHEAD_LEFT_MIN = 1000
"""A request whose key has more than so many left of each quota is let in at once, and counted AHEAD_SECONDS later.

A program that makes hundreds of requests a second costs 20 counts a second then. A quota is still not exceeded, unless
more than AHEAD_LEFT_MIN come in that time.
"""

_NAME_LENGTH_MAX = 200
_KEY = re.compile(r"hp_[A-Za-z0-9_-]{43}")
"""256 random bits; the prefix lets people, and programs that search for leaked secrets, recognise a key."""

_REFUSALS = {
    "unknown": "This developer key is not known; look at how it was copied.",
    "expired": "This developer key has expired; ask the operator for a new one.",
    "revoked": "This developer key was revoked; ask the operator for a new one.",
}


class Quota(msgspec.Struct, frozen=True):
    """How much a key may be used: `left` of `limit` requests remain in a window of `window_seconds`.

    The window ends in `ends_in` seconds.
    """

    name: str
    limit: int
    window_seconds: int
    left: int
    ends_in: int


class KeyUse(msgspec.Struct, frozen=True):
    """A request made with a key. If it is not `counted`, a quota is used up and the request must be refused."""

    key_id: int
    counted: bool
    quotas: tuple[Quota, ...]


class _LetIn:
    """What was let in with a key that has much left: `use` is the last that was counted."""

    def __init__(self, use: KeyUse) -> None:
        self.use = use
        self.uncounted = 0

    def one_more(self) -> KeyUse | None:
        """Let one more in, to be counted later; None where too little may be left."""
        quotas = self.use.quotas
        if min(quota.left for quota in quotas) - self.uncounted <= AHEAD_LEFT_MIN:
            return None
        self.uncounted += 1
        left = [msgspec.structs.replace(quota, left=quota.left - self.uncounted) for quota in quotas]
        return KeyUse(self.use.key_id, True, tuple(left))


class KeyUses:
    """Counts the requests of one process that are made with keys.

    Those of one key that come while others of it are being counted are counted together next: each process adds to the
    key's one row once at a time, however many requests come. Those of a key with much left are let in ahead of that.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[str, Scope], list[asyncio.Future[KeyUse]]] = {}
        self._let_in: dict[tuple[str, Scope], _LetIn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def count(self, key: str, scope: Scope) -> KeyUse:
        """Count a request made with a key, for what `scope` names, and return what is left of its quotas.

        A key that was revoked is refused within AHEAD_SECONDS and the time of one count; at once where less than
        AHEAD_LEFT_MIN are left. Raises UnknownDeveloperKey and OutOfScope; the request is then not counted.
        """
        if not _KEY.fullmatch(key):
            raise UnknownDeveloperKey(_REFUSALS["unknown"])
        let_in = self._let_in.get((key, scope))
        if let_in is not None and (ahead := let_in.one_more()) is not None:
            return ahead
        use: asyncio.Future[KeyUse] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get((key, scope))
        if waiting is None:
            self._waiting[key, scope] = [use]
            self._start(self._count_waiting(key, scope))
        else:
            waiting.append(use)
        return await use

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # It works for many requests, and none of them is at work or idle because it is.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)  # the loop itself would let it go
        task.add_done_callback(self._tasks.discard)

    async def _count_let_in(self, key: str, scope: Scope) -> None:
        """Count what was let in ahead, again and again, until a time in which nothing was, or little is left."""
        let_in = self._let_in[key, scope]
        try:
            while True:
                await asyncio.sleep(AHEAD_SECONDS)
                requests = let_in.uncounted
                if not requests:
                    break
                let_in.use = (await self._count(key, scope, requests))[-1]
                let_in.uncounted -= requests
        except (HealthPlusError, PostgresError):
            pass  # the next request is told
        finally:
            del self._let_in[key, scope]

    async def _count_waiting(self, key: str, scope: Scope) -> None:
        uses: list[asyncio.Future[KeyUse]] = []
        try:
            while uses := self._waiting[key, scope]:
                self._waiting[key, scope] = []
                try:
                    made = await self._count(key, scope, len(uses))
                except Exception as error:
                    for use in uses:
                        if not use.done():
                            use.set_exception(error)
                    continue
                for use, one in zip(uses, made, strict=True):
                    if not use.done():
                        use.set_result(one)
                if min(quota.left for quota in made[-1].quotas) > AHEAD_LEFT_MIN and (key, scope) not in self._let_in:
                    self._let_in[key, scope] = _LetIn(made[-1])
                    self._start(self._count_let_in(key, scope))
        finally:
            for use in (*uses, *self._waiting.pop((key, scope))):
                use.cancel()  # where this task was cancelled itself; else there are none

    async def _count(self, key: str, scope: Scope, requests: int) -> list[KeyUse]:
        row = await self._database.fetch_row(queries.use_developer_key, hash_token(key), scope, requests)
        assert row is not None
        if row["outcome"] in _REFUSALS:
            raise UnknownDeveloperKey(_REFUSALS[row["outcome"]])
        if row["outcome"] == "out_of_scope":
            raise OutOfScope(
                f"This developer key lacks the scope `{scope}`; ask the operator for one that has it.", scope=scope
            )
        return [_key_use(row, later=row["let_in"] - number) for number in range(1, requests + 1)]


def _key_use(row: Record, later: int) -> KeyUse:
    """Return one of several uses that were counted at once; so many were let in after it, below 0 if it was not."""
    more = max(0, later)
    quotas = (
        Quota("minute", row["per_minute"], 60, row["minute_left"] + more, row["minute_ends_in"]),
        Quota("day", row["per_day"], 86_400, row["day_left"] + more, row["day_ends_in"]),
    )
    return KeyUse(row["key_id"], later >= 0, quotas)


def new_key() -> str:
    """Return a key that nobody has."""
    return f"hp_{secrets.token_urlsafe(32)}"


async def add_key(
    database: Database | Transaction,
    name: str,
    scopes: Sequence[Scope],
    per_minute: int = PER_MINUTE,
    per_day: int = PER_DAY,
    expires_in: timedelta | None = None,
) -> tuple[int, str]:
    """Register a developer; return the key's id and the key, of which only a hash is kept.

    Raises BadInput.
    """
    name = checked_name(name, _NAME_LENGTH_MAX)
    key = new_key()
    key_id: int = await database.fetch_value(
        queries.add_developer_key,
        name,
        hash_token(key),
        [one for one in SCOPES if one in scopes],
        per_minute,
        per_day,
        expires_in,
    )
    return key_id, key


async def list_keys(database: Database) -> list[Record]:
    """Return every key with how often it was used: today (in UTC), and in the last 7 and 30 days including today."""
    return await database.fetch(queries.developer_keys)


async def revoke_key(database: Database, key_id: int) -> str:
    """Revoke a key, at once and everywhere; return its developer's name. Raises NotFound."""
    name: str | None = await database.fetch_value(queries.revoke_developer_key, key_id)
    if name is None:
        raise NotFound(f"There is no key {key_id}, or it was revoked before; `healthplus key list` shows them.")
    return name
