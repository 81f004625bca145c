"""The tasks that run beside the requests for as long as the process lives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

from healthplus.database import repeat
from healthplus.waiting.waiting_users import DRAIN_SIGNAL

_RESTART_SECONDS = 1.0


@contextlib.asynccontextmanager
async def run_in_background(runs: Iterable[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run each while the block runs, and start it again should it fail or end; then cancel them all."""
    tasks = [asyncio.create_task(_keep_running(run)) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def answer_on_drain(*drains: Callable[[], None]) -> Iterator[None]:
    """Call `drains` on DRAIN_SIGNAL, so that long polls are answered: a process about to end waits for them."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        for answer_polls in drains:
            answer_polls()

    loop.add_signal_handler(DRAIN_SIGNAL, drain)
    try:
        yield
    finally:
        loop.remove_signal_handler(DRAIN_SIGNAL)


async def _keep_running(run: Callable[[], Awaitable[None]]) -> None:
    # They end only by a fault of ours, after which the work must go on: without it holds expire and queues move late.
    async def run_again() -> None:
        await run()

    await repeat(run_again, _RESTART_SECONDS, "a background task failed")
