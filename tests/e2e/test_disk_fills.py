"""`serve` with its own server on a small disk that fills up: three states, and back, by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from healthplus.database import EmbeddedServer, migrate
from healthplus.ops.check import violations
from healthplus_bench.client import connect, delete, get, post
from healthplus_bench.environment import Environment, clinic_of, prepared_environment, running_app
from tests.fixtures.disk import Disk, small_disk

DISK_MIB, BOOKINGS_MIB, CHANGES_MIB = 700, 200, 100
SMALL = {"shared_buffers": "128MB", "min_wal_size": "32MB", "max_wal_size": "64MB"}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with small_disk(DISK_MIB) as disk:
        yield disk


async def ask(port: int, raw: bytes) -> tuple[int, dict[str, object]]:
    connection = await connect(port)
    try:
        answer = await connection.request(raw)
        return answer.status, msgspec.json.decode(answer.body)
    finally:
        connection.close()


async def use(environment: Environment, port: int, disk: Disk) -> None:
    keys = iter(range(1000))

    async def hold(patient_id: int) -> tuple[int, dict[str, object]]:
        wanted = {"clinic_id": clinic_of(1), "start": environment.start_of(patient_id)}
        return await ask(port, post("/providers/1/holds", environment.token(patient_id), f"k{next(keys)}", wanted))

    async def until_hold(patient_id: int, status: int, reason: str | None) -> dict[str, object]:
        async with asyncio.timeout(60):
            while True:
                answer = await hold(patient_id)
                if (answer[0], answer[1].get("reason")) == (status, reason):
                    return answer[1]
                await asyncio.sleep(0.2)

    held = await until_hold(1, 201, None)
    disk.fill(left_mib=BOOKINGS_MIB - 20)
    assert (await until_hold(2, 503, "bookings"))["code"] == "disk_full"
    pay = post(f"/providers/1/holds/{held['id']}/payment", environment.token(1), "pay", {"method": "sandbox-ok"})
    assert (await ask(port, pay))[0] == 200
    disk.fill(left_mib=CHANGES_MIB - 20)
    await until_hold(2, 503, "changes")
    appointment = f"/providers/1/appointments/{held['id']}"
    assert (await ask(port, delete(appointment, environment.token(1), "cancel")))[0] == 503
    status, read = await ask(port, get(appointment, environment.token(1)))
    assert (status, read["state"]) == (200, "booked")
    disk.empty()
    await until_hold(3, 201, None)
    assert (await ask(port, delete(appointment, environment.token(1), "cancel")))[0] == 200


@pytest.mark.timeout(150)
async def test_a_disk_that_fills_up_and_is_emptied(disk: Disk) -> None:
    folder: Path = disk.folder / "data"
    server = EmbeddedServer(folder, SMALL)
    dsn = await asyncio.to_thread(server.start)
    try:
        await migrate(dsn)
        async with prepared_environment(dsn, folder, 1, 10) as environment:
            floors = {"space_for_bookings_mib": BOOKINGS_MIB, "space_for_changes_mib": CHANGES_MIB}
            async with running_app(environment, 1, keeps_server=True, **floors) as port:
                await use(environment, port, disk)
            assert await violations(environment.database) == []
            log = (folder / "app.log").read_text()
        assert "Traceback" not in log
        assert ["no holds" in log, "nothing can be changed" in log, "There is room again" in log] == [True, True, True]
    finally:
        await asyncio.to_thread(server.stop)
