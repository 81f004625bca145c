"""Clients for the whole time: some book, some queue and book, some only wait.

Each notes what it is told, and asks again under the same key until it is told something.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import msgspec

from healthplus.errors import HealthPlusError
from healthplus_bench.client import Connection, connect, delete, get, post
from healthplus_bench.environment import SLOT_TIME, SLOTS_A_DAY, Environment, clinic_of
from healthplus_bench.patients import Patient, hurry
from healthplus_bench.promises import Join, Promises
from healthplus_bench.returning import AHEAD_MAX, DAYS, Returning
from tests.ha.cluster import PUBLIC_PORT
from tests.ha.verdict import Ack, Told

HOT_PROVIDERS = 3
"""Where patients queue and book; as healthplus_bench/patients.py says, they choose among the first three."""
LONG_QUEUE = 4
"""The provider in whose queue WAITERS wait all the time for the one slot that is held."""
QUEUERS, WAITERS, BOOKERS = 24, 100, 16
_GROUP = 504  # a multiple of DAYS, and more than there are clients at once
_UNPAID_MAX = 3
"""Appointments that are not paid online which a person may have ahead, as booking.unpaid_max says."""
RETURNING = Returning(_GROUP, 70, 360)
PROVIDERS = LONG_QUEUE + RETURNING.providers
_QUEUER_FIRST = RETURNING.patients + 1
_WAITER_FIRST = _QUEUER_FIRST + QUEUERS
HOLDER = _WAITER_FIRST + WAITERS
"""The patient who holds what the waiters wait for."""
PATIENTS = HOLDER
_ANSWER_SECONDS_MAX = 8.0
_POLL_SECONDS_MAX = 40.0
_PAUSE_SECONDS = 0.1
_BOOKER_PAUSE_SECONDS = 0.05
"""Between two bookings of a client: the machine has two cores for everything, and what counts is no speed."""


Bookings: TypeAlias = Iterator[tuple[int, int, int, int]]


@dataclass
class Log:
    """What all clients together were told, and how often they were told nothing certain."""

    told: Told = field(default_factory=Told)
    answers: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    """Requests without an answer: a connection that was lost, or silence."""
    repeated: int = 0
    """Acknowledgements of requests that had been sent before without a certain answer."""
    surprises: list[str] = field(default_factory=list)
    """Certain answers that no client should get, such as that its hold is not there."""


def all_bookings() -> Bookings:
    """Yield numbers, patients, providers and slots."""
    orders = [Random(day).sample(range(RETURNING.slots_a_day), k=RETURNING.slots_a_day) for day in range(DAYS)]
    for number in range(RETURNING.bookings_max):
        if number // _GROUP % AHEAD_MAX >= _UNPAID_MAX:
            continue
        turn = RETURNING.turn(number)
        slot_of_day, provider = divmod(orders[turn.day][turn.rank], RETURNING.providers)
        yield number, 1 + turn.patient, LONG_QUEUE + 1 + provider, turn.day * SLOTS_A_DAY + slot_of_day


class Client:
    """Asks over one connection until the answer is certain."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._connection: Connection | None = None

    async def ask(self, raw: bytes, seconds_max: float = _ANSWER_SECONDS_MAX) -> tuple[int, dict[str, Any]]:
        """Return the status and the document of an answer that says truly what became of the request."""
        tries = 0
        while True:
            tries += 1
            try:
                if self._connection is None or not self._connection.is_open:
                    self._connection = await connect(PUBLIC_PORT)
                answer = await self._connection.request(raw, seconds_max)
            except (OSError, RuntimeError, ValueError):
                self._log.broken += 1
                self._connection = None
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._log.answers[answer.status] += 1
            if answer.status >= 502:  # of the product or the balancer: not now, or nobody knows
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if answer.status < 300 and tries > 1:
                self._log.repeated += 1
            return answer.status, msgspec.json.decode(answer.body)


class Queuer(Patient):
    """A patient of healthplus_bench/patients.py who asks as a Client does."""

    def __init__(self, environment: Environment, patient_id: int, promises: Promises, log: Log) -> None:
        super().__init__(environment, PUBLIC_PORT, patient_id, promises)
        self._client = Client(log)

    async def ask(self, raw: bytes, *, is_poll: bool = False) -> tuple[int, dict[str, Any]]:  # noqa: ARG002
        """Ask until there is a certain answer; polls may take long."""
        return await self._client.ask(raw, _POLL_SECONDS_MAX)


