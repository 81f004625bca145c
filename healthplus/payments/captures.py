"""Has the gateway do what the book has decided: capture, void or refund."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

from healthplus.database import Database, Record, load
from healthplus.errors import HealthPlusError
from healthplus.payments.gateway import Gateway, PaymentState
from healthplus.payments.polling import BATCH_MAX, keep_polling

queries = load(Path(__file__).with_name("queries.sql"))
logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(seconds=30)
IDLE_SECONDS = 0.5


class Captures:
    """The background task; any number of processes may run it."""

    def __init__(self, database: Database, gateway: Gateway) -> None:
        self._database = database
        self._gateway = gateway

    async def run(self) -> None:
        """Run until cancelled."""
        await keep_polling(self.poll, IDLE_SECONDS, self._database)

    async def poll(self) -> tuple[int, int]:
        """Do one batch of what is due; return how many were due, and how many of them failed."""
        due = await self._database.fetch(queries.take_due, BATCH_MAX, AGAIN_AFTER)
        done = await self.settle(due) if due else 0
        return len(due), len(due) - done

    async def settle(self, due: list[Record]) -> int:
        """Do what is due for these payments, and note it; return how many were done. The others stay due."""
        states = await asyncio.gather(*(self._step(row) for row in due))
        done = [
            (row["provider_id"], row["hold_id"], row["authorisation"], state)
            for row, state in zip(due, states, strict=True)
            if state
        ]
        if done:
            await self._database.execute(queries.note_states, *map(list, zip(*done, strict=True)))
        return len(done)

    async def _step(self, row: Record) -> PaymentState | None:
        try:
            match row["due"]:
                case "capture":
                    return await self._gateway.capture(row["authorisation"], row["amount_minor"], row["currency"])
                case "void":
                    return await self._gateway.void(row["authorisation"])
                case _:
                    return await self._gateway.refund(row["authorisation"])
        except HealthPlusError as error:
            logger.warning("the payment gateway could not %s: %s", row["due"], error.code)
            return None
