"""A bulkhead: only a few calls that need the same row go to the database at once; the others wait here.

Calls that wait for one row would fill the pool of connections, and everybody else would wait behind them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

from healthplus.errors import DatabaseBusy
from healthplus.idle import idle

WAITING_MAX = 2000
"""Calls that wait for one row in a process; one more is refused at once. A rush on one doctor has hundreds."""


class _Calls:
    """The calls of one key: how many run, and those that wait, in order of arrival."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 1
        self.waiting: deque[asyncio.Future[None]] = deque()


class Bulkhead:
    """Lets `calls_max` calls of each key run at once, the others in order of arrival.

    Not made of semaphores, of which every call would need a new one: a call that need not wait costs a microsecond.
    """

    def __init__(self, calls_max: int, waiting_max: int = WAITING_MAX) -> None:
        self._calls_max = calls_max
        self._waiting_max = waiting_max
        self._calls: dict[Hashable, _Calls] = {}

    async def enter(self, key: Hashable, until: float) -> None:
        """Wait until a call may run, by the event loop's clock until `until`; `leave` must follow.

        Raises DatabaseBusy, before anything was done, when that does not come in time or too many wait.
        """
        calls = self._calls.get(key)
        if calls is None:
            self._calls[key] = _Calls()
        elif calls.running < self._calls_max:
            calls.running += 1
        elif len(calls.waiting) >= self._waiting_max:
            raise DatabaseBusy
        else:
            let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            calls.waiting.append(let_in)
            try:
                async with idle(), asyncio.timeout_at(until):
                    await let_in
            except BaseException as error:
                if let_in.cancelled():
                    calls.waiting.remove(let_in)
                else:  # let in at the very moment at which the call gave up
                    self.leave(key)
                if isinstance(error, TimeoutError):
                    raise DatabaseBusy from None
                raise

    def leave(self, key: Hashable) -> None:
        """End a call; the next that waits is let in."""
        calls = self._calls[key]
        for let_in in calls.waiting:
            if not let_in.cancelled():
                calls.waiting.remove(let_in)
                let_in.set_result(None)
                return
        calls.running -= 1
        if not calls.running:
            del self._calls[key]