class Load:
    """All clients. What they were told is in `log`."""

    def __init__(self, environment: Environment, bookings: Bookings | None = None) -> None:
        """`bookings`: what is left of another load's."""
        self.environment = environment
        self.log = Log()
        self.waits: dict[int, tuple[str, dict[str, Any]]] = {}
        """By the waiters' numbers, from 0 on: the id of the ticket, and what the last poll answered."""
        self._promises = Promises(events=self.log.told.events, joins=self.log.told.joins)
        self._over = asyncio.Event()
        self.bookings = bookings or all_bookings()
        self._of_patient: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: list[asyncio.Task[None]] = []
        self._hurrying: asyncio.Task[None] | None = None
        self._hold = ""

    async def begin_booking(self) -> None:
        """Have only those begin who book."""
        self._tasks = [asyncio.create_task(self._book(number)) for number in range(BOOKERS)]

    async def begin(self) -> None:
        """Have everybody begin; return when all waiters are in their queue."""
        client = Client(self.log)
        wanted = {"clinic_id": clinic_of(LONG_QUEUE), "start": self.environment.start_of(0)}
        token = self.environment.token(HOLDER)
        status, held = await client.ask(post(f"/providers/{LONG_QUEUE}/holds", token, "holder", wanted))
        assert status == 201, held
        self._hold = held["id"]
        await self._keep_hold()
        for number in range(WAITERS):
            await self._join(client, number)
        await self.begin_booking()
        runs = [self._wait(number) for number in range(WAITERS)]
        runs += [
            Queuer(self.environment, _QUEUER_FIRST + number, self._promises, self.log).live(self._over)
            for number in range(QUEUERS)
        ]
        self._tasks += [asyncio.create_task(run) for run in runs]
        self._hurrying = asyncio.create_task(self._hurry())

    async def end(self) -> None:
        """Have everybody come to an end. Raises what any of them raised."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        if self._hurrying is not None:
            self._hurrying.cancel()

    def check(self) -> None:
        """Raise what a client has raised so far: none may."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def free_what_is_waited_for(self) -> None:
        """Have the holder give back what the waiters wait for."""
        raw = self.environment.token(HOLDER)
        status, answer = await Client(self.log).ask(
            delete(f"/providers/{LONG_QUEUE}/holds/{self._hold}", raw, "give-back")
        )
        assert status == 200, answer

    async def _keep_hold(self) -> None:
        """Have the hold that is waited for last a day instead of five minutes."""
        await self.environment.database.execute(
            "UPDATE booking.booking SET deadline = deadline + interval '1 day' WHERE booking_id = $1::uuid", self._hold
        )

    async def _hurry(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(HealthPlusError):
                await hurry(self.environment.database)

    async def _join(self, client: Client, number: int) -> None:
        wanted = {
            "clinic_id": clinic_of(LONG_QUEUE),
            "from": self.environment.start_of(0),
            "to": self.environment.start_of(0) + SLOT_TIME,
        }
        now = asyncio.get_running_loop().time
        sent = now()
        token = self.environment.token(_WAITER_FIRST + number)
        status, wait = await client.ask(post(f"/providers/{LONG_QUEUE}/waits", token, f"wait-{number}", wanted))
        assert status == 201, wait
        self.log.told.joins.append(Join(LONG_QUEUE, wait["id"], wait["number"], sent, now()))
        self.waits[number] = wait["id"], wait

    async def _wait(self, number: int) -> None:
        client = Client(self.log)
        token = self.environment.token(_WAITER_FIRST + number)
        while not self._over.is_set():
            ticket, wait = self.waits[number]
            path = f"/providers/{LONG_QUEUE}/waits/{ticket}?after={wait['version']}"
            status, answer = await client.ask(get(path, token), _POLL_SECONDS_MAX)
            if status != 200:
                self.log.surprises.append(f"ticket {wait['number']}: {status} {answer.get('code')}")
                await asyncio.sleep(1)
                continue
            self.waits[number] = ticket, answer
            if answer["state"] != "waiting":
                await asyncio.sleep(1)

    async def _book(self, number: int) -> None:
        client = Client(self.log)
        draw = Random(number)
        for booking in self.bookings:
            if self._over.is_set():
                return
            # Who waits long for an answer may be due again before: one claim at a time is all that a person may have.
            async with self._of_patient[booking[1]]:
                await self._book_one(client, *booking)
            await asyncio.sleep(draw.uniform(0, 2 * _BOOKER_PAUSE_SECONDS))
        raise AssertionError("There are no more appointments to be booked; raise RETURNING.")

    async def _book_one(self, client: Client, number: int, patient_id: int, provider_id: int, slot: int) -> None:
        now = asyncio.get_running_loop().time
        start, token = self.environment.start_of(slot), self.environment.token(patient_id)
        wanted = {"clinic_id": clinic_of(provider_id), "start": start}
        path, booking_id = f"/providers/{provider_id}/holds", ""
        for kind, done in (("reserved", 201), ("booked", 200)):
            key, sent = f"{kind}-{number}", now()
            body = wanted if kind == "reserved" else {"method": "sandbox-ok"}
            status, answer = await client.ask(post(path, token, key, body))
            if status != done:
                self.log.surprises.append(f"{kind} of booking {number}: {status} {answer.get('code')}")
                return
            if kind == "reserved":
                booking_id = answer["id"]
                path += f"/{booking_id}/payment"
            self.log.told.acks.append(Ack(kind, provider_id, start, booking_id, key, sent, now()))
