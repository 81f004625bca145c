"""How soon the product answers after it was started, and how much memory all of it has when nobody uses it."""

from __future__ import annotations

import asyncio
import os
import statistics
from dataclasses import dataclass
from pathlib import Path

import msgspec

from healthplus.settings import Settings
from healthplus_bench.client import connect
from healthplus_bench.environment import BenchFailed, free_port, start_serve
from healthplus_bench.processes import memory_mib

_QUIET_SECONDS = 5
_FIRST_PAGE = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class StartPlan:
    """How often it is started on a database that is there; before that, once where nothing is."""

    starts: int = 5
    processes: int = 2


class StartResult(msgspec.Struct):
    """Seconds from the command until the first page was there: where nothing was, and in the median of the others.

    `memory_mib`: what each kind of process had, idle.
    """

    first_start_s: float
    start_s: float
    start_s_max: float
    memory_mib: dict[str, int]
    starts: int
    processes: int
    cores: int


async def bench_start(folder: Path, plan: StartPlan) -> StartResult:
    """Start the product with its embedded database in an empty folder, again and again. Raises BenchFailed."""
    seconds = []
    for _ in range(1 + plan.starts):
        settings = Settings(
            None, folder, host="127.0.0.1", port=free_port(), processes=plan.processes, sandbox_payments=True
        )  # fmt: skip
        began = asyncio.get_running_loop().time()
        app = await start_serve(settings, folder / "app.log")
        try:
            answer = await (await connect(app.port)).request(_FIRST_PAGE)
            if answer.status != 200:
                raise BenchFailed(f"The first page was answered with {answer.status}.")
            seconds.append(asyncio.get_running_loop().time() - began)
            await asyncio.sleep(_QUIET_SECONDS)
            memory = memory_mib(folder)
        finally:
            await app.stop()
    again = seconds[1:]
    return StartResult(
        first_start_s=round(seconds[0], 2),
        start_s=round(statistics.median(again), 2),
        start_s_max=round(max(again), 2),
        memory_mib=memory,
        starts=plan.starts,
        processes=plan.processes,
        cores=os.cpu_count() or 1,
    )
