"""The clients of a rolling upgrade: each asks one of two apps, and goes to the other where the first sends it away."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import msgspec

from healthplus_bench.client import Connection, connect, delete, get, post
from healthplus_bench.environment import SLOT_TIME, SLOTS_A_SHIFT, Environment, clinic_of

QUEUED, PASSING = 1, 2
"""The provider everyone waits for; and the one whose patients come and go meanwhile."""
_ANSWER_SECONDS_MAX = 40.0
_PAUSE_SECONDS = 0.1
_CHECK_SECONDS = 1.0
"""How often a balancer asks whether a machine lives (deploy/balancer/haproxy.cfg)."""


class Seen(msgspec.Struct):
    """What is read of an answer."""

    id: str = ""
    state: str = ""
    version: str = ""
    number: int = 0
    code: str = ""
    retry_after: int = 0
    reconnect: bool = False


_see = msgspec.json.Decoder(Seen).decode


class GaveUp(Exception):
    """A client was refused what it may have; that is counted as an error already."""


@dataclass
class Machines:
    """Both apps as their clients see them, and what became of what was asked.

    `live`: the ports that a balancer sends to; `leaving`: that of the app which ends, or has ended. `errors`: all that
    was not answered as it should be, by what was asked and what became of it. `reconnects`: clients that were sent
    to the other app. `acknowledged`: kind of event, and id.
    """

    ports: list[int]
    live: list[int] = field(default_factory=list)
    leaving: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    answers: int = 0
    change_seconds: list[float] = field(default_factory=list)
    unpolled_seconds_max: float = 0.0
    acknowledged: list[tuple[str, str]] = field(default_factory=list)

    async def check(self) -> None:
        """Ask the apps whether they live, as a balancer does, until cancelled."""
        raw = b"GET /api/v1/live HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
        while True:
            live = []
            for port in self.ports:
                try:
                    connection = await connect(port)
                    if (await connection.request(raw, _CHECK_SECONDS)).status == 200:
                        live.append(port)
                except OSError:
                    pass
            self.live = live
            await asyncio.sleep(_CHECK_SECONDS)

    def forget_the_past(self) -> None:
        """Count from here on."""
        self.errors.clear()
        self.change_seconds.clear()
        self.reconnects, self.answers, self.unpolled_seconds_max = 0, 0, 0.0


class Caller:
    """A client: one that keeps its connection, or opens one for each request, where a balancer would send it."""

    def __init__(self, machines: Machines, number: int, *, keeps: bool = True) -> None:
        self.machines = machines
        self._keeps = keeps
        self._draw = Random(number)  # noqa: S311 - not for secrets
        self._port = machines.ports[0]
        self._connection: Connection | None = None
        self._polled_until = 0.0

    async def ask(self, what: str, raw: bytes, status: int) -> Seen:
        """Return the answer; make a request again, under the same key, until there is one. Raises GaveUp.

        Of a `poll` it is noted how long the patient was without one before.
        """
        loop = asyncio.get_running_loop()
        machines, began = self.machines, loop.time()
        while True:
            connection = await self._connected()
            if what == "poll" and self._polled_until:
                machines.unpolled_seconds_max = max(machines.unpolled_seconds_max, loop.time() - self._polled_until)
            try:
                answer = await connection.request(raw, _ANSWER_SECONDS_MAX)
            except OSError as error:
                machines.errors[f"{what}: {'no answer' if isinstance(error, TimeoutError) else 'cut off'}"] += 1
                self._polled_until = loop.time()
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._polled_until = loop.time()
            seen = _see(answer.body)
            if answer.status == status:
                machines.answers += 1
                machines.reconnects += seen.reconnect
                if what != "poll":
                    machines.change_seconds.append(loop.time() - began)
                return seen
            machines.errors[f"{what}: {answer.status} {seen.code}"] += 1
            if answer.status != 503:
                raise GaveUp
            await asyncio.sleep((seen.retry_after or 1) * self._draw.uniform(0.5, 1.5))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _connected(self) -> Connection:
        machines = self.machines
        if not self._keeps:
            self.close()
            self._connection = None
            self._port = self._draw.choice(machines.live or machines.ports)
        elif self._connection is not None and self._connection.is_open:
            return self._connection
        elif self._port == machines.leaving:
            self._go_elsewhere()
        while True:
            try:
                self._connection = await connect(self._port)
            except OSError:
                if self._port != machines.leaving:
                    machines.errors["refused"] += 1
                    await asyncio.sleep(_PAUSE_SECONDS)
                self._go_elsewhere()
            else:
                return self._connection

    def _go_elsewhere(self) -> None:
        self._port = next((port for port in self.machines.ports if port != self._port), self._port)


@dataclass
class Waiting:
    """A patient of the busy provider: they have a hold, or a ticket and later an appointment."""

    caller: Caller
    environment: Environment
    patient_id: int
    slot: int = 0
    id: str = ""
    ticket: str = ""
    number: int = 0
    version: str = ""
    offered: asyncio.Future[float] | None = None
    strays: int = 0

    @property
    def token(self) -> str:
        return self.environment.token(self.patient_id)

    async def hold(self) -> None:
        wanted = {"clinic_id": clinic_of(QUEUED), "start": self.environment.start_of(self.slot)}
        key = f"hold-{self.patient_id}"
        self.id = (await self.caller.ask("hold", post(f"/providers/{QUEUED}/holds", self.token, key, wanted), 201)).id
        self.caller.machines.acknowledged.append(("reserved", self.id))

    async def join(self) -> None:
        first, last = self.environment.start_of(0), self.environment.start_of(SLOTS_A_SHIFT - 1)
        wanted = {"clinic_id": clinic_of(QUEUED), "from": first, "to": last + SLOT_TIME}
        key = f"join-{self.patient_id}"
        seen = await self.caller.ask("join", post(f"/providers/{QUEUED}/waits", self.token, key, wanted), 201)
        self.ticket, self.number, self.version = seen.id, seen.number, seen.version
        self.caller.machines.acknowledged.append(("waiting", self.ticket))

    async def wait(self) -> None:
        """Poll until something is offered, and note when."""
        while True:
            path = f"/providers/{QUEUED}/waits/{self.ticket}?after={self.version}"
            seen = await self.caller.ask("poll", get(path, self.token), 200)
            self.version = seen.version
            if seen.state != "waiting":
                break
        if self.offered is None or seen.state != "offered":
            self.strays += 1
        else:
            self.offered.set_result(asyncio.get_running_loop().time())

    async def book(self) -> None:
        """Take what is offered, and pay."""
        token, number = self.token, self.patient_id
        accept = post(f"/providers/{QUEUED}/waits/{self.ticket}/accept", token, f"accept-{number}", {})
        self.id = (await self.caller.ask("accept", accept, 201)).id
        self.caller.machines.acknowledged.append(("accepted", self.ticket))
        pay = post(f"/providers/{QUEUED}/holds/{self.id}/payment", token, f"pay-{number}", {"method": "sandbox-ok"})
        await self.caller.ask("pay", pay, 200)
        self.caller.machines.acknowledged.append(("booked", self.id))

    async def give_back(self) -> None:
        """Release the hold."""
        path = f"/providers/{QUEUED}/holds/{self.id}"
        await self.caller.ask("give back", delete(path, self.token, f"back-{self.patient_id}"), 200)
        self.caller.machines.acknowledged.append(("released", self.id))


async def come_and_go(caller: Caller, environment: Environment, patients: range, slot: int) -> None:
    """Hold the same time, pay for it and cancel, each time as another patient, until cancelled or all have done so."""
    base, machines = f"/providers/{PASSING}", caller.machines
    wanted = {"clinic_id": clinic_of(PASSING), "start": environment.start_of(slot)}
    for patient_id in patients:
        token = environment.token(patient_id)
        booking = (await caller.ask("hold", post(f"{base}/holds", token, f"hold-{patient_id}", wanted), 201)).id
        machines.acknowledged.append(("reserved", booking))
        pay = post(f"{base}/holds/{booking}/payment", token, f"pay-{patient_id}", {"method": "sandbox-ok"})
        await caller.ask("pay", pay, 200)
        machines.acknowledged.append(("booked", booking))
        await caller.ask("cancel", delete(f"{base}/appointments/{booking}", token, f"cancel-{patient_id}"), 200)
        machines.acknowledged.append(("cancelled", booking))
        await asyncio.sleep(_PAUSE_SECONDS)
