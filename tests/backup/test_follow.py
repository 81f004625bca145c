"""What is written reaches the back-up, by one process at a time, whatever becomes of it or of the server's slot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from healthplus.backup import backup_state
from healthplus.backup import follow as module
from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder, FullBackup
from healthplus.backup.follow import Follower
from healthplus.backup.full import remove_old, take_full
from healthplus.backup.restore import restore
from healthplus.backup.sending import send_finished
from healthplus.backup.source import SLOT, connection_of, facts, require_products
from healthplus.database import Database, EmbeddedServer
from healthplus.database.system import command_lines, is_alive
from healthplus.settings import Settings
from tests.backup.conftest import SECONDS_MAX, BackedUp, new_server, until
from tests.backup.test_verify import flipped
from tests.conftest import FAST

pytestmark = pytest.mark.timeout(180)
SECRET = "hunter2-canary"
_RECEIVERS = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pg_receivewal'"


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        (f"postgresql://me:{SECRET}%40@db/book?sslmode=allow", "postgresql://me@db/book?sslmode=allow", f"{SECRET}@"),
        (f"postgresql://me@/book?host=%2Frun&password={SECRET}", "postgresql://me@/book?host=%2Frun", SECRET),
        ("postgresql://me@a:5433,b/book", "postgresql://me@a:5433,b/book", None),
    ],
)  # fmt: skip
def test_a_password_is_in_the_environment_and_not_in_the_address(url: str, address: str, password: str | None) -> None:
    connection = connection_of(url)
    assert connection.address == address
    assert connection.environment.get("PGPASSWORD") == password
    assert not {name for name in connection.environment if name.startswith(("HEALTHPLUS_", "DATABASE_"))}


@contextlib.asynccontextmanager
async def process(settings: Settings, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `healthplus backup --follow`, and kill it after the block."""
    with log.open("ab") as file:
        follower = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "healthplus", "backup", "--follow", "--until-stdin-ends",
            env={**os.environ, **settings.as_environment()}, stdin=asyncio.subprocess.PIPE, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield follower
    finally:
        with contextlib.suppress(ProcessLookupError):
            follower.kill()
        await follower.wait()


def receivers(folder: Path) -> dict[int, str]:
    """Return the processes that write below a folder, with all that others can see of them."""
    return {
        pid: command.decode()
        for pid, command in command_lines()
        if b"pg_receivewal" in command and str(folder).encode() in command and is_alive(pid)
    }


@pytest.mark.long
def test_a_server_of_ones_own_is_backed_up_by_a_role_with_a_password(tmp_path: Path) -> None:
    """It follows with no more than the right to replicate; it is killed, and another goes on; no secret is shown."""

    async def run(folder: Path, dsn: str) -> None:
        async with await Database.connect(dsn, min_size=1, max_size=1) as db:
            await db.execute(f"CREATE ROLE keeper LOGIN REPLICATION PASSWORD '{SECRET}'")
            await db.execute("GRANT pg_monitor TO keeper")
            access = folder / "server/data/pg_hba.conf"
            access.write_text(f"{access.read_text()}local all,replication keeper scram-sha-256\n")
            await db.execute("SELECT pg_reload_conf()")
            keeper = dsn.replace("//healthplus@", f"//keeper:{SECRET}@")
            settings = Settings(
                dsn.replace("//healthplus@", "//healthplus_app@"), folder, dsn, backup_folder=folder / "back-ups",
                backup_url=keeper,
            )  # fmt: skip
            one = BackedUp(settings, BackupFolder(folder / "back-ups"), db)
            log = folder / "back-up.log"
            async with process(settings, log):
                await until(one.is_connected)
                await one.covered()
                seen = receivers(one.backups.path)
                assert len(seen) == 1
            orphan = set(seen)  # its parent was killed, and it goes on
            assert set(receivers(one.backups.path)) == orphan
            async with process(settings, log):
                await until(lambda: (now := set(receivers(one.backups.path))) and not now & orphan)
                await db.execute("CREATE TABLE public.kept AS SELECT 1 AS n")
                await one.covered()
                seen |= receivers(one.backups.path)
                async with asyncio.timeout(SECONDS_MAX):  # also where the first was killed before it could rehearse
                    while not await db.fetch_value(
                        "SELECT count(*) FROM backup.restore_rehearsal WHERE problem IS NULL"
                    ):
                        await asyncio.sleep(0.1)
            for pid in receivers(one.backups.path):
                os.kill(pid, signal.SIGTERM)
            assert SECRET not in log.read_text() + " ".join(seen.values())
            assert not any(SECRET.encode() in path.read_bytes() for path in one.backups.path.rglob("*.json"))
            assert one.backups.fulls()[0].role == "keeper"
            await asyncio.to_thread(restore, one.backups, None, folder / "restored")
        with EmbeddedServer(folder / "restored", FAST) as restored:
            async with await Database.connect(restored, min_size=1, max_size=1) as db:
                assert await db.fetch_value("SELECT n FROM public.kept") == 1

    with new_server() as (folder, dsn):
        asyncio.run(run(folder, dsn))


