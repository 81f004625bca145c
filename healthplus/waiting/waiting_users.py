"""WaitingUsers: those who wait for a provider and are connected here, and their wake-ups.

The tickets are in the database, in order; this only tells their clients, promptly, what has become of them. It may run
in any number of processes and dies without loss: a client that asks again, anywhere, has its place.

A long poll holds no database connection. Each provider's queue is read when a hint comes that its book has changed, or
at most a second later: offers and endings are told at once, other changes at most once a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from healthplus.booking.book import Book, Outcome
from healthplus.database import Database, PostgresError, Record
from healthplus.errors import HealthPlusError
from healthplus.waiting.presence import Presence, queries

logger = logging.getLogger(__name__)

DRAIN_SIGNAL = signal.SIGUSR1
"""Sent to an app process before it is told to end."""
POLL_SECONDS_MAX = 25.0
PLACES_EVERY_SECONDS = 1.0
LOOK_EVERY_SECONDS = 1.0
"""How late a change is heard of at most when its hint was lost."""
TRUST_SECONDS = 3.0
"""How long what is known here of a queue counts as so without a look at its book."""
LINGER_SECONDS = 30.0
"""How long a client that is between two polls is kept track of."""
POLLS_PER_TICKET_MAX = 4
"""A ticket's tabs and devices; the longest open is answered for one more."""
_LIVE = ("waiting", "offered")
NEAR = 50
"""Positions up to here are told one by one; further back, whenever they have become less by a tenth."""


class Place(msgspec.Struct, frozen=True):
    """A ticket as its client is to see it. `version` changes whenever there is something to tell.

    `current`: a waiting client counts as present; an offer can still be accepted. `holds`: how many live holds, offers
    among them, may yet free what it wants, and when the first of them can lapse by the server's clock.
    """

    ticket_id: UUID
    patient_id: int
    number: int
    clinic_id: int | None
    wanted_from: datetime
    wanted_to: datetime
    slots_needed: int
    joined_at: datetime
    expires_at: datetime
    state: str
    current: bool | None
    position: int | None
    holds: int | None
    next_lapse_at: datetime | None
    offer_id: UUID | None
    offer_clinic_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    deadline: datetime | None
    fee_paise: int | None
    book_version: int

    @property
    def version(self) -> str:
        told: tuple[object, ...] = (self.state, self.offer_id, self.deadline)
        if self.position is not None:
            near = self.position <= NEAR
            told = (self.position, self.holds, self.next_lapse_at) if near else (int(math.log(self.position, 1.1)),)
        return hashlib.blake2s(repr(told).encode(), digest_size=8).hexdigest()


@dataclass(eq=False, slots=True)
class _Waiter:
    """A ticket whose client is connected here or was a moment ago."""

    seen: float
    users: int = 0
    place: Place | None = None
    polls: list[asyncio.Future[None]] = field(default_factory=list)

    def wake(self) -> None:
        for poll in self.polls:
            _end(poll)


@dataclass(eq=False, slots=True)
class _Queue:
    """One provider's waiters. `version`: of its book, up to which it is known here what happened."""

    waiters: dict[UUID, _Waiter] = field(default_factory=dict)
    asked: dict[UUID, asyncio.Future[None]] = field(default_factory=dict)
    version: int | None = None
    known_at: float = -math.inf
    places_due_at: float = math.inf
    places_read_at: float = -math.inf
    reading: bool = False
    changed: bool = False


