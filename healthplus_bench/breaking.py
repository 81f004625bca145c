"""Kills, freezes and restarts what serves a bench, under load. It touches nothing that the bench has not started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from random import Random
from typing import Literal, TypeAlias

from healthplus.waiting.waiting_users import DRAIN_SIGNAL
from healthplus_bench.environment import BenchFailed, Environment
from healthplus_bench.processes import app_processes, listens, open_files, postmaster_pid, tree
from healthplus_bench.promises import Promises

Fault: TypeAlias = Literal["app_kill", "app_stop", "app_restart", "database_kill", "database_stop"]
"""SIGKILL, SIGSTOP, or a drain and SIGTERM of each app process in turn. A database is killed by its first process
alone, and stopped with all of its processes."""

_RECOVER_SECONDS_MAX = 120
_LOOK_SECONDS = 0.02


async def kill_app_processes(kills: int, processes: int, draw: Random) -> list[int]:
    """Kill -9 app processes at random moments, one at a time, when all serve; return those that are gone."""
    killed: list[int] = []
    for _ in range(kills):
        await asyncio.sleep(draw.uniform(0.5, 1.5))
        killed.append(await _kill_one(processes, set()))
    return killed


async def _kill_one(processes: int, frozen: set[int]) -> int:
    # Clients keep their connections: the newest process, chosen by chance, may have none of them.
    victim = max(await _all_that_listen(processes, frozen), key=open_files)
    os.kill(victim, signal.SIGKILL)
    await _until(lambda: victim not in app_processes())
    return victim


async def _all_that_listen(processes: int, frozen: set[int]) -> list[int]:
    """Return the app processes that are not frozen, once all of them serve."""
    alive: list[int] = []

    def is_complete() -> bool:
        alive[:] = [process for process in app_processes() if process not in frozen and listens(process)]
        return len(alive) >= processes - len(frozen)

    await _until(is_complete)
    return alive


async def _until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so. Raises BenchFailed where it takes too long."""
    end = time.monotonic() + _RECOVER_SECONDS_MAX
    while not is_so():
        if time.monotonic() > end:
            raise BenchFailed(f"What was killed or frozen did not come back within {_RECOVER_SECONDS_MAX} s.")
        await asyncio.sleep(_LOOK_SECONDS)


class Breaker:
    """Does faults to app processes, one after another, and beside them faults to the database, in an order by chance.

    `done` counts them. `recovery_seconds`: of each kind the longest time from the fault, or from the end of a stop of
    the database, until a change was acknowledged that a patient had asked for after it; of faults to app processes
    only while the database was well. While one app process stands still the others are to serve, so its end is not
    waited for.
    """

    def __init__(
        self, environment: Environment, promises: Promises, processes: int, stop_seconds: float, draw: Random
    ) -> None:
        self._environment = environment
        self._promises = promises
        self._processes = processes
        self._stop_seconds = stop_seconds
        self._draw = draw
        self._frozen: set[int] = set()
        self._database_faults = 0  # odd while there is one
        self.done: Counter[Fault] = Counter()
        self.recovery_seconds: dict[Fault, float] = defaultdict(float)

    async def run(self, faults: list[Fault]) -> None:
        """Do all faults. Raises BenchFailed where something does not come back."""
        self._draw.shuffle(faults)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._break_app([fault for fault in faults if fault.startswith("app")]))
            group.create_task(self._break_database([fault for fault in faults if fault.startswith("database")]))

    async def _break_app(self, faults: list[Fault]) -> None:
        freezing: asyncio.Task[None] | None = None
        try:
            for fault in faults:
                await asyncio.sleep(self._draw.uniform(0.2, 0.8))
                was = self._database_faults
                if fault == "app_kill":
                    await _kill_one(self._processes, self._frozen)
                    seconds = await self._recovered(time.monotonic())
                elif fault == "app_restart":
                    seconds = await self._restart_app()
                else:
                    if freezing is not None:
                        await freezing
                    victim = max(await _all_that_listen(self._processes, self._frozen), key=open_files)
                    freezing = asyncio.create_task(self._freeze_app(victim))
                    seconds = await self._recovered(time.monotonic())
                self.done[fault] += 1
                if not was % 2 and was == self._database_faults:
                    self.recovery_seconds[fault] = max(self.recovery_seconds[fault], seconds)
            if freezing is not None:
                await freezing
        finally:
            if freezing is not None:
                freezing.cancel()

    async def _freeze_app(self, victim: int) -> None:
        """Freeze an app process, while others may be killed."""
        self._frozen = {victim}
        try:
            os.kill(victim, signal.SIGSTOP)
            await asyncio.sleep(self._stop_seconds)
        finally:
            self._frozen = set()
            _continue([victim])

    async def _restart_app(self) -> float:
        """Replace each app process that is not frozen, one after another, as an upgrade does: drained, then ended."""
        longest = 0.0
        for process in await _all_that_listen(self._processes, self._frozen):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, DRAIN_SIGNAL)
                os.kill(process, signal.SIGTERM)
            longest = max(longest, await self._recovered(time.monotonic()))
            await _until(lambda process=process: process not in app_processes())  # type: ignore[misc]
            await _all_that_listen(self._processes, self._frozen)
        return longest

    async def _break_database(self, faults: list[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(self._draw.uniform(1, 3))
            postmaster = postmaster_pid(self._environment.folder)
            if postmaster is None:
                raise BenchFailed("The database is gone, although nobody has killed it.")
            self._database_faults += 1
            if fault == "database_kill":
                os.kill(postmaster, signal.SIGKILL)
                began = time.monotonic()
                await self._until_started_again(postmaster)
            else:
                await self._freeze_database(postmaster)
                began = time.monotonic()
            self.done[fault] += 1
            self.recovery_seconds[fault] = max(self.recovery_seconds[fault], await self._recovered(began))
            self._database_faults += 1

    async def _until_started_again(self, killed: int) -> None:
        await _until(lambda: postmaster_pid(self._environment.folder) not in (killed, None))

    async def _freeze_database(self, postmaster: int) -> None:
        frozen: list[int] = []
        try:
            os.kill(postmaster, signal.SIGSTOP)  # first: it starts no others from now on
            frozen = tree(postmaster)
            for process in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            await asyncio.sleep(self._stop_seconds)
        finally:
            _continue([*frozen, postmaster])

    async def _recovered(self, since: float) -> float:
        """Wait until a change is acknowledged that was asked for since then; return how long that took."""
        await _until(lambda: self._promises.acknowledged_to > since)
        return time.monotonic() - since


def _continue(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
