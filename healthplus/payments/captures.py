"""Has the gateway do what the book has decided: capture, void or refund.

What this process has booked is captured from memory at once, and what the gateway answered is noted for many payments
together. All else, and what a process that died left behind, is read from the database: captures once they have been
due for thirty seconds (ledger.capture_patience), what goes back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from contextvars import Context
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from healthplus.database import Database, PostgresError, Record, repeat
from healthplus.errors import HealthPlusError
from healthplus.payments.accounts import Gateways, queries
from healthplus.payments.gateway import PaymentState
from healthplus.payments.polling import BATCH_MAX, keep_polling

logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(seconds=30)
IDLE_SECONDS = 0.5

NOTE_SECONDS = 0.1
"""How long answers gather before they are noted together."""
UNDER_WAY_MAX = 200
"""The most captures from memory at the gateway at once: at 150 ms each, 1,300 a second."""
REMEMBERED_MAX = 2000
"""The most that wait for that; what comes on top is left to be read from the database."""
REST_SECONDS = 5.0
"""How long nothing is captured from memory after the gateway could not be asked."""
_LAST_NOTE_SECONDS_MAX = 1.0


class Capture(NamedTuple):
    """Money set aside that has booked, and is due to be taken."""

    provider_id: int
    hold_id: UUID
    authorisation: str
    amount_minor: int
    currency: str


class Captures:
    """The background tasks; any number of processes may run them."""

    def __init__(self, database: Database, gateways: Gateways) -> None:
        self._database = database
        self._gateways = gateways
        self._remembered: deque[Capture] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[int, UUID, str, PaymentState]] = []
        self._captures_from_memory = False
        self._rests_until = 0.0

    async def run(self) -> None:
        """Do what the database says is due, until cancelled."""
        await keep_polling(self.poll, IDLE_SECONDS, self._database, "captures")

    async def run_from_memory(self) -> None:
        """Capture what is remembered, until cancelled; then note what has been answered, and leave the rest."""
        self._captures_from_memory = True
        try:
            await repeat(
                self._note_answers, NOTE_SECONDS, "captures could not be noted", self._database, name="capture notes"
            )
        finally:
            self._captures_from_memory = False
            self._remembered.clear()
            for worker in self._workers:
                worker.cancel()
            with contextlib.suppress(HealthPlusError, PostgresError, TimeoutError):
                async with asyncio.timeout(_LAST_NOTE_SECONDS_MAX):
                    await self._note_answers()

    def remember(self, capture: Capture) -> None:
        """Capture this as soon as may be, while run_from_memory runs; what cannot be is due in the database anyway."""
        if not self._captures_from_memory or len(self._remembered) >= REMEMBERED_MAX:
            return
        if asyncio.get_running_loop().time() < self._rests_until:
            return
        self._remembered.append(capture)
        if len(self._workers) < UNDER_WAY_MAX:
            worker = asyncio.create_task(self._work(), context=Context())  # it captures what others have booked, too
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        """Capture one after another until nothing is remembered, or the gateway cannot be asked."""
        while self._remembered:
            one = self._remembered.popleft()
            state = await self._try("capture", one.authorisation, one.amount_minor, one.currency)
            if state is None:
                self._rests_until = asyncio.get_running_loop().time() + REST_SECONDS
                self._remembered.clear()
                return
            self._answers.append((one.provider_id, one.hold_id, one.authorisation, state))

    async def _note_answers(self) -> None:
        """Note all that was answered since the last time, by one statement. What fails is left to the database."""
        answers, self._answers = self._answers, []
        if not answers:
            return
        try:
            await self._note(answers)
        except asyncio.CancelledError:  # as the process ends: they are noted once more
            self._answers = answers + self._answers
            raise

    async def poll(self) -> tuple[int, int]:
        """Do one batch of what is due; return how many were due, and how many of them failed."""
        due = await self._database.fetch(queries.take_due, BATCH_MAX, AGAIN_AFTER)
        done = await self.settle(due) if due else 0
        return len(due), len(due) - done

    async def settle(self, due: list[Record]) -> int:
        """Do what is due for these payments, and note it; return how many were done. The others stay due."""
        states = await asyncio.gather(
            *(self._try(row["due"], row["authorisation"], row["amount_minor"], row["currency"]) for row in due)
        )
        done = [
            (row["provider_id"], row["hold_id"], row["authorisation"], state)
            for row, state in zip(due, states, strict=True)
            if state
        ]
        if done:
            await self._note(done)
        return len(done)

    async def _note(self, answers: list[tuple[int, UUID, str, PaymentState]]) -> None:
        await self._database.execute(queries.note_states, *map(list, zip(*answers, strict=True)))

    async def _try(self, step: str, authorisation: str, amount_minor: int, currency: str) -> PaymentState | None:
        """Do a step at the gateway; return the state of the payment afterwards, or None where that is not known.

        `amount_minor`: all that was set aside or, of a refund, what goes back.
        """
        gateway, name = self._gateways.named(authorisation)
        try:
            match step:
                case "capture":
                    state = await gateway.capture(name, amount_minor, currency)
                    # Refunded by hand there: reconciliation compares the amounts.
                    return None if state == "refunded" else state
                case "void":
                    return await gateway.void(name)
                case _:
                    refund = await gateway.refund(name, amount_minor, currency)
                    if isinstance(refund, str):
                        return refund
                    return None if refund.state == "failed" else "refunded"
        except HealthPlusError as error:
            logger.warning("the payment gateway could not %s: %s", step, error.code)
            return None
