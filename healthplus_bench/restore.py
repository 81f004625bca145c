"""What is lost with the disk, and how soon all is there again: the product's own back-up, beside many bookings."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import shutil
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from healthplus.backup.folder import BackupFolder
from healthplus.backup.restore import restore
from healthplus.database import BULK, Database, EmbeddedServer
from healthplus.database.server_files import as_app_role
from healthplus.errors import HealthPlusError
from healthplus.ops.check import business_invariants, violations
from healthplus.settings import Settings
from healthplus_bench.environment import BenchFailed, Environment, refuse_unless_durable
from healthplus_bench.past import PastPlan, past_environment
from healthplus_bench.pgbench import PgbenchPlan, run_once
from healthplus_bench.processes import postmaster_pid

_MARK_SECONDS = 0.02
_LOOK_SECONDS = 0.1
_FULL_SECONDS_MAX = 900
_TABLE = "CREATE TABLE public.bench_mark (n bigint PRIMARY KEY, at timestamptz NOT NULL)"
_MARK = "INSERT INTO public.bench_mark VALUES ($1, clock_timestamp())"
_REHEARSAL = """
SELECT rpo_seconds, rto_seconds, check_seconds, problem FROM backup.restore_rehearsal ORDER BY rehearsal_id DESC LIMIT 1
"""


@dataclass(frozen=True)
class RestorePlan:
    """`past` bookings, then `seconds` of holds and confirmations by so many clients without the back-up and with it."""

    past: PastPlan = field(default_factory=PastPlan)
    seconds: int = 20
    clients: int = 8

    @property
    def pgbench(self) -> PgbenchPlan:
        """Return how pgbench runs: once without the back-up, once with it, once until the disk is lost."""
        return PgbenchPlan((self.clients,) * 3, 1, self.seconds, 1, self.past.providers)


class RestoreResult(msgspec.Struct):
    """`lost_seconds` and `lost_commits`: what was acknowledged and is not in the restored database, when it was killed.

    `rpo_seconds_max`: the oldest that what is on the back-up's disk ever was while it was followed; so much is lost
    where the power goes, too. `rto_seconds`: restoring into a new folder, and starting a server on it until it answers.
    `rehearsal_*`: of the nightly rehearsal. `pairs_per_s`: holds that were confirmed, without the back-up and with it.
    """

    past_bookings: int
    full_seconds: float
    full_mb: int
    pairs_per_s_without: int
    pairs_per_s_with: int
    rpo_seconds_max: float
    rpo_seconds_median: float
    lost_commits: int
    lost_seconds: float
    acknowledged_commits: int
    replayed_mb: int
    restore_seconds: float
    start_seconds: float
    rto_seconds: float
    check_seconds: float
    rehearsal_rpo_seconds: float
    rehearsal_rto_seconds: float
    rehearsal_check_seconds: float
    rehearsal_problem: str | None
    violations: int


class _Marks:
    """Commits a number every few milliseconds until the server is gone, and knows when each was acknowledged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.acknowledged_at: list[float] = []

    async def run(self) -> None:
        """Run until a commit fails."""
        with contextlib.suppress(HealthPlusError):
            while True:
                await self._database.execute(_MARK, len(self.acknowledged_at) + 1)
                self.acknowledged_at.append(time.monotonic())
                await asyncio.sleep(_MARK_SECONDS)


