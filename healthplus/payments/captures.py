"""Tells the gateway what the book has decided: what is to be captured, voided or refunded."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

from healthplus.database import Database, PostgresError, Record, load
from healthplus.errors import HealthPlusError
from healthplus.payments.gateway import Gateway, Money

queries = load(Path(__file__).with_name("queries.sql"))
logger = logging.getLogger(__name__)

BATCH_MAX = 100
"""Also the most calls under way at the gateway at once."""
AGAIN_AFTER = timedelta(seconds=30)
IDLE_SECONDS = 0.5
ERROR_SECONDS_MAX = 30.0


class Captures:
    """The background task; any number of processes may run it."""

    def __init__(self, database: Database, gateway: Gateway) -> None:
        self._database = database
        self._gateway = gateway

    async def run(self) -> None:
        """Run until cancelled; waits longer after each error in a row, up to ERROR_SECONDS_MAX."""
        errors_in_a_row = 0
        while True:
            try:
                taken, failed = await self.sweep()
            except (HealthPlusError, PostgresError):
                logger.exception("what is due at the payment gateway could not be looked up or marked; trying again")
                taken, failed = 0, 1
            errors_in_a_row = errors_in_a_row + 1 if failed else 0
            if errors_in_a_row:
                await asyncio.sleep(min(2.0**errors_in_a_row, ERROR_SECONDS_MAX))
            elif taken < BATCH_MAX:
                await asyncio.sleep(IDLE_SECONDS)

    async def sweep(self) -> tuple[int, int]:
        """Do one batch of what is due; give how many were due, and how many of them failed."""
        due = await self._database.fetch(queries.take_due, BATCH_MAX, AGAIN_AFTER)
        done = await self.settle(due) if due else 0
        return len(due), len(due) - done

    async def settle(self, due: list[Record]) -> int:
        """Do what is due for these payments, and mark it; give how many were done. The others stay due."""
        answers = await asyncio.gather(*(self._step(row["due"], row["authorisation"]) for row in due))
        done = [
            (row["provider_id"], row["booking_id"], row["authorisation"], answer)
            for row, answer in zip(due, answers, strict=True)
            if answer
        ]
        if done:
            await self._database.execute(queries.mark, *map(list, zip(*done, strict=True)))
        return len(done)

    async def _step(self, step: str, authorisation: str) -> Money | None:
        try:
            match step:
                case "capture":
                    return await self._gateway.capture(authorisation)
                case "void":
                    return await self._gateway.void(authorisation)
                case _:
                    return await self._gateway.refund(authorisation)
        except HealthPlusError as error:
            logger.warning("the payment gateway could not %s: %s", step, error.code)
            return None
