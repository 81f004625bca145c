"""The main job on real input, over HTTP, against a started server whose processes are killed in between."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from healthplus.database import Database
from healthplus_bench.processes import workers_of

HOSPITALS = Path(__file__).parents[3] / "shared" / "data" / "nhd_hospitals_india.csv"
ALL_DAY = "Mon-Sun 09:00-12:00/5"
APP_PROCESSES = 2
ONE_SLOT = "Mon-Sun 09:00-09:05/5"

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(not HOSPITALS.exists(), reason="the hospital directory is not there"),
]


class Product:
    """The product as an operator runs it: its command line, and a server started by it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = os.environ | {
            "HEALTHPLUS_DATA": str(folder),
            "HEALTHPLUS_PORT": str(self.port),
            "HEALTHPLUS_SANDBOX_PAYMENTS": "1",
        }
        self.environment.pop("DATABASE_URL", None)
        self.server: subprocess.Popen[bytes] | None = None
        self.developer_key = ""
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=20)

    def run(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "healthplus", *args],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-m", "healthplus", "serve", "--until-stdin-ends", "--processes", str(APP_PROCESSES)],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + 60
        while True:
            try:
                if self.http.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < give_up, "the server did not become ready"
            time.sleep(0.1)

    def app_processes(self) -> list[int]:
        assert self.server is not None
        return workers_of(self.server.pid)

    def kill_app_processes(self, count: int) -> None:
        """Kill -9 that many app processes; the connections to them break, as a client would see."""
        give_up = time.monotonic() + 30
        while len(victims := self.app_processes()) < APP_PROCESSES:  # the last ones killed are being replaced
            assert time.monotonic() < give_up, "killed processes were not replaced"
            time.sleep(0.1)
        victims = victims[:count]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        self.wait_until_ready()

    def stop(self, how: signal.Signals) -> None:
        assert self.server is not None
        with self.server as ended:
            ended.send_signal(how)
            ended.wait(30)
        self.server = None

    def ask(self, method: str, path: str, token: str, body: object = None, key: str = "") -> httpx.Response:
        """Ask as any careful client: a broken connection means "unknown", so the same key is sent again."""
        headers = {"Authorization": f"Bearer {token}", "Api-Dev-Key": self.developer_key} | (
            {"Idempotency-Key": key} if key else {}
        )
        for _ in range(20):
            try:
                return self.http.request(method, path, headers=headers, json=body)
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError("the server does not answer")


@pytest.fixture
def product(server_folder: Path) -> Iterator[Product]:
    product = Product(server_folder)
    try:
        yield product
    finally:
        product.http.close()
        if product.server is not None:
            product.stop(signal.SIGTERM)


async def find_hospital(folder: Path, name: str, city: str) -> tuple[int, int]:
    """Return the provider and the clinic that a row of the directory became."""
    dsn = f"postgresql://healthplus@/healthplus?host={folder}/server/socket&port=5432"
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:
        row = await database.fetch_row(
            """
            SELECT provider_id, clinic_id FROM directory.provider JOIN directory.provider_clinic USING (provider_id)
            JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
            WHERE provider.name ILIKE $1 AND city.name = $2 ORDER BY provider_id LIMIT 1
            """,
            f"%{name}%",
            city,
        )
    assert row is not None, f"no {name} in {city}"
    return row["provider_id"], row["clinic_id"]


