"""Where root starts the product, those of its processes that serve people are of an account that may do little."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from healthplus.errors import BadInput
from healthplus.processes import app_account, server_account

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other accounts")

_BECOME = """
import os, sys, threading
from healthplus.processes import become
became, told = threading.Event(), []
def look():
    became.wait()
    told.append(open('/proc/thread-self/status').read())
thread = threading.Thread(target=look)
thread.start()
become(sys.argv[1])
became.set()
thread.join()
print(*os.getresuid(), *os.getresgid(), os.getgroups())
print([line for line in told[0].splitlines() if line.startswith('Uid')])
import wave, email.mime.text, phonenumbers.data.region_PY, litestar.contrib
print('imported', os.path.expanduser('~'))
for attempt in (lambda: os.setuid(0), lambda: open('/etc/shadow'), lambda: open(sys.argv[2])):
    try:
        attempt()
    except PermissionError:
        print('refused')
"""


def test_there_is_no_way_back_and_everything_can_still_be_imported(tmp_path: Path) -> None:
    """Also where Python lies below /root, where the account may not go: through folders that are open already."""
    account = app_account()
    assert account is not None
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    said = subprocess.run(
        [sys.executable, "-c", _BECOME, account.pw_name, secret], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    uid, gid = account.pw_uid, account.pw_gid
    assert said == [
        f"{uid} {uid} {uid} {gid} {gid} {gid} []",
        f"['Uid:\\t{uid}\\t{uid}\\t{uid}\\t{uid}']",
        f"imported {account.pw_dir}",
        *["refused"] * 3,
    ]


def test_a_hidden_program_can_be_imported(tmp_path: Path) -> None:
    """On the path is a folder below one that only root may enter, with a package that was imported in part."""
    account = app_account()
    assert account is not None
    folder = tmp_path / "hidden" / "packages"
    package = folder / "halfway"
    package.mkdir(parents=True)
    for name in ("__init__", "first", "second"):
        (package / f"{name}.py").write_text(f"name = {name!r}")
    (tmp_path / "hidden").chmod(0o700)
    folder.chmod(0o755)
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import halfway.first\n"
        "from healthplus.processes import become\n"
        "become(sys.argv[1])\n"
        "import halfway.second; print(halfway.second.name)"
    )

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, account.pw_name, folder], capture_output=True, text=True, check=False
        )

    assert run().stdout == "second\n"
    folder.chmod(0o700)  # there is no way in, then
    assert f"cannot read {folder}" in run().stderr


def test_the_account_is_never_the_database_servers() -> None:
    server = server_account()
    assert server is not None
    chosen = app_account()
    assert chosen is not None
    assert chosen.pw_uid not in (0, server.pw_uid)
    other = app_account(server_uid=chosen.pw_uid)  # a server of this very account
    assert other is not None
    assert other.pw_uid not in (0, chosen.pw_uid)
    with pytest.raises(BadInput, match="the database server's own account"):
        app_account(server.pw_name)
    assert app_account("root") == pwd.getpwuid(0)  # said on purpose


def test_app_processes_go_first_each_in_a_session_of_its_own() -> None:
    source = """
import os
from pathlib import Path
from healthplus.processes import go_first
try:
    os.setpriority(os.PRIO_PROCESS, 0, -1)
except PermissionError:
    raise SystemExit('not allowed')
go_first()
group = Path('/proc/self/autogroup')
nice = group.read_text().split()[-1] if group.exists() else -6
print(os.getsid(0) == os.getpid(), os.getpriority(os.PRIO_PROCESS, 0), nice)
os.setpriority(os.PRIO_PROCESS, 0, -10)
go_first()
print(os.getpriority(os.PRIO_PROCESS, 0))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    if "not allowed" in done.stderr:
        pytest.skip("even root may not go first here")
    assert done.stdout == "True -6 -6\n-10\n"
