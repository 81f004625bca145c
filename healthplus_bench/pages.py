"""The pages: how soon they begin to arrive under load, what a first view weighs, and whether they are accessible."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import importlib
import re
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urljoin

import aiohttp
import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Refused
from healthplus.database import BULK, Database
from healthplus.ops.demo_data import DemoData, Scale, create_demo_data
from healthplus_bench.client import Connection, connect, percentile_ms
from healthplus_bench.environment import BenchFailed, Environment, running_app
from healthplus_bench.processes import cpu_seconds, used_since

_SEED = 5
_TRIES = 40
"""Of each page when nobody else asks."""
_AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_PARTS = re.compile(r"""(?:<link rel="(?:stylesheet|icon)"[^>]*href|<script[^>]*src|<img[^>]*src)="([^"]+)\"""")
_IMPORTS = re.compile(r"""(?:from|import)\s*["'](\./[^"']+)["']""")


@dataclass(frozen=True)
class PagesPlan:
    """`requests` over `connections`, each asking for the next page as soon as it has one, in a demo of so many.

    A quarter as many are asked for again by people who read each page for `reading_seconds`, on the average.
    """

    connections: int = 50
    requests: int = 4000
    processes: int = 2
    cities: int = 20
    providers_per_city: int = 300
    reading_seconds: float = 1.0


class PagesResult(msgspec.Struct):
    """Times are until an answer's headers are there; the client shares the machine with the product.

    `reading_`: while people read what they get; else all ask without a pause, as many pages as the machine can give.
    `kb_max`, `requests_max`: of the heaviest first view, compressed, headers included. `violations`: what axe-core
    finds on all of them against WCAG 2.2 AA; null where Chromium or the development tools are not installed.
    `alone_p50_ms`: the median of each page when nobody else asks, `alone_cpu_ms` what the app and the database then use
    of CPU for one. `cpu_us_per_page`: with the client's, while all ask at once. `p50_p99_ms_by_page`: then, too.
    `requests` are those that were answered, and all times are theirs; `refused` and `reading_refused` were told at once
    that too many ask.
    """

    connections: int
    requests: int
    refused: int
    reading_refused: int
    pages_per_second: float
    ttfb_p50_ms: float
    ttfb_p99_ms: float
    reading_ttfb_p50_ms: float
    reading_ttfb_p99_ms: float
    kb_max: float
    html_kb_max: float
    requests_max: int
    violations: int | None
    cpu_us_per_page: int
    cpu_us_by_process: dict[str, int]
    alone_p50_ms: dict[str, float]
    alone_cpu_ms: dict[str, float]
    p50_p99_ms_by_page: dict[str, tuple[float, float]]


class _Page(msgspec.Struct, frozen=True):
    name: str
    path: str
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "gzip"} | ({"Cookie": f"session={self.token}"} if self.token else {})

    @property
    def request(self) -> bytes:
        """Return the bytes of a request for it."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