def slots(product: Product, provider_id: int, token: str) -> list[dict[str, Any]]:
    """Return a provider's slots from tomorrow, for two days."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    window = {"from": tomorrow.isoformat(), "to": (tomorrow + timedelta(days=2)).isoformat()}
    path = str(httpx.URL(f"/providers/{provider_id}/slots", params=window))
    found: list[dict[str, Any]] = product.ask("GET", path, token).json()["slots"]
    return found


@pytest.fixture
async def pune(product: Product, server_folder: Path) -> dict[str, tuple[int, int]]:
    """Import the directory into the running product, and return two of its hospitals hours."""
    product.start()
    product.run("migrate")
    product.run("import", str(HOSPITALS))
    hospitals = {
        "large": await find_hospital(server_folder, "Sahyadri Hospital Hadapsar", "Pune"),
        "small": await find_hospital(server_folder, "Ashwini Hospital", "Pune"),
    }
    for hospital in hospitals.values():
        product.run("fee", *map(str, hospital), "500")
    product.run("shift", "add", *map(str, hospitals["large"]), ALL_DAY)
    product.run("shift", "add", *map(str, hospitals["small"]), ONE_SLOT)
    return hospitals


def test_main_job(product: Product, pune: dict[str, tuple[int, int]]) -> None:
    quotas = ("--per-minute", "100000", "--per-day", "100000")
    product.developer_key = product.run("key", "add", "Tests", "--scope", "book", *quotas).split()[-1]
    asha, binod, chitra = (product.run("patient", "add", name).split()[-1] for name in ("Asha", "Binod", "Chitra"))
    booked = [book_while_processes_die(product, *pune["large"], asha, binod)]
    booked.append(wait_while_processes_die(product, *pune["small"], binod, chitra, asha))
    assert product.run("check").strip() == "Every invariant holds."

    # The whole product ends, database and all, and comes back as it was.
    product.stop(signal.SIGTERM)
    product.start()
    for token, appointment in zip((asha, chitra), booked, strict=True):
        assert product.ask("GET", appointment, token).json()["state"] == "booked"
    assert product.run("check").strip() == "Every invariant holds."


def book_while_processes_die(product: Product, provider_id: int, clinic_id: int, patient: str, other: str) -> str:
    """Find a slot, hold it, pay for it; lose the process that held it, then every process. Give the appointment."""
    holds = f"/providers/{provider_id}/holds"
    free = [slot for slot in slots(product, provider_id, patient) if slot["state"] == "free"]
    assert len(free) == 72  # 36 a day, for two days
    wanted = {"clinic_id": clinic_id, "start": free[0]["start"]}
    held = product.ask("POST", holds, patient, wanted, "hold")
    assert held.status_code == 201
    assert held.json()["status_text"] == "Appointment Successful"
    product.kill_app_processes(1)
    hold = f"{holds}/{held.json()['id']}"
    assert product.ask("GET", hold, patient).json()["state"] == "reserved"
    assert product.ask("POST", holds, patient, wanted, "hold").json()["id"] == held.json()["id"]
    refused = product.ask("POST", holds, other, wanted, "hold")
    assert refused.status_code == 409
    assert refused.json()["status_text"] == "Appointment Failed – Retry, as other users are holding reserved slots"
    assert refused.json()["alternatives"]

    paid = product.ask("POST", f"{hold}/payment", patient, {"method": "sandbox-ok"}, "pay")
    assert (paid.json()["state"], paid.json()["fee_paise"], paid.json()["funding"]) == ("booked", 50000, "online")
    product.kill_app_processes(2)
    refused = product.ask("POST", holds, other, wanted, "hold")
    assert refused.json()["status_text"] == "Appointment Failed – Slot Full"
    repeated = product.ask("POST", f"{hold}/payment", patient, {"method": "sandbox-ok"}, "pay")
    assert repeated.json()["id"] == paid.json()["id"]
    states = {slot["start"]: slot["state"] for slot in slots(product, provider_id, patient)}
    assert states[free[0]["start"]] == "mine"
    return f"/providers/{provider_id}/appointments/{paid.json()['id']}"


def wait_while_processes_die(
    product: Product, provider_id: int, clinic_id: int, holder: str, waiter: str, newcomer: str
) -> str:
    """Wait for the only slot of a day while every process dies; take it when it is let go. Give the appointment."""
    holds, waits = f"/providers/{provider_id}/holds", f"/providers/{provider_id}/waits"
    only = slots(product, provider_id, holder)[0]
    wanted = {"clinic_id": clinic_id, "start": only["start"]}
    held = product.ask("POST", holds, holder, wanted, "hold small")
    assert held.status_code == 201
    assert product.ask("POST", holds, waiter, wanted, "hold small").json()["can_wait"] is True
    window = {"clinic_id": clinic_id, "from": only["start"], "to": only["end"]}
    waiting = product.ask("POST", waits, waiter, window, "wait")
    assert waiting.json()["state"] == "waiting"
    product.kill_app_processes(2)

    product.ask("DELETE", f"{holds}/{held.json()['id']}", holder, key="release")
    assert product.ask("POST", holds, newcomer, wanted, "barge").status_code == 409
    wait = f"{waits}/{waiting.json()['id']}"
    assert product.ask("GET", wait, waiter).json()["offer"]["start"] == only["start"]
    taken = product.ask("POST", f"{wait}/accept", waiter, {}, "accept")
    assert taken.json()["state"] == "reserved"
    paid = product.ask("POST", f"{holds}/{taken.json()['id']}/payment", waiter, {"method": "sandbox-ok"}, "pay")
    assert paid.json()["state"] == "booked"
    return f"/providers/{provider_id}/appointments/{taken.json()['id']}"
