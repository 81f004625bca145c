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
from healthplus.errors import BadInput, HealthPlusError
from healthplus.payments.accounts import Gateways, queries
from healthplus.payments.gateway import GatewayRefund, PaymentState
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
    method: str = ""


class Captures:
    """The background tasks; any number of processes may run them."""

    def __init__(self, database: Database, gateways: Gateways) -> None:
        self._database = database
        self._gateways = gateways
        self._remembered: deque[Capture] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[int, UUID, str, PaymentState, str]] = []
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
            self._answers.append((one.provider_id, one.hold_id, one.authorisation, state, one.method))

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
        answers = await asyncio.gather(*(self._do(row) for row in due))
        states, refunds = [], []
        for row, answer in zip(due, answers, strict=True):
            payment = (row["provider_id"], row["hold_id"], row["authorisation"])
            if isinstance(answer, GatewayRefund):
                refunds.append((*payment, *_noted(answer, row)))
            elif answer:
                states.append((*payment, answer, ""))
        if states:
            await self._note(states)
        if refunds:
            await self._database.execute(queries.note_refunds, *map(list, zip(*refunds, strict=True)))
        return len(states) + len(refunds)

    async def _do(self, row: Record) -> GatewayRefund | PaymentState | None:
        """Do a step that is due at the gateway; None where it is not known what came of it."""
        if row["due"] != "refund":
            return await self._try(row["due"], row["authorisation"], row["amount_minor"], row["currency"])
        if not row["amount_minor"]:  # all of it went back in parts
            return "refunded"
        return await self._refund(row["authorisation"], row["amount_minor"], row["currency"], row["key"])

    async def _note(self, answers: list[tuple[int, UUID, str, PaymentState, str]]) -> None:
        await self._database.execute(queries.note_states, *map(list, zip(*answers, strict=True)))

    async def _try(self, step: str, authorisation: str, amount_minor: int, currency: str) -> PaymentState | None:
        """Capture or void at the gateway; return the payment's state afterwards, or None where that is not known."""
        gateway, name = self._gateways.named(authorisation)
        try:
            if step == "void":
                return await gateway.void(name)
            state = await gateway.capture(name, amount_minor, currency)
        except HealthPlusError as error:
            logger.warning("the payment gateway could not %s: %s", step, error.code)
            return None
        # Refunded by hand there: reconciliation brings the refund.
        return None if state == "refunded" else state

    async def _refund(
        self, authorisation: str, amount_minor: int, currency: str, key: str
    ) -> GatewayRefund | PaymentState | None:
        """Order a refund at the gateway, or ask how it stands; None where that is not known.

        What the gateway refuses for good has failed. `key`: "" of all that is left of a payment.
        """
        gateway, name = self._gateways.named(authorisation)
        refused = GatewayRefund("", key, amount_minor, "failed")
        try:
            answer = await gateway.refund(name, amount_minor, currency, key)
        except BadInput as error:
            logger.warning("the payment gateway refused a refund: %s", error.code)
            return refused
        except HealthPlusError as error:
            logger.warning("the payment gateway could not refund: %s", error.code)
            return None
        return refused if key and isinstance(answer, str) else answer


def _noted(refund: GatewayRefund, row: Record) -> tuple[str, str, int, str, str]:
    """Return what is noted of an answer to an order, under the key and amount that were ordered."""
    return row["key"], refund.name, row["amount_minor"], refund.state, refund.reference
