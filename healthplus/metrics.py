"""What each process counts and measures, in memory that the process which publishes it reads (monitoring/exporter.py).

Counting once costs a quarter of a microsecond, and nothing is lost when a process is killed: its file of shared memory
stays until it has been added up. A metric has a value for each combination of its labels, which must be few: names of
routes, verbs and codes, and never anything that a person has typed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "histogram", "sum", "max", "age"]
"""The last three are gauges, and how those of several processes are put together; `age` is the time since the earliest
of the moments that were noted."""

VALUES_MAX = 8192
"""Of a process; there are some 2,000. What comes on top is not counted."""
_BYTES = VALUES_MAX * 8


class Metric:
    """A named figure, with a value for each combination of labels."""

    def __init__(self, name: str, about: str, labels: Sequence[str], kind: Kind, width: int = 1) -> None:
        self.name, self.about, self.labels, self.kind = name, about, tuple(labels), kind
        self._width = width
        self._places: dict[tuple[str, ...], int] = {}
        assert name not in METRICS
        METRICS[name] = self

    def _place(self, labels: tuple[str, ...]) -> int:
        assert len(labels) == len(self.labels)
        place = self._places[labels] = MEMORY.take(self.name, labels, self._width)
        return place


class Counter(Metric):
    """A number of times; its name ends in `_total`.

    One that is to be watched for its first time is opened beforehand: a rise from nothing to one is seen by nobody.
    """

    def __init__(self, name: str, about: str, *labels: str) -> None:
        super().__init__(name, about, labels, "counter")

    def add(self, *labels: str) -> None:
        """Count once."""
        place = self._places.get(labels)
        MEMORY.values[self._place(labels) if place is None else place] += 1.0

    def open(self, *labels: str) -> None:
        """Have a value, 0 unless it was counted before."""
        if labels not in self._places:
            self._place(labels)


class Gauge(Metric):
    """What is so now."""

    def __init__(self, name: str, about: str, *labels: str, of_all: Literal["sum", "max", "age"] = "sum") -> None:
        super().__init__(name, about, labels, of_all)

    def set(self, value: float, *labels: str) -> None:
        """Set the value."""
        place = self._places.get(labels)
        MEMORY.values[self._place(labels) if place is None else place] = value

    def note_now(self, *labels: str) -> None:
        """Note, for an age, that it happened just now."""
        self.set(time.monotonic(), *labels)


class Histogram(Metric):
    """How many values were up to each of `bounds`, and their sum."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], *labels: str) -> None:
        super().__init__(name, about, labels, "histogram", len(bounds) + 2)
        self.bounds = tuple(bounds)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        place = self._places.get(labels)
        if place is None:
            place = self._place(labels)
        values = MEMORY.values
        values[place + bisect_left(self.bounds, value)] += 1.0
        values[place + len(self.bounds) + 1] += value


class _Memory:
    """The values of this process, in the order in which they were first needed; in a file, once they are shared."""

    def __init__(self) -> None:
        self.values = memoryview(bytearray(_BYTES)).cast("d")
        self._used = 0
        self._lines: list[str] = []
        self._file: int | None = None

    def take(self, name: str, labels: tuple[str, ...], width: int) -> int:
        """Return the place of new values; beyond the last place there is one for all that found none."""
        if self._used + width > VALUES_MAX - _WIDTH_MAX:
            return VALUES_MAX - _WIDTH_MAX
        place, self._used = self._used, self._used + width
        self._lines.append(json.dumps([name, labels, place, width]) + "\n")
        if self._file is not None:
            with contextlib.suppress(OSError):  # without room for its name it is not published; what is counted goes on
                os.write(self._file, self._lines[-1].encode())
        return place

    def share(self, folder: Path) -> None:
        """Go on in a file of `folder` that bears this process's number, and is locked while the process lives.

        Raises OSError where there is no room for it; then this process counts for itself alone.
        """
        path = folder / f"{os.getpid()}-{time.monotonic_ns()}.new"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            os.posix_fallocate(self._file, 0, _BYTES)  # a page that finds no room later would end this process
        except OSError:
            os.close(self._file)
            self._file = None
            path.unlink()
            raise
        shared = memoryview(mmap.mmap(self._file, _BYTES)).cast("d")
        shared[:] = self.values
        self.values = shared
        os.write(self._file, "".join(self._lines).encode())
        path.rename(path.with_suffix(""))


