"""What processes count in shared memory adds up, whatever becomes of them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from healthplus import metrics
from healthplus.monitoring.exporter import Processes

_CHILD = """
import sys, time
from pathlib import Path
from healthplus.metrics import LOOP_LAG, MEMORY, POOL_USED, REQUEST_SECONDS, TASK_RAN, VERBS
folder, lag, age = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
VERBS.add("hold", "reserved")  # before it shares
MEMORY.share(folder)
for _ in range(999):
    VERBS.add("hold", "reserved")
VERBS.add("hold", "slot_full")
REQUEST_SECONDS.observe(0.02, "GET /", "page")
REQUEST_SECONDS.observe(0.025, "GET /", "page")
REQUEST_SECONDS.observe(99, "GET /", "page")
POOL_USED.set(3, "requests")
LOOP_LAG.set(lag)
TASK_RAN.set(time.monotonic() - age, "expiry")
print("ready", flush=True)
sys.stdin.read()
"""


class Child:
    """A process that counts, until it is ended or killed."""

    def __init__(self, folder: Path, lag: float = 0.0, age: float = 0.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(folder), str(lag), str(age)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    made: list[Child] = []
    yield made
    for child in made:
        child.kill()


def read(processes: Processes) -> dict[str, float]:
    """Return the samples as Prometheus reads them, by name and the labels' values, in the order of the labels."""
    registry = CollectorRegistry()
    registry.register(processes)
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_the_counts_of_processes_add_up_also_of_those_that_were_killed(tmp_path: Path, children: list[Child]) -> None:
    processes = Processes(tmp_path)
    children += [Child(tmp_path, lag=0.5, age=100), Child(tmp_path, lag=0.2, age=1000)]
    found = read(processes)
    assert found["healthplus_app_processes"] == 2
    assert found["healthplus_verbs_total reserved hold"] == 2000
    assert found["healthplus_verbs_total slot_full hold"] == 2
    assert found["healthplus_request_duration_seconds_bucket 0.01 GET / page"] == 0
    assert found["healthplus_request_duration_seconds_bucket 0.025 GET / page"] == 4
    assert found["healthplus_request_duration_seconds_bucket 30 GET / page"] == 4
    assert found["healthplus_request_duration_seconds_bucket +Inf GET / page"] == 6
    assert found["healthplus_request_duration_seconds_count GET / page"] == 6
    assert found["healthplus_request_duration_seconds_sum GET / page"] == pytest.approx(198.09)
    assert (found["healthplus_pool_used requests"], found["healthplus_event_loop_lag_seconds"]) == (6, 0.5)
    assert 1000 <= found["healthplus_task_last_run_seconds expiry"] < 1100

    children[0].kill()
    children.append(Child(tmp_path))
    for _ in range(2):  # it is not added twice
        found = read(processes)
        assert found["healthplus_app_processes"] == 2
        assert found["healthplus_verbs_total reserved hold"] == 3000
        assert found["healthplus_request_duration_seconds_count GET / page"] == 9
        assert (found["healthplus_pool_used requests"], found["healthplus_event_loop_lag_seconds"]) == (6, 0.2)
    for child in children:
        child.kill()
    found = read(processes)
    assert found["healthplus_verbs_total reserved hold"] == 3000
    assert "healthplus_pool_used requests" not in found
    assert list(tmp_path.iterdir()) == []


def test_without_the_lock_a_process_that_lives_would_count_as_ended(tmp_path: Path, children: list[Child]) -> None:
    """What tells the two apart is the lock: a file that nobody holds is one of a process that has ended."""
    children.append(Child(tmp_path))
    (path,) = tmp_path.iterdir()
    assert metrics.read_shared(path).is_alive
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    assert not metrics.read_shared(copy).is_alive


def test_a_name_that_is_being_written_is_not_read_yet(tmp_path: Path, children: list[Child]) -> None:
    children.append(Child(tmp_path))
    (path,) = tmp_path.iterdir()
    known = metrics.read_shared(path).values
    with path.open("ab") as file:
        file.write(b'["healthplus_verbs_total", ["conf')
        file.flush()
        assert metrics.read_shared(path).values == known
        file.write(b'irm", "booked"], 4000, 1]\n')
    assert metrics.read_shared(path).values == {**known, ("healthplus_verbs_total", ("confirm", "booked")): [0.0]}


def test_where_there_is_no_room_counting_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    memory = metrics._Memory()
    monkeypatch.setattr(metrics, "MEMORY", memory)
    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", no_room)
        with pytest.raises(OSError, match="No space"):
            memory.share(tmp_path)
    assert list(tmp_path.iterdir()) == []
    memory.share(tmp_path)
    monkeypatch.setattr(os, "write", no_room)
    place = memory.take("healthplus_verbs_total", ("hold", "new"), 1)
    memory.values[place] += 1
    assert memory.values[place] == 1


def test_more_values_than_there_is_room_for_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MEMORY", metrics._Memory())
    for number in range(metrics.VALUES_MAX):
        metrics.VERBS.add("hold", f"code {number}")
    first = [metrics.VERBS._places["hold", f"code {number}"] for number in range(100)]
    assert first == list(range(100))
    assert metrics.MEMORY.values[0] == 1