async def test_one_process_at_a_time(backed_up: BackedUp) -> None:
    turn = "SELECT pg_try_advisory_lock(18, 5)"
    async with await Database.connect(backed_up.settings.database_url or "", 1, 1) as other:
        assert await other.fetch_value(turn)
        async with asyncio.TaskGroup() as group:

            async def never() -> None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.5), backed_up.following():
                        pass

            group.create_task(never())
        assert await backed_up.db.fetch_value(_RECEIVERS) == 0
        assert backed_up.backups.fulls() == []
    async with backed_up.following():
        assert await backed_up.db.fetch_value(_RECEIVERS) == 1
        assert not await backed_up.db.fetch_value(turn)


@pytest.mark.long
async def test_after_a_gap_it_begins_again_with_a_full_back_up(
    backed_up: BackedUp, caplog: pytest.LogCaptureFixture
) -> None:
    """The server does not keep what is written for ever: its disk must not fill."""
    async with backed_up.following():
        await backed_up.covered()
    db = backed_up.db
    assert await db.fetch_value("SHOW max_slot_wal_keep_size") == "4GB"
    await db.execute("SELECT pg_drop_replication_slot($1)", SLOT)  # as the server does where it is too far behind
    for _ in range(4):
        await db.execute("SELECT pg_switch_wal()")
        await db.execute("CHECKPOINT")
    await db.execute("CREATE TABLE public.kept AS SELECT 1 AS n")
    with caplog.at_level(logging.WARNING):
        async with backed_up.following():
            await until(lambda: len(backed_up.backups.fulls()) == 2)
            moment = await backed_up.covered()
    assert "The back-up begins again with a full one" in caplog.text
    assert len(backed_up.backups.streams()) == 2
    restored = await asyncio.to_thread(restore, backed_up.backups, moment, backed_up.folder / "restored")
    assert restored.full == backed_up.backups.fulls()[1]


@pytest.mark.long
async def test_old_full_back_ups_go_with_what_only_they_need(backed_up: BackedUp) -> None:
    settings, backups = backed_up.settings, backed_up.backups
    async with backed_up.following():
        first = backups.fulls()[0]
        await asyncio.sleep(1)  # they are named after the second
        for _ in range(2):
            await backed_up.db.execute("SELECT pg_switch_wal()")
            await backed_up.db.execute("CREATE TABLE IF NOT EXISTS public.kept AS SELECT 1 AS n")
        second = await asyncio.to_thread(take_full, backups, settings.database_owner_url or "")
        await backed_up.covered()
        with flipped(backups.files_of(second) / "base.tar.gz"):
            restored = await asyncio.to_thread(restore, backups, None, backed_up.folder / "from the one before")
        assert restored.full == first
        assert remove_old(backups, keep=2) == []
        assert backups.segments()[0].name <= first.first_wal
        assert remove_old(backups, keep=1) == [first]
        assert backups.fulls() == [second]
        assert backups.segments() == [] or backups.segments()[0].name >= second.first_wal
        moment = await backed_up.covered()
    await asyncio.to_thread(restore, backups, moment, backed_up.folder / "restored")


