"""Two app processes count together, under load, and go on counting when one of them is killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from healthplus.database import Database
from tests.e2e.test_main_job import APP_PROCESSES, Product
from tests.fixtures.developer_key import DEVELOPER_KEY
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment

pytestmark = pytest.mark.timeout(150)
ROUTE = "POST /api/v1/providers/{provider_id}/holds"
SCRAPE_SECONDS_MAX = 5.0


class MeasuredProduct(Product):
    """The product, with its metrics on a port of their own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.metrics_port = free.getsockname()[1]
        self.folder = folder
        self.environment["HEALTHPLUS_METRICS_PORT"] = str(self.metrics_port)

    def metrics_folder(self) -> Path:
        """Return where the app processes count: their own environment says so."""
        environment = Path(f"/proc/{self.app_processes()[0]}/environ").read_bytes().split(b"\0")
        name = b"HEALTHPLUS_METRICS_FOLDER="
        (found,) = [one.removeprefix(name).decode() for one in environment if one.startswith(name)]
        return Path(found)

    async def scrape(self) -> dict[str, float]:
        """Return the samples, by name and the labels' values in the order of their names."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        answer = await asyncio.to_thread(self.http.get, url, timeout=SCRAPE_SECONDS_MAX)
        assert answer.status_code == 200
        return {
            sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@pytest.fixture
async def product(server_folder: Path) -> AsyncIterator[MeasuredProduct]:
    product = MeasuredProduct(server_folder)
    await asyncio.to_thread(product.start)
    try:
        yield product
    finally:
        product.http.close()
        if product.server is not None:
            await asyncio.to_thread(product.stop, signal.SIGTERM)


async def ask(url: str, times: int, environment: Environment) -> list[int]:
    """Ask for holds at once, each over a connection of its own, so that both processes have some; return the codes."""
    headers = {"Authorization": f"Bearer {environment.tokens['asha']}", "Api-Dev-Key": DEVELOPER_KEY}
    body = {"clinic_id": AT_CLINIC, "start": environment.at(13)}

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=times)) as http:

        async def one(number: int) -> int:
            own = headers | {"Idempotency-Key": f"{time.monotonic()} {number}"}
            return (await http.post(f"{url}/providers/{PROVIDER}/holds", json=body, headers=own)).status_code

        return list(await asyncio.gather(*map(one, range(times))))


async def test_what_two_processes_count_adds_up(product: MeasuredProduct) -> None:
    url = str(product.http.base_url).rstrip("/")
    dsn = f"postgresql://healthplus@/healthplus?host={product.folder}/server/socket&port=5432"
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        environment = await Environment.make(db)
    scrapes: list[float] = []

    async def keep_scraping() -> None:
        while True:
            began = time.monotonic()
            await product.scrape()
            scrapes.append(time.monotonic() - began)
            await asyncio.sleep(0.05)

    scraping = asyncio.create_task(keep_scraping())
    codes = await ask(url, 100, environment)
    scraping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await scraping
    refused = codes.count(409)
    assert codes.count(201) == 1
    assert refused > 0
    assert {*codes} <= {201, 409, 503}  # on a busy machine, too many may come at once
    assert scrapes
    assert max(scrapes) < SCRAPE_SECONDS_MAX

    found = await product.scrape()
    assert found["healthplus_app_processes"] == APP_PROCESSES
    assert found["healthplus_database_up"] == 1
    assert found[f"healthplus_request_duration_seconds_count {ROUTE} hold"] == 100
    assert (found["healthplus_responses_total 201 hold"], found["healthplus_responses_total 409 hold"]) == (1, refused)
    assert found["healthplus_verbs_total reserved hold"] == 1
    outcomes = sum(value for name, value in found.items() if name.startswith("healthplus_verbs_total"))
    assert outcomes >= 1 + refused
    folder = product.metrics_folder()
    assert len(list(folder.iterdir())) == APP_PROCESSES

    # One is killed: what it counted stays, and its gauges go; the one in its place counts on.
    await asyncio.to_thread(product.kill_app_processes, 1)
    async with asyncio.timeout(30):
        while (found := await product.scrape())["healthplus_app_processes"] < APP_PROCESSES:
            await asyncio.sleep(0.1)
    assert found[f"healthplus_request_duration_seconds_count {ROUTE} hold"] == 100
    await ask(url, 20, environment)
    async with asyncio.timeout(20):
        name = f"healthplus_request_duration_seconds_count {ROUTE} hold"
        # What the database says is some seconds old, and there once.
        while (found[name], found["healthplus_holds"]) != (120, 1):
            found = await product.scrape()
            await asyncio.sleep(0.1)

    await asyncio.to_thread(product.stop, signal.SIGTERM)
    assert not folder.exists()
