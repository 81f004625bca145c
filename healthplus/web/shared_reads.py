"""What many viewers read, read once for all of them: nothing that is kept here is of one viewer alone.

Each process keeps its own. `docs/decisions/0044-shared-reads.md` says what may be kept, and who does not get it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

KEEP_SECONDS = 1.0
"""How old at most what is shown may be, unless a read says otherwise; counted from when it began to be read."""
_READS_MAX = 4000
_BYTES_MAX = 32 * 1024 * 1024
"""What is kept at most, of all reads together. The one that was asked for longest ago goes first."""

T = TypeVar("T")


class _Read:
    """One read: its task, until when it may be shown, and how many bytes it keeps, 0 until it is done."""

    __slots__ = ("bytes", "task", "until")

    def __init__(self, task: asyncio.Task[Any], until: float) -> None:
        self.task = task
        self.until = until
        self.bytes = 0


class SharedReads:
    """The reads that the viewers of this process share. `now` is a clock in seconds that is never set back."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, reads_max: int = _READS_MAX, bytes_max: int = _BYTES_MAX
    ) -> None:
        self._now = now
        self._reads_max = reads_max
        self._bytes_max = bytes_max
        self._reads: OrderedDict[Hashable, _Read] = OrderedDict()
        self._bytes = 0

    async def read(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        *,
        seconds: float = KEEP_SECONDS,
        afresh: bool = False,
        size: Callable[[T], int] = lambda _: 0,
    ) -> T:
        """Return what `make` returned for this key, if a call that began less than `seconds` ago is known.

        Else call it, once for all who ask meanwhile. The key must say all that the result depends on. `afresh`: what
        began before this call will not do. `size` says how many bytes a result keeps; only what is large counts.
        Raises what `make` raises, to all who wait for it; the next who asks has it called again.
        """
        known = self._reads.get(key)
        if known is None or afresh or known.until <= self._now():
            known = self._begin(key, make, seconds, size)
        self._reads.move_to_end(key)
        # Shielded: a client that hangs up must not cancel the read that others wait for.
        result: T = await asyncio.shield(known.task)
        return result

    def _begin(
        self, key: Hashable, make: Callable[[], Awaitable[T]], seconds: float, size: Callable[[T], int]
    ) -> _Read:
        async def run() -> T:
            return await make()

        if key in self._reads:
            self._drop(key)
        now = self._now()
        read = self._reads[key] = _Read(asyncio.create_task(run()), now + seconds)
        read.task.add_done_callback(lambda _: self._end(key, read, size))
        self._drop_old(now)
        return read

    def _end(self, key: Hashable, read: _Read, size: Callable[[T], int]) -> None:
        """Note how large a read is that is over, and forget one that failed."""
        # The error is fetched also where nobody is left who awaits it.
        has_failed = read.task.cancelled() or read.task.exception() is not None
        if self._reads.get(key) is not read:
            return
        if has_failed:
            self._drop(key)
            return
        read.bytes = size(read.task.result())
        self._bytes += read.bytes
        self._drop_old(self._now())

    def _drop_old(self, now: float) -> None:
        """Drop what nobody gets any more, and what exceeds the bounds; those who wait for a read still get it."""
        while self._reads:
            key, read = next(iter(self._reads.items()))
            if read.until > now and len(self._reads) <= self._reads_max and self._bytes <= self._bytes_max:
                break
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        self._bytes -= self._reads.pop(key).bytes
