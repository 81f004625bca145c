"""Which app machine serves what, as the balancer's log says, and what becomes of it when one of them dies."""

from __future__ import annotations

import asyncio
import contextlib
import re
import urllib.request
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from healthplus_bench.client import Connection, connect
from tests.ha.cluster import APPS, LOG_PORT, PUBLIC_PORT, Cluster

_PROVIDERS = range(1, 101)
_LINE = re.compile(r"(\S+) app/(\S+) (\d+) \S+ GET /api/v1/providers/(\d+)$")
_OUTAGE_SECONDS = 15.0
_HEADER = "X-Request-Id"


class _Log(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.served: list[tuple[int, str, int]] = []
        """Of each request for a provider's page: the provider, the machine, the status."""
        self.ids: set[str] = set()

    def datagram_received(self, data: bytes, _: object) -> None:
        if match := _LINE.search(data.decode().strip()):
            self.served.append((int(match[4]), match[2], int(match[3])))
            self.ids.add(match[1])


@dataclass(frozen=True)
class Shares:
    """What was seen when one of the machines died.

    `moved`: of the other's providers, those that were served by another machine than before. `failures` by the machine
    that served a provider before. `back`: providers that the first one served before and again when it was back.
    """

    own: int
    others: int
    moved: int
    failures: Counter[str]
    requests: int
    back: int


async def app_machine_dies(cluster: Cluster) -> Shares:
    """Switch the first app machine off for a while, and on again, while all providers' pages are asked for."""
    async with _logged() as log:
        first = next(iter(APPS))
        before = await _served_by(log)
        await asyncio.to_thread(cluster.apps[first].die)
        log.served.clear()
        end = asyncio.get_running_loop().time() + _OUTAGE_SECONDS
        while asyncio.get_running_loop().time() < end:
            await _ask_for_all()
        during = list(log.served)
        await asyncio.to_thread(cluster.start_app, first)
        await cluster.served()
        await asyncio.sleep(5)
        after = await _served_by(log)
    served: dict[int, set[str]] = defaultdict(set)
    failures: Counter[str] = Counter()
    for provider, machine, status in during:
        if status == 200:
            served[provider].add(machine)
        else:
            failures[before[provider]] += 1
    others = [provider for provider, machine in before.items() if machine != first]
    moved = [provider for provider in others if served[provider] != {before[provider]}]
    own = [provider for provider, machine in before.items() if machine == first]
    back = sum(after[provider] == first for provider in own) if all(after[one] != first for one in others) else 0
    return Shares(len(own), len(others), len(moved), failures, len(during), back)


async def answer_and_log_have_one_id() -> bool:
    """Return whether an answer names the request as the balancer's log does, and not as its client wished."""
    request = urllib.request.Request(f"http://127.0.0.1:{PUBLIC_PORT}/api/v1/providers/1", headers={_HEADER: "mine"})
    async with _logged() as log:
        with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
            told = answer.headers.get_all(_HEADER)
        await asyncio.sleep(0.5)
        return len(told) == 1 and told[0] in log.ids and told[0] != "mine"


@contextlib.asynccontextmanager
async def _logged() -> AsyncIterator[_Log]:
    transport, log = await asyncio.get_running_loop().create_datagram_endpoint(_Log, local_addr=("127.0.0.1", LOG_PORT))
    try:
        yield log
    finally:
        transport.close()


async def _served_by(log: _Log) -> dict[int, str]:
    log.served.clear()
    await _ask_for_all()
    await asyncio.sleep(0.5)
    return {provider: machine for provider, machine, _ in log.served}


async def _ask_for_all() -> None:
    connections = [await connect(PUBLIC_PORT) for _ in range(10)]

    async def ask(connection: Connection, providers: range) -> None:
        for provider in providers:
            raw = f"GET /api/v1/providers/{provider} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
            try:
                await connection.request(raw, 10)
            except (OSError, ValueError, RuntimeError):
                return  # in the balancer's log it is a failure
            if not connection.is_open:
                return

    await asyncio.gather(*(ask(one, _PROVIDERS[place::10]) for place, one in enumerate(connections)))
    for connection in connections:
        connection.close()
