"""Turns: how many calls that need the same row go to the database at once, and how many wait here for their turn.

Calls that wait for one row would fill the pool of connections, and everybody else would wait behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable

from healthplus.errors import DatabaseBusy

WAITING_MAX = 2000
"""Calls that wait for one row in a process; one more is refused at once. A rush on one doctor has hundreds."""


class _Line:
    __slots__ = ("free", "users")

    def __init__(self, calls_max: int) -> None:
        self.free = asyncio.Semaphore(calls_max)
        self.users = 0


class Turns:
    """Lets `calls_max` calls of each key go at once, the others in order of arrival."""

    def __init__(self, calls_max: int, waiting_max: int = WAITING_MAX) -> None:
        self._calls_max = calls_max
        self._waiting_max = waiting_max
        self._lines: dict[Hashable, _Line] = {}

    def would_wait(self, key: Hashable) -> bool:
        """Return whether a call would have to wait now."""
        return (line := self._lines.get(key)) is not None and line.free.locked()

    @contextlib.asynccontextmanager
    async def take(self, key: Hashable, until: float) -> AsyncIterator[None]:
        """Wait for a turn, and have it for this block; `until`: by the event loop's clock.

        Raises DatabaseBusy, before anything was done, when the turn does not come until then or too many wait.
        """
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(self._calls_max)
        if line.users >= self._calls_max + self._waiting_max:
            raise DatabaseBusy
        line.users += 1
        try:
            if line.free.locked():
                try:
                    async with asyncio.timeout_at(until):
                        await line.free.acquire()
                except TimeoutError:
                    raise DatabaseBusy from None
            else:
                await line.free.acquire()
            try:
                yield
            finally:
                line.free.release()
        finally:
            line.users -= 1
            if not line.users:
                del self._lines[key]
