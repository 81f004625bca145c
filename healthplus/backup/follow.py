"""Following the server: all that it writes, within seconds, and each night a full back-up and a rehearsal.

Runs in a process of its own. One process at a time follows a server, by an advisory lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder, Followed, identity, lsn_number, sync
from healthplus.backup.full import remove_old, take_full
from healthplus.backup.sending import send_finished
from healthplus.backup.source import SLOT, connection_of, facts, require_products, source_url
from healthplus.backup.state import queries
from healthplus.database import BACKGROUND, Database, repeat
from healthplus.errors import HealthPlusError
from healthplus.settings import Settings

logger = logging.getLogger(__name__)

BEAT_SECONDS = 4.0
_ARRIVAL_SECONDS_MAX = 30.0
_LOOK_SECONDS = 0.2
_TURN_SECONDS = 10.0
_END_SECONDS_MAX = 3.0
_RECEIVE_SECONDS = 1.0
_FAILED_SECONDS = 10.0
_NICE = 10
_R = TypeVar("_R")
_WORDS_MAX = 500
_NAME = "healthplus backup"
_SEND_SECONDS = 5.0
_RETRY_SECONDS = 600.0
_CLOCK_SECONDS_MAX = timedelta(seconds=60)

# What pg_receivewal says where the server cannot go on from what is in the folder.
_GAPS = (
    "has already been removed",
    "is not in this server's history",
    "is ahead of the WAL flush position",
    "can no longer access replication slot",
    "can no longer get changes from replication slot",
)
_DROP = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active"
_SLOT = "SELECT wal_status, active_pid FROM pg_replication_slots WHERE slot_name = $1"
_NOW = "SELECT clock_timestamp() AS at, pg_current_wal_flush_lsn()::text AS lsn"
_ARRIVED = """
SELECT pid, write_lsn::text FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = $1
"""


class Follower:
    """Follows the server of `settings`, whose folder is `folder`, until cancelled.

    `rehearse` is called for each new full back-up, in a thread.
    """

    def __init__(self, settings: Settings, folder: BackupFolder, rehearse: Callable[[], object]) -> None:
        self._settings = settings
        self._folder = folder
        self._rehearse = rehearse
        self._url = source_url(settings)
        self._has_followed = asyncio.Event()
        self._receiver: subprocess.Popen[str] | None = None
        self._waits = False
        self._received_into: tuple[int, int] | None = None
        self._full_tried_at = self._rehearsed_at = -_RETRY_SECONDS

    async def run(self) -> None:
        """Wait for the turn, then follow until it is lost; for ever."""
        await repeat(self._follow_in_turn, _TURN_SECONDS, "the database server cannot be followed by the back-up")

    async def _follow_in_turn(self) -> float | None:
        return await _told(self._follow)

    async def _follow(self) -> None:
        self._folder.prepare()
        async with (
            await Database.connect(self._settings.database_url or "", 1, 1, BACKGROUND, _NAME) as database,
            await Database.connect(self._url, 1, 1, BACKGROUND, _NAME) as server,
        ):
            if not await database.fetch_value(queries.take_turn):
                if not self._waits:
                    logger.warning("Another process follows this database; this one goes on once that has ended.")
                self._waits = True
                return
            self._waits = False
            found = await facts(server)
            await require_products(database, found)
            self._require_same(found)
            self._warn_of_one_disk()
            await self._require_mounted(database)
            works: tuple[tuple[Callable[[], Awaitable[None]], float], ...] = (
                (partial(self._receive, database, server), _RECEIVE_SECONDS),
                (partial(self._beat, database, server), BEAT_SECONDS),
                (partial(self._nightly, database, server), _TURN_SECONDS),
                (self._send, _SEND_SECONDS),
            )
            tasks = [
                asyncio.create_task(repeat(partial(_told, work), seconds, "the back-up failed"))
                for work, seconds in works
            ]
            try:
                while await database.fetch_value(queries.take_turn):
                    await asyncio.wait(tasks, timeout=_TURN_SECONDS)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _require_same(self, found: Mapping[str, Any]) -> None:
        if any(full.system_identifier != found["system_identifier"] for full in self._folder.fulls()):
            logger.warning(
                "%s has the back-ups of another database server: this one is not backed up. Set "
                "HEALTHPLUS_BACKUP_FOLDER to another folder.", self._folder.path,
            )  # fmt: skip
            raise BackupFailed
        if found["slot_limit"] == "-1":
            logger.warning(
                "max_slot_wal_keep_size is not set at the database server: should the back-up stop following, what is "
                "written fills its disk. Set it to what there is room for, such as 4GB."
            )

    def _warn_of_one_disk(self) -> None:
        database = self._settings.database_folder
        if database is not None and database.exists() and identity(database)[0] == identity(self._folder.path)[0]:
            logger.warning(
                "%s is on the disk of the database: what is lost with that is lost with its back-up. Name a folder on "
                "another disk.", self._folder.path,
            )  # fmt: skip

    async def _require_mounted(self, database: Database) -> None:
        if not self._folder.fulls() and await database.fetch_value(queries.had_full):
            raise BackupFailed(
                f"{self._folder.path} is empty, and there are back-ups of this database: is the disk that has them "
                "mounted there? To begin with an empty folder, make a full one there first: `healthplus backup FOLDER`."
            )

    async def _receive(self, database: Database, server: Database) -> None:
        """Have pg_receivewal run until it ends; where it cannot go on from what there is, begin another folder."""
        self._folder.prepare()
        await self._require_mounted(database)
        slot = await server.fetch_row(_SLOT, SLOT)
        if slot is not None and slot["wal_status"] == "lost":
            await self._begin_again(server, "the server removed what was not received in time")
            slot = await server.fetch_row(_SLOT, SLOT)
        if slot is None:
            await server.execute("SELECT pg_create_physical_replication_slot($1, true)", SLOT)
        elif slot["active_pid"] is not None:
            await server.execute("SELECT pg_terminate_backend($1)", slot["active_pid"])  # a killed follower's
            return
        stream = self._folder.streams()[-1] if self._folder.streams() else self._folder.new_stream()
        connection = connection_of(self._url)
        process = self._folder.programs.start(
            "pg_receivewal", "-d", connection.address, "-D", stream, "-S", SLOT, "--no-loop", "-s", "1", "-w",
            environment=connection.environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self._receiver, self._received_into = process, identity(stream)
        try:
            _, said = await asyncio.to_thread(process.communicate)
        finally:
            process.terminate()  # it ends what it writes
            threading.Timer(_END_SECONDS_MAX, process.kill).start()
        if any(text in said for text in _GAPS):
            await self._begin_again(server, said.strip()[-_WORDS_MAX:])
        elif process.returncode != 0:
            logger.warning("pg_receivewal ended: %s", said.strip()[-_WORDS_MAX:])

    async def _begin_again(self, server: Database, why: str) -> None:
        logger.warning("The back-up begins again with a full one: %s", why)
        # The slot may be where the folder before ended: what that asked for, which is gone, the server noted there.
        await server.execute(_DROP, SLOT)
        self._folder.new_stream()
        self._full_tried_at = -_RETRY_SECONDS  # what is written from here on is of use with a new full one only

    async def _beat(self, database: Database, server: Database) -> None:
        """Note that all that is committed by now is in the folder, once it is, and on its disk."""
        row = await server.fetch_row(_NOW)
        assert row is not None
        began = time.monotonic()
        while True:
            arrived = await server.fetch_row(_ARRIVED, SLOT)
            if arrived is not None and arrived["write_lsn"] is None:
                raise BackupFailed(
                    "The role of HEALTHPLUS_BACKUP_URL may not see how far the back-up is: as an administrator of the "
                    "server, GRANT pg_monitor to it."
                )
            if arrived is not None and lsn_number(arrived["write_lsn"]) >= lsn_number(row["lsn"]):
                break
            if time.monotonic() - began > _ARRIVAL_SECONDS_MAX:
                if self._receiver is not None:
                    self._receiver.kill()  # it may stand still; another one is started
                raise BackupFailed(f"What is written has not reached the back-up for {_ARRIVAL_SECONDS_MAX:g} s.")
            await asyncio.sleep(_LOOK_SECONDS)
        self._require_received_here()  # just before it is told: the server only knows that it was received
        await asyncio.to_thread(self._keep, Followed(row["at"], row["lsn"]))
        await database.execute(queries.note_wal, time.monotonic() - began)
        self._has_followed.set()

    def _require_received_here(self) -> None:
        """Raise BackupFailed where what is received goes to a folder that is not this one any more."""
        if self._receiver is None or self._receiver.poll() is not None:
            return
        streams = self._folder.streams()
        if not streams or identity(streams[-1]) != self._received_into:
            self._receiver.kill()
            raise BackupFailed(f"{self._folder.path} is not what it was: was its disk unmounted, or the folder moved?")

    def _keep(self, followed: Followed) -> None:
        # pg_receivewal itself waits for the disk at the end of a file only.
        stream = self._folder.streams()[-1]
        for path in sorted(stream.iterdir(), key=lambda path: path.stat().st_mtime)[-2:]:
            with contextlib.suppress(FileNotFoundError):  # it was renamed just now, and is on the disk
                sync(path)
        sync(stream)
        self._folder.write(self._folder.path / "followed.json", followed)

    async def _nightly(self, database: Database, server: Database) -> None:
        """Make a full back-up where one is due, and remove old ones; rehearse restoring from one that is new."""
        await self._has_followed.wait()  # else what was written between the two would be missing
        now: datetime = (await facts(server))["at"]
        if self._is_full_due(now) and time.monotonic() - self._full_tried_at >= _RETRY_SECONDS:
            self._full_tried_at = time.monotonic()
            await self._make_full(database)
        # The process that made the newest may have ended before it could rehearse.
        rehearsed_at: datetime | None = await database.fetch_value(queries.rehearsed_at)
        is_new = rehearsed_at is None or any(full.began_at > rehearsed_at for full in self._folder.fulls()[-1:])
        if is_new and self._folder.fulls() and time.monotonic() - self._rehearsed_at >= _RETRY_SECONDS:
            self._rehearsed_at = time.monotonic()
            await asyncio.to_thread(_modestly, self._rehearse)

    async def _make_full(self, database: Database) -> None:
        try:
            full = await asyncio.to_thread(_modestly, partial(take_full, self._folder, self._url))
            await database.execute(queries.note_full, 0.0)
            await asyncio.to_thread(remove_old, self._folder, self._settings.backup_keep)
        except HealthPlusError as error:
            logger.warning("No full back-up was made, the next try is in 10 minutes: %s", error)
            return
        logger.info("A full back-up was made and verified: %s", full.name)

    def _is_full_due(self, now: datetime) -> bool:
        """Return whether there is none since the hour of the settings last began, by a clock that is not ahead."""
        fulls = [full for full in self._folder.fulls() if full.began_at <= now + _CLOCK_SECONDS_MAX]
        if not fulls or not self._folder.is_connected(fulls[-1]):
            return True
        at = now.astimezone(UTC).replace(hour=self._settings.backup_hour, minute=0, second=0, microsecond=0)
        return fulls[-1].began_at < (at if at <= now else at - timedelta(days=1))

    async def _send(self) -> None:
        if self._settings.backup_command:
            await asyncio.to_thread(send_finished, self._folder, self._settings.backup_command)


def _modestly(work: Callable[[], _R]) -> _R:
    """Do some work in a thread of its own, which lets what serves people go before it, as do programs it starts."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    return work()


async def _told(work: Callable[[], Awaitable[None]]) -> float | None:
    """Do some work; where it fails, say why, and return in how many seconds to try again."""
    try:
        await work()
    except BackupFailed as error:
        logger.warning("%s", error)
        return _FAILED_SECONDS
    return None


async def follow(settings: Settings, folder: BackupFolder, rehearse: Callable[[], object]) -> None:
    """Follow until this process is told to end."""
    work = asyncio.create_task(Follower(settings, folder, rehearse).run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
