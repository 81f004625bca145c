"""The loop in which the background tasks of payments run; any number of processes may run them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from healthplus.database import Database, repeat

BATCH_MAX = 100
"""Also the most calls under way at the gateway at once."""
ERROR_SECONDS_MAX = 30.0


async def keep_polling(
    poll: Callable[[], Awaitable[tuple[int, int]]], idle_seconds: float, database: Database, name: str
) -> None:
    """Call `poll` until cancelled. It does one batch, and returns how many were due and how many of them failed.

    The pause grows while batches fail as a whole, up to ERROR_SECONDS_MAX; it is `idle_seconds` after a batch that was
    not full. `name`: of the task, as for `repeat`.
    """
    errors_in_a_row = 0

    async def poll_once() -> float:
        nonlocal errors_in_a_row
        due, failed = await poll()
        errors_in_a_row = errors_in_a_row + 1 if failed and failed >= due else 0
        if errors_in_a_row:
            return min(2.0**errors_in_a_row, ERROR_SECONDS_MAX)
        return idle_seconds if due < BATCH_MAX else 0

    trouble = "payments due at the gateway could not be read or written"
    await repeat(poll_once, idle_seconds, trouble, database, name=name)
