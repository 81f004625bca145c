"""The product as a process with a small demo in it, and a browser: one of each a test process.

Everything here runs on the session's event loop: tests say `pytestmark = pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.notices.web_push import new_private_key
from healthplus.ops.demo_data import Scale, create_demo_data
from healthplus.ops.demo_guide import demo_guide
from healthplus.settings import Settings
from healthplus_bench.pages import browser_path
from tests.conftest import own_database
from tests.fixtures.clock import device_clock, start_clock
from tests.fixtures.developer_key import put_developer_key
from tests.pages.window import BrowserWindow, Product

_SCALE = Scale(cities=3, providers_per_city=24, patients=80)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product(template: str) -> AsyncIterator[Product]:
    with socket.socket() as room:
        room.bind(("127.0.0.1", 0))
        port = room.getsockname()[1]
    async with own_database(template, "pages") as dsn, await Database.connect(dsn, min_size=1, max_size=4) as database:
        await start_clock(database)
        data = await create_demo_data(database, _SCALE)
        await put_developer_key(database)
        folder = Path(tempfile.mkdtemp(prefix="healthplus-pages-"))
        # Where root runs the tests, the app processes are of another account.
        await asyncio.to_thread(folder.chmod, 0o755)
        # The tests' server does not write to a disc.
        settings = Settings(as_app_role(dsn), folder, dsn, port=port, processes=1, allow_unsafe_commits=True)
        guide = (await demo_guide(database, data, f"http://127.0.0.1:{port}")).as_setting()
        app = _App(
            replace(settings, sandbox_payments=True, sandbox_notices=True, push_key=new_private_key(), demo_guide=guide)
        )
        await app.start()
        try:
            clock = await device_clock(database)
            yield Product(app.settings.site_url, database, data, app.stop, app.start, app.restart, clock)
        finally:
            await app.stop()
            shutil.rmtree(folder)


class _App:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = {**os.environ, **self.settings.as_environment()}
        with (self.settings.data_folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "healthplus", "serve", "--until-stdin-ends",
                env=environment, stdin=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        await _ready(self.settings.site_url)

    async def restart(self, **changes: str) -> None:
        await self.stop()
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        await self.start()

    async def stop(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()


async def _ready(url: str) -> None:
    def ask() -> bool:
        try:
            urllib.request.urlopen(f"{url}/api/v1/ready", timeout=5).close()  # noqa: S310
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    async with asyncio.timeout(60):
        while not await asyncio.to_thread(ask):
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = browser_path()
    if path is None:
        pytest.fail(
            "The tests of the pages need Chromium: install Debian's chromium-headless-shell and fonts-lohit-deva."
        )
    expect.set_options(timeout=20_000)  # other tests keep the machine busy
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def window(product: Product, browser: Browser) -> AsyncIterator[BrowserWindow]:
    """A narrow window, in English, light, in which nobody is signed in."""
    async with BrowserWindow.open(product, browser) as window:
        yield window
