"""Clients that hang up: what is not begun for them, what ends, and what goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from litestar import Litestar

from healthplus.booking.book import Book
from healthplus.web.admission import Traffic
from tests.fixtures.clock import until
from tests.fixtures.environment import FREE, PROVIDER, Environment
from tests.web.client import Client
from tests.web.test_entrance import GONE, HOST, ask, bearer, body
from tests.web.test_holds import hold, hold_body
from tests.web.test_waits import evening, join


class Slow:
    """Has a method of the book wait until it is told to go on, and sees what becomes of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended: list[str] = []
        method: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def slow(*args: Any, **options: Any) -> Any:
            self.began.set()
            try:
                await self.go_on.wait()
                answer = await method(*args, **options)
            except asyncio.CancelledError:
                self.ended.append("cancelled")
                raise
            self.ended.append("done")
            return answer

        monkeypatch.setattr(owner, name, slow)


async def test_a_read_ends_when_its_client_hangs_up_and_a_change_goes_on(
    app: Litestar, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healthplus.web.admission.SLOW_SECONDS", 0.05)
    read, change = Slow(monkeypatch, Book, "chart"), Slow(monkeypatch, Book, "hold")
    slots = f"/api/v1/providers/{PROVIDER}/slots"
    hang_up = asyncio.Event()
    reading = asyncio.create_task(ask(app, "GET", slots, [HOST], body(), hang_up, GONE))
    content = f'{{"clinic_id": 1, "start": "{environment.at(9)}"}}'.encode()
    holding = asyncio.create_task(
        ask(app, "POST", f"/api/v1/providers/{PROVIDER}/holds", bearer(environment), body(content), GONE)
    )
    async with asyncio.timeout(10):
        await read.began.wait()
        hang_up.set()
        assert await reading == []
        await change.began.wait()
        await asyncio.sleep(0.2)
        change.go_on.set()
        sent = await holding
    assert (read.ended, change.ended) == (["cancelled"], ["done"])
    assert sent[0]["status"] == 201


async def test_what_waits_its_turn_is_not_begun_for_a_client_that_has_gone(
    app: Litestar, environment: Environment
) -> None:
    admission = app.asgi_handler._admission  # type: ignore[attr-defined]
    calls = []
    while (call := admission.let_in(Traffic.PAY)) is not None:
        calls.append(call)
    counts = await environment.counts()
    content = f'{{"clinic_id": 1, "start": "{environment.at(9)}"}}'.encode()
    async with asyncio.timeout(1.5):
        for method, path in (("POST", f"/api/v1/providers/{PROVIDER}/holds"), ("GET", "/api/v1/cities")):
            assert await ask(app, method, path, bearer(environment), body(content), GONE) == []
        staying = asyncio.create_task(ask(app, "GET", "/api/v1/cities", [HOST]))
        await asyncio.sleep(0.05)
        for call in calls:
            call.end()
        assert (await staying)[0]["status"] == 200
    assert await environment.counts() == counts


async def test_a_poll_that_sleeps_holds_up_nobody_and_ends_with_its_client(
    asha: Client, bina: Client, environment: Environment, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healthplus.web.admission.SLOW_SECONDS", 0.05)
    await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    hang_up = asyncio.Event()
    path = f"/api/v1/providers/{PROVIDER}/waits/{wait['id']}"
    query = f"after={wait['version']}".encode()
    waiting = app.state.services.waiting

    async def polls() -> int:
        return sum(len(waiter.polls) for queue in waiting._queues.values() for waiter in queue.waiters.values())

    sleeping = [
        asyncio.create_task(
            ask(app, "GET", path, bearer(environment, "bina"), body(), hang_up, GONE, query_string=query)
        )
        for _ in range(4)
    ]

    async def all_sleep() -> bool:
        return await polls() == 4

    await until(all_sleep, 5)
    admission = app.asgi_handler._admission  # type: ignore[attr-defined]
    assert admission._working == 0
    hang_up.set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*sleeping) == [[]] * 4
    assert await polls() == 0
