"""What has become of money, where it was not the answer to who paid: told by a webhook, or found at the gateway.

What was asked for is looked for, by `payments.intent`: twenty seconds after the asking, every thirty while the hold may
live and a little longer, then ever more seldom. Where the money has come and is captured, one more look an hour
after the asking is for a second payment that no webhook told of; where none comes, two days are enough.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from healthplus.booking.book import Book
from healthplus.database import Database, PostgresError
from healthplus.errors import HealthPlusError, NotFound
from healthplus.payments.captures import queries
from healthplus.payments.gateway import Fact, Gateway
from healthplus.payments.polling import BATCH_MAX, keep_sweeping

logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(seconds=20)
"""So that money due back is ordered back within a minute, also where one look at the gateway fails."""
IDLE_SECONDS = 5.0
_ID_MAX = 2**63 - 1


def key_of(provider_id: int, hold_id: UUID) -> str:
    """Give the gateway's key for a hold; it tells whose book it is."""
    return f"{provider_id}:{hold_id}"


def _ids_of(key: str) -> tuple[int, UUID]:
    provider_id, _, hold_id = key.partition(":")
    try:
        ids = int(provider_id), UUID(hold_id)
    except ValueError:
        raise NotFound from None
    if not 0 < ids[0] <= _ID_MAX or key_of(*ids) != key:
        raise NotFound
    return ids


class Learning:
    """Takes webhooks, and looks at the gateway in the background; any number of processes may run that."""

    def __init__(self, database: Database, book: Book, gateway: Gateway) -> None:
        self._database = database
        self._book = book
        self._gateway = gateway

    async def receive(self, headers: Mapping[str, str], body: bytes) -> None:
        """Take a webhook; once this returns, it and its effect are kept.

        Raises BadSignature, and NotFound for money that was never asked for here.
        """
        event = self._gateway.read_webhook(headers, body)
        if event is not None and await self._learn(*_ids_of(event.key), event.fact, "webhook", event.id) == "unknown":
            raise NotFound

    async def run(self) -> None:
        """Look at the gateway until cancelled."""
        await keep_sweeping(self.sweep, IDLE_SECONDS)

    async def sweep(self) -> tuple[int, int]:
        """Do one batch of what is due for a look; give how many were due, and how many of them failed."""
        due = await self._database.fetch(queries.take_intents, BATCH_MAX, AGAIN_AFTER)
        seen = await asyncio.gather(*(self._look(row["provider_id"], row["hold_id"]) for row in due))
        looked = [(row["provider_id"], row["hold_id"]) for row, was_seen in zip(due, seen, strict=True) if was_seen]
        if looked:
            await self._database.execute(queries.looked, *map(list, zip(*looked, strict=True)))
        return len(due), len(due) - len(looked)

    async def _look(self, provider_id: int, hold_id: UUID) -> bool:
        try:
            facts = await self._gateway.fetch(key_of(provider_id, hold_id))
            known = await self._database.fetch(queries.known, provider_id, hold_id) if facts else []
            for fact in facts:
                if (fact.authorisation, fact.state) not in {(row["authorisation"], row["state"]) for row in known}:
                    await self._learn(provider_id, hold_id, fact, "fetch")
        except HealthPlusError as error:
            logger.warning("the payment gateway could not be looked at: %s", error.code)
            return False
        except PostgresError:
            # A fault about one payment must not keep the others from being looked at.
            logger.exception("what the gateway says of a payment for provider %s could not be noted", provider_id)
            return False
        return True

    async def _learn(
        self, provider_id: int, hold_id: UUID, fact: Fact, source: str, event_id: str | None = None
    ) -> str:
        try:
            learnt: str = await self._database.fetch_value(
                queries.learn, provider_id, hold_id, fact.authorisation, fact.state, fact.amount_minor, source, event_id
            )
        finally:
            self._book.changed(provider_id)
        return learnt