class WaitingUsers:
    """The waiting room of one process."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._presence = Presence(database)
        self._queues: dict[int, _Queue] = {}
        self._reads: set[asyncio.Task[None]] = set()
        self.draining = False

    async def join(
        self,
        provider_id: int,
        clinic_id: int | None,
        wanted: tuple[datetime, datetime],
        slots_needed: int,
        patient_id: int,
        actor: str,
        key: str | None,
    ) -> tuple[Outcome, Place | None]:
        """Join a queue; an outcome of Book.join_queue, with the place it gave."""
        outcome = await self._book.join_queue(provider_id, clinic_id, *wanted, slots_needed, patient_id, actor, key)
        if outcome.ticket_id is None:
            return outcome, None
        place = await self._read(provider_id, outcome.ticket_id, patient_id)
        if place is not None and place.state == "offered":
            await self._presence.see(provider_id, place.ticket_id, place.offer_id)
        return outcome, place

    async def look(self, provider_id: int, ticket_id: UUID, patient_id: int) -> Place | None:
        """Give a patient's ticket as it is now, and note that its client is there; None: they have no such ticket."""
        place = await self._return(provider_id, ticket_id, patient_id)
        if place is not None:
            await self._see(provider_id, place, shown=True)
        return place

    async def poll(self, provider_id: int, ticket_id: UUID, patient_id: int, after: str) -> Place | None:
        """Give a ticket as soon as its version is not `after`, at the latest in POLL_SECONDS_MAX.

        The client counts as present meanwhile. At once where this process drains.
        """
        now = asyncio.get_running_loop().time
        queue = self._queues.setdefault(provider_id, _Queue())
        waiter = queue.waiters.setdefault(ticket_id, _Waiter(now()))
        waiter.users += 1
        try:
            waiter.seen = now()
            # Registered before reading: whatever happens after the read wakes it.
            if waiter.place is None or not self._knows(queue):
                await self._ask(provider_id, queue, ticket_id)
            if waiter.place is None or waiter.place.patient_id != patient_id:
                return None
            if waiter.place.current is False:
                await self._return(provider_id, ticket_id, patient_id)
                await self._ask(provider_id, queue, ticket_id)
            place = waiter.place
            # An offer was certainly shown only to a client that comes back knowing it.
            await self._see(provider_id, place, shown=place.version == after)
            if waiter.place.version == after and place.state in _LIVE and not self.draining:
                await self._wait(waiter)
                if not self._knows(queue):
                    return await self._read(provider_id, ticket_id, patient_id)
            return waiter.place
        finally:
            waiter.seen = now()
            waiter.users -= 1
            if waiter.place is None and not waiter.users:
                self._forget(provider_id, queue, ticket_id)

    async def tickets_of(self, patient_id: int, ticket_id: UUID | None = None) -> list[tuple[int, UUID]]:
        """Give provider and id of a patient's tickets that are not over, or of one of theirs, over or not."""
        rows = await self._database.fetch(queries.tickets_of_patient, patient_id, ticket_id)
        return [(row["provider_id"], row["ticket_id"]) for row in rows]

    def heard(self, provider_ids: Iterable[int]) -> None:
        """Take a hint that these books may have changed."""
        for provider_id in provider_ids:
            if (queue := self._queues.get(provider_id)) is not None:
                queue.changed = True
                self._start_reading(provider_id, queue)

    def drain(self) -> None:
        """Answer every poll now, and all to come at once, so that this process can end."""
        self.draining = True
        for queue in self._queues.values():
            for waiter in queue.waiters.values():
                waiter.wake()

    async def run(self) -> None:
        """Look after the queues until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._presence.run())
                tasks.create_task(_every(LOOK_EVERY_SECONDS, self._look_for_changes))
        finally:
            for read in self._reads:
                read.cancel()

    async def _ask(self, provider_id: int, queue: _Queue, ticket_id: UUID) -> None:
        """Have a ticket read, together with all others of its queue that are asked for meanwhile."""
        answer = queue.asked.get(ticket_id)
        if answer is None:
            answer = queue.asked[ticket_id] = asyncio.get_running_loop().create_future()
        self._start_reading(provider_id, queue)
        await asyncio.shield(answer)

    async def _wait(self, waiter: _Waiter) -> None:
        if len(waiter.polls) >= POLLS_PER_TICKET_MAX:
            _end(waiter.polls[0])
        poll: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(POLL_SECONDS_MAX, _end, poll)
        waiter.polls.append(poll)
        try:
            await poll
        finally:
            timer.cancel()
            waiter.polls.remove(poll)

    async def _return(self, provider_id: int, ticket_id: UUID, patient_id: int) -> Place | None:
        """Read a ticket for its client, who is there; the queue is looked at anew for one that was passed over."""
        place = await self._read(provider_id, ticket_id, patient_id)
        if place is not None and place.current is False:
            # Before it is noted as seen: an absent ticket that merely looked present again would wake nobody, and an
            # offer that lapsed unseen must not count as shown.
            await self._book.resume(provider_id, ticket_id, patient_id)
            place = await self._read(provider_id, ticket_id, patient_id)
        return place

    async def _see(self, provider_id: int, place: Place, *, shown: bool) -> None:
        if place.state in _LIVE:
            await self._presence.see(provider_id, place.ticket_id, place.offer_id if shown else None)

    async def _read(self, provider_id: int, ticket_id: UUID, patient_id: int) -> Place | None:
        row = await self._database.fetch_row(queries.places, provider_id, [ticket_id], patient_id)
        return None if row is None else Place(*row)

    def _start_reading(self, provider_id: int, queue: _Queue) -> None:
        if not queue.reading:
            queue.reading = True
            task = asyncio.create_task(self._keep_reading(provider_id, queue))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)

    async def _keep_reading(self, provider_id: int, queue: _Queue) -> None:
        """Read what is asked for and what has happened, one after another, until nothing more is."""
        asked: dict[UUID, asyncio.Future[None]] = {}
        now = asyncio.get_running_loop().time
        try:
            # Each in turn, so that neither a rush of newcomers nor one of changes keeps the others waiting.
            while queue.asked or (queue.changed and queue.version is not None) or now() >= queue.places_due_at:
                if queue.changed and queue.version is not None:
                    queue.changed = False
                    await self._read_changes(provider_id, queue, queue.version)
                if now() >= queue.places_due_at:
                    queue.places_read_at, queue.places_due_at = now(), math.inf
                    await self._read_places(provider_id, queue, queue.waiters)
                if queue.asked:
                    asked, queue.asked = queue.asked, {}
                    await self._read_places(provider_id, queue, asked)
                    for answer in asked.values():
                        answer.set_result(None)
                    asked = {}
        except (HealthPlusError, PostgresError) as error:
            logger.warning("a queue could not be read: %s", type(error).__name__)
            queue.version, queue.places_due_at = None, -math.inf  # all of it is read again, soon
            for answer in (asked | queue.asked).values():
                answer.set_exception(error)
        finally:
            queue.reading = False
            for answer in (asked | queue.asked).values():
                answer.cancel()
            queue.asked = {}

    async def _read_changes(self, provider_id: int, queue: _Queue, since: int) -> None:
        news = await self._database.fetch_row(queries.events_since, provider_id, since)
        assert news is not None
        if news["version"] is not None:
            queue.places_due_at = min(queue.places_due_at, queue.places_read_at + PLACES_EVERY_SECONDS)
            # Offered, over or passed over: these are told now.
            if concerned := queue.waiters.keys() & set(news["tickets"] or ()):
                await self._read_places(provider_id, queue, concerned)
            queue.version = news["version"]
        queue.known_at = asyncio.get_running_loop().time()

    async def _read_places(self, provider_id: int, queue: _Queue, tickets: Iterable[UUID]) -> None:
        """Read these tickets, and wake those of whom there is something to tell."""
        for row in await self._database.fetch(queries.places, provider_id, list(tickets), None):
            if waiter := queue.waiters.get(row["ticket_id"]):
                before, waiter.place = waiter.place, Place(*row)
                if before is None or before.version != waiter.place.version or not waiter.place.current:
                    waiter.wake()
            if queue.version is None:
                queue.version, queue.known_at = row["book_version"], asyncio.get_running_loop().time()

    async def _look_for_changes(self) -> None:
        """Look for what no hint told, and forget who has gone."""
        now = asyncio.get_running_loop().time()
        for provider_id, queue in list(self._queues.items()):
            for ticket_id, waiter in list(queue.waiters.items()):
                if not waiter.users and now - waiter.seen > LINGER_SECONDS:
                    self._forget(provider_id, queue, ticket_id)
        if not self._queues:
            return
        rows: list[Record] = await self._database.fetch(queries.versions, list(self._queues))
        for provider_id, version in rows:
            if (found := self._queues.get(provider_id)) is None:
                continue
            if found.version is not None and version < found.version:
                # A restored database, or a fail-over that lost something: what is known of it here never happened.
                found.version, found.places_due_at = None, -math.inf
            if version != found.version or found.places_due_at <= now:
                self.heard((provider_id,))
            else:
                found.known_at = now

    def _knows(self, queue: _Queue | None) -> bool:
        return queue is not None and asyncio.get_running_loop().time() - queue.known_at < TRUST_SECONDS

    def _forget(self, provider_id: int, queue: _Queue, ticket_id: UUID) -> None:
        queue.waiters.pop(ticket_id, None)
        if not queue.waiters and self._queues.get(provider_id) is queue:
            del self._queues[provider_id]


def _end(poll: asyncio.Future[None]) -> None:
    if not poll.done():
        poll.set_result(None)


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except (HealthPlusError, PostgresError) as error:
            logger.warning("queues could not be looked at: %s", type(error).__name__)
