"""Processes that end with the one that started them, however that one ended; and how one is kept running meanwhile.

Each waits for the end of a pipe whose other end only its parent holds: the kernel closes it for a killed process, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
SPARE_SECONDS = 5.0
"""How long a process may take to finish what it does once its parent has gone."""
_LOOK_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 30.0


@contextlib.contextmanager
def running_beside(
    module: str, *args: str, environment: Mapping[str, str], descriptors: Sequence[int] = ()
) -> Iterator[None]:
    """Keep `python -m module` running for this block, started again whenever it ends; it ends with its standard input.

    The pause before it is started again doubles from 0.1 to 30 seconds while it ends at once.
    It inherits the open files `descriptors`. After the block it is interrupted, and killed where that takes too long.
    """
    command = [sys.executable, "-m", module, *args, "--until-stdin-ends"]
    ending = threading.Event()

    def keep() -> None:
        pause_seconds = _LOOK_SECONDS
        while not ending.wait(pause_seconds):
            began = time.monotonic()
            with contextlib.suppress(OSError):  # no memory for another process, or no room: perhaps a moment later
                run()
            is_quick = time.monotonic() - began < _PAUSE_SECONDS_MAX
            pause_seconds = min(2 * pause_seconds, _PAUSE_SECONDS_MAX) if is_quick else _LOOK_SECONDS

    def run() -> None:
        # In a session of its own: what interrupts its owner must let it finish what it does.
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, pass_fds=descriptors, start_new_session=True
        ) as process:
            while process.poll() is None and not ending.wait(_LOOK_SECONDS):
                pass
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            try:
                process.wait(SPARE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    keeper = threading.Thread(target=keep, name=f"keeper of {module}")
    keeper.start()
    try:
        yield
    finally:
        ending.set()
        keeper.join()


def end_with_parent(*signals: signal.Signals) -> None:
    """Send this process `signals` when the process that spawned it by `multiprocessing` has gone.

    It ends at the latest SPARE_SECONDS later. Does nothing in a process that was not started in that way.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        _watch(parent.join, signals)
        if sys.platform == "linux":
            # The fork server that forked it may go alone; its parent would then start others beside this one.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_with_stdin() -> None:
    """Send this process SIGTERM when its standard input ends: a pipe that its parent holds open."""
    _watch(_read_to_end, (signal.SIGTERM,))


def _read_to_end() -> None:
    try:
        while os.read(sys.stdin.fileno(), 4096):
            pass
    except OSError:
        pass  # a socket whose other end was killed may be reset rather than closed


def _watch(wait: Callable[[], object], signals: tuple[signal.Signals, ...]) -> None:
    def end() -> None:
        wait()
        for number in signals:
            os.kill(os.getpid(), number)
        time.sleep(SPARE_SECONDS)
        os._exit(1)

    threading.Thread(target=end, name="lifeline", daemon=True).start()
