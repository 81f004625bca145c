"""What one process knows of the waiting patients whose clients are connected to it, for each provider's queue."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from uuid import UUID

from healthplus.waiting.positions import QueuePosition


@dataclass(eq=False, slots=True)
class Waiter:
    """A ticket whose client is connected here or was a moment ago.

    `users`: how many polls of it are under way. `version`: of `ticket`.
    """

    seen: float
    users: int = 0
    ticket: QueuePosition | None = None
    version: str = ""
    polls: list[asyncio.Future[None]] = field(default_factory=list)

    def show(self, ticket: QueuePosition) -> None:
        """Keep what is now known of the ticket, and answer its polls if its client should see that."""
        before, self.ticket, self.version = self.version, ticket, ticket.version
        if self.version != before or not ticket.current:
            self.wake()

    def wake(self) -> None:
        for poll in self.polls:
            end_poll(poll)


@dataclass(eq=False, slots=True)
class ConnectedQueue:
    """One provider's waiters.

    `version`: of its book, up to which its changes have been read here; `current_at`: when that was last certain.
    `requested`: the tickets to read next, with what to resolve then.
    """

    waiters: dict[UUID, Waiter] = field(default_factory=dict)
    requested: dict[UUID, asyncio.Future[None]] = field(default_factory=dict)
    version: int | None = None
    current_at: float = -math.inf
    positions_due_at: float = math.inf
    positions_read_at: float = -math.inf
    reading: bool = False
    changed: bool = False


def end_poll(poll: asyncio.Future[None]) -> None:
    """Answer a long poll, unless it was answered."""
    if not poll.done():
        poll.set_result(None)
