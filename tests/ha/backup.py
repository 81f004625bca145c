"""The back-up that an app machine makes meanwhile: there before the first failure, fresh and sound after the last."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from healthplus.backup.folder import BackupFolder
from healthplus.database import Database
from healthplus.ops.rehearsal import Rehearsal, rehearse
from tests.ha.cluster import Cluster
from tests.ha.machines import HaFailed

AGE_SECONDS_MAX = 10.0
"""How much may be lost with the database, as docs/operate.md says."""
_CAUGHT_UP_SECONDS_MAX = 120.0
_FULL_SECONDS_MAX = 900.0
"""A new full back-up is tried ten minutes after the last try, and then takes its time."""
_WATCHED_SECONDS = 20.0
_NOW = "SELECT clock_timestamp()"


@dataclass(frozen=True)
class Freshness:
    """In how many seconds the back-up had all that was committed by then, and how old the newest in it was later."""

    caught_up_seconds: float
    age_seconds_max: float


@dataclass(frozen=True)
class Proof:
    """What was in the folder at the end. `times_begun_again`: because the server could not go on from there."""

    times_begun_again: int
    fulls: int
    faults: str
    """What `healthplus backup --verify` found, where it found something."""
    rehearsal: Rehearsal


async def freshness_of(cluster: Cluster, database: Database) -> Freshness:
    """Wait until all is in the back-up that is committed now, and watch how old the newest in it is from then on."""
    folder, monotonic = BackupFolder(cluster.backups), asyncio.get_running_loop().time
    began, committed = monotonic(), await database.fetch_value(_NOW)
    await _until(lambda: _covered(folder) >= committed, _CAUGHT_UP_SECONDS_MAX, "what is written is not in the back-up")
    reached = monotonic()
    ages = []
    while monotonic() < reached + _WATCHED_SECONDS:
        now = await database.fetch_value(_NOW)
        ages.append((now - _covered(folder)).total_seconds())
        await asyncio.sleep(0.1)
    return Freshness(reached - began, max(ages))


async def begun(cluster: Cluster) -> BackupFolder:
    """Wait until there is a full back-up that can be restored to now; return the folder."""
    folder = BackupFolder(cluster.backups)
    await _until(lambda: _is_connected(folder), _FULL_SECONDS_MAX, "there is no full back-up that goes on to now")
    return folder


async def proof_of(cluster: Cluster) -> Proof:
    """Wait until the back-up can be restored to now; read all of it, restore it and check what was restored."""
    folder = await begun(cluster)
    read = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "healthplus", "backup", "--verify", str(folder.path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rehearsal = await asyncio.to_thread(rehearse, cluster.backup_settings(), folder)
    times = int(folder.streams()[-1].name) - 1
    return Proof(times, len(folder.fulls()), (read.stdout + read.stderr).strip() if read.returncode else "", rehearsal)


def _covered(folder: BackupFolder) -> datetime:
    followed = folder.followed()
    return followed.until if followed else datetime.min.replace(tzinfo=UTC)


def _is_connected(folder: BackupFolder) -> bool:
    fulls = folder.fulls()
    return bool(fulls) and folder.is_connected(fulls[-1])


async def _until(look: Callable[[], bool], seconds_max: float, otherwise: str) -> None:
    try:
        async with asyncio.timeout(seconds_max):
            while not await asyncio.to_thread(look):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise HaFailed(f"After {seconds_max:g} s {otherwise}.") from None
