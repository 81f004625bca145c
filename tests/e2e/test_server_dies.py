"""Under load, with the embedded server killed again and again: `serve` starts it, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from random import Random
from statistics import median

import msgspec
import pytest

from healthplus.ops.check import violations
from healthplus_bench.client import connect, delete, post
from healthplus_bench.environment import Environment, clinic_of, prepared_environment, running_app
from healthplus_bench.patients import Patient, hurry
from healthplus_bench.processes import postmaster_pid
from healthplus_bench.promises import Promises, broken_promises, overdue

PATIENTS = 30
PROBES = 40
"""Patients who try whether bookings can be made; each has one hold in the end."""
PROCESSES = 2
PROBED = 3  # the provider


async def until_writable(environment: Environment, port: int, patient_id: int, killed: int) -> float:
    """Hold a slot and release it until both is done at another server than the killed one; return when."""
    token = environment.token(patient_id)
    holds = f"/providers/{PROBED}/holds"
    wanted = {"clinic_id": clinic_of(PROBED), "start": environment.start_of(10 + patient_id)}
    key = 0
    async with asyncio.timeout(60):
        while True:
            is_new = postmaster_pid(environment.folder) not in (killed, None)
            with contextlib.suppress(OSError, RuntimeError):
                connection = await connect(port)
                try:
                    answer = await connection.request(post(holds, token, f"hold-{patient_id}-{key}", wanted))
                    if answer.status == 201:
                        hold = f"{holds}/{msgspec.json.decode(answer.body)['id']}"
                        answer = await connection.request(delete(hold, token, f"release-{patient_id}-{key}"))
                        if answer.status == 200 and is_new:
                            return asyncio.get_running_loop().time()
                        key += answer.status != 503
                    assert answer.status in (200, 201, 410, 503), answer
                finally:
                    connection.close()
            await asyncio.sleep(0.05)


async def server_dies(new_server: tuple[str, Path], kills: int, writable_seconds_max: float) -> None:
    loop, draw = asyncio.get_running_loop(), Random(kills)
    promises, over = Promises(), asyncio.Event()
    seconds: list[float] = []
    async with prepared_environment(*new_server, 3, PATIENTS + PROBES) as environment:

        async def die(port: int) -> None:
            try:
                for kill in range(kills):
                    await asyncio.sleep(draw.uniform(2, 3.5))
                    victim = postmaster_pid(environment.folder)
                    assert victim is not None
                    os.kill(victim, signal.SIGKILL)
                    killed_at = loop.time()
                    seconds.append(await until_writable(environment, port, PATIENTS + 1 + kill, victim) - killed_at)
                await asyncio.sleep(2)
            finally:
                over.set()

        async with running_app(environment, PROCESSES, keeps_server=True) as port:
            patients = [
                Patient(environment, port, number, promises, rest_seconds_max=2) for number in range(1, PATIENTS + 1)
            ]
            hurrying = asyncio.create_task(hurry(environment.database))
            await asyncio.gather(die(port), *(patient.live(over) for patient in patients))
            hurrying.cancel()
            await asyncio.sleep(2)
        print(
            f"{kills} kills: writable after {median(seconds):.2f} s (median), {max(seconds):.2f} s (max), "
            f"{[round(one, 2) for one in seconds]}; {len(promises.events)} promises, {promises.answers}"
        )
        assert await broken_promises(environment.database, promises) == []
        assert await violations(environment.database) == []
        assert await overdue(environment.database) == 0
        log = (environment.folder / "app.log").read_text()
    assert max(seconds) <= writable_seconds_max
    assert 500 not in promises.answers
    assert {kind for _, kind, _ in promises.events} >= {"booked", "released", "waiting"}
    assert log.count("The embedded database was gone") == kills, log
    assert "Traceback" not in log
    assert log.count("The database cannot be reached") <= kills * PROCESSES
    assert log.count("The database can be reached again") == log.count("The database cannot be reached")


@pytest.mark.timeout(150)
async def test_the_server_dies(new_server: tuple[str, Path]) -> None:
    # Other tests keep the machine busy meanwhile.
    await server_dies(new_server, 1, writable_seconds_max=10)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_the_server_dies_twenty_times(new_server: tuple[str, Path]) -> None:
    await server_dies(new_server, 20, writable_seconds_max=5)
