"""Hints between processes that a provider's book has changed, so that those who wait hear of it at once.

Sent after the commit, many in one message and over a connection of their own: NOTIFY inside the transactions that
change the book would put them in line one behind another. A hint may be lost, late or superfluous; nothing depends on
one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import asyncpg

from healthplus.database.pool import unreachable_as_ours
from healthplus.errors import DatabaseUnreachable

logger = logging.getLogger(__name__)

_CHANNEL = "healthplus_book"
_IDS_MAX = 300
"""In one message, which PostgreSQL limits to 8000 bytes."""
_RECONNECT_SECONDS = 1.0
_QUIET_SECONDS_MAX = 20.0
"""After which a connection that has said nothing is tried."""


class Hints:
    """Tells every process, this one included, which books may have changed."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._hearers: list[Callable[[Sequence[int]], None]] = []
        self._untold: set[int] = set()
        self._wake = asyncio.Event()

    def on_hint(self, heard: Callable[[Sequence[int]], None]) -> None:
        """Have `heard` called, too, with provider ids, in the event loop; it must not block."""
        self._hearers.append(heard)

    def tell(self, provider_id: int) -> None:
        """Say that a book may have changed; returns at once."""
        self._hear((provider_id,))
        self._untold.add(provider_id)
        self._wake.set()

    def _hear(self, provider_ids: Sequence[int]) -> None:
        for heard in self._hearers:
            heard(provider_ids)

    async def run(self) -> None:
        """Send and receive until cancelled. A lost connection is made anew; what was said meanwhile is forgotten."""
        while True:
            try:
                with unreachable_as_ours():
                    await self._exchange()
            except DatabaseUnreachable as error:
                logger.warning("hints have no connection: %s", type(error.__cause__).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _exchange(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, server_settings={"application_name": "healthplus hints"}, command_timeout=_QUIET_SECONDS_MAX
        )
        try:
            own_pid = connection.get_server_pid()

            def receive(_connection: object, pid: int, _channel: str, payload: object) -> None:
                if pid != own_pid:  # this process has heard its own already
                    self._hear([int(provider_id) for provider_id in str(payload).split(",")])

            await connection.add_listener(_CHANNEL, receive)
            connection.add_termination_listener(lambda _: self._wake.set())
            self._untold.clear()
            while not connection.is_closed():
                try:
                    async with asyncio.timeout(_QUIET_SECONDS_MAX):
                        await self._wake.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1")
                self._wake.clear()
                # While one message is under way, what is to be said next gathers.
                while self._untold:
                    some = [self._untold.pop() for _ in range(min(_IDS_MAX, len(self._untold)))]
                    await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, ",".join(map(str, some)))
        finally:
            connection.terminate()
