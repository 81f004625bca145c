"""Under load, with app processes and the database killed at random moments: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from healthplus.database import EmbeddedServer
from healthplus.ops.check import violations
from healthplus_bench.breaking import kill_app_processes
from healthplus_bench.client import get, post
from healthplus_bench.environment import Environment, clinic_of, prepared_environment, running_app
from healthplus_bench.patients import Patient, hurry
from healthplus_bench.processes import postmaster_pid
from healthplus_bench.promises import Promises, broken_promises, latest_lapse_seconds, overdue

PATIENTS = 40
PROCESSES = 3
AFTERMATH_SECONDS = 2.0
REST_SECONDS_MAX = 2.0
"""Between what a patient tries: without it, forty keep all cores busy, and no more is seen of what deaths break."""


@pytest.fixture
async def environment(new_server: tuple[str, Path]) -> AsyncIterator[Environment]:
    async with prepared_environment(*new_server, 3, PATIENTS) as environment:
        yield environment


async def live_through(environment: Environment, deaths: Callable[[], Awaitable[object]]) -> Promises:
    """Keep up a load for as long as the deaths last, however slow the machine is, and for a moment after."""
    promises, over = Promises(), asyncio.Event()

    async def die() -> None:
        try:
            await deaths()
            await asyncio.sleep(AFTERMATH_SECONDS)
        finally:
            over.set()

    async with running_app(environment, PROCESSES) as port:
        patients = [
            Patient(environment, port, number, promises, rest_seconds_max=REST_SECONDS_MAX)
            for number in range(1, PATIENTS + 1)
        ]
        hurrying = asyncio.create_task(hurry(environment.database))
        await asyncio.gather(die(), *(patient.live(over) for patient in patients))
        hurrying.cancel()
        await asyncio.sleep(2)
    return promises


async def app_processes_die(environment: Environment, kills: int, late_seconds_max: float) -> None:
    killed: list[int] = []

    async def kill() -> None:
        killed.extend(await kill_app_processes(kills, PROCESSES, Random(kills)))

    promises = await live_through(environment, kill)
    print(f"{kills} kills: {len(promises.events)} promises, {promises.lost} lost connections, {promises.answers}")
    assert await broken_promises(environment.database, promises) == []
    assert await violations(environment.database) == []
    assert await overdue(environment.database) == 0
    assert 500 not in promises.answers
    assert len(set(killed)) == kills
    assert promises.lost >= kills  # each had the most clients, all of whom go on
    assert len(promises.joins) > kills
    assert {kind for _, kind, _ in promises.events} >= {"booked", "cancelled", "released", "accepted", "waiting"}
    late = await latest_lapse_seconds(environment.database)
    print(f"latest lapse {late:.3f} s after its time")
    assert late <= late_seconds_max


@pytest.mark.long  # tests/ops/test_faults.py kills two as well, and judges all that was answered
@pytest.mark.timeout(120)
async def test_two_app_processes_die(environment: Environment) -> None:
    # Other tests keep the machine busy meanwhile, and each death leaves the other processes with all the work.
    await app_processes_die(environment, 2, late_seconds_max=6)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_thirty_app_processes_die(environment: Environment) -> None:
    await app_processes_die(environment, 30, late_seconds_max=2)


async def database_dies(new_server: tuple[str, Path], kills: int) -> None:
    dsn, folder = new_server
    draw = Random(kills)

    async def kill_database() -> None:
        for _ in range(kills):
            await asyncio.sleep(draw.uniform(2, 3))
            postmaster = postmaster_pid(folder)
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            server = EmbeddedServer(folder)
            assert await asyncio.to_thread(server.start) == dsn
            servers.callback(server.stop)

    with contextlib.ExitStack() as servers:
        async with prepared_environment(dsn, folder, 3, PATIENTS) as environment:
            promises = await live_through(environment, kill_database)
            print(f"{kills} kills: {len(promises.events)} promises, {promises.answers}")
            assert await broken_promises(environment.database, promises) == []
            assert await violations(environment.database) == []
            assert await overdue(environment.database) == 0
    assert 500 not in promises.answers
    assert promises.answers[503] + promises.lost > 0
    assert {kind for _, kind, _ in promises.events} >= {"booked", "released", "accepted", "waiting"}


@pytest.mark.timeout(120)
async def test_the_database_dies(new_server: tuple[str, Path]) -> None:
    await database_dies(new_server, 1)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_database_dies_ten_times(new_server: tuple[str, Path]) -> None:
    await database_dies(new_server, 10)


@pytest.mark.timeout(60)
async def test_a_server_that_ends_sends_those_who_wait_elsewhere(environment: Environment) -> None:
    loop = asyncio.get_running_loop()
    promises = Promises()
    async with running_app(environment, 2) as port:
        holder, *waiters = [Patient(environment, port, number, promises) for number in range(1, 21)]
        slot = {"clinic_id": clinic_of(1), "start": environment.start_of(0)}
        await holder.ask(post("/providers/1/holds", environment.token(1), "hold", slot))
        window = {"clinic_id": clinic_of(1), "from": environment.start_of(0), "to": environment.start_of(1)}
        polls, tickets = [], {}
        for number, waiter in enumerate(waiters, start=2):
            _, wait = await waiter.ask(post("/providers/1/waits", environment.token(number), "join", window))
            tickets[number] = wait["id"]
            poll = get(f"/providers/1/waits/{wait['id']}?after={wait['version']}", environment.token(number))
            polls.append(asyncio.create_task(waiter.ask(poll)))
        assert not (await asyncio.wait(polls, timeout=1.5))[0]
        ended = loop.time()
    for _, wait in await asyncio.gather(*polls):
        assert (wait["state"], wait["reconnect"]) == ("waiting", True)
    assert loop.time() - ended < 5  # the server has ended by now
    async with running_app(environment, 1) as port:
        numbers = []
        for number in range(2, 21):
            patient = Patient(environment, port, number, promises)
            _, wait = await patient.ask(get(f"/waits/{tickets[number]}", environment.token(number)))
            numbers.append(wait["position"])
        assert numbers == list(range(1, 20))
