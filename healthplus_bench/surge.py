"""A rush: everyone wants one provider's 36 slots of one shift, at once, each over a connection of their own."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

import msgspec

from healthplus.ops.check import violations
from healthplus_bench.client import Answer, Connection, Shown, connect, get, percentile_ms, post, show
from healthplus_bench.environment import (
    SLOT_TIME,
    SLOTS_A_SHIFT,
    BenchFailed,
    Environment,
    clinic_of,
    prepared_environment,
    queries,
    running_app,
)
from healthplus_bench.processes import require_open_files

_RUSHED = 1
"""The provider everyone wants. The others are for warming up: a session's first calls plan every query."""
_WARM_PROVIDERS = 8
_WARM_PATIENTS = 64
_WARM_SECONDS = 6
_SETTLE_SECONDS_MAX = 60


@dataclass(frozen=True)
class SurgePlan:
    """Winners pay once everyone is decided, so that as many as can be are waiting when the last slot goes.

    `tries_max`: how many slots a client tries to hold before it waits for any.
    """

    clients: int = 1000
    processes: int = 2
    warm_seconds: float = _WARM_SECONDS
    tries_max: int = 5


class SurgeResult(msgspec.Struct):
    """What was measured.

    `decided_ms`: until everyone was held, queued or refused; `settled_ms`: from the last booking until no ticket was
    open; `told_ms`: until everyone in the queue had been answered so. `told_later`: requests that were refused as too
    many came at once, and made again.
    """

    clients: int
    winners: int
    queued: int
    refused: int
    undecided: int
    booked: int
    full: int
    p99_ms: float
    p50_ms: float
    max_ms: float
    requests: int
    told_later: int
    decided_p50_ms: float
    decided_p99_ms: float
    decided_ms: float
    settled_ms: float
    told_ms: float
    violations: int
    processes: int
    cores: int


@dataclass
class _Client:
    """One patient on one connection."""

    patient_id: int
    token: str
    connection: Connection
    outcome: str = "undecided"
    id: str = ""
    decided_seconds: float = 0.0