@pytest.mark.long
async def test_another_servers_back_ups_are_left_alone(backed_up: BackedUp) -> None:
    async with backed_up.following():
        pass
    refused = pytest.raises(BackupFailed, match="has the back-ups of another database server")
    with EmbeddedServer(backed_up.folder / "other", FAST) as dsn, refused:
        await asyncio.to_thread(take_full, backed_up.backups, dsn)
    assert len(backed_up.backups.fulls()) == 1


async def test_each_finished_file_is_sent_once_and_again_where_it_was_refused(
    backed_up: BackedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", SECRET)
    elsewhere, refusing = backed_up.folder / "elsewhere", backed_up.folder / "refusing"
    elsewhere.mkdir()
    send = backed_up.folder / "send"
    send.write_text(
        f'#!/bin/sh\n[ -e {refusing} ] && exit 3\nmkdir -p "$(dirname {elsewhere}/$2)" && cp "$1" {elsewhere}/$2\n'
        f'env >> {elsewhere}/environment; echo "$2" >> {elsewhere}/calls\n'
    )
    send.chmod(send.stat().st_mode | stat.S_IXUSR)
    command = f"'{send}' {{path}} {{name}}"
    async with backed_up.following():
        await backed_up.db.execute("SELECT pg_switch_wal()")
        await backed_up.covered()
        refusing.touch()
        with pytest.raises(BackupFailed, match=r"HEALTHPLUS_BACKUP_COMMAND failed for full/\S+ \(3\)"):
            send_finished(backed_up.backups, command)
        assert not (elsewhere / "calls").exists()
        refusing.unlink()
        await until(lambda: len(backed_up.backups.segments()) >= 1)
        assert send_finished(backed_up.backups, command) >= 5
        await backed_up.db.execute("SELECT pg_switch_wal()")
        await backed_up.covered()
        await until(lambda: send_finished(backed_up.backups, command) >= 1)
    calls = (elsewhere / "calls").read_text().split()
    assert len(calls) == len(set(calls))
    assert any(name.startswith("wal/0001/") for name in calls)
    for path in backed_up.backups.finished_files():
        assert (elsewhere / path.relative_to(backed_up.backups.path)).read_bytes() == path.read_bytes()
    assert SECRET not in (elsewhere / "environment").read_text()


async def test_its_state_says_how_old_all_of_it_is(backed_up: BackedUp) -> None:
    db, settings = backed_up.db, backed_up.settings
    state = await backup_state(db, settings)
    assert (state.is_wanted, state.full_age_seconds, state.wal_age_seconds) == (True, None, None)
    assert state.is_behind
    assert state.is_proof_late
    assert not (await backup_state(db, Settings(settings.database_url, settings.data_folder))).is_wanted
    async with backed_up.following():
        await backed_up.covered()
    await db.execute("INSERT INTO backup.restore_rehearsal (at) VALUES (public.app_now() - interval '25 hours')")
    state = await backup_state(db, settings)
    assert state.full_age_seconds is not None
    assert state.wal_age_seconds is not None
    assert 0 <= state.wal_age_seconds <= state.full_age_seconds + 5 < 60
    assert (state.is_behind, state.is_proof_late, state.problem) == (False, False, None)
    await db.execute("INSERT INTO backup.restore_rehearsal (at, problem) VALUES (public.app_now(), 'damaged')")
    state = await backup_state(db, Settings(settings.database_url, settings.data_folder))
    assert state.is_wanted  # another machine does
    assert (state.is_proof_late, state.problem) == (False, "damaged")
    await db.execute("UPDATE backup.restore_rehearsal SET at = at - interval '61 minutes'")
    assert (await backup_state(db, settings)).is_proof_late


@pytest.mark.long
async def test_it_is_no_replica_to_those_who_count_them(backed_up: BackedUp) -> None:
    async with backed_up.following():
        await backed_up.covered()
        assert await backed_up.db.fetch_value("SELECT count(*) FROM pg_stat_replication") == 1
        assert await backed_up.db.fetch_value("SELECT count(*) FROM monitoring.replicas()") == 0


@pytest.mark.long
async def test_a_receiver_that_stands_still_is_replaced(backed_up: BackedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FAILED_SECONDS", 0.2)
    async with backed_up.following():
        await backed_up.covered()
        (frozen,) = receivers(backed_up.backups.path)
        os.kill(frozen, signal.SIGSTOP)
        monkeypatch.setattr(module, "_ARRIVAL_SECONDS_MAX", 3.0)
        await backed_up.db.execute("CREATE TABLE public.kept AS SELECT 1 AS n")
        await backed_up.covered()
        assert frozen not in receivers(backed_up.backups.path)


async def test_an_empty_folder_is_not_taken_for_the_back_ups(
    backed_up: BackedUp, caplog: pytest.LogCaptureFixture
) -> None:
    """Its disk may not be mounted: what is written there would be lost, and nobody would know."""
    await backed_up.db.execute("INSERT INTO backup.progress (full_at) VALUES (public.app_now())")
    following = asyncio.create_task(Follower(backed_up.settings, backed_up.backups, lambda: None).run())
    await until(lambda: "is the disk that has them mounted there?" in caplog.text)
    assert backed_up.backups.streams() == []
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    missing = BackupFolder(backed_up.folder / "not mounted" / "back-ups")
    with pytest.raises(BackupFailed, match="cannot be made"):
        missing.prepare()


@pytest.mark.long
async def test_what_goes_to_a_folder_that_was_exchanged_is_not_taken_for_backed_up(
    backed_up: BackedUp, caplog: pytest.LogCaptureFixture
) -> None:
    """As where its disk is unmounted: what is open goes on being written, and nobody will ever see it."""
    folder = backed_up.backups.path
    async with backed_up.following():
        await backed_up.covered()
        folder.rename(away := folder.with_name("away"))
        folder.mkdir()
        await until(lambda: "was its disk unmounted, or the folder moved?" in caplog.text)
        wal_at = await backed_up.db.fetch_value("SELECT wal_at FROM backup.progress")
        await asyncio.sleep(1)
        assert await backed_up.db.fetch_value("SELECT wal_at FROM backup.progress") == wal_at
        shutil.rmtree(folder)
        away.rename(folder)
        await backed_up.covered()


async def test_another_server_is_not_backed_up_in_the_place_of_the_products(backed_up: BackedUp) -> None:
    async with await Database.connect(backed_up.settings.database_url or "", 1, 1) as product:
        found = dict(await facts(backed_up.db))
        await require_products(product, found)
        for other in ({"system_identifier": 7}, {"database": "of-tests"}):
            with pytest.raises(BackupFailed, match="leads to another database than DATABASE_URL"):
                await require_products(product, found | other)


@pytest.mark.parametrize(
    ("began", "now", "is_due"),
    [
        ("28 21:00:05", "29 20:59:59", False),
        ("28 21:00:05", "29 21:00:01", True),
        ("28 04:30:00", "28 20:59:00", False),
        ("28 04:30:00", "28 21:00:10", True),  # the first is made at once, the next at the hour
        ("28 20:59:59", "28 21:00:00", True),
        ("30 12:00:00", "28 12:00:00", True),  # by a clock that was ahead
    ],
)
def test_a_full_one_is_due_once_the_hour_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: str, now: str, is_due: bool
) -> None:
    began_at, now_at = (datetime.strptime(f"2026-11-{at}+0000", "%Y-%m-%d %H:%M:%S%z") for at in (began, now))
    full = FullBackup("one", began_at, began_at, 1, "keeper", "healthplus", "0" * 24, "0/0", 1, 1)
    folder = BackupFolder(tmp_path)
    monkeypatch.setattr(folder, "fulls", lambda: [full])
    monkeypatch.setattr(folder, "is_connected", lambda _: True)
    follower = Follower(Settings(None, tmp_path, backup_hour=21), folder, lambda: None)
    assert follower._is_full_due(now_at) == is_due
