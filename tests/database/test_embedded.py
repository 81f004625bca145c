from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import EmbeddedServer
from healthplus.database.programs import Programs
from healthplus.errors import EmbeddedServerFailed
from tests.conftest import FAST


def ask(dsn: str, sql: str) -> object:
    async def query() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(query())


def postmaster_pid(folder: Path) -> int:
    lines = (folder / "server/data/postmaster.pid").read_text().split()
    return int(lines[0]) if lines else 0  # just being written


def is_running(folder: Path) -> bool:
    return (folder / "server/data/postmaster.pid").exists()


def killed_child(folder: Path, then: str = "") -> None:
    """Start the server from another process, which then dies without stopping it."""
    code = f"""
import os, signal, sys
from pathlib import Path
from healthplus.database import EmbeddedServer
EmbeddedServer(Path({str(folder)!r}), {FAST!r}).start()
{then}
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = subprocess.run([sys.executable, "-c", code], check=False)
    assert child.returncode == -signal.SIGKILL


def test_what_was_written_is_there_after_a_restart(server_folder: Path) -> None:
    server = EmbeddedServer(server_folder, FAST)
    ask(server.start(), "CREATE TABLE kept (n int)")
    server.stop()
    assert not is_running(server_folder)
    assert ask(server.start(), "SELECT count(*) FROM kept") == 0
    server.stop()


def test_durability_is_on_unless_switched_off(server_folder: Path) -> None:
    with EmbeddedServer(server_folder, {"shared_buffers": "32MB"}) as dsn:
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert ask(dsn, f"SHOW {name}") == "on"
        assert ask(dsn, "SHOW listen_addresses") == ""


def test_names_in_any_script_have_letters(server: str) -> None:
    ask(server, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
    assert ask(server, "SELECT cardinality(public.show_trgm('नमस्ते')) > 3 AND lower('ÄÖ') = 'äö'")


def test_the_one_who_joined_does_not_stop_it(server_folder: Path) -> None:
    with EmbeddedServer(server_folder, FAST) as dsn:
        with EmbeddedServer(server_folder, FAST) as joined:
            assert joined == dsn
        assert ask(dsn, "SELECT 1") == 1


def test_the_last_user_stops_it_no_matter_who_started_it(server_folder: Path) -> None:
    first, second = EmbeddedServer(server_folder, FAST), EmbeddedServer(server_folder, FAST)
    first.start()
    dsn = second.start()
    first.stop()
    assert ask(dsn, "SELECT 1") == 1
    second.stop()
    assert not is_running(server_folder)


def test_starts_at_the_same_time_make_one_server(server_folder: Path) -> None:
    servers = [EmbeddedServer(server_folder, FAST) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        pids = {ask(dsn, "SELECT pg_postmaster_start_time()") for dsn in pool.map(EmbeddedServer.start, servers)}
    assert len(pids) == 1
    for server in servers:
        server.stop()
    assert not is_running(server_folder)


def test_a_server_whose_owner_was_killed_is_adopted_and_stopped(server_folder: Path) -> None:
    killed_child(server_folder)
    pid = postmaster_pid(server_folder)
    with EmbeddedServer(server_folder, FAST) as dsn:
        assert postmaster_pid(server_folder) == pid
        assert ask(dsn, "SELECT 1") == 1
    assert not is_running(server_folder)


def test_commits_survive_the_kill_of_server_and_product(server_folder: Path) -> None:
    server = EmbeddedServer(server_folder, {"shared_buffers": "32MB"})
    ask(server.start(), "CREATE TABLE kept (n int)")
    os.kill(postmaster_pid(server_folder), signal.SIGKILL)
    assert is_running(server_folder)  # the stale pid file
    assert ask(server.start(), "SELECT count(*) FROM kept") == 0
    server.stop()


def test_a_first_start_that_was_killed_is_begun_again(server_folder: Path) -> None:
    with EmbeddedServer(server_folder, FAST):
        pass
    (server_folder / "server/data").rename(server_folder / "server/data.unfinished")
    with EmbeddedServer(server_folder, FAST) as dsn:
        assert ask(dsn, "SELECT current_database()") == "healthplus"


def test_a_server_that_trusts_everybody_learns_who_may_connect(server_folder: Path) -> None:
    """One that the release before started, and that still runs."""
    old = EmbeddedServer(server_folder, FAST)
    dsn = old.start()
    rules = server_folder / "server/data/pg_hba.conf"
    wanted = rules.read_text()
    rules.write_text("local all all trust\n")
    assert ask(dsn, "SELECT pg_reload_conf()")
    for folder in ("server", "server/socket"):
        (server_folder / folder).chmod(0o700)
    methods = "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules"
    assert ask(dsn, methods) == "trust"
    with EmbeddedServer(server_folder, FAST):
        assert rules.read_text() == wanted
        assert ask(dsn, methods) == "peer"
        nobody = dsn.replace("//healthplus@", "//nobody_at_all@")
        give_up = time.monotonic() + 30
        while True:  # until the server has read them
            try:
                ask(nobody, "SELECT 1")
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                if "authentication" in str(error) or "pg_hba" in str(error):
                    break
            assert time.monotonic() < give_up
            time.sleep(0.05)
        if os.geteuid() == 0:
            assert (server_folder / "server/socket").stat().st_mode & 0o777 == 0o710
    old.stop()


def test_a_long_data_folder_gets_a_short_socket(server_folder: Path) -> None:
    with EmbeddedServer(server_folder / ("long" * 25), FAST) as dsn:
        assert "host=/tmp/healthplus-" in dsn
        assert ask(dsn, "SELECT 1") == 1
    Path(dsn.partition("host=")[2].partition("&")[0]).rmdir()


def test_a_server_that_cannot_start_says_why(server_folder: Path) -> None:
    with pytest.raises(EmbeddedServerFailed, match="no_such_setting"):
        EmbeddedServer(server_folder, {**FAST, "no_such_setting": "1"}).start()


def test_a_data_folder_that_cannot_be_made_says_what_to_do(server_folder: Path) -> None:
    (server_folder / "file").touch()
    with pytest.raises(EmbeddedServerFailed, match="HEALTHPLUS_DATA"):
        EmbeddedServer(server_folder / "file/data").start()


def test_a_socket_folder_of_somebody_else_is_refused(server_folder: Path) -> None:
    with EmbeddedServer(server_folder, FAST):
        pass
    (server_folder / "server/socket").chmod(0o755)
    with pytest.raises(EmbeddedServerFailed, match="0700"):
        EmbeddedServer(server_folder, FAST).start()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another account")


@as_root
def test_as_root_no_parents_mode_changes_and_the_server_is_not_root(server_folder: Path) -> None:
    folder = server_folder / "new/data"
    binaries = Path(sys.prefix)
    watched = [path for start in (server_folder, binaries) for path in (start, *start.parents)]
    before = [path.stat().st_mode for path in watched]
    umask = os.umask(0o077)
    try:
        with EmbeddedServer(folder, FAST) as dsn:
            assert Path(f"/proc/{postmaster_pid(folder)}").stat().st_uid != 0
            assert ask(dsn, "SELECT 1") == 1
    finally:
        os.umask(umask)
    assert [path.stat().st_mode for path in watched] == before
    assert (folder / "server").stat().st_mode & 0o777 == 0o710  # the app processes' group may pass through
    assert (folder / "server/data").stat().st_mode & 0o777 == 0o700


@as_root
def test_as_root_a_data_folder_the_account_cannot_enter_says_what_to_do(server_folder: Path) -> None:
    server_folder.chmod(0o700)
    with pytest.raises(EmbeddedServerFailed, match="cannot enter"):
        EmbeddedServer(server_folder / "data", FAST).start()


@as_root
def test_as_root_binaries_the_account_cannot_reach_are_copied(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Programs, "_can_run", lambda *_: False)
    with EmbeddedServer(server_folder, FAST) as dsn:
        executable = Path(f"/proc/{postmaster_pid(server_folder)}/exe").readlink()
        assert executable.is_relative_to(server_folder)
        assert ask(dsn, "CREATE EXTENSION btree_gist") is None


def test_who_has_no_name_is_refused(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would say only a number at the socket, where older releases trusted everybody."""
    monkeypatch.setattr(os, "geteuid", lambda: 23456)
    with pytest.raises(EmbeddedServerFailed, match="23456, which has no name"):
        EmbeddedServer(server_folder, FAST).start()


@as_root
def test_as_root_a_server_whose_account_lost_its_name_knows_who_comes(server_folder: Path) -> None:
    with EmbeddedServer(server_folder, FAST) as dsn:
        ask(dsn, "CREATE TABLE kept ()")
    subprocess.run(["chown", "-R", "23456:23456", server_folder / "server"], check=True)  # noqa: S607
    with EmbeddedServer(server_folder, FAST) as dsn:
        assert ask(dsn, "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules") == "peer"
        assert ask(dsn, "SELECT count(*) FROM kept") == 0