async def bench_restore(dsn: str, folder: Path, plan: RestorePlan) -> RestoreResult:
    """Fill a new database, back it up under load, lose its disk, and restore it. Raises BenchFailed."""
    settings = Settings(as_app_role(dsn), folder, dsn, backup_folder=folder / "back-ups")
    backups = BackupFolder(folder / "back-ups")
    past = replace(plan.past, rounds=3)
    async with past_environment(dsn, folder, past) as filled:
        await filled.database.execute(_TABLE)
    async with (
        await Database.connect(dsn, min_size=1, max_size=2) as database,
        await Database.connect(dsn, min_size=1, max_size=1) as marking,
    ):
        environment = replace(filled, database=database)
        await refuse_unless_durable(database)
        without = await run_once(environment, plan.pgbench, 0)
        began = time.monotonic()
        async with _following(settings, folder) as follower:
            await _until(backups.fulls, _FULL_SECONDS_MAX)
            full_seconds = time.monotonic() - began
            (rehearsal,) = await _until(lambda: database.fetch(_REHEARSAL), _FULL_SECONDS_MAX)
            ages: list[float] = []
            watching = asyncio.create_task(_watch(database, backups, ages))
            beside = await run_once(environment, plan.pgbench, 1)
            watching.cancel()
            await refuse_unless_durable(database)
            marks = _Marks(marking)
            await _lose(environment, plan, marks, follower)
    full = backups.fulls()[-1]
    return RestoreResult(
        past_bookings=past.bookings_each * past.providers,
        full_seconds=round(full_seconds, 1),
        full_mb=full.bytes // 1_000_000,
        pairs_per_s_without=round(without.per_second),
        pairs_per_s_with=round(beside.per_second),
        rpo_seconds_max=round(max(ages), 2),
        rpo_seconds_median=round(statistics.median(ages), 2),
        rehearsal_rpo_seconds=round(rehearsal["rpo_seconds"], 2),
        rehearsal_rto_seconds=round(rehearsal["rto_seconds"] or 0.0, 1),
        rehearsal_check_seconds=round(rehearsal["check_seconds"] or 0.0, 1),
        rehearsal_problem=rehearsal["problem"],
        replayed_mb=sum(path.stat().st_size for path in backups.segments()) // 1_000_000,
        **await _restore(folder, backups, marks),
    )


@contextlib.asynccontextmanager
async def _following(settings: Settings, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "back-up.log").open("wb") as log:
        follower = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "healthplus", "backup", "--follow", "--until-stdin-ends",
            env={**os.environ, **settings.as_environment()}, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield follower
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(follower.pid, signal.SIGKILL)
        await follower.wait()


async def _until(look: Callable[[], Any], seconds_max: float) -> Any:
    """Return what there is, once there is something. Raises BenchFailed."""
    end = time.monotonic() + seconds_max
    while time.monotonic() < end:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(_LOOK_SECONDS)
    raise BenchFailed("The back-up did not come to it in time.")


async def _watch(database: Database, backups: BackupFolder, ages: list[float]) -> None:
    """Note again and again how old the newest is of what is safely in the back-up."""
    while True:
        followed = backups.followed()
        now = await database.fetch_value("SELECT clock_timestamp()")
        assert followed is not None
        ages.append((now - followed.until).total_seconds())
        await asyncio.sleep(_LOOK_SECONDS)


async def _lose(
    environment: Environment, plan: RestorePlan, marks: _Marks, follower: asyncio.subprocess.Process
) -> None:
    """Kill the server, with all it has, and what follows it, under load."""
    marking = asyncio.create_task(marks.run())
    load = asyncio.create_task(run_once(environment, plan.pgbench, 2))
    await asyncio.sleep(plan.seconds * random.Random(1).uniform(0.5, 1))  # noqa: S311
    postmaster = postmaster_pid(environment.folder)
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)
    os.killpg(follower.pid, signal.SIGKILL)
    await marking
    with contextlib.suppress(HealthPlusError):
        await load
    shutil.rmtree(environment.folder / "server")  # its disk is lost


async def _restore(folder: Path, backups: BackupFolder, marks: _Marks) -> dict[str, Any]:
    """Restore all there is into a new folder, start a server on it, and count what is missing."""
    began = time.monotonic()
    await asyncio.to_thread(restore, backups, None, folder / "restored")
    restored_at = time.monotonic()
    server = EmbeddedServer(folder / "restored")
    dsn = await asyncio.to_thread(server.start)
    try:
        async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
            last: int = await database.fetch_value("SELECT coalesce(max(n), 0) FROM public.bench_mark")
            answered_at = time.monotonic()
            # Nobody captured what pgbench booked.
            broken = await violations(database) + await violations(database, business_invariants)
            checked_at = time.monotonic()
    finally:
        await asyncio.to_thread(server.stop)
    times = marks.acknowledged_at
    return {
        "acknowledged_commits": len(times),
        "lost_commits": max(0, len(times) - last),
        "lost_seconds": round(times[-1] - times[last - 1], 3) if 0 < last < len(times) else 0.0,
        "restore_seconds": round(restored_at - began, 1),
        "start_seconds": round(answered_at - restored_at, 1),
        "rto_seconds": round(answered_at - began, 1),
        "check_seconds": round(checked_at - answered_at, 1),
        "violations": len(broken),
    }
