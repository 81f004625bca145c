"""The webhooks that a bank has yet to send, kept in its ledger: each at its time, and again until it is taken."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import aiohttp

from healthplus_sandbox.faults import CommonPlan, Faults

TIMEOUT = aiohttp.ClientTimeout(total=5)
_TRIES_MAX = 12
_TABLE = """
CREATE TABLE IF NOT EXISTS webhook (body BLOB NOT NULL, due_at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS webhook_due_at ON webhook (due_at);
"""
_Plan = TypeVar("_Plan", bound=CommonPlan)


class Outbox:
    """The webhooks of one bank."""

    def __init__(
        self, ledger: sqlite3.Connection, faults: Faults[_Plan], headers: Callable[[bytes], Mapping[str, str]]
    ) -> None:
        """`headers`: what is sent with a body, as its signature just now."""
        self._ledger = ledger
        self._faults: Faults[_Plan] = faults
        self._headers = headers
        ledger.executescript(_TABLE)

    def put(self, body: bytes) -> None:
        """Have a webhook sent within `webhook_seconds_max`, or lost, or sent twice."""
        plan = self._faults.plan
        if self._faults.happens("webhook_lost", plan.webhook_lost):
            return
        for _ in range(2 if self._faults.happens("webhook_repeated", plan.webhook_repeated) else 1):
            due_at = time.time() + random.uniform(0, plan.webhook_seconds_max)  # noqa: S311
            self._ledger.execute("INSERT INTO webhook (body, due_at) VALUES (?, ?)", (body, due_at))

    async def send_due(self, session: aiohttp.ClientSession) -> bool:
        """Send some of what is due; return whether any was."""
        due = self._ledger.execute(
            "SELECT rowid, body, tries FROM webhook WHERE due_at <= ? ORDER BY due_at LIMIT 20", (time.time(),)
        ).fetchall()
        await asyncio.gather(*(self._send(session, *row) for row in due))
        return bool(due)

    async def _send(self, session: aiohttp.ClientSession, rowid: int, body: bytes, tries: int) -> None:
        url = self._faults.plan.webhook_url
        taken = url is None
        if url:
            headers = {**self._headers(body), "Content-Type": "application/json"}
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with session.post(url, data=body, headers=headers) as response:
                    taken = 200 <= response.status < 300
        if taken or tries >= _TRIES_MAX:
            self._ledger.execute("DELETE FROM webhook WHERE rowid = ?", (rowid,))
        else:
            again_at = time.time() + 2.0**tries
            self._ledger.execute("UPDATE webhook SET due_at = ?, tries = tries + 1 WHERE rowid = ?", (again_at, rowid))
