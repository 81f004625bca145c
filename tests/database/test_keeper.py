"""An embedded server that is gone comes back, and what keeps it away is said."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import EmbeddedServer
from healthplus.database import keeper as keeper_module
from healthplus.database.keeper import Keeper
from healthplus.database.system import is_alive
from healthplus.errors import EmbeddedServerFailed
from tests.conftest import FAST
from tests.database.test_embedded import ask, is_running, postmaster_pid
from tests.fixtures.disk import Disk, read_only, small_disk

pytestmark = pytest.mark.timeout(180)

SAFE = {**FAST, "synchronous_commit": "on"}  # what was committed survives the server, if not a power cut
SECONDS_MAX = 50  # of a machine that others keep busy


def until(condition: Callable[[], bool]) -> float:
    """Wait for it, and return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < SECONDS_MAX
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def server(server_folder: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(server_folder, SAFE)
    server.start()
    yield server
    server.stop()


def kill(folder: Path) -> int:
    """Kill the server; return the pid that it had."""
    pid = postmaster_pid(folder)
    os.kill(pid, signal.SIGKILL)
    return pid


def is_back(folder: Path, killed: int) -> bool:
    try:
        return postmaster_pid(folder) != killed and ask(dsn_of(folder), "SELECT 1") == 1
    except (OSError, IndexError, asyncpg.PostgresError):
        return False


def dsn_of(folder: Path) -> str:
    return f"postgresql://healthplus@/healthplus?host={folder}/server/socket&port=5432"


def test_it_is_started_again(server: EmbeddedServer, server_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ask(dsn_of(server_folder), "CREATE TABLE kept (n int)")
    with Keeper(server):
        killed = kill(server_folder)
        seconds = until(lambda: is_back(server_folder, killed))
        print(f"back after {seconds:.1f} s")
        assert ask(dsn_of(server_folder), "SELECT count(*) FROM kept") == 0
        until(lambda: len(caplog.messages) == 1)
    assert "was gone and was started again after" in caplog.messages[0]


def test_without_it_it_is_not(server: EmbeddedServer, server_folder: Path) -> None:
    killed = kill(server_folder)
    time.sleep(3 * keeper_module.LOOK_SECONDS)
    assert not is_back(server_folder, killed)


def test_sessions_that_do_not_end_with_it_do_not_keep_it_away(server: EmbeddedServer, server_folder: Path) -> None:
    """A session at work does not see that the server has gone, and keeps its shared memory."""

    def work() -> None:
        with pytest.raises((OSError, asyncpg.PostgresError)):
            ask(dsn_of(server_folder), "DO $$ BEGIN LOOP END LOOP; END $$")

    busy = threading.Thread(target=work)
    busy.start()
    at_work = "SELECT max(pid) FROM pg_stat_activity WHERE query LIKE 'DO%' AND state = 'active'"
    until(lambda: ask(dsn_of(server_folder), at_work) is not None)
    pid = int(str(ask(dsn_of(server_folder), at_work)))
    killed = kill(server_folder)
    time.sleep(0.5)
    assert is_alive(pid)
    with Keeper(server):
        print(f"back after {until(lambda: is_back(server_folder, killed)):.1f} s")
    assert not is_alive(pid)
    busy.join()


def test_what_was_stopped_stays_stopped(server: EmbeddedServer, server_folder: Path) -> None:
    with Keeper(server):
        server.stop()
        time.sleep(4 * keeper_module.LOOK_SECONDS)
        assert not is_running(server_folder)
    server.start_again()
    assert not is_running(server_folder)


def test_two_products_on_one_folder_start_one_server(server: EmbeddedServer, server_folder: Path) -> None:
    other = EmbeddedServer(server_folder, SAFE)
    other.start()
    with Keeper(server), Keeper(other):
        for _ in range(3):
            killed = kill(server_folder)
            until(lambda killed=killed: is_back(server_folder, killed))  # type: ignore[misc]
            time.sleep(2 * keeper_module.LOOK_SECONDS)
    log = (server_folder / "server/log").read_text()
    assert log.count("starting PostgreSQL") == 4
    server.stop()
    assert is_running(server_folder)  # the other uses it
    other.stop()
    assert not is_running(server_folder)


def test_a_folder_that_was_moved_is_missed_and_not_made_again(
    server: EmbeddedServer, server_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ask(dsn_of(server_folder), "CREATE TABLE kept (n int)")
    away = server_folder.with_name(f"{server_folder.name}-away")
    with Keeper(server):
        killed = kill(server_folder)
        server_folder.rename(away)
        until(lambda: len(caplog.messages) >= 2)
        assert not server_folder.exists()
        away.rename(server_folder)
        until(lambda: is_back(server_folder, killed))
        assert ask(dsn_of(server_folder), "SELECT count(*) FROM kept") == 0
        until(lambda: "started again" in caplog.messages[-1])
    assert all("moved or deleted, or its disk is not mounted. Put it back" in said for said in caplog.messages[:-1])
    assert all("\n" not in said for said in caplog.messages)


def test_a_start_that_fails_is_tried_less_and_less_often(
    server: EmbeddedServer, server_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    added = server_folder / "server/data/postgresql.auto.conf"
    before = added.read_text()
    with Keeper(server):
        added.write_text(before + "no_such_setting = 1\n")
        killed = kill(server_folder)
        began = time.monotonic()
        until(lambda: len(caplog.messages) == 2)
        # Five attempts half a second apart, a pause of half a second, and another five; a second, and so on.
        assert time.monotonic() - began > 4
        added.write_text(before)
        until(lambda: is_back(server_folder, killed))
    assert "no_such_setting" in caplog.messages[0]
    assert ["Next try in 0.5 s." in caplog.messages[0], "Next try in 1 s." in caplog.messages[1]] == [True, True]


def test_a_crash_loop_is_named(server: EmbeddedServer, server_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Keeper(server):
        for _ in range(keeper_module.LOOP_DEATHS):
            seen = len(caplog.messages)
            killed = kill(server_folder)
            until(lambda killed=killed: is_back(server_folder, killed))  # type: ignore[misc]
            until(lambda seen=seen: len(caplog.messages) > seen)  # type: ignore[misc]
    assert "3 times within a minute, so something keeps ending it. Its own last words" in caplog.messages[-1]
    assert "loop" not in caplog.messages[0]


def test_the_product_can_be_stopped_while_the_server_recovers(
    server: EmbeddedServer, server_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = server_folder / "server/data"
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 20; false'\n")
    (data / "recovery.signal").touch()
    os.chown(data / "recovery.signal", data.stat().st_uid, data.stat().st_gid)
    with Keeper(server):
        killed = kill(server_folder)
        until(lambda: is_running(server_folder) and postmaster_pid(server_folder) not in (0, killed))
        time.sleep(1)
        began = time.monotonic()
    assert time.monotonic() - began < 15  # it would recover for 20 s, and twice
    assert caplog.messages == []
    server.stop()
    assert not is_running(server_folder)


@pytest.fixture
def disk() -> Iterator[Disk]:
    with small_disk(256) as disk:
        yield disk


def test_a_full_disk_is_named_and_what_was_freed_used(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    server = EmbeddedServer(disk.folder / "data", {**SAFE, "max_wal_size": "64MB"})
    folder = server.folder
    ask(server.start(), "CREATE TABLE kept (n int)")
    with Keeper(server):
        disk.fill(left_mib=0)
        killed = kill(folder)
        until(lambda: len(caplog.messages) >= 2)
        disk.empty()
        until(lambda: is_back(folder, killed))
        assert ask(dsn_of(folder), "SELECT count(*) FROM kept") == 0
        until(lambda: "started again" in caplog.messages[-1])
    assert all(f"The disk of {folder} is full. Free some space on it." in said for said in caplog.messages[:-1])
    server.stop()


def test_a_disk_that_became_read_only_is_named(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    server = EmbeddedServer(disk.folder / "data", FAST)
    folder = server.folder
    server.start()
    with Keeper(server):
        with read_only(folder):
            killed = kill(folder)
            until(lambda: len(caplog.messages) >= 2)
        until(lambda: is_back(folder, killed))
        until(lambda: "started again" in caplog.messages[-1])
    assert "is on a disk that is mounted read-only. Mount it writable again" in caplog.messages[-2]
    server.stop()


def test_a_full_disk_is_named_at_the_first_start_too(disk: Disk) -> None:
    disk.fill(left_mib=8)
    with pytest.raises(EmbeddedServerFailed, match="is full"):
        EmbeddedServer(disk.folder / "data", FAST).start()


def test_those_that_the_server_leaves_end_soon(server: EmbeddedServer, server_folder: Path) -> None:
    """Idle sessions see by themselves that it has gone: they need not be ended."""

    async def hold_a_session() -> int:
        connection = await asyncpg.connect(dsn_of(server_folder))
        pid: int = connection.get_server_pid()
        kill(server_folder)
        async with asyncio.timeout(SECONDS_MAX):
            while is_alive(pid):
                await asyncio.sleep(0.01)
        connection.terminate()
        return pid

    asyncio.run(hold_a_session())
