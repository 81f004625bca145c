"""The loop in which every background task runs, and what it does when its work fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Never

from healthplus.database.pool import Database
from healthplus.errors import DatabaseUnreachable, DiskFull, HealthPlusError
from healthplus.metrics import TASK_RAN

logger = logging.getLogger(__name__)

LOST_SECONDS_MIN, LOST_SECONDS_MAX = 0.1, 2.0
"""The pause after a first try at a database that is away, and the longest: once it is back, work goes on promptly."""
ERROR_SECONDS_MIN, ERROR_SECONDS_MAX = 1.0, 10.0


_runs: dict[str, float] = {}


def task_runs() -> dict[str, float]:
    """Return when each named task of this process last did its work, by `time.monotonic`."""
    return dict(_runs)


async def repeat(
    work: Callable[[], Awaitable[float | None]],
    seconds: float,
    trouble: str,
    writes_to: Database | None = None,
    *,
    name: str | None = None,
) -> Never:
    """Do `work` until cancelled, `seconds` apart, or as many as it returns; after failures the pause grows.

    `trouble`: what the log is to say when it failed. A database that is away or full is said once for all, elsewhere.
    While the disk of the database that it `writes_to` has no room for changes, it pauses. `name`: of the task, under
    which the operator sees when it last did its work.
    """
    failures = 0
    if name is not None:
        _note_run(name)  # it counts from its start
    while True:
        pause: float | None = seconds
        if writes_to is None or writes_to.space.has_room_for_changes:
            try:
                pause = await work()
            except (DatabaseUnreachable, DiskFull):
                failures += 1
                pause = _grown(LOST_SECONDS_MIN, failures, LOST_SECONDS_MAX)
            except HealthPlusError as error:
                logger.warning("%s (%s); trying again", trouble, type(error).__name__)
                failures += 1
                pause = _grown(ERROR_SECONDS_MIN, failures, ERROR_SECONDS_MAX)
            except Exception:
                logger.exception("%s; trying again", trouble, extra={"route": f"background: {trouble}"})
                failures += 1
                pause = _grown(ERROR_SECONDS_MIN, failures, ERROR_SECONDS_MAX)
            else:
                failures = 0
                if name is not None:
                    _note_run(name)
        await asyncio.sleep(seconds if pause is None else pause)


def _note_run(name: str) -> None:
    _runs[name] = time.monotonic()
    TASK_RAN.note_now(name)


def _grown(first: float, failures: int, longest: float) -> float:
    return min(first * 2.0 ** min(failures - 1, 20), longest)
