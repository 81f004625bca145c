"""Two thousand people join one queue over many connections and three processes: they are served exactly in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from healthplus.database import Database, Range
from healthplus.ops.check import violations
from healthplus_bench.client import connect, delete, post
from healthplus_bench.environment import (
    SLOT_TIME,
    SLOTS_A_SHIFT,
    Environment,
    prepared_environment,
    queries,
    running_app,
)
from healthplus_bench.promises import Join, inversions
from healthplus_bench.waiters import overtaking

CONNECTIONS = 96
PROCESSES = 3
PROVIDER, CLINIC = 1, 1
CALLERS_EVERY = 10
"""Of so many who want the same, one calls the desk."""


async def hold_everything(environment: Environment, port: int) -> list[bytes]:
    """Hold all slots of the only shift; return the requests that give them back."""
    connection = await connect(port)
    requests = []
    for slot in range(SLOTS_A_SHIFT):
        token = environment.token(1 + slot)
        wanted = {"clinic_id": CLINIC, "start": environment.start_of(slot)}
        answer = await connection.request(post(f"/providers/{PROVIDER}/holds", token, "hold", wanted))
        assert answer.status == 201, answer.body
        hold = msgspec.json.decode(answer.body)["id"]
        requests.append(delete(f"/providers/{PROVIDER}/holds/{hold}", token, "back"))
    connection.close()
    return requests


async def join_all(environment: Environment, port: int, count: int) -> list[Join]:
    """Have everyone want any slot of the shift, as fast as the connections allow."""
    loop = asyncio.get_running_loop()
    wanted = {
        "clinic_id": CLINIC,
        "from": environment.start_of(0),
        "to": environment.start_of(SLOTS_A_SHIFT - 1) + SLOT_TIME,
    }
    patients = iter(range(1 + SLOTS_A_SHIFT, 1 + SLOTS_A_SHIFT + count))
    joins: list[Join] = []

    async def join_some() -> None:
        connection = await connect(port)
        for patient_id in patients:
            if patient_id % CALLERS_EVERY == 0:
                joins.append(await join_by_phone(environment, patient_id))
                continue
            raw = post(f"/providers/{PROVIDER}/waits", environment.token(patient_id), "join", wanted)
            while True:
                sent = loop.time()
                answer = await connection.request(raw)
                answered = loop.time()
                if answer.status != 503:  # on a slow machine some are asked to come again, and nothing was done
                    break
                await asyncio.sleep(msgspec.json.decode(answer.body)["retry_after"])
            assert answer.status == 201, answer.body
            wait = msgspec.json.decode(answer.body)
            assert wait["state"] == "waiting"
            joins.append(Join(PROVIDER, wait["id"], wait["number"], sent, answered))
        connection.close()

    await asyncio.gather(*(join_some() for _ in range(CONNECTIONS)))
    return joins


async def join_by_phone(environment: Environment, patient_id: int) -> Join:
    """Have a caller join, each by another of the staff, as these may have few at once."""
    window = Range(environment.start_of(0), environment.start_of(SLOTS_A_SHIFT - 1) + SLOT_TIME)
    sent = asyncio.get_running_loop().time()
    row = await environment.database.fetch_row(
        "SELECT code, ticket_id::text AS ticket_id, number "
        "FROM booking.join_by_phone($1, $2, $3, 1, NULL, $4, NULL, $2, $4, NULL)",
        *(PROVIDER, CLINIC, window, patient_id),
    )
    assert row is not None
    assert row["code"] == "waiting"
    return Join(PROVIDER, row["ticket_id"], row["number"], sent, asyncio.get_running_loop().time())


async def serve_all(environment: Environment, port: int, give_back: list[bytes], count: int) -> None:
    """Give every slot back at once; who is offered one, or called for one, leaves, until nobody waits."""
    seen = 0

    async def leave_some() -> None:
        nonlocal seen
        connection = await connect(port)
        while seen < count:
            if not offered:
                await asyncio.sleep(0.002)
                continue
            ticket_id, patient_id = offered.pop()
            raw = delete(f"/providers/{PROVIDER}/waits/{ticket_id}", environment.token(patient_id), "leave")
            answer = await connection.request(raw)
            assert answer.status == 200, answer.body
            seen += 1
        connection.close()

    offered: list[tuple[str, int]] = []
    connection = await connect(port)
    for raw in give_back:
        assert (await connection.request(raw)).status == 200
    connection.close()
    leaving = asyncio.gather(*(leave_some() for _ in range(8)))
    version = 0
    while not leaving.done():
        rows = await environment.database.fetch(
            """SELECT seq, ticket_id::text AS ticket_id, patient_id FROM booking.event
            JOIN booking.ticket USING (provider_id, ticket_id)
            WHERE event.provider_id = $1 AND seq > $2 AND kind IN ('offered', 'called') ORDER BY seq""",
            PROVIDER,
            version,
        )
        for row in rows:
            version = row["seq"]
            offered.insert(0, (row["ticket_id"], row["patient_id"]))
        await asyncio.sleep(0.005)
    await leaving


async def keep_present(database: Database) -> None:
    """Note everyone as seen, as the processes do for clients that poll."""
    while True:
        await database.execute(
            """INSERT INTO booking.presence (provider_id, ticket_id, seen_at)
            SELECT provider_id, ticket_id, public.app_now() FROM booking.ticket WHERE state = 'waiting'
            ORDER BY provider_id, ticket_id
            ON CONFLICT (provider_id, ticket_id) DO UPDATE SET seen_at = excluded.seen_at"""
        )
        await asyncio.sleep(10)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
async def test_all_are_served_in_order(new_server: tuple[str, Path], count: int) -> None:
    async with prepared_environment(*new_server, 1, SLOTS_A_SHIFT + count) as environment:
        await environment.database.execute(queries.keep_one_shift, environment.first_shift)
        async with running_app(environment, PROCESSES) as port:
            give_back = await hold_everything(environment, port)
            joins = await join_all(environment, port, count)
            present = asyncio.create_task(keep_present(environment.database))
            await serve_all(environment, port, give_back, count)
            present.cancel()
        rows = await environment.database.fetch(
            """SELECT number FROM booking.event JOIN booking.ticket USING (provider_id, ticket_id)
            WHERE kind IN ('offered', 'called') ORDER BY seq"""
        )
        assert [row["number"] for row in rows] == list(range(1, count + 1))
        assert sorted(join.number for join in joins) == list(range(1, count + 1))
        assert inversions(joins) == []
        assert await violations(environment.database) == []
    overtaken, by_ms = overtaking([(join.sent, join.number) for join in joins])
    print(f"{overtaken:.2%} of neighbours by arrival overtaken, by {by_ms} ms at most")
