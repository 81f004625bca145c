"""Processes that end with the one that started them, however that one ended.

Each waits for the end of a pipe whose other end only its parent holds: the kernel closes it for a killed process, too.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
SPARE_SECONDS = 5.0
"""How long a process may take to finish what it does once its parent has gone."""


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
