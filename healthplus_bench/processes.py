"""The processes that a bench measures: which they are, and how much CPU and memory each kind of them has used."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

from healthplus_bench.environment import BenchFailed

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_LOOKS_MAX = 5
_BANK = b"healthplus_sandbox"


def app_processes() -> list[int]:
    """Return the app processes of the servers that this process has started."""
    return [worker for server in _servers() for worker in workers_of(server)]


def workers_of(server: int) -> list[int]:
    """Return the app processes of a server, by its pid: those that its fork server has forked."""
    return [worker for forker in _children(server) if b"forkserver" in _command(forker) for worker in _children(forker)]


def resident_kib() -> int:
    """Return how much memory the app processes have now, in KiB."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in app_processes())
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def cpu_seconds(folder: Path) -> dict[str, float]:
    """Return the CPU time, of user and system, that each kind of process has used so far.

    `database` is the server in a bench's folder; `app` what this process has started to serve, but for the sandbox
    `bank`; `client` this process itself. Of these trees, processes that have ended count as well: their parents have
    waited for them. The kernel counts hundredths of a second for each process.
    """
    for _ in range(_LOOKS_MAX):
        kinds = _kinds(folder)
        seconds = {kind: sum(map(_with_ended_children, pids)) for kind, pids in kinds.items()}
        # Who ends while it is looked for would count twice, or not at all.
        if kinds["database"] == _kinds(folder)["database"]:
            break
    return seconds | {"client": sum(_stat(os.getpid())[:2]) / _TICKS_A_SECOND}


def memory_mib(folder: Path) -> dict[str, int]:
    """Return how much memory each kind of process has, as for `cpu_seconds`, and `all` of them but for this one.

    Memory that several share counts in parts (the kernel's proportional set size): together it counts once.
    """
    kib = {kind: sum(map(_proportional_kib, pids)) for kind, pids in _kinds(folder).items()}
    return {kind: round(part / 1024) for kind, part in {**kib, "all": sum(kib.values())}.items()}


def used_since(earlier: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """Return the CPU seconds of each kind of process between two looks."""
    return {kind: now[kind] - earlier[kind] for kind in now}


def tree(pid: int) -> list[int]:
    """Return a process and those below it, parents last: a child that is gone by then counts with its parent."""
    return [one for child in _children(pid) for one in tree(child)] + [pid]


def postmaster_pid(folder: Path) -> int | None:
    """Return the first process of the server in a bench's folder; None where it has not written that down."""
    try:
        return int((folder / "server/data/postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def open_files(pid: int) -> int:
    """Return how many files a process has open, 0 where it has ended: app processes differ in their clients alone."""
    with contextlib.suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0


def listens(pid: int) -> bool:
    """Return whether a process accepts connections: one that was just started does not yet."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{fields[9]}]" for fields in sockets if fields[3] == "0A"}
    with contextlib.suppress(OSError):  # it has ended
        return any(str(file.readlink()) in listening for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


def require_open_files(count: int) -> None:
    """Allow this process so many open files. Raises BenchFailed where that is not possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise BenchFailed(f"This needs {count} open files; only {hard} are allowed here (ulimit -n).")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _kinds(folder: Path) -> dict[str, list[int]]:
    """Return the processes of the server in a bench's folder, of what serves, and of its sandbox bank."""
    postmaster = postmaster_pid(folder)
    assert postmaster is not None
    database = tree(postmaster)
    serving = [pid for server in _servers() for pid in tree(server) if pid not in database]
    bank = [pid for one in serving if _BANK in _command(one) for pid in tree(one)]
    return {"database": database, "app": [pid for pid in serving if pid not in bank], "bank": bank}


def _servers() -> list[int]:
    return [pid for pid in _children(os.getpid()) if b"serve" in _command(pid)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # the process has ended since
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # or this thread of it
                found += map(int, (thread / "children").read_text().split())
    return found


def _command(pid: int) -> bytes:
    """Return the command line, empty if the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _proportional_kib(pid: int) -> int:
    with contextlib.suppress(OSError):  # gone
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _with_ended_children(pid: int) -> float:
    return sum(_stat(pid)) / _TICKS_A_SECOND


def _stat(pid: int) -> list[int]:
    """Return a process's ticks of CPU: of user and system, then the same of its children that have ended."""
    with contextlib.suppress(OSError):  # gone: its parent has its ticks
        # After the name, which may have spaces and brackets, the state is the 3rd field; the ticks begin with the 14th.
        return [int(ticks) for ticks in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    return [0, 0, 0, 0]