async def bench_pages(dsn: str, folder: Path, plan: PagesPlan) -> PagesResult:
    """Fill a new database with the demo, and load its pages. Raises BenchFailed if one cannot be loaded."""
    async with await Database.connect(dsn, min_size=1, max_size=2, limits=BULK) as database:
        scale = Scale(cities=plan.cities, providers_per_city=plan.providers_per_city)
        pages = await _pages(database, await create_demo_data(database, scale))
        await database.execute("ANALYZE")
        environment = Environment(dsn, folder, database, token_prefix="", first_shift=await Book(database).now())
        async with running_app(environment, plan.processes) as port:
            async with _client(port) as client:
                pages = [await _settled(client, page) for page in pages]
                views = [await _first_view(client, page) for page in pages]
            connection = await connect(port)
            alone = {page.name: await _alone(connection, folder, page) for page in pages}
            connection.close()
            began, before = time.perf_counter(), cpu_seconds(folder)
            times, refused = await _load(port, pages, plan.requests, plan.connections)
            seconds, cpu = time.perf_counter() - began, used_since(before, cpu_seconds(folder))
            read, reading_refused = await _load(port, pages, plan.requests // 4, plan.connections, plan.reading_seconds)
            violations = await _violations(f"http://127.0.0.1:{port}", pages)
    everything, reading = ([one for page in found.values() for one in page] for found in (times, read))
    return PagesResult(
        connections=plan.connections,
        requests=len(everything),
        refused=refused,
        reading_refused=reading_refused,
        pages_per_second=round(len(everything) / seconds, 1),
        ttfb_p50_ms=percentile_ms(everything, 50),
        ttfb_p99_ms=percentile_ms(everything, 99),
        reading_ttfb_p50_ms=percentile_ms(reading, 50),
        reading_ttfb_p99_ms=percentile_ms(reading, 99),
        kb_max=max(round(sum(sizes) / 1000, 1) for sizes in views),
        html_kb_max=max(round(sizes[0] / 1000, 1) for sizes in views),
        requests_max=max(map(len, views)),
        violations=violations,
        cpu_us_per_page=round(sum(cpu.values()) * 1e6 / len(everything)),
        cpu_us_by_process={kind: round(used * 1e6 / len(everything)) for kind, used in cpu.items()},
        alone_p50_ms={name: p50 for name, (p50, _) in alone.items()},
        alone_cpu_ms={name: used for name, (_, used) in alone.items()},
        p50_p99_ms_by_page={name: (percentile_ms(v, 50), percentile_ms(v, 99)) for name, v in sorted(times.items())},
    )


async def _pages(database: Database, data: DemoData) -> list[_Page]:
    """Return the pages to load, of a patient with an appointment and a hold, and of one who waits for what is held."""
    (first, first_token), (second, second_token) = [
        (await database.fetch_value("SELECT patient_id FROM accounts.patient WHERE name = $1 LIMIT 1", name), token)
        for name, token in data.patient_tokens.items()
    ]
    book = Book(database)
    doctor = data.two_clinics_doctor_id
    now = await book.now()
    chart = await book.chart(doctor, None, now + timedelta(days=1), now + timedelta(days=3), 1, None)
    free = [slot for slot in chart if slot["fits"]]
    # Nobody has two appointments a day with one doctor.
    free = [free[0], next(slot for slot in free if slot["starts_at"] >= free[0]["starts_at"] + timedelta(days=1))]
    booked = await book.hold(doctor, free[0]["clinic_id"], free[0]["starts_at"], 1, first, Patient(first))
    assert booked.code == "reserved"
    await book.confirm(doctor, booked.booking_id, "bench", Patient(first))
    held = await book.hold(doctor, free[1]["clinic_id"], free[1]["starts_at"], 1, first, Patient(first))
    window = free[1]["starts_at"], free[1]["ends_at"]
    waits = await book.join_queue(doctor, free[1]["clinic_id"], *window, 1, second, Patient(second))
    if held.code != "reserved" or isinstance(waits, Refused):
        raise BenchFailed(f"The environment could not be set up: {held.code}, {waits.code}.")
    row = await database.fetch_row(
        """SELECT city.slug AS city, speciality.slug AS need, provider_clinic.clinic_id
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
        JOIN directory.provider_speciality USING (provider_id) JOIN directory.speciality USING (speciality_id)
        WHERE provider_id = $1 LIMIT 1""",
        doctor,
    )
    assert row is not None
    day = free[0]["starts_at"].date().isoformat()
    at = f"/doctor/{doctor}"
    chart_path = f"{at}/-/{free[0]['clinic_id']}"
    clash = f"/busy?for=hold&provider={doctor}&clinic={row['clinic_id']}&start={day}T10:00:00Z"
    return [
        _Page("home", "/"),
        _Page("home in Hindi", "/hi/"),
        _Page("results of a city", f"/in/{row['city']}"),
        _Page("results of a need", f"/in/{row['city']}/{row['need']}"),
        _Page("results of words", f"/find?need=tooth+pain&place={row['city']}"),
        _Page("results of a day", f"/in/{row['city']}/{row['need']}?day=tomorrow&sort=date"),
        _Page("provider", at + "/-?about"),
        _Page("clinic", f"/clinic/{row['clinic_id']}/-"),
        _Page("chart", f"{chart_path}?day={day}"),
        _Page("line", f"{chart_path}/line?day={day}"),
        _Page("number", "/verify"),
        _Page("help", "/help"),
        _Page("privacy", "/privacy"),
        _Page("queue receipt", f"{at}/queue/{waits.number}"),
        _Page("own chart", f"{chart_path}?day={day}", first_token),
        _Page("hold", f"{at}/hold/{held.booking_id}", first_token),
        _Page("clash", clash, first_token),
        _Page("visits", "/appointments", first_token),
        _Page("visit", f"/appointments/{doctor}/{booked.booking_id}", first_token),
        _Page("wait", f"{at}/wait/{waits.ticket_id}", second_token),
    ]


@contextlib.asynccontextmanager
async def _client(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as client:
        yield client


async def _settled(client: aiohttp.ClientSession, page: _Page) -> _Page:
    """Return a page with the address that its own redirects to, which has the provider's name in it."""
    async with client.get(page.path, headers=page.headers) as answer:
        return msgspec.structs.replace(page, path=answer.url.raw_path_qs)


async def _ask(connection: Connection, page: _Page) -> float | None:
    """Return the seconds until a page begins to arrive; None where too many ask, and it is refused."""
    began = asyncio.get_running_loop().time()
    answer = await connection.request(page.request)
    if answer.status not in (200, 503):
        raise BenchFailed(f"{page.path} answers {answer.status}.")
    return connection.answered_at - began if answer.status == 200 else None


async def _alone(connection: Connection, folder: Path, page: _Page) -> tuple[float, float]:
    """Return the median time and the mean CPU time of a page where nobody else asks, in milliseconds.

    Raises BenchFailed if it is refused even then.
    """
    before = cpu_seconds(folder)
    times = [seconds for _ in range(_TRIES) if (seconds := await _ask(connection, page)) is not None]
    cpu = used_since(before, cpu_seconds(folder))
    if len(times) < _TRIES:
        raise BenchFailed(f"{page.path} is refused although nobody else asks.")
    return percentile_ms(times, 50), round((cpu["app"] + cpu["database"]) / _TRIES * 1000, 1)


async def _load(
    port: int, pages: list[_Page], requests: int, connections: int, reading_seconds: float = 0
) -> tuple[dict[str, list[float]], int]:
    """Return the seconds of each page that was answered, by its name, and how many were refused."""
    random = Random(_SEED)  # noqa: S311 - not for secrets
    log = [random.choice(pages) for _ in range(requests)]
    times: dict[str, list[float]] = {page.name: [] for page in pages}
    refused = 0

    async def read_pages(connection: Connection) -> None:
        nonlocal refused
        while log:
            if reading_seconds:
                await asyncio.sleep(random.expovariate(1 / reading_seconds))
            page = log.pop() if log else pages[0]
            if (seconds := await _ask(connection, page)) is None:
                refused += 1
            else:
                times[page.name].append(seconds)
        connection.close()

    opened = [await connect(port) for _ in range(connections)]
    await asyncio.gather(*(read_pages(connection) for connection in opened))
    return {name: seconds for name, seconds in times.items() if seconds}, refused


async def _first_view(client: aiohttp.ClientSession, page: _Page) -> list[int]:
    """Return the bytes sent for a page and for each part that its first view loads; the page's own first.

    Photos are apart: browsers load them as they come into sight.
    """
    sizes: list[int] = []
    paths = [page.path]
    seen = set(paths)
    for path in paths:
        async with client.get(path, headers=page.headers) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise BenchFailed(f"{path} answers {answer.status}.")
            sizes.append(len(body) + sum(len(name) + len(value) + 4 for name, value in answer.raw_headers))
        pattern = _PARTS if path == page.path else _IMPORTS if path.endswith(".js") else None
        if pattern is None:
            continue
        text = (gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body).decode()
        for one in (urljoin(path, name) for name in pattern.findall(text)):
            if one not in seen and not one.startswith("/photo/"):
                seen.add(one)
                paths.append(one)
    return sizes


def browser_path() -> str | None:
    """Return where Chromium is, without windows where that is installed: it opens pages in a third of the time."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


async def _violations(url: str, pages: list[_Page]) -> int | None:
    """Count what axe-core finds, light and narrow; None if it or a browser is not installed."""
    path = browser_path()
    try:
        axe = (files("axe_playwright_python") / "axe.min.js").read_text()
        playwright: Any = importlib.import_module("playwright.async_api")
    except ModuleNotFoundError:
        return None
    if path is None:
        return None
    count = 0
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for page in pages:
            context = await browser.new_context(base_url=url, viewport={"width": 360, "height": 780})
            if page.token:
                await context.add_cookies([{"name": "session", "value": page.token, "url": url}])
            window = await context.new_page()
            await window.goto(page.path)
            await window.evaluate(f"() => {{ {axe} }}")
            options = {"runOnly": {"type": "tag", "values": _AXE_RULES}, "resultTypes": ["violations"]}
            found = await window.evaluate("options => axe.run(document, options)", options)
            count += sum(len(violation["nodes"]) for violation in found["violations"])
            await context.close()
        await browser.close()
    return count
