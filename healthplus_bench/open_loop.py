"""A client that sends when it is time to, whatever became of what it sent before. Cheap: no task for each request."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

_TICK_SECONDS = 0.001
_END = b"\r\n\r\n"
_LENGTH = b"content-length: "

Then = Callable[[int, bytes], None]


@dataclass
class Request:
    """What is to be sent at an instant of the loop's clock; `then` is called with the answer's status and body."""

    kind: str
    raw: bytes
    due: float
    then: Then | None = None
    sent: float = 0.0
    tally: Tally | None = None


@dataclass
class Tally:
    """What became of what was sent. Times are in seconds, by kind, with the instant at which each was due."""

    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    good: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    refused: list[float] = field(default_factory=list)
    refused_since_due: list[float] = field(default_factory=list)
    refused_due: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    lost: int = 0
    unsent: int = 0

    def note(self, request: Request, status: int, now: float) -> None:
        self.statuses[request.kind][status] += 1
        self.late.append(request.sent - request.due)
        if status == 503:
            self.refused.append(now - request.sent)
            self.refused_since_due.append(now - request.due)
            self.refused_due.append(request.due)
        elif status < 500:
            self.good.setdefault(request.kind, []).append((request.due, now - request.due))

    def good_within(self, seconds: float) -> int:
        """Return how many were answered, and not refused, within so long of when they were due."""
        return sum(took <= seconds for times in self.good.values() for _, took in times)

    def share_good(self, kind: str) -> float:
        """Return the share of a kind that was answered with success; 1.0 where none was sent."""
        statuses = self.statuses[kind]
        return sum(count for status, count in statuses.items() if status < 300) / max(1, statuses.total())

    def took(self, since: float, until: float) -> list[float]:
        """Return how long those took that were due in a stretch of time, refused ones apart."""
        return [took for times in self.good.values() for due, took in times if since <= due < until]


class OpenLoop:
    """Connections to the app, and what is to be sent over them; at most `connections_max` at once."""

    def __init__(self, port: int, connections_max: int) -> None:
        self.tally = Tally()
        self.under_way = 0
        self._port = port
        self._free_max = connections_max
        self._free: deque[_Wire] = deque()
        self._opening = 0
        self._open = 0
        self._due: list[tuple[float, int, Request]] = []
        self._ready: deque[Request] = deque()
        self._serial = 0
        self._loop = asyncio.get_running_loop()

    def at(self, request: Request) -> None:
        """Send a request when it is due."""
        self._serial += 1
        heapq.heappush(self._due, (request.due, self._serial, request))

    def send_now(self, request: Request) -> None:
        """Send a request over a free connection, or one that is opened for it; it counts in the present tally."""
        request.tally = self.tally
        while self._free:
            wire = self._free.popleft()  # the one longest unused: as with many people, all processes have their part
            if wire.is_open:
                self.under_way += 1
                wire.send(request)
                return
            self._open -= 1
        if self._open + self._opening >= self._free_max:
            self.tally.unsent += 1
            return
        self._opening += 1
        self._ready.append(request)
        task = self._loop.create_task(self._connect())
        task.add_done_callback(lambda done: done.exception())

    async def run(self, until: float, send_others: Callable[[float], None] | None = None) -> None:
        """Send what is due until an instant, and what `send_others` sends when it is told the time."""
        while (now := self._loop.time()) < until:
            if send_others is not None:
                send_others(now)
            while self._due and self._due[0][0] <= now:
                self.send_now(heapq.heappop(self._due)[2])
            await asyncio.sleep(_TICK_SECONDS)

    async def drain(self, seconds_max: float) -> None:
        """Wait for the answers under way."""
        until = self._loop.time() + seconds_max
        while (self.under_way or self._ready) and self._loop.time() < until:  # noqa: ASYNC110 - answers call back
            await asyncio.sleep(0.01)

    def close(self) -> None:
        for wire in self._free:
            wire.close()

    def done(self, wire: _Wire, request: Request, status: int, body: bytes) -> None:
        self.under_way -= 1
        self._free.append(wire)
        assert request.tally is not None
        request.tally.note(request, status, self._loop.time())
        if request.then is not None:
            request.then(status, body)

    def lost(self) -> None:
        self.under_way -= 1
        self._open -= 1
        self.tally.lost += 1

    async def _connect(self) -> None:
        try:
            _, wire = await self._loop.create_connection(lambda: _Wire(self), "127.0.0.1", self._port)
        except OSError:
            self.tally.lost += 1
            self._ready.popleft()
            return
        finally:
            self._opening -= 1
        self._open += 1
        self.under_way += 1
        wire.send(self._ready.popleft())


class _Wire(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, owner: OpenLoop) -> None:
        self._owner = owner
        self._request: Request | None = None
        self._received = b""

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def send(self, request: Request) -> None:
        self._request = request
        request.sent = asyncio.get_running_loop().time()
        self._transport.write(request.raw)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        end = received.find(_END)
        if end < 0 or self._request is None:
            return
        length_at = received.find(_LENGTH, 0, end + 2)
        if length_at < 0:  # no body: 204 or 304
            body = b""
        else:
            length_at += len(_LENGTH)
            body = received[end + len(_END) :]
            if len(body) < int(received[length_at : received.find(b"\r", length_at)]):
                return
        request, self._request, self._received = self._request, None, b""
        self._owner.done(self, request, int(received[9:12]), body)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        if self._request is not None:
            self._request = None
            self._owner.lost()
