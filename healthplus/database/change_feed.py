"""The change feed between processes: which providers' books may have changed.

Changes are published after the commit, many in one message, over a connection of their own. NOTIFY inside the
transactions that change the book would make them commit one after another. A message may be lost, late or superfluous:
subscribers also look for changes themselves, so nothing depends on one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from healthplus.database.failures import failures_as_ours
from healthplus.database.limits import FEED
from healthplus.errors import DatabaseError

_CHANNEL = "healthplus_book"
_IDS_MAX = 300
"""In one message, which PostgreSQL limits to 8000 bytes."""
_PAUSE_SECONDS = 0.01
"""Between two messages: when many books change, each message costs every process more than the time that it gains."""
_RECONNECT_SECONDS = 1.0
_IDLE_SECONDS_MAX = 20.0
"""After so long without a message, the connection is tested."""


class ChangeFeed:
    """Publishes changed books to every process, this one included, and receives what the others publish."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._subscribers: list[Callable[[Sequence[int]], None]] = []
        self._unpublished: set[int] = set()
        self._wake = asyncio.Event()

    def on_change(self, callback: Callable[[Sequence[int]], None]) -> None:
        """Subscribe: `callback` is called with provider ids, in the event loop, and must not block."""
        self._subscribers.append(callback)

    def publish(self, provider_id: int) -> None:
        """Publish that a provider's book may have changed; returns at once, before other processes have received it."""
        self._call_subscribers((provider_id,))
        self._unpublished.add(provider_id)
        self._wake.set()

    def _call_subscribers(self, provider_ids: Sequence[int]) -> None:
        for callback in self._subscribers:
            callback(provider_ids)

    async def run(self) -> None:
        """Send and receive until cancelled. After a lost connection it reconnects; changes in between are dropped."""
        while True:
            try:
                with failures_as_ours():
                    await self._exchange()
            except DatabaseError:
                pass  # the pools log it (database/outage.py)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _exchange(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, server_settings=FEED.session("healthplus change feed"), command_timeout=FEED.answer_seconds
        )
        try:
            own_pid = connection.get_server_pid()

            def receive(_connection: object, pid: int, _channel: str, payload: object) -> None:
                if pid != own_pid:  # `publish` has called this process's subscribers already
                    self._call_subscribers([int(provider_id) for provider_id in str(payload).split(",")])

            await connection.add_listener(_CHANNEL, receive)
            connection.add_termination_listener(lambda _: self._wake.set())
            self._unpublished.clear()
            while not connection.is_closed():
                try:
                    async with asyncio.timeout(_IDLE_SECONDS_MAX):
                        await self._wake.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1")
                self._wake.clear()
                # Changes that are published while a message is sent, or soon after, go out together in the next one.
                while self._unpublished:
                    some = [self._unpublished.pop() for _ in range(min(_IDS_MAX, len(self._unpublished)))]
                    await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, ",".join(map(str, some)))
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            connection.terminate()
