"""Pays for what a bench holds without an app, by the product's own code for it, at a bank in this process."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateway import WebhookEvent
from healthplus.payments.payments import Payments
from healthplus_bench.bank import METHOD, BankElsewhere
from healthplus_bench.environment import BenchFailed


class _Bank(BankElsewhere):
    """One whose webhooks the cashier sends itself."""

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:  # noqa: ARG002
        return msgspec.json.decode(body, type=WebhookEvent)


class Cashier:
    """Does what the app does when people pay, and what its background tasks do."""

    def __init__(self, database: Database, book: Book) -> None:
        self._bank = _Bank()
        self._payments = Payments(database, book, Gateways({"sandbox": self._bank}))

    async def pay(self, provider_id: int, booking_id: UUID, patient: Patient, key: str) -> None:
        """Turn a hold into a booking. Raises BenchFailed if that is refused."""
        paid = await self._payments.pay(provider_id, booking_id, METHOD, patient, key)
        if paid.outcome.code != "booked":
            raise BenchFailed(f"A hold could not be booked: {paid.outcome.code}.")

    async def settle(self) -> None:
        """Capture what is due, and look at the bank where that is due. Raises BenchFailed if any of it fails."""
        for poll in (self._payments.captures.poll, self._payments.reconciliation.poll):
            due = 1
            while due:
                due, failed = await poll()
                if failed:
                    raise BenchFailed("A payment could not be captured or looked up.")

    async def report(self, provider_id: int, booking_id: UUID, event_id: str) -> None:
        """Have the bank report the payment for a hold as it is now, by a webhook."""
        key = f"{provider_id}:{booking_id}"
        for payment in await self._bank.fetch(key):
            body = msgspec.json.encode(WebhookEvent(event_id, key, payment))
            await self._payments.reconciliation.receive({}, body)
