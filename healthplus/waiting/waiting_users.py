"""WaitingUsers: the waiting patients who are connected to this process, and the long polls that answer them.

The tickets are in the database, in order; this answers their clients promptly when a ticket changes. It may run in any
number of processes, and nothing is lost when one dies: a client that polls another process keeps its position.

A long poll holds no database connection. Each provider's queue is read when the change feed names its book, or at most
a second later. Offers and endings are answered at once, other changes at most once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextvars import Context
from datetime import datetime
from uuid import UUID

from healthplus.accounts.actors import Actor, Patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Joined, JoinRefused, Refused, TicketState
from healthplus.database import Database, PostgresError, Record, repeat
from healthplus.errors import DatabaseUnreachable, HealthPlusError
from healthplus.idle import idle
from healthplus.metrics import CONNECTED
from healthplus.waiting.positions import Line, QueuePosition
from healthplus.waiting.presence import Presence, queries
from healthplus.waiting.waiters import ConnectedQueue, Waiter, end_poll

logger = logging.getLogger(__name__)

DRAIN_SIGNAL = signal.SIGUSR1
"""The signal that an app process gets before it is asked to end."""
POLL_SECONDS_MAX = 25.0
POSITIONS_EVERY_SECONDS = 1.0
LOOK_EVERY_SECONDS = 1.0
"""How late a change is noticed at most when the change feed did not bring it."""
TRUST_SECONDS = 3.0
"""How long what was read of a queue counts as current without another look at its book."""
LINGER_SECONDS = 30.0
"""How long a client may take between two polls before it is forgotten."""
POLLS_PER_TICKET_MAX = 4
"""Polls of one ticket's tabs and devices; one more ends the oldest."""
READ_TOGETHER_MAX = 100
"""Tickets of which a change is looked at in one go: a millisecond or two."""
MOVE_TOGETHER_MAX = 500
"""Tickets that are moved in one go, for as long."""
_LIVE: tuple[TicketState, ...] = ("waiting", "offered", "called")


