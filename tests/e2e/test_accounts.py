"""Root starts the whole product: what serves people is not root, nor the account of the database's files."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from healthplus.processes import app_account

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of other accounts"),
    pytest.mark.timeout(240),
]


def answer(url: str) -> int:
    """Return the status of a page, once the product is ready."""
    give_up = time.monotonic() + 100
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
                return int(response.status)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return error.code
        except OSError:
            pass
        assert time.monotonic() < give_up
        time.sleep(0.1)


def processes_of(parent: int) -> dict[int, tuple[int, str]]:
    """Return the account and the command of each process that a process started, or that one of these did."""
    parents, found = {}, {}
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal():
                pid, text = int(process.name), (process / "status").read_text()
                parents[pid] = int(text.partition("\nPPid:\t")[2].split()[0])
                found[pid] = int(text.partition("\nUid:\t")[2].split()[0]), (process / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue

    def is_descendant(pid: int) -> bool:
        return parents.get(pid) == parent or (pid in parents and is_descendant(parents[pid]))

    return {pid: one for pid, one in found.items() if is_descendant(pid)}


def test_started_by_root_nothing_that_listens_is_root(server_folder: Path) -> None:
    account = app_account()
    assert account is not None
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {
        **os.environ,
        "HEALTHPLUS_DATA": str(server_folder / "data"),
        "HEALTHPLUS_SANDBOX_PAYMENTS": "1",
        "HEALTHPLUS_SANDBOX_NOTICES": "1",
        "HEALTHPLUS_PORT": str(port),
        "HEALTHPLUS_PROCESSES": "2",
    }
    environment.pop("DATABASE_URL", None)
    umask = os.umask(0o077)
    try:
        product = subprocess.Popen([sys.executable, "-m", "healthplus", "serve"], env=environment)
    finally:
        os.umask(umask)
    try:
        assert answer(f"http://127.0.0.1:{port}/api/v1/ready") == 200
        for page in ("", "hi", "help", "verify", "demo", "find", "api/v1/cities"):
            assert answer(f"http://127.0.0.1:{port}/{page}") in (200, 404), page
        children = processes_of(product.pid)
        bank = [uid for uid, command in children.values() if "healthplus_sandbox" in command]
        assert bank == [account.pw_uid]
        assert [uid for uid, _ in children.values()].count(account.pw_uid) >= 3, children
        server = Path(f"/proc/{(server_folder / 'data/server/data/postmaster.pid').read_text().split()[0]}")
        assert server.stat().st_uid not in (0, account.pw_uid)
        # One that dies is started again, and is of that account, too.
        victim = next(
            pid for pid, (uid, command) in children.items() if uid == account.pw_uid and "sandbox" not in command
        )
        os.kill(victim, signal.SIGKILL)
        give_up = time.monotonic() + 60
        while victim in (now := processes_of(product.pid)) or sum(uid == account.pw_uid for uid, _ in now.values()) < 3:
            assert time.monotonic() < give_up, now
            time.sleep(0.1)
        ledger = server_folder / "data/sandbox-bank"
        assert (ledger.stat().st_uid, stat.S_IMODE(ledger.stat().st_mode)) == (account.pw_uid, 0o700)
        files = list(ledger.iterdir())
        assert len(files) >= 1
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        key = server_folder / "data/secret-key"
        assert (key.stat().st_uid, stat.S_IMODE(key.stat().st_mode)) == (0, 0o600)
    finally:
        product.send_signal(signal.SIGINT)
        product.wait(60)
