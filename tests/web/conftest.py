from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.settings import Settings
from healthplus.web.app import create_app
from healthplus.web.code_messages import CodeMessages
from tests.web.phone import Phone
from tests.web.world import World

_keys = itertools.count(1)


class Client:
    """An HTTP client for one patient, or nobody, that gives every changing request a new key unless told which."""

    def __init__(self, http: httpx.AsyncClient, token: str | None) -> None:
        self.http = http
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = {**self._headers, **options.pop("headers", {})}
        if method != "GET":
            headers.setdefault("Idempotency-Key", key or f"key-{next(_keys)}")
        url = path if path.startswith("/") else f"/api/v1/{path}"
        return await self.http.request(method, url, json=body, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.ask("POST", path, body, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("DELETE", path, **options)


def connect(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's ASGI types are narrower than httpx's
    return httpx.AsyncClient(transport=transport, base_url="http://healthplus.test")


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)


@pytest.fixture
async def app(dsn: str, world: World, sandbox_bank: Settings, tmp_path: Path) -> AsyncIterator[Litestar]:
    """The app, running with its background tasks on the test's database."""
    app = create_app(
        Settings(
            database_url=dsn,
            data_folder=tmp_path,
            sandbox_payments=True,
            sandbox_bank_port=sandbox_bank.sandbox_bank_port,
            payment_webhook_secret=sandbox_bank.payment_webhook_secret,
        )
    )
    started, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    # A lifespan must end in the task that began it, and a fixture may end in another.
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run())
        await started.wait()
        yield app
        stop.set()


@pytest.fixture
async def phone(app: Litestar) -> Phone:
    """What the app's codes are sent to, from now on."""
    phone = Phone()
    app.state.services = replace(app.state.services, code_messages=CodeMessages(phone, "https://healthplus.example/"))
    return phone


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(app) as client:
        yield client


@pytest.fixture
async def asha(http: httpx.AsyncClient, world: World) -> Client:
    return Client(http, world.tokens["asha"])


@pytest.fixture
async def bina(http: httpx.AsyncClient, world: World) -> Client:
    return Client(http, world.tokens["bina"])


@pytest.fixture
async def chand(http: httpx.AsyncClient, world: World) -> Client:
    return Client(http, world.tokens["chand"])


@pytest.fixture
async def anyone(http: httpx.AsyncClient) -> Client:
    return Client(http, None)
