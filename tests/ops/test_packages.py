"""The bench, the sandbox bank and emulators are packages beside the product: it has the commands of what is there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus.database.server_files import as_app_role

MISSING = "Sandbox payments need the package healthplus_sandbox, which is not installed."
_SECONDS_MAX = 100
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def environment(tmp_path: Path, dsn: str) -> dict[str, str]:
    """The environment of a process that finds these packages."""
    return {
        **os.environ,
        "DATABASE_URL": as_app_role(dsn),
        "DATABASE_OWNER_URL": dsn,
        "HEALTHPLUS_DATA": str(tmp_path / "data"),
        "HEALTHPLUS_ACCOUNT": "root" if os.geteuid() == 0 else "",  # nobody else may enter pytest's folders
        "HEALTHPLUS_ALLOW_UNSAFE_COMMITS": "1",
    }


@pytest.fixture
def bare(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a process that finds none of them, nor do those that it starts."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nfor name in ('bench', 'sandbox', 'emulators'):\n    sys.modules[f'healthplus_{name}'] = None\n"
    )
    return {**environment, "PYTHONPATH": os.pathsep.join((str(hidden), environment.get("PYTHONPATH", "")))}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        env=environment, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def running(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", *words, "--until-stdin-ends"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_SECONDS_MAX)


def answer(url: str) -> str:
    """Return what is there, once it is."""
    give_up = time.monotonic() + _SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def test_their_commands_are_there(environment: dict[str, str]) -> None:
    listed = run(environment, "healthplus", "--help").stdout
    assert {"bench", "sandbox-bank"} <= {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}


def test_the_bench_measures(environment: dict[str, str]) -> None:
    del environment["DATABASE_URL"], environment["DATABASE_OWNER_URL"]
    measured = run(environment, "healthplus", "bench", "waiters", "--open", "40", "--offers", "6", "--json")
    assert measured.returncode == 0, measured.stderr
    result = json.loads(measured.stdout)
    assert (result["open"], result["offers"], result["violations"]) == (40, 6, 0)


def test_the_bank_can_be_run_alone(environment: dict[str, str]) -> None:
    with running(environment, "healthplus_sandbox", "--port", "0") as bank:
        assert bank.stdout is not None
        url = bank.stdout.readline().strip()
        assert "sandbox bank" in answer(f"{url}/pay/anything")
    assert bank.returncode == 0


def test_without_them_their_commands_are_not(bare: dict[str, str]) -> None:
    listed = run(bare, "healthplus", "--help")
    commands = {line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")}
    assert {"serve", "demo", "check"} <= commands
    assert not {"bench", "sandbox-bank"} & commands
    assert "No such command 'bench'" in run(bare, "healthplus", "bench").stderr


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_without_the_bank_sandbox_payments_say_what_is_missing(bare: dict[str, str], command: str) -> None:
    del bare["DATABASE_URL"], bare["DATABASE_OWNER_URL"]
    refused = run({**bare, "HEALTHPLUS_SANDBOX_PAYMENTS": "1"}, "healthplus", command)
    assert (refused.returncode, MISSING in refused.stderr) == (1, True), refused.stderr
    assert "Traceback" not in refused.stderr
    assert not Path(bare["HEALTHPLUS_DATA"]).exists()  # before anything is made


def test_without_them_the_product_works(bare: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with running(bare, "healthplus", "serve", "--port", str(port), "--processes", "1"):
        assert json.loads(answer(f"http://127.0.0.1:{port}/api/v1/ready")) == {"status": "ready"}
        assert "HealthPlus" in answer(f"http://127.0.0.1:{port}/")
