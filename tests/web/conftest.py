from __future__ import annotations

import asyncio
import copy
import functools
import gc
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from healthplus.database.server_files import as_app_role
from healthplus.settings import Settings
from healthplus.web.app import create_routes, furnish
from healthplus.web.code_messages import CodeMessages
from tests.fixtures.environment import AT_CLINIC, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser, Client, connect
from tests.web.phone import Phone, sign_in
from tests.web.pune import DIRECTORY
from tests.web.staff import log_in


@functools.cache
def _routes() -> Litestar:
    routes = create_routes(Settings(None, Path()))
    gc.freeze()  # no collection need look at them
    return routes


@pytest.fixture
def routes() -> Litestar:
    """What the app is a copy of, for all tests that register no more: making it takes longer than most of them."""
    return _routes()


@pytest.fixture
async def app(
    dsn: str,
    environment: Environment,
    sandbox_bank: Settings,
    tmp_path: Path,
    routes: Litestar,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Litestar]:
    """The app, running with its background tasks on the test's database."""
    app = furnish(
        copy.copy(routes),
        Settings(
            database_url=as_app_role(dsn),
            data_folder=tmp_path,
            allow_unsafe_commits=True,  # the tests' server does not write to a disc
            sandbox_payments=True,
            sandbox_bank_port=sandbox_bank.sandbox_bank_port,
            payment_webhook_secret=sandbox_bank.payment_webhook_secret,
            pool_size_min=1,
        ),
    )
    started, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    # A lifespan must end in the task that began it, and a fixture may end in another.
    async with asyncio.TaskGroup() as tasks:
        with monkeypatch.context() as patch:
            # It would keep what it is made of for the life of the process, of which it has only a part; to collect
            # garbage for each takes as long as all else that it begins with.
            patch.setattr(gc, "freeze", lambda: None)
            patch.setattr(gc, "collect", lambda: 0)
            tasks.create_task(run())
            await started.wait()
        yield app
        stop.set()


@pytest.fixture
async def phone(app: Litestar) -> Phone:
    """What the app's codes are sent to, from now on."""
    phone = Phone()
    url = "https://healthplus.example"
    messages = CodeMessages(phone, f"{url}/", phone, url)
    app.state.services = replace(app.state.services, code_messages=messages)
    return phone


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(app) as client:
        yield client


@pytest.fixture
async def asha(http: httpx.AsyncClient, environment: Environment) -> Client:
    return Client(http, environment.tokens["asha"])


@pytest.fixture
async def bina(http: httpx.AsyncClient, environment: Environment) -> Client:
    return Client(http, environment.tokens["bina"])


@pytest.fixture
async def chand(http: httpx.AsyncClient, environment: Environment) -> Client:
    return Client(http, environment.tokens["chand"])


@pytest.fixture
async def anyone(http: httpx.AsyncClient) -> Client:
    return Client(http, None)


@pytest.fixture
async def city(environment: Environment) -> Environment:
    """The directory, at six in the morning of the environment's day."""
    await environment.db.execute(DIRECTORY)
    await environment.pass_until(environment.day + timedelta(hours=6))
    return environment


@pytest.fixture
async def me(http: httpx.AsyncClient, anyone: Client, phone: Phone) -> Client:
    """Somebody who has just signed in by phone."""
    return Client(http, await sign_in(anyone, phone))


@pytest.fixture
async def ward(app: Litestar, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The browser of a ward administrator who is logged in."""
    cheap_hashes(monkeypatch)
    return await log_in(app, environment.db, "ward", AT_CLINIC, "meera")


@pytest.fixture
async def administrator(app: Litestar, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The browser of an administrator who is logged in."""
    cheap_hashes(monkeypatch)
    return await log_in(app, environment.db, "administrator", None, "nair")


@pytest.fixture
def day(environment: Environment) -> str:
    """The environment's day as the city has it."""
    return environment.at(12)[:10]
