"""The loop in which the background tasks of payments run; any number of processes may run them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from healthplus.database import PostgresError
from healthplus.errors import HealthPlusError

logger = logging.getLogger(__name__)

BATCH_MAX = 100
"""Also the most calls under way at the gateway at once."""
ERROR_SECONDS_MAX = 30.0


async def keep_polling(poll: Callable[[], Awaitable[tuple[int, int]]], idle_seconds: float) -> None:
    """Call `poll` until cancelled. It does one batch, and returns how many were due and how many of them failed.

    The pause grows while batches fail as a whole, up to ERROR_SECONDS_MAX; it is `idle_seconds` after a batch that was
    not full.
    """
    errors_in_a_row = 0
    while True:
        try:
            due, failed = await poll()
        except (HealthPlusError, PostgresError):
            logger.exception("payments due at the gateway could not be read or written; trying again")
            due, failed = 0, 1
        errors_in_a_row = errors_in_a_row + 1 if failed and failed >= due else 0
        if errors_in_a_row:
            await asyncio.sleep(min(2.0**errors_in_a_row, ERROR_SECONDS_MAX))
        elif due < BATCH_MAX:
            await asyncio.sleep(idle_seconds)
