"""`serve` is killed under load: its processes end, the next one starts at once, and nobody's place is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from healthplus.database.server_files import as_app_role
from healthplus.database.system import is_alive, processes_named
from healthplus.ops.check import violations
from healthplus.settings import Settings
from healthplus_bench.client import connect, get, post
from healthplus_bench.environment import Environment, clinic_of, prepared_environment
from healthplus_bench.patients import Patient
from healthplus_bench.processes import workers_of
from healthplus_bench.promises import Promises, broken_promises

PATIENTS, WAITERS = 20, 10
GONE_SECONDS = 8.0


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start `serve`, and end it after the block."""
    with (settings.data_folder / "app.log").open("ab") as log:
        app = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "healthplus", "serve", "--until-stdin-ends",
            env={**os.environ, **settings.as_environment()}, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield app
    finally:
        with contextlib.suppress(ProcessLookupError):
            app.terminate()
        await app.communicate()


async def seconds_until_ready(port: int) -> float:
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError, RuntimeError):
                connection = await connect(port)
                answer = await connection.request(get("/ready", ""))
                connection.close()
                if answer.status == 200:
                    return asyncio.get_running_loop().time() - began
            await asyncio.sleep(0.05)


async def ask(port: int, raw: bytes) -> dict[str, Any]:
    connection = await connect(port)
    try:
        answer: dict[str, Any] = msgspec.json.decode((await connection.request(raw)).body)
        return answer
    finally:
        connection.close()


async def tickets(environment: Environment, port: int, ids: dict[int, str]) -> list[tuple[object, object]]:
    found = [await ask(port, get(f"/waits/{ids[number]}", environment.token(number))) for number in sorted(ids)]
    return [(wait["number"], wait["position"]) for wait in found]


def is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return True
    return False


async def until_gone(pids: list[int]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while any(is_alive(pid) for pid in pids):
        assert loop.time() - began < GONE_SECONDS
        await asyncio.sleep(0.02)
    return loop.time() - began


async def seconds_until_ready_again(port: int, old: list[int]) -> float:
    """Return how long it takes until a new process answers: the old ones, until they have ended, do not count."""
    return await until_gone(old) + await seconds_until_ready(port)


def bank_of(port: int) -> list[int]:
    """Return the processes of the bank whose webhooks go to this port."""
    return [
        pid
        for pid in processes_named(f"{sys.executable}\0-m\0healthplus_sandbox")
        if f"HEALTHPLUS_PORT={port}\0" in Path(f"/proc/{pid}/environ").read_text()
    ]


@pytest.mark.timeout(150)
async def test_serve_is_killed(new_server: tuple[str, Path]) -> None:
    with socket.socket() as room:
        room.bind(("127.0.0.1", 0))
        port = room.getsockname()[1]
    promises, over = Promises(), asyncio.Event()
    async with prepared_environment(*new_server, 4, PATIENTS + WAITERS + 1) as environment:
        settings = Settings(None, environment.folder, port=port, sandbox_payments=True)
        holder, *waiters = range(PATIENTS + 1, PATIENTS + WAITERS + 2)
        async with serving(settings) as first:
            ready_first = await seconds_until_ready(port)
            slot = {"clinic_id": clinic_of(4), "start": environment.start_of(0)}
            held = await ask(port, post("/providers/4/holds", environment.token(holder), "hold", slot))
            window = {"clinic_id": clinic_of(4), "from": environment.start_of(0), "to": environment.start_of(1)}
            ids = {
                number: (await ask(port, post("/providers/4/waits", environment.token(number), "join", window)))["id"]
                for number in waiters
            }
            before = await tickets(environment, port, ids)
            load = [
                asyncio.create_task(Patient(environment, port, number, promises, rest_seconds_max=2).live(over))
                for number in range(1, PATIENTS + 1)
            ]
            await asyncio.sleep(3)
            left = workers_of(first.pid) + bank_of(port)
            assert len(left) == settings.processes + 1
            first.send_signal(signal.SIGKILL)
            await first.wait()
            async with serving(settings):
                # At once: the others still end.
                gone, ready = await asyncio.gather(until_gone(left), seconds_until_ready_again(port, left))
                print(f"its processes gone after {gone:.2f} s, ready {ready_first:.2f} s, the next {ready:.2f} s")
                assert ready <= ready_first + GONE_SECONDS  # however long a busy machine takes to load the program
                assert await tickets(environment, port, ids) == before
                mine = await ask(port, get(f"/providers/4/holds/{held['id']}", environment.token(holder)))
                assert mine["state"] == "reserved"
                await asyncio.sleep(2)
                over.set()
                await asyncio.wait(load, timeout=2)  # what is under way is answered, and noted
                for patient in load:
                    patient.cancel()  # some wait for a hold to lapse, which takes minutes
                ends = await asyncio.gather(*load, return_exceptions=True)
                assert {type(end) for end in ends} <= {asyncio.CancelledError, type(None)}
        assert promises.lost > 0
        assert await broken_promises(environment.database, promises) == []
        assert await violations(environment.database) == []
        assert "Cannot listen" not in (environment.folder / "app.log").read_text()


@pytest.mark.timeout(100)
async def test_serve_ends_with_what_started_it(new_server: tuple[str, Path]) -> None:
    """A bench or a test run that is killed leaves no product behind."""
    with socket.socket() as room:
        room.bind(("127.0.0.1", 0))
        port = room.getsockname()[1]
    settings = Settings(as_app_role(new_server[0]), new_server[1], new_server[0], port=port, processes=1)
    async with serving(settings) as app:
        await seconds_until_ready(port)
        workers = workers_of(app.pid)
        assert app.stdin is not None
        app.stdin.close()
        print(f"gone after {await until_gone([app.pid, *workers]):.2f} s")
        assert is_free(port)