_WIDTH_MAX = 32
METRICS: dict[str, Metric] = {}
MEMORY = _Memory()
"""This process's."""


class Read(NamedTuple):
    """What was read of a process: values by the metric's name and labels, and whether the process lives."""

    values: dict[tuple[str, tuple[str, ...]], list[float]]
    is_alive: bool


def read_shared(path: Path) -> Read:
    """Return what a process has counted, from its file. Raises OSError where that is gone."""
    # The app processes may write what they like to their folder, and this one may be root's.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            is_alive = False
        except BlockingIOError:
            is_alive = True
        data = file.read()
    numbers = memoryview(data[:_BYTES]).cast("d")
    found = {}
    for line in data[_BYTES:].decode().splitlines(keepends=True):
        if line.endswith("\n"):  # else it is being written
            name, labels, place, width = json.loads(line)
            found[name, tuple(labels)] = list(numbers[place : place + width])
    return Read(found, is_alive)


REQUEST_SECONDS = Histogram(
    "healthplus_request_duration_seconds",
    "How long requests took, by route and traffic class; those of the class poll wait for a change.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    "route",
    "traffic",
)
RESPONSES = Counter("healthplus_responses_total", "Answers, by traffic class and HTTP status.", "traffic", "status")
VERBS = Counter(
    "healthplus_verbs_total",
    "What calls of the booking verbs came to: what was done, or the reason for the refusal.",
    "verb",
    "outcome",
)
REFUSED = Counter("healthplus_admission_refused_total", "Requests refused as too many came, by class.", "traffic")
WORKING = Gauge("healthplus_admission_working", "Requests that work now, by class.", "traffic")
WAITING = Gauge("healthplus_admission_waiting", "Requests that wait to be let in, by class.", "traffic")
CONNECTED = Gauge("healthplus_queue_connected", "Tickets whose clients are connected.")
POOL_USED = Gauge("healthplus_pool_used", "Database connections in use, by pool.", "pool")
POOL_SIZE = Gauge("healthplus_pool_size", "Database connections that may be in use, by pool.", "pool")
LOOP_LAG = Gauge(
    "healthplus_event_loop_lag_seconds",
    "How late the event loop was in the last ten seconds, at worst, in the process where it was latest.",
    of_all="max",
)
LOOP_RAN = Gauge(
    "healthplus_event_loop_last_run_seconds",
    "Time since the event loop last ran, in the process where that is longest ago.",
    of_all="age",
)
GATEWAY_FAILURES = Counter(
    "healthplus_gateway_failures_total",
    "Calls that the payment gateway did not answer in time (unreachable), or refused.",
    "reason",
)
GATEWAY_FAILURES.open("unreachable")
GATEWAY_FAILURES.open("refused")
ERRORS = Counter("healthplus_errors_total", "Faults of ours, as in `healthplus errors`.", "where")
SLOW = Counter("healthplus_slow_requests_total", "Requests that took longer than HEALTHPLUS_SLOW_REQUEST_MS.")
TASK_RAN = Gauge(
    "healthplus_task_last_run_seconds",
    "Time since a background task last did its work, in the process where that is longest ago.",
    "task",
    of_all="age",
)
REMINDERS = Counter(
    "healthplus_reminders_total",
    "Reminders of appointments, by each channel, that were sent, sent over ten minutes late, or given up (failed).",
    "outcome",
)
for _outcome in ("sent", "late", "failed"):
    REMINDERS.open(_outcome)
EARLIER_TIMES = Counter(
    "healthplus_earlier_times_total",
    "Messages that an earlier time is free, by each channel: sent, given up (failed), or true no longer (void).",
    "outcome",
)
