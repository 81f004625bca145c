"""Paying for a hold: set the money aside, then book, then (in captures) take it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from healthplus.booking.book import Book, Outcome
from healthplus.database import Database, PostgresError
from healthplus.errors import HealthPlusError, PaymentDeclined
from healthplus.payments.captures import Captures, queries
from healthplus.payments.gateway import Declined, Gateway


class Paid(msgspec.Struct, frozen=True):
    """What came of paying. `voided`: money set aside for a slot that was lost was let go (False: it soon will be)."""

    outcome: Outcome
    voided: bool | None = None


class Payments:
    """Between the book and the gateway."""

    def __init__(self, database: Database, book: Book, gateway: Gateway) -> None:
        self._database = database
        self._book = book
        self._gateway = gateway
        self.captures = Captures(database, gateway)

    async def pay(
        self, provider_id: int, booking_id: UUID, patient_id: int, method: str, actor: str, key: str | None = None
    ) -> Paid:
        """Book a live hold of the patient's; an outcome of Book.confirm, with `expired` before any money moves.

        `method` is the gateway's name for a way to pay; it is not asked for where nothing is paid online. Raises
        PaymentDeclined, PaymentUnavailable and BadInput, with the hold as it was.
        """
        held = await self._book.booking(provider_id, booking_id, patient_id)
        if held is None:
            return Paid(Outcome("not_found"))
        state = held["state"]
        if state == "expired":
            return Paid(Outcome("expired", booking_id=booking_id, state=state))
        authorisation: str | None = None
        if held["funding"] == "online" and not held["offer"]:
            if state == "reserved":
                authorisation = await self._authorise(booking_id, held["fee_paise"], method)
            else:
                # Perhaps a repeat: confirm knows it by what was set aside the first time. No new money is.
                authorisation = await self._database.fetch_value(queries.authorisation, provider_id, booking_id)
        # When this fails or finds its key reused, the money stays set aside under the hold's id: a later try uses it.
        outcome = await self._book.confirm(provider_id, booking_id, patient_id, authorisation, actor, key, method)
        if outcome.code in ("booked", "key_reused") or authorisation is None:
            return Paid(outcome)
        return Paid(outcome, await self._void_if_due(provider_id, booking_id))

    async def money(self, provider_id: int, booking_id: UUID) -> str | None:
        """Give what becomes of the money for a booking given back, such as refund_due; None: there was none."""
        found: str | None = await self._database.fetch_value(queries.money, provider_id, booking_id)
        return found

    async def _authorise(self, booking_id: UUID, amount_paise: int, method: str) -> str:
        # Under the booking's id: however often this is asked for, money is set aside once.
        answer = await self._gateway.authorise(str(booking_id), amount_paise, method)
        if isinstance(answer, Declined):
            raise PaymentDeclined(f"{answer.reason} {PaymentDeclined.__doc__}")
        return answer.name

    async def _void_if_due(self, provider_id: int, booking_id: UUID) -> bool | None:
        """Let go of money set aside in vain; None when there is none, as where another request has paid."""
        try:
            due = await self._database.fetch(queries.void_due, provider_id, booking_id)
            return await self.captures.settle(due) == len(due) if due else None
        except (HealthPlusError, PostgresError):
            return False  # it stays due, and captures will do it
