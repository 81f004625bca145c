"""How the background tasks of payments go round; any number of processes may run them."""

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


async def keep_sweeping(sweep: Callable[[], Awaitable[tuple[int, int]]], idle_seconds: float) -> None:
    """Sweep until cancelled. `sweep` does one batch; it gives how many were due, and how many of them failed.

    Waits longer after each time in a row that nothing went well, up to ERROR_SECONDS_MAX.
    """
    errors_in_a_row = 0
    while True:
        try:
            taken, failed = await sweep()
        except (HealthPlusError, PostgresError):
            logger.exception("what is due at the payment gateway could not be looked up or noted; trying again")
            taken, failed = 0, 1
        errors_in_a_row = errors_in_a_row + 1 if failed and failed >= taken else 0
        if errors_in_a_row:
            await asyncio.sleep(min(2.0**errors_in_a_row, ERROR_SECONDS_MAX))
        elif taken < BATCH_MAX:
            await asyncio.sleep(idle_seconds)
