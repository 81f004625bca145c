"""Turns: how many calls that need the same row go to the database at once, and how many wait here for their turn.

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


class _Line:
    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 1
        self.waiting: deque[asyncio.Future[None]] = deque()


class Turns:
    """Lets `calls_max` calls of each key go at once, the others in order of arrival.

    Not made of semaphores, of which every call would need a new one: a call that need not wait costs a microsecond.
    """

    def __init__(self, calls_max: int, waiting_max: int = WAITING_MAX) -> None:
        self._calls_max = calls_max
        self._waiting_max = waiting_max
        self._lines: dict[Hashable, _Line] = {}

    def would_wait(self, key: Hashable) -> bool:
        """Return whether a call would have to wait now."""
        return (line := self._lines.get(key)) is not None and line.running >= self._calls_max

    async def take(self, key: Hashable, until: float) -> None:
        """Wait for a turn, by the event loop's clock until `until`; `give_back` must follow.

        Raises DatabaseBusy, before anything was done, when the turn does not come in time or too many wait.
        """
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = _Line()
        elif line.running < self._calls_max:
            line.running += 1
        elif len(line.waiting) >= self._waiting_max:
            raise DatabaseBusy
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            line.waiting.append(turn)
            try:
                async with idle(), asyncio.timeout_at(until):
                    await turn
            except BaseException as error:
                if turn.cancelled():
                    line.waiting.remove(turn)
                else:  # it came in the very moment in which it was given up
                    self.give_back(key)
                if isinstance(error, TimeoutError):
                    raise DatabaseBusy from None
                raise

    def give_back(self, key: Hashable) -> None:
        """End a turn; the next in the line has it."""
        line = self._lines[key]
        for turn in line.waiting:
            if not turn.cancelled():
                line.waiting.remove(turn)
                turn.set_result(None)
                return
        line.running -= 1
        if not line.running:
            del self._lines[key]
