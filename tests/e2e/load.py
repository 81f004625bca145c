"""Load by patients who are careful clients: an answer is noted as a promise, a lost connection means "perhaps"."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from healthplus.database import Database
from healthplus.errors import DatabaseUnreachable
from healthplus_bench.client import Connection, connect, delete, get, post
from healthplus_bench.environment import SLOT_TIME, Environment, clinic_of
from healthplus_bench.processes import app_processes

SLOTS = 4
"""Few enough that most who come must wait."""
PATIENCE = 12
"""Answers to polls before a patient who waits leaves."""


@dataclass(frozen=True)
class Join:
    """An acknowledged join: when it was sent and answered, and which number it got."""

    provider_id: int
    ticket_id: str
    number: int
    sent: float
    answered: float


@dataclass
class Promises:
    """Everything that was acknowledged."""

    events: list[tuple[int, str, str]] = field(default_factory=list)  # provider, kind of event, booking or ticket
    joins: list[Join] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    """Connections that broke, under a request or between two."""


class Patient:
    """Books again and again, for a while: holds, waits, pays, gives back, lets go."""

    def __init__(self, environment: Environment, port: int, patient_id: int, promises: Promises) -> None:
        self._environment = environment
        self._port = port
        self._token = environment.token(patient_id)
        self._draw = Random(patient_id)
        self._promises = promises
        self._name = str(patient_id)
        self._connection: Connection | None = None
        self._keys = 0

    def key(self) -> str:
        self._keys += 1
        return f"{self._name}-{self._keys}"

    async def ask(self, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Ask until there is an answer: the same request under the same key has one effect."""
        while True:
            try:
                if self._connection is not None and not self._connection.is_open:
                    self._promises.lost += 1
                    self._connection = None
                if self._connection is None:
                    self._connection = await connect(self._port)
                answer = await self._connection.request(raw)
            except (OSError, RuntimeError):
                self._promises.lost += 1
                self._connection = None
                await asyncio.sleep(0.05)
                continue
            self._promises.answers[answer.status] += 1
            if answer.status == 503:
                await asyncio.sleep(0.1)
                continue
            return answer.status, msgspec.json.decode(answer.body)

    async def live(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self.try_once(self._draw.randint(1, 3))
            await asyncio.sleep(self._draw.uniform(0, 0.05))
        if self._connection is not None:
            self._connection.close()

    async def try_once(self, provider_id: int) -> None:
        start = self._environment.start_of(self._draw.randrange(SLOTS))
        wanted = {"clinic_id": clinic_of(provider_id), "start": start}
        status, answer = await self.ask(post(f"/providers/{provider_id}/holds", self._token, self.key(), wanted))
        if status == 201:
            self._promises.events.append((provider_id, "reserved", answer["id"]))
            await self.use(provider_id, answer["id"])
        elif answer["code"] == "slot_held":
            await self.wait(provider_id)
        elif answer["code"] == "claimed":
            await asyncio.sleep(0.3)

    async def use(self, provider_id: int, hold_id: str) -> None:
        """Pay and perhaps cancel, or give back, or forget."""
        what = self._draw.random()
        hold = f"/providers/{provider_id}/holds/{hold_id}"
        if what < 0.5:
            status, _ = await self.ask(post(f"{hold}/payment", self._token, self.key(), {"method": "sandbox-ok"}))
            if status == 200:
                self._promises.events.append((provider_id, "booked", hold_id))
                visit = f"/providers/{provider_id}/appointments/{hold_id}"
                status, _ = await self.ask(delete(visit, self._token, self.key()))  # so that others have something
                if status == 200:
                    self._promises.events.append((provider_id, "cancelled", hold_id))
        elif what < 0.8:
            status, _ = await self.ask(delete(hold, self._token, self.key()))
            if status == 200:
                self._promises.events.append((provider_id, "released", hold_id))

    async def wait(self, provider_id: int) -> None:
        wanted = {
            "clinic_id": clinic_of(provider_id),
            "from": self._environment.start_of(0),
            "to": self._environment.start_of(SLOTS - 1) + SLOT_TIME,
        }
        sent = asyncio.get_running_loop().time()
        raw = post(f"/providers/{provider_id}/waits", self._token, self.key(), wanted)
        status, answer = await self.ask(raw)
        if status != 201:
            return
        wait, now = answer["id"], asyncio.get_running_loop().time()
        self._promises.joins.append(Join(provider_id, wait, answer["number"], sent, now))
        self._promises.events.append((provider_id, "waiting", wait))
        path = f"/providers/{provider_id}/waits/{wait}"
        for _ in range(PATIENCE):
            if answer["state"] != "waiting":
                break
            status, answer = await self.ask(get(f"{path}?after={answer['version']}", self._token))
            assert status == 200, answer
        if answer["state"] == "offered":
            status, accepted = await self.ask(post(f"{path}/accept", self._token, self.key(), {}))
            if status == 201:
                self._promises.events.append((provider_id, "accepted", wait))
                await self.use(provider_id, accepted["id"])
        elif answer["state"] == "called":
            status, answered = await self.ask(post(f"{path}/answer", self._token, self.key(), {}))
            if status == 200 and "hold_url" in answered:
                self._promises.events.append((provider_id, "accepted", wait))
                await self.use(provider_id, answered["hold_url"].rpartition("/")[2])
        elif answer["state"] == "waiting":
            status, _ = await self.ask(delete(path, self._token, self.key()))
            if status == 200:
                self._promises.events.append((provider_id, "left", wait))


async def kill_app_processes(kills: int, processes: int, draw: Random) -> list[int]:
    """Kill -9 app processes at random moments, one at a time, when all serve; return those that are gone."""
    killed: list[int] = []
    for _ in range(kills):
        await asyncio.sleep(draw.uniform(0.5, 1.5))
        async with asyncio.timeout(30):
            while len(alive := [process for process in app_processes() if listens(process)]) < processes:
                await asyncio.sleep(0.05)
            # Clients keep their connections: the newest process, chosen by chance, may have none of them.
            victim = max(alive, key=open_files)
            os.kill(victim, signal.SIGKILL)
            while victim in app_processes():
                await asyncio.sleep(0.01)
        killed.append(victim)
    return killed


def open_files(pid: int) -> int:
    """Each client's connection is one; app processes differ in no others."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def listens(pid: int) -> bool:
    """Return whether a process accepts connections: one that was just started does not yet."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{fields[9]}]" for fields in sockets if fields[3] == "0A"}
    with contextlib.suppress(OSError):  # it has ended
        return any(str(file.readlink()) in listening for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


async def hurry(database: Database, providers: int = 3) -> None:
    """Have some live holds with the first providers run out in a moment rather than in minutes.

    What came to nothing is forgotten: a few patients make holds as often as many do, who would not come to the limits
    of one account.
    """
    while True:
        await asyncio.sleep(0.3)
        with contextlib.suppress(DatabaseUnreachable):
            await database.execute(
                """WITH head AS (
                    SELECT provider_id FROM booking.book WHERE provider_id <= $1 FOR UPDATE SKIP LOCKED
                ), hurried AS (
                    UPDATE booking.booking SET deadline = public.app_now() + interval '700 milliseconds'
                    FROM head
                    WHERE booking.provider_id = head.provider_id AND state = 'reserved'
                        AND deadline > public.app_now() + interval '5 seconds'
                        AND created_at < public.app_now() - interval '1 second'
                    RETURNING booking.provider_id, deadline
                )
                UPDATE booking.book SET next_due = least(next_due, first_due)
                FROM (SELECT provider_id, min(deadline) AS first_due FROM hurried GROUP BY provider_id) AS due
                WHERE book.provider_id = due.provider_id""",
                providers,
            )
            await database.execute(
                "UPDATE booking.claim SET lapses = '{}', spent = '{}' WHERE cardinality(spent || lapses) > 0"
            )


async def broken_promises(database: Database, promises: Promises) -> list[object]:
    """Return what was acknowledged and is not in the book, and joins that overtook one answered before their start."""
    rows = await database.fetch(
        "SELECT provider_id, kind, coalesce(booking_id, ticket_id)::text AS id FROM booking.event"
    )
    kept = {tuple(row) for row in rows}
    broken: list[object] = [event for event in promises.events if event not in kept]
    tickets = {
        row["ticket_id"]: row["number"]
        for row in await database.fetch("SELECT ticket_id::text AS ticket_id, number FROM booking.ticket")
    }
    broken += [join for join in promises.joins if tickets.get(join.ticket_id) != join.number]
    return broken + inversions(promises.joins)


def inversions(joins: list[Join]) -> list[object]:
    """Return pairs of joins of which the later was sent when the earlier was answered, and has the lower number."""
    found: list[object] = []
    for provider_id in {join.provider_id for join in joins}:
        here = sorted((join for join in joins if join.provider_id == provider_id), key=lambda join: join.number)
        # Going back from the last number: none may have been answered before one of a lower number was sent.
        answered_first = None
        for join in reversed(here):
            if answered_first is not None and answered_first.answered < join.sent:
                found.append((answered_first, join))
            if answered_first is None or join.answered < answered_first.answered:
                answered_first = join
    return found


async def latest_lapse_seconds(database: Database) -> float:
    """Return how long after its time a hold was freed, at most."""
    late: float | None = await database.fetch_value(
        """SELECT extract(epoch FROM max(event.at - booking.deadline))::float8
        FROM booking.event JOIN booking.booking USING (provider_id, booking_id) WHERE kind = 'expired'"""
    )
    assert late is not None, "nothing lapsed"
    return late


async def overdue(database: Database) -> int:
    """Return how many holds should have been freed two seconds before the app ended, and were not."""
    count: int = await database.fetch_value(
        """SELECT count(*) FROM booking.booking WHERE state = 'reserved' AND deadline < (
            SELECT max(at) FROM booking.event) - interval '2 seconds'"""
    )
    return count
