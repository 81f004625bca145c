"""A small process beside an embedded server, which stops it when the process that used it was killed.

It holds one end of a pipe; the kernel closes the other end however its owner ends. Then, where nobody else uses the
server, it stops it, and removes a temporary folder. The file runs by itself, without the product's imports, in 15 ms.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LINGER_SECONDS = 2.0
"""How long a server outlives its last user that was killed: calls under way finish, and a restart takes it over."""
STOP_SECONDS_MAX = 60.0
_LOOK_SECONDS = 0.05
_DONE = b"x"


class Warden:
    """The owner's end: the process runs until `dismiss`, or does its work when this process is gone."""

    def __init__(self, folder: Path, *, temporary: bool = False) -> None:
        """Start it for the server in `folder`; if that is `temporary`, for all below it, and it removes the folder."""
        command = [sys.executable, "-I", "-S", __file__, str(folder), "temporary" if temporary else "kept"]
        # In a session of its own: what interrupts or kills its owner's whole group must leave it alone.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # who reads its owner's must see the end when its owner ends
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        """Whether it still watches."""
        return self._process.poll() is None

    def dismiss(self) -> None:
        """End it: there is nothing left to do for it."""
        with contextlib.suppress(BrokenPipeError):  # it was killed itself
            self._process.communicate(_DONE)


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for embedded servers that is gone after the block, with them, even if this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    folder.chmod(0o755)  # the account that the server runs under must be able to enter it
    warden = Warden(folder, temporary=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        warden.dismiss()


def main(folder: Path, *, temporary: bool) -> None:
    """Wait for the pipe to end, then do the work; end early where a byte says that there is none."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its pipe
    if os.read(sys.stdin.fileno(), 1):
        return
    time.sleep(LINGER_SECONDS)
    if not temporary:
        with contextlib.suppress(FileNotFoundError):  # the folder is gone
            _stop_if_unused(folder)
        return  # a process that still uses it has a warden of its own
    while folder.is_dir():
        with contextlib.suppress(FileNotFoundError):
            unused = [_stop_if_unused(users.parent) for users in folder.rglob("users")]  # each of them is stopped
            if all(unused):
                shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_LOOK_SECONDS)


def _stop_if_unused(folder: Path) -> bool:
    with (folder / "lock").open("a") as lock, (folder / "users").open("a") as users:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        pid_file = folder / "server" / "data" / "postmaster.pid"
        end = time.monotonic() + STOP_SECONDS_MAX
        with contextlib.suppress(FileNotFoundError, ConnectionError):  # there is none, or it is gone
            pid, _, _, port, socket_folder, *_ = pid_file.read_text().splitlines()
            _require_listener(f"{socket_folder}/.s.PGSQL.{port}")
            os.kill(int(pid), signal.SIGINT)  # a fast shutdown: sessions end, and what they had open is rolled back
            while pid_file.exists() and time.monotonic() < end:
                time.sleep(_LOOK_SECONDS)
        return True


def _require_listener(path: str) -> None:
    # The pid in a file that a killed server left may be another process's by now.
    with socket.socket(socket.AF_UNIX) as trial:
        trial.connect(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), temporary=sys.argv[2] == "temporary")
