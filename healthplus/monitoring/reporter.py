"""What an app process reports of itself: its faults, that it lives, and what is so in it just now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from healthplus.database import Database, PostgresError, load, repeat, task_runs
from healthplus.database.release import RELEASE
from healthplus.errors import HealthPlusError
from healthplus.metrics import POOL_SIZE, POOL_USED
from healthplus.monitoring.faults import Fault, Faults

queries = load(Path(__file__).with_name("queries.sql"))

SAMPLE_SECONDS = 1.0
WRITE_SECONDS = 5.0
"""How often faults are written, and that the process lives."""
COUNT_MONEY_SECONDS = 60.0
_LAST_WRITE_SECONDS_MAX = 1.0
_LOGGERS = (None, "_granian")
"""The root, and the web server's own logger, which does not hand on."""


class Reporter:
    """Reports for one process, through the pool of its background tasks."""

    def __init__(
        self,
        background: Database,
        pools: dict[str, Database],
        samples: Sequence[Callable[[], None]] = (),
        on_new_fault: Callable[[Fault], None] | None = None,
    ) -> None:
        """`pools`: whose use is measured; `samples` are called every second, and set gauges of others."""
        self._database = background
        self._pools = pools
        self._samples = samples
        self.faults = Faults(on_new_fault)
        self._machine = socket.gethostname()
        self._is_new = True
        self._money_due = 0.0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Take note of what is logged as an error while the block runs; afterwards say that the process has ended."""
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self.faults)
        try:
            yield
        finally:
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(self.faults)
            with contextlib.suppress(HealthPlusError, PostgresError, TimeoutError):
                async with asyncio.timeout(_LAST_WRITE_SECONDS_MAX):
                    await self.write_faults()
                    await self._database.execute(queries.say_gone, self._machine, os.getpid())

    async def run(self) -> None:
        """Write faults and that the process lives, until cancelled."""
        trouble = "what the process reports could not be written"
        await repeat(self.write, WRITE_SECONDS, trouble, self._database, name="report")

    async def run_samples(self) -> None:
        """Set the gauges every second, until cancelled."""
        while True:
            for name, pool in self._pools.items():
                POOL_USED.set(pool.used, name)
                POOL_SIZE.set(pool.max_size, name)
            for sample in self._samples:
                sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def write(self) -> None:
        """Write what there is to report. Raises as the database does."""
        await self.write_faults()
        now = time.monotonic()
        tasks = {name: round(now - at, 1) for name, at in task_runs().items()}
        await self._database.execute(queries.say_alive, self._machine, os.getpid(), RELEASE, tasks, self._is_new)
        self._is_new = False
        if now >= self._money_due:
            has_more = await self._database.fetch_value(queries.count_money)
            self._money_due = 0.0 if has_more else now + COUNT_MONEY_SECONDS

    async def write_faults(self) -> None:
        """Write the faults since the last time; what cannot be written is kept for the next."""
        if not (found := self.faults.take()):
            return
        rows = [(one.fingerprint, one.times, one.type, one.place, one.route, one.request_id) for one in found]
        try:
            await self._database.execute(queries.note_errors, *map(list, zip(*rows, strict=True)), RELEASE)
        except BaseException:
            self.faults.put_back(found)
            raise
