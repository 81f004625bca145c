"""What app processes run as: which account where root starts the product, and before which others at the cores.

Those that serve people do not stay root.
The account of the app processes is never that of the embedded PostgreSQL server, whose files it must not read.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from healthplus.errors import BadInput

_SERVER_ACCOUNTS = ("postgres", "nobody")
_APP_ACCOUNTS = ("healthplus", "nobody", "daemon")
_PR_SET_DUMPABLE = 4
_APP_NICE = -6
"""Four times the share of a core that another process has."""


def server_account() -> pwd.struct_passwd | None:
    """Return the account that a PostgreSQL server runs under which root starts; None where there is none for it."""
    return _first(_SERVER_ACCOUNTS, without=0)


def app_account(wanted: str | None = None, server_uid: int | None = None) -> pwd.struct_passwd | None:
    """Return the account that app processes run under: `wanted`, or one that is not the database server's.

    None where root has not started this process: they then run under its own account. Raises BadInput where there is
    no such account.
    """
    if os.geteuid() != 0:
        return None
    if server_uid is None:
        server = server_account()
        server_uid = server.pw_uid if server else 0
    account = pwd.getpwnam(wanted) if wanted else _first(_APP_ACCOUNTS, without=server_uid)
    if account is None:
        raise BadInput(
            f"Started by root, HealthPlus runs its app processes under one of the accounts {', '.join(_APP_ACCOUNTS)}, "
            "and there is none of them. Make one, or name another in HEALTHPLUS_ACCOUNT."
        )
    if account.pw_uid == server_uid:
        raise BadInput(
            f"HEALTHPLUS_ACCOUNT is {account.pw_name!r}, which is the database server's own account; name another one."
        )
    return account


def become(account_name: str | None) -> None:
    """Go on for good under an account, where root runs this process; all its threads do. Its groups are left, too."""
    if os.geteuid() != 0 or account_name is None:
        return
    account = pwd.getpwnam(account_name)
    libc = ctypes.CDLL(None, use_errno=True)
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    used = {path for path in sys.path if path and any(file.startswith(f"{path}/") for file in files)}
    opened = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in used if Path(path).is_dir()}
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    os.umask(0o077)
    os.environ["HOME"] = account.pw_dir  # the driver looks there for certificates, and may not look in root's
    hidden = {path: f"/proc/self/fd/{folder}" for path, folder in opened.items() if not os.access(path, os.X_OK)}
    for path in opened.keys() - hidden.keys():
        os.close(opened[path])
    if hidden:
        # The kernel hides /proc/self/fd from a process that changed its user, unless it says otherwise.
        libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        for path, folder in hidden.items():
            if not os.access(folder, os.R_OK | os.X_OK):
                raise BadInput(
                    f"The account {account_name!r}, under which HealthPlus serves people, cannot read {path}. Let "
                    "everybody read that folder, start HealthPlus as an ordinary user, or set HEALTHPLUS_ACCOUNT."
                )
        _import_through(hidden)


def set_nice(nice: int) -> None:
    """Have this thread, and those it starts, go before others at the cores, or after them, where the system lets it."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    with contextlib.suppress(OSError):  # Linux may share cores out among sessions first, of which each has a nice, too
        Path("/proc/self/autogroup").write_text(str(nice))


def go_first() -> None:
    """Have this app process go before the database's, where the system lets it: to tell people to wait must not wait.

    Root may; another account where its limit for nice (RLIMIT_NICE) says so. Called before there are other threads.
    """
    # In a session of its own: each of the database's processes is in one, and would have as much as all of ours.
    with contextlib.suppress(PermissionError):
        os.setsid()
    set_nice(min(_APP_NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _import_through(hidden: Mapping[str, str]) -> None:
    """Have modules still be found that lie where this account may not go, such as below /root, through open folders."""

    def through(path: str) -> str:
        for start, folder in hidden.items():
            if path == start or path.startswith(f"{start}/"):
                return folder + path[len(start) :]
        return path

    sys.path[:] = map(through, sys.path)
    for module in list(sys.modules.values()):
        found = getattr(module, "__path__", None)
        if isinstance(found, list):
            found[:] = map(through, found)
    sys.path_importer_cache.clear()


def _first(names: Iterable[str], without: int) -> pwd.struct_passwd | None:
    for name in names:
        with contextlib.suppress(KeyError):
            if (account := pwd.getpwnam(name)).pw_uid != without:
                return account
    return None
