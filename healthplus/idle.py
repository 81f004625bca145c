"""Being idle: what a request says while it waits for something outside this process, such as a bank or a change.

A process lets few requests work at once (`web/admission.py`). One that sleeps must not keep others from working.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Protocol


class Worker(Protocol):
    """A request that was let in to work."""

    def leave(self) -> None:
        """Let another work instead, until `come_back`."""

    async def come_back(self) -> None:
        """Wait until it may work again."""


worker: ContextVar[Worker | None] = ContextVar("worker", default=None)
"""The request that this task works for; None in background tasks."""


class idle:  # noqa: N801 - used as a statement: `async with idle():`
    """While the block runs, the request does not count as one that works. Does nothing where there is no request."""

    async def __aenter__(self) -> None:
        self._worker = worker.get()
        if self._worker is not None:
            self._worker.leave()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Who is cancelled has no more work to do.
        if self._worker is not None and (kind is None or issubclass(kind, Exception)):
            await self._worker.come_back()
