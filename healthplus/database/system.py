"""What the embedded server needs of the operating system: processes, accounts, folders, troubles of a disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from healthplus.errors import EmbeddedServerFailed
from healthplus.processes import server_account

_ROOM_BYTES_MIN = 32 << 20
"""Below this a server does not start: it writes a segment of its log (16 MiB) and a checkpoint."""


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended, and that nobody has waited for yet, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another account's
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True  # a system without /proc


def end_zombie(pid: int) -> None:
    """Wait for an ended process if it became this one's child, as it does in a container whose first process this is.

    PostgreSQL takes one that nobody has waited for as alive, and does not start beside it.
    """
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def is_named(pid: int, program: str) -> bool:
    """Return whether a process runs a program of this name; true on a system without /proc."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()
    return Path(os.fsdecode(command.partition(b"\0")[0])).name == program


def command_lines() -> Iterator[tuple[int, bytes]]:
    """Yield each process and its command line as /proc has it; none on a system without /proc."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # one that ends meanwhile
            yield int(folder.name), (folder / "cmdline").read_bytes()


def processes_named(title: str) -> list[int]:
    """Return the processes whose command line begins with `title`; none on a system without /proc."""
    return [pid for pid, command in command_lines() if command.startswith(title.encode())]


def disk_trouble(folder: Path, said: str) -> str | None:
    """Return what is wrong with a folder's disk and what to do, where that is why something failed, by what it said."""
    if os.strerror(errno.EROFS) in said:
        return (
            f"{folder} is on a disk that is mounted read-only. Mount it writable again; Linux mounts a failing disk "
            "read-only, so look at its messages (dmesg) first."
        )
    with contextlib.suppress(OSError):
        if os.strerror(errno.ENOSPC) in said or shutil.disk_usage(folder).free < _ROOM_BYTES_MIN:
            return f"The disk of {folder} is full. Free some space on it."
    return None


def choose_account(server_folder: Path) -> pwd.struct_passwd:
    """Return the account that a server runs under whose files are in `server_folder`: never root."""
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    if server_folder.exists() and (uid := server_folder.stat().st_uid) != 0:
        return account_of(uid)
    if account := server_account():
        return account
    raise EmbeddedServerFailed(
        "PostgreSQL refuses to run as root, and there is no account 'postgres' or 'nobody' to run it. "
        "Start HealthPlus as an ordinary user, or set DATABASE_URL."
    )


def require_own_name() -> None:
    """Raise EmbeddedServerFailed where this process's account is a mere number: PostgreSQL lets in whom it can name."""
    if account_of(os.geteuid()).pw_name == str(os.geteuid()):
        raise EmbeddedServerFailed(
            f"The embedded database cannot be used by the account {os.geteuid()}, which has no name. Give it one "
            "(a line in /etc/passwd, as containers can have for any user), or set DATABASE_URL to a server of your own."
        )


def account_of(uid: int) -> pwd.struct_passwd:
    """Return the account with this number."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        # A container may run under a uid that has no name.
        return pwd.struct_passwd((str(uid), "x", uid, os.getegid(), "", "/", "/bin/sh"))


def make_private(folder: Path, account: pwd.struct_passwd, visitors: int | None) -> None:
    """Make a folder that only the account may enter; root lets the group `visitors` pass through, and not look in.

    Raises EmbeddedServerFailed if it exists and is not like that.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EACCES):
            raise
        raise EmbeddedServerFailed(_not_private(folder, account)) from None
    try:
        found = os.fstat(opened)
        owners = (account.pw_uid, 0) if visitors is not None else (account.pw_uid,)
        if found.st_uid not in owners or stat.S_IMODE(found.st_mode) not in (0o700, 0o710):
            raise EmbeddedServerFailed(_not_private(folder, account))
        if visitors is not None:
            os.fchown(opened, account.pw_uid, visitors)
            os.fchmod(opened, 0o710)
    finally:
        os.close(opened)


def _not_private(folder: Path, account: pwd.struct_passwd) -> str:
    return (
        f"{folder} should be a folder of the account {account.pw_name!r} that nobody else may enter (mode 0700 or "
        "0710), and is not. Start HealthPlus as the user who made it, or set HEALTHPLUS_DATA to another folder."
    )


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn errors of files into EmbeddedServerFailed, which says what is wrong with the data folder and what to do."""
    try:
        yield
    except OSError as error:
        raise EmbeddedServerFailed(
            disk_trouble(folder, str(error))
            or f"The embedded database cannot use {folder}: {error}. "
            "Set HEALTHPLUS_DATA to a folder you may write to, or DATABASE_URL to a server of your own."
        ) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that no other process has, for the block."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