@dataclass
class _Rush:
    """A provider's one shift and who wants it; `request_seconds` is of every request counted."""

    provider_id: int
    starts: list[datetime]
    tries_max: int
    request_seconds: list[float] = field(default_factory=list)
    told_later: int = 0

    async def ask(self, client: _Client, raw: bytes) -> tuple[Answer, Shown]:
        """Make a counted request; where the app has no room for it, make it again, as told, under the same key."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            answer = await client.connection.request(raw)
            self.request_seconds.append(loop.time() - began)
            shown = show(answer.body)
            if answer.status != 503:
                return answer, shown
            self.told_later += 1
            await asyncio.sleep((shown.retry_after or 1) * (1 + client.patient_id % 100 / 100))

    async def hold(self, client: _Client, start: object, tries: int) -> tuple[Answer, Shown]:
        """Try to hold a slot."""
        request = {"clinic_id": clinic_of(self.provider_id), "start": start, "slots_needed": 1}
        path = f"/providers/{self.provider_id}/holds"
        return await self.ask(client, post(path, client.token, f"hold-{client.patient_id}-{tries}", request))

    async def join(self, client: _Client) -> None:
        """Wait for any slot of the shift. Who lost every try while a slot was free is offered it, and accepts."""
        request = {
            "clinic_id": clinic_of(self.provider_id),
            "from": self.starts[0],
            "to": self.starts[-1] + SLOT_TIME,
            "slots_needed": 1,
        }
        path = f"/providers/{self.provider_id}/waits"
        answer, shown = await self.ask(client, post(path, client.token, f"wait-{client.patient_id}", request))
        if answer.status == 201:
            client.outcome, client.id = "queued", shown.id
            if shown.state == "offered":
                await self.accept(client)
        elif shown.code == "slot_full":
            client.outcome = "refused"

    async def accept(self, client: _Client) -> None:
        """Hold the slot that is offered."""
        path = f"/providers/{self.provider_id}/waits/{client.id}/accept"
        answer, shown = await self.ask(client, post(path, client.token, f"accept-{client.patient_id}", {}))
        if answer.status == 201:
            client.outcome, client.id = "held", shown.id

    async def decide(self, client: _Client, random: Random) -> None:
        """Hold the slot picked from the chart, or one that is offered instead, or wait, or be refused."""
        began = asyncio.get_running_loop().time()
        start: object = random.choice(self.starts)
        for tries in range(self.tries_max):
            answer, shown = await self.hold(client, start, tries)
            if answer.status == 201:
                client.outcome, client.id = "held", shown.id
            elif shown.code in ("slot_held", "slot_full") and shown.alternatives:
                if tries + 1 < self.tries_max:
                    start = random.choice(shown.alternatives)
                    continue
                await self.join(client)
            elif shown.code == "slot_held":
                await self.join(client)
            elif shown.code == "slot_full":
                client.outcome = "refused"
            break
        client.decided_seconds = asyncio.get_running_loop().time() - began

    async def pay(self, client: _Client) -> None:
        """Turn a hold into a booking."""
        path = f"/providers/{self.provider_id}/holds/{client.id}/payment"
        _, shown = await self.ask(
            client, post(path, client.token, f"pay-{client.patient_id}", {"method": "sandbox-ok"})
        )
        client.outcome = shown.state

    async def look(self, client: _Client) -> None:
        """Ask what has become of a ticket."""
        _, shown = await self.ask(client, get(f"/providers/{self.provider_id}/waits/{client.id}", client.token))
        client.outcome = shown.state


async def bench_surge(dsn: str, folder: Path, plan: SurgePlan) -> SurgeResult:
    """Run the rush on a new database. Raises BenchFailed."""
    require_open_files(plan.clients + 1000)
    patients = plan.clients + _WARM_PROVIDERS * _WARM_PATIENTS
    async with prepared_environment(dsn, folder, 1 + _WARM_PROVIDERS, patients) as environment:
        await environment.database.execute(queries.keep_one_shift, environment.first_shift)
        async with running_app(environment, plan.processes) as port:
            await _warm_up(environment, port, plan)
            result = await _run(environment, port, plan)
        result.violations = len(await violations(environment.database))
        return result


async def _clients(environment: Environment, port: int, first: int, count: int) -> list[_Client]:
    return [
        _Client(number, environment.token(number), await connect(port)) for number in range(first, first + count)
    ]  # fmt: skip


def _rush(environment: Environment, provider_id: int, plan: SurgePlan) -> _Rush:
    return _Rush(provider_id, [environment.start_of(slot) for slot in range(SLOTS_A_SHIFT)], plan.tries_max)


async def _warm_up(environment: Environment, port: int, plan: SurgePlan) -> None:
    """Run small rushes for other providers until every session has planned what it will run."""
    end = asyncio.get_running_loop().time() + plan.warm_seconds
    for number in range(_WARM_PROVIDERS):
        first = 1 + plan.clients + number * _WARM_PATIENTS
        clients = await _clients(environment, port, first, _WARM_PATIENTS)
        await _play(_rush(environment, _RUSHED + 1 + number, plan), clients)
        for client in clients:
            client.connection.close()
        if asyncio.get_running_loop().time() >= end:
            break


async def _play(rush: _Rush, clients: list[_Client]) -> None:
    random = Random(rush.provider_id)  # noqa: S311
    await asyncio.gather(*(rush.decide(client, random) for client in clients))
    await asyncio.gather(*(rush.pay(client) for client in clients if client.outcome == "held"))
    await asyncio.gather(*(rush.look(client) for client in clients if client.outcome == "queued"))


async def _run(environment: Environment, port: int, plan: SurgePlan) -> SurgeResult:
    clients = await _clients(environment, port, 1, plan.clients)
    rush = _rush(environment, _RUSHED, plan)
    now = asyncio.get_running_loop().time
    began = now()
    random = Random(_RUSHED)  # noqa: S311
    await asyncio.gather(*(rush.decide(client, random) for client in clients))
    decided = now()
    outcomes = Counter(client.outcome for client in clients)
    await asyncio.gather(*(rush.pay(client) for client in clients if client.outcome == "held"))
    last_booked = now()
    await _until_settled(environment, rush.provider_id)
    settled = now()
    await asyncio.gather(*(rush.look(client) for client in clients if client.outcome == "queued"))
    answered = now()
    for client in clients:
        client.connection.close()
    ends = Counter(client.outcome for client in clients)
    times = [client.decided_seconds for client in clients]
    return SurgeResult(
        clients=plan.clients,
        winners=outcomes["held"],
        queued=outcomes["queued"],
        refused=outcomes["refused"],
        undecided=outcomes["undecided"],
        booked=ends["booked"],
        full=ends["full"],
        p99_ms=percentile_ms(rush.request_seconds, 99),
        p50_ms=percentile_ms(rush.request_seconds, 50),
        max_ms=percentile_ms(rush.request_seconds, 100),
        requests=len(rush.request_seconds),
        told_later=rush.told_later,
        decided_p50_ms=percentile_ms(times, 50),
        decided_p99_ms=percentile_ms(times, 99),
        decided_ms=round((decided - began) * 1000, 1),
        settled_ms=round((settled - last_booked) * 1000, 1),
        told_ms=round((answered - last_booked) * 1000, 1),
        violations=0,
        processes=plan.processes,
        cores=os.cpu_count() or 1,
    )


async def _until_settled(environment: Environment, provider_id: int) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _SETTLE_SECONDS_MAX
    while await environment.database.fetch_value(queries.live_tickets, provider_id):
        if loop.time() > end:
            states = await environment.database.fetch(queries.ticket_states, provider_id)
            raise BenchFailed(f"Tickets were still open {_SETTLE_SECONDS_MAX} s after the last booking: {states}")
        await asyncio.sleep(0.005)
