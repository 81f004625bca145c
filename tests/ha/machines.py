"""Machines for a test: each has processes, a network and a /run of its own, and one cable to the machine that tests.

They are namespaces of the kernel, so root must make them; when the testing process ends, the kernel ends them all.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from healthplus.errors import HealthPlusError

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)
HUB = "10.77.0.1"
"""The address of the testing process on the network of the machines."""

_HOLD = (
    "setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--mount", "--fork", "--kill-child=KILL",
    "--mount-proc",
)  # fmt: skip
# The first process of a machine: it reaps those whose parents have ended.
_INIT = "import os,time\nwhile True:\n try: os.wait()\n except ChildProcessError: time.sleep(.02)"


class HaFailed(HealthPlusError):
    """The test of fail-over could not be run to its end."""

    code = "ha_failed"


def run(*command: object) -> str:
    """Run a program to its end; return what it wrote. Raises HaFailed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HaFailed(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def leave_network() -> None:
    """Move this process, which has no threads yet, to a network of its own, where it is the hub."""
    if _LIBC.unshare(_NEW_NETWORK):
        raise HaFailed(f"No network namespace can be made: {os.strerror(ctypes.get_errno())}. Root must run this.")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "hub", "type", "bridge")
    run("ip", "address", "add", f"{HUB}/24", "dev", "hub")
    run("ip", "link", "set", "hub", "up")


def enter_network(pid: int) -> None:
    """Have this thread open its sockets in the network of a process."""
    with Path(f"/proc/{pid}/ns/net").open() as file:
        if _LIBC.setns(file.fileno(), _NEW_NETWORK):
            raise HaFailed(os.strerror(ctypes.get_errno()))


class Machine:
    """One machine, named `name`, at `address`; it keeps its files in `folder` when it dies."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name, self.address, self.folder = name, address, folder
        self._serial = 0
        self._cable = ""
        self.first: int | None = None
        """The pid of its first process while it is on."""

    def boot(self) -> None:
        """Switch it on, with nothing running yet."""
        self.folder.mkdir(exist_ok=True)
        self._serial += 1
        self._cable = f"{self.name}-{self._serial}"
        holder = subprocess.Popen([*_HOLD, "/usr/bin/python3", "-c", _INIT], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not (children := Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()):
            if time.monotonic() > end:
                raise HaFailed(f"{self.name} did not start.")
            time.sleep(0.01)
        self.first = int(children[0])
        while "python3" not in Path(f"/proc/{self.first}/cmdline").read_text():
            time.sleep(0.01)
        run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.first)
        run("ip", "link", "set", self._cable, "master", "hub", "up")
        for command in (
            "ip link set lo up",
            f"ip address add {self.address}/24 dev eth0",
            "ip link set eth0 up",
            "mount -t tmpfs tmpfs /run",
        ):
            run(*self._inside(), *command.split())

    def _inside(self) -> list[str]:
        return ["nsenter", "-t", str(self.first), "--net", "--pid", "--mount", f"--wd={Path.cwd()}"]

    def do(self, *command: object) -> str:
        """Run a program there to its end; return what it wrote. Raises HaFailed."""
        return run(*self._inside(), *command)

    def start(
        self, command: Sequence[object], environment: Mapping[str, str], log: str, account: str | None = None
    ) -> None:
        """Start a program there that goes on; what it writes goes to `log` in the machine's folder."""
        become = ["setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups"] if account else []
        with self._log(log) as file:
            # Its parent becomes the machine's first process: nothing outside must live or be stopped with it.
            subprocess.run(
                [*self._inside(), *become, "setsid", "--fork", *map(str, command)],
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=True,
            )  # fmt: skip

    def _log(self, name: str) -> IO[bytes]:
        return (self.folder / f"{name}.log").open("ab")

    def processes(self, name: bytes = b"") -> list[int]:
        """Return its processes whose command line contains `name`, but for the first."""
        assert self.first is not None
        found = []
        own = Path(f"/proc/{self.first}/ns/pid").readlink()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != self.first:
                with contextlib.suppress(OSError):
                    if (folder / "ns/pid").readlink() == own and name in (folder / "cmdline").read_bytes():
                        found.append(int(folder.name))
        return found

    def signal(self, number: signal.Signals, name: bytes = b"") -> int:
        """Send a signal to all its processes whose command line contains `name`; return how many there were."""
        sent = 0
        for pid in self.processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                sent += 1
        return sent

    def unplug(self) -> None:
        """Cut it off: nothing that is sent to it or by it arrives, and nobody is told."""
        run("ip", "link", "set", self._cable, "down")

    def plug(self) -> None:
        """Connect it again."""
        run("ip", "link", "set", self._cable, "up")

    def die(self) -> None:
        """Switch it off at once: its cable first, so that it says goodbye to nobody."""
        if self.first is None:
            return
        with contextlib.suppress(HaFailed):
            run("ip", "link", "delete", self._cable)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        end = time.monotonic() + 20
        while Path(f"/proc/{self.first}/ns/pid").exists() and _is_there(self.first):
            if time.monotonic() > end:
                raise HaFailed(f"{self.name} does not die.")
            time.sleep(0.01)
        self.first = None


def _is_there(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:4]
    except OSError:
        return False


def read_environment(path: Path, **changes: str) -> dict[str, str]:
    """Return the variables of a file of deploy/ for systemd, with changes. Raises KeyError for one that it lacks."""
    pairs = [line.partition("=") for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    variables = {name: value for name, _, value in pairs}
    for name, value in changes.items():
        if name not in variables:
            raise KeyError(f"{name} is not in {path}")
        variables[name] = value
    return variables