class WaitingUsers:
    """The waiting room of one process."""

    def __init__(self, database: Database, book: Book) -> None:
        self._database = database
        self._book = book
        self._presence = Presence(database)
        self._queues: dict[int, ConnectedQueue] = {}
        self._reads: set[asyncio.Task[None]] = set()
        self.draining = False

    async def join(  # noqa: PLR0913
        self,
        provider_id: int,
        clinic_id: int | None,
        window: tuple[datetime, datetime],
        slots_needed: int,
        patient_id: int,
        actor: Actor,
        key: str | None,
        *,
        person_id: UUID | None = None,
        token_hash: bytes | None = None,
        service_ids: Sequence[int] = (),
    ) -> JoinRefused | tuple[Joined, QueuePosition | None]:
        """Join a queue for slots, or for services, for a visit in `window`; what is kept free after it may go beyond.

        Return the refusal, or Book.join_queue's outcome and the ticket.
        """
        window_from, window_to = window
        if service_ids:
            window_to += await self._database.fetch_value(queries.buffer, service_ids)
        outcome = await self._book.join_queue(
            provider_id,
            clinic_id,
            window_from,
            window_to,
            slots_needed,
            patient_id,
            actor,
            key,
            person_id=person_id,
            token_hash=token_hash,
            service_ids=service_ids,
        )
        if isinstance(outcome, Refused):
            return outcome
        # With those of others who have joined meanwhile, since a position is counted from the head of the queue.
        with self._connected(provider_id, outcome.ticket_id) as (queue, waiter):
            await self._request_read(provider_id, queue, outcome.ticket_id)
            ticket = waiter.ticket
        if ticket is not None and ticket.state == "offered":
            await self._presence.see(provider_id, ticket.ticket_id, ticket.offer_id)
        return outcome, ticket

    async def look(
        self, provider_id: int, ticket_id: UUID, patient_id: int, *, is_present: bool = True, seen: bool = True
    ) -> QueuePosition | None:
        """Return a patient's ticket as it is now, or None if they have no such ticket.

        Its client counts as present unless `is_present` is false. `seen`: somebody sees what it shows; a page in a
        hidden tab has not shown an offer to anyone.
        """
        if not is_present:
            return await self._read(provider_id, ticket_id, patient_id)
        ticket = await self._read_for_client(provider_id, ticket_id, patient_id)
        if ticket is not None:
            await self._note_presence(provider_id, ticket, shown=seen)
        return ticket

    def note_refused(self, token_hash: bytes, ticket_id: UUID) -> None:
        """Note that a client polled with this token and was not answered: it counts as present, if it is its ticket."""
        self._presence.see_unchecked(token_hash, ticket_id)

    async def poll(
        self, provider_id: int, ticket_id: UUID, patient_id: int, after: str, *, seen: bool = True
    ) -> QueuePosition | None:
        """Return a ticket as soon as its version differs from `after`, at the latest after POLL_SECONDS_MAX.

        None if the patient has no such ticket. The client counts as present meanwhile; `seen` is as for `look`. While
        this process drains, the answer comes at once.
        """
        with self._connected(provider_id, ticket_id) as (queue, waiter):
            # The waiter was registered before reading, so that a change after the read wakes it. A client that has seen
            # another version may have seen a later one: it must not be answered with what it has just changed.
            if waiter.ticket is None or waiter.version != after or not self._is_current(queue):
                await self._request_read(provider_id, queue, ticket_id)
            if waiter.ticket is None or waiter.ticket.patient_id != patient_id:
                return None
            if waiter.ticket.current is False:
                await self._read_for_client(provider_id, ticket_id, patient_id)
                await self._request_read(provider_id, queue, ticket_id)
            ticket = waiter.ticket
            # An offer was certainly shown only to a client that comes back with its version.
            await self._note_presence(provider_id, ticket, shown=seen and ticket.version == after)
            if waiter.ticket.version == after and ticket.state in _LIVE and not self.draining:
                await self._wait(waiter)
                if not self._is_current(queue):
                    return await self._read(provider_id, ticket_id, patient_id)
            return waiter.ticket

    async def tickets_of(self, patient_id: int, ticket_id: UUID | None = None) -> list[tuple[int, UUID]]:
        """Return (provider_id, ticket_id) of a patient's tickets that are not over.

        With `ticket_id`, return it with its provider if it is theirs, over or not; else nothing.
        """
        rows = await self._database.fetch(queries.tickets_of_patient, patient_id, ticket_id)
        return [(row["provider_id"], row["ticket_id"]) for row in rows]

    def on_change(self, provider_ids: Iterable[int]) -> None:
        """Read the queues of books that may have changed, and answer the polls concerned; returns at once."""
        for provider_id in provider_ids:
            if (queue := self._queues.get(provider_id)) is not None:
                queue.changed = True
                self._start_reading(provider_id, queue)

    def sample(self) -> None:
        """Set the gauge of how many tickets' clients are connected."""
        CONNECTED.set(sum(1 for queue in self._queues.values() for one in queue.waiters.values() if one.users))

    def drain(self) -> None:
        """Answer every poll now, and later ones at once, so that this process can end."""
        self.draining = True
        for queue in self._queues.values():
            for waiter in queue.waiters.values():
                waiter.wake()

    async def run(self) -> None:
        """Note presence and look for changes until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._presence.run())
                tasks.create_task(
                    repeat(self._look_for_changes, LOOK_EVERY_SECONDS, "queues could not be looked at", name="queues")
                )
        finally:
            for read in self._reads:
                read.cancel()

    @contextlib.contextmanager
    def _connected(self, provider_id: int, ticket_id: UUID) -> Iterator[tuple[ConnectedQueue, Waiter]]:
        """Count a ticket's client as connected for this block."""
        now = asyncio.get_running_loop().time
        queue = self._queues.setdefault(provider_id, ConnectedQueue())
        waiter = queue.waiters.setdefault(ticket_id, Waiter(now()))
        waiter.users += 1
        waiter.seen = now()
        try:
            yield queue, waiter
        finally:
            waiter.seen = now()
            waiter.users -= 1
            if waiter.ticket is None and not waiter.users:
                self._forget(provider_id, queue, ticket_id)

    async def _request_read(self, provider_id: int, queue: ConnectedQueue, ticket_id: UUID) -> None:
        """Have a ticket read, together with all others of its queue that are requested meanwhile."""
        done = queue.requested.get(ticket_id)
        if done is None:
            done = queue.requested[ticket_id] = asyncio.get_running_loop().create_future()
        self._start_reading(provider_id, queue)
        async with idle():  # the more ask meanwhile, the more are read at once
            await asyncio.shield(done)

    async def _wait(self, waiter: Waiter) -> None:
        if len(waiter.polls) >= POLLS_PER_TICKET_MAX:
            end_poll(waiter.polls[0])
        poll: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(POLL_SECONDS_MAX, end_poll, poll)
        waiter.polls.append(poll)
        try:
            async with idle():
                await poll
        finally:
            timer.cancel()
            waiter.polls.remove(poll)

    async def _read_for_client(self, provider_id: int, ticket_id: UUID, patient_id: int) -> QueuePosition | None:
        """Read a ticket for its client, who is connected; one that was passed over resumes its turn first."""
        ticket = await self._read(provider_id, ticket_id, patient_id)
        if ticket is not None and ticket.current is False and self._database.space.has_room_for_changes:
            # This comes before its presence is noted. An absent ticket that only looked present again would not be
            # offered anything, and an offer that lapsed unseen must not count as shown.
            await self._book.resume(provider_id, ticket_id, Patient(patient_id))
            ticket = await self._read(provider_id, ticket_id, patient_id)
        return ticket

    async def _note_presence(self, provider_id: int, ticket: QueuePosition, *, shown: bool) -> None:
        if ticket.state in _LIVE:
            await self._presence.see(provider_id, ticket.ticket_id, ticket.offer_id if shown else None)

    async def _read(self, provider_id: int, ticket_id: UUID, patient_id: int) -> QueuePosition | None:
        row = await self._database.fetch_row(queries.positions, provider_id, [ticket_id], patient_id)
        return None if row is None else QueuePosition(*row)

    def _start_reading(self, provider_id: int, queue: ConnectedQueue) -> None:
        if not queue.reading:
            queue.reading = True
            # It works for many: what it logs is about none of their requests.
            task = asyncio.create_task(self._keep_reading(provider_id, queue), context=Context())
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)

    async def _keep_reading(self, provider_id: int, queue: ConnectedQueue) -> None:
        """Read requested tickets, changes and positions, one after another, until there are no more."""
        requested: dict[UUID, asyncio.Future[None]] = {}
        now = asyncio.get_running_loop().time
        try:
            # Each has its turn, so that neither many new clients nor many changes hold up the others.
            while queue.requested or (queue.changed and queue.version is not None) or now() >= queue.positions_due_at:
                if queue.changed and queue.version is not None:
                    queue.changed = False
                    await self._read_changes(provider_id, queue, queue.version)
                if now() >= queue.positions_due_at:
                    queue.positions_read_at, queue.positions_due_at = now(), math.inf
                    await self._move(provider_id, queue)
                if queue.requested:
                    requested, queue.requested = queue.requested, {}
                    await self._read_positions(provider_id, queue, requested)
                    for done in requested.values():
                        done.set_result(None)
                    requested = {}
        except (HealthPlusError, PostgresError) as error:
            if not isinstance(error, DatabaseUnreachable):
                logger.warning("a queue could not be read: %s", type(error).__name__)
            queue.version, queue.positions_due_at = None, -math.inf  # all of it is read again, soon
            for done in (requested | queue.requested).values():
                done.set_exception(error)
        finally:
            queue.reading = False
            for done in (requested | queue.requested).values():
                done.cancel()
            queue.requested = {}

    async def _read_changes(self, provider_id: int, queue: ConnectedQueue, since: int) -> None:
        changes = await self._database.fetch_row(queries.changes_since, provider_id, since)
        assert changes is not None
        if changes["version"] is not None:
            queue.positions_due_at = min(queue.positions_due_at, queue.positions_read_at + POSITIONS_EVERY_SECONDS)
            # Tickets that were offered a slot, ended or were passed over: their polls are answered now.
            if concerned := queue.waiters.keys() & set(changes["tickets"] or ()):
                await self._read_positions(provider_id, queue, concerned)
            queue.version = changes["version"]
        queue.current_at = asyncio.get_running_loop().time()

    async def _read_positions(self, provider_id: int, queue: ConnectedQueue, tickets: Iterable[UUID]) -> None:
        """Read these tickets, and answer the polls of those that changed."""
        rows = await self._database.fetch(queries.positions, provider_id, list(tickets), None)
        for number, row in enumerate(rows, start=1):
            if number % READ_TOGETHER_MAX == 0:  # other requests have their turn
                await asyncio.sleep(0)
            if waiter := queue.waiters.get(row["ticket_id"]):
                waiter.show(QueuePosition(*row))
            if queue.version is None:
                queue.version, queue.current_at = row["book_version"], asyncio.get_running_loop().time()

    async def _move(self, provider_id: int, queue: ConnectedQueue) -> None:
        """Bring everyone's position up to date; read afresh only whom the line does not tell all of."""
        windows = list({waiter.ticket.window for waiter in queue.waiters.values() if waiter.ticket is not None})
        if queue.version is None or not windows:
            await self._read_positions(provider_id, queue, queue.waiters)
            return
        row = await self._database.fetch_row(queries.line, provider_id, *zip(*windows, strict=True))
        assert row is not None
        line = Line.of(row, windows)
        unknown = []
        for number, (ticket_id, waiter) in enumerate(list(queue.waiters.items()), start=1):
            if number % MOVE_TOGETHER_MAX == 0:  # other requests have their turn
                await asyncio.sleep(0)
            ticket = waiter.ticket
            if ticket is not None and ticket.state not in _LIVE:  # it is over, and moves no more
                continue
            if ticket is None or (moved := ticket.moved(line)) is None:
                unknown.append(ticket_id)
            else:
                waiter.show(moved)
        if unknown:
            await self._read_positions(provider_id, queue, unknown)

    async def _look_for_changes(self) -> None:
        """Find changes that the change feed did not bring, and forget the clients that have gone."""
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
                # The database was restored, or a fail-over lost something: what was read here never happened.
                found.version, found.positions_due_at = None, -math.inf
            if version != found.version or found.positions_due_at <= now:
                self.on_change((provider_id,))
            else:
                found.current_at = now

    def _is_current(self, queue: ConnectedQueue | None) -> bool:
        return queue is not None and asyncio.get_running_loop().time() - queue.current_at < TRUST_SECONDS

    def _forget(self, provider_id: int, queue: ConnectedQueue, ticket_id: UUID) -> None:
        queue.waiters.pop(ticket_id, None)
        if not queue.waiters and self._queues.get(provider_id) is queue:
            del self._queues[provider_id]
