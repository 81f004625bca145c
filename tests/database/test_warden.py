"""When a process that uses an embedded server is killed, the server ends, and a temporary folder is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from healthplus.database import EmbeddedServer
from healthplus.database.system import command_lines, is_alive
from healthplus.database.warden import LINGER_SECONDS
from tests.conftest import FAST
from tests.database.test_embedded import ask, is_running, postmaster_pid

SECONDS_MAX = 10  # of a machine that others keep busy; LINGER_SECONDS of them are meant


def until(condition: Callable[[], bool]) -> float:
    """Wait for it, and return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < SECONDS_MAX
        time.sleep(0.05)
    return time.monotonic() - began


def user_of(folder: Path) -> subprocess.Popen[str]:
    """Start the server from another process, which then waits."""
    code = f"""
import sys, time
from pathlib import Path
from healthplus.database import EmbeddedServer
server = EmbeddedServer(Path({str(folder)!r}), {FAST!r})
server.start()
print("started", flush=True)
time.sleep(120)
"""
    user = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    assert user.stdout.readline() == "started\n"
    return user


def kill(user: subprocess.Popen[str]) -> None:
    with user:
        user.kill()


def test_a_server_ends_soon_after_its_last_user_was_killed(server_folder: Path) -> None:
    first, second = user_of(server_folder), user_of(server_folder)
    pid = postmaster_pid(server_folder)
    kill(first)
    time.sleep(LINGER_SECONDS + 1)
    assert is_alive(pid)
    kill(second)
    seconds = until(lambda: not is_running(server_folder))
    print(f"ended {seconds:.1f} s after its last user")
    assert seconds >= LINGER_SECONDS - 0.5  # a restart of the product finds it running
    assert not is_alive(pid)
    assert (server_folder / "server/data").exists()


def test_a_user_that_comes_meanwhile_keeps_it(server_folder: Path) -> None:
    user = user_of(server_folder)
    pid = postmaster_pid(server_folder)
    kill(user)
    with EmbeddedServer(server_folder, FAST) as dsn:
        time.sleep(LINGER_SECONDS + 1)
        assert ask(dsn, "SELECT 1") == 1
        assert postmaster_pid(server_folder) == pid
    assert not is_running(server_folder)


def test_what_ends_a_whole_group_does_not_end_the_warden(server_folder: Path) -> None:
    user = user_of(server_folder)
    kept = f"warden.py\0{server_folder}\0kept".encode()
    wardens = [pid for pid, command in command_lines() if kept in command]
    assert len(wardens) == 1
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(wardens[0], number)
    assert os.getsid(wardens[0]) != os.getsid(user.pid)
    kill(user)
    until(lambda: not is_running(server_folder))
    until(lambda: not is_alive(wardens[0]))


def test_a_stale_pid_of_another_process_is_left_alone(server_folder: Path) -> None:
    user = user_of(server_folder)
    os.kill(postmaster_pid(server_folder), signal.SIGKILL)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pid_file = server_folder / "server/data/postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(postmaster_pid(server_folder)), str(bystander.pid), 1))
    kill(user)
    time.sleep(LINGER_SECONDS + 1)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_of_a_temporary_folder_nothing_is_left(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys, tempfile
from pathlib import Path
from healthplus.database import EmbeddedServer, temporary_folder
with temporary_folder("healthplus-killed-") as folder:
    with EmbeddedServer(folder, {FAST!r}), EmbeddedServer(folder / "below", {FAST!r}):
        pids = [(path / "server/data/postmaster.pid").read_text().split()[0] for path in (folder, folder / "below")]
        print(folder, *pids, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    folder, *pids = killed.stdout.split()
    seconds = until(lambda: not Path(folder).exists())
    print(f"gone {seconds:.1f} s after its owner")
    assert not any(is_alive(int(pid)) for pid in pids)
