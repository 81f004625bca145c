"""Brings the ledger in line with the gateway where its own answer did not: by webhooks, and by looking there.

Each intent to pay is looked up at the gateway twenty seconds after the request for money, every thirty while the hold
may live and a little longer, then ever more seldom. Where the money has come and is captured, one more look an hour
after the request is for a second payment that no webhook reported; where none comes, two days are enough. What was
requested for a hold that has ended is closed there, so that nobody pays for it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from healthplus.booking.book import Book
from healthplus.database import Database, PostgresError, Record
from healthplus.errors import DatabaseUnreachable, HealthPlusError, NotFound
from healthplus.payments.accounts import SANDBOX, Gateways, joined, queries
from healthplus.payments.gateway import GatewayPayment
from healthplus.payments.polling import BATCH_MAX, keep_polling

logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(seconds=20)
"""When to look again for a process that died as it looked."""
FAILED_AGAIN_AFTER = timedelta(seconds=5)
"""So that a refund is ordered within a minute, even if several looks at the gateway fail."""
IDLE_SECONDS = 5.0
_ID_MAX = 2**63 - 1


def key_of(provider_id: int, hold_id: UUID) -> str:
    """Return the gateway's key for a hold, from which its provider can be read again."""
    return f"{provider_id}:{hold_id}"


def ids_of(key: str) -> tuple[int, UUID]:
    """Return the provider and the hold of a key. Raises NotFound for what is none."""
    provider_id, _, hold_id = key.partition(":")
    try:
        ids = int(provider_id), UUID(hold_id)
    except ValueError:
        raise NotFound from None
    if not 0 < ids[0] <= _ID_MAX or key_of(*ids) != key:
        raise NotFound
    return ids


class Reconciliation:
    """Takes webhooks, and looks at the gateway in the background; any number of processes may run that."""

    def __init__(self, database: Database, book: Book, gateways: Gateways) -> None:
        self._database = database
        self._book = book
        self._gateways = gateways

    async def receive(self, headers: Mapping[str, str], body: bytes, account: str = SANDBOX) -> None:
        """Take a webhook of an account's gateway; once this returns, it and its effect are stored.

        Raises BadSignature, and NotFound for money that was never asked for here. Where the event says less than the
        gateway does, that is looked at instead; raises PaymentUnavailable where it cannot be: the event comes again.
        """
        event = self._gateways.require(account).read_webhook(headers, body)
        if event is None:
            return
        ids = ids_of(event.key)
        order = await self._order_of(*ids) if event.order else None
        if event.is_doubtful or event.order != (order or ""):
            await self._look(*ids, account, order)
        elif await self._record(*ids, account, event.payment, "webhook", event.id) == "unknown":
            raise NotFound

    async def hold_of(self, account: str, order: str) -> Record | None:
        """Return for what an order was made; None where it is not known, or not any more.

        The row has provider_id and hold_id; or that is the id of an appointment (is_for_booking).
        """
        return await self._database.fetch_row(queries.hold_of_order, account, order)

    async def look_for(self, provider_id: int, hold_id: UUID) -> None:
        """Look at the gateway for a hold for which money was requested, and none is known."""
        row = await self._database.fetch_row(queries.requested, provider_id, hold_id)
        if row is not None:
            await self._check(provider_id, hold_id, row["account"], row["order_name"])

    async def look_again(self, provider_id: int, hold_id: UUID, account: str) -> None:
        """Look at the gateway for a hold, whatever is known of it."""
        await self._check(provider_id, hold_id, account, await self._order_of(provider_id, hold_id))

    async def leave(self, provider_id: int, hold_id: UUID, account: str, order: str) -> None:
        """Close what was requested for a hold, as it is requested in another way; then see if it was paid before."""
        with contextlib.suppress(HealthPlusError):
            await self._gateways.of(account).close(order)
        await self._check(provider_id, hold_id, account, order)

    async def run(self) -> None:
        """Look at the gateway until cancelled."""
        await keep_polling(self.poll, IDLE_SECONDS, self._database, "reconciliation")

    async def poll(self) -> tuple[int, int]:
        """Look up one batch of due intents at the gateway; return how many were due, and how many of them failed."""
        due = await self._database.fetch(queries.take_due_intents, BATCH_MAX, AGAIN_AFTER)
        found = await asyncio.gather(
            *(
                self._check(
                    row["provider_id"], row["hold_id"], row["account"], row["order_name"], has_ended=row["has_ended"]
                )
                for row in due
            )
        )
        looks = [(row["provider_id"], row["hold_id"]) for row in due]
        checked = [look for look, was_found in zip(looks, found, strict=True) if was_found]
        failed = [look for look, was_found in zip(looks, found, strict=True) if not was_found]
        if checked:
            await self._database.execute(queries.schedule_next_check, *map(list, zip(*checked, strict=True)))
        if failed:
            columns = map(list, zip(*failed, strict=True))
            await self._database.execute(queries.check_again_soon, *columns, FAILED_AGAIN_AFTER)
        return len(due), len(failed)

    async def _order_of(self, provider_id: int, hold_id: UUID) -> str | None:
        """Return the order that was stored for a hold."""
        order: str | None = await self._database.fetch_value(queries.order_of_hold, provider_id, hold_id)
        return order

    async def _look(self, provider_id: int, hold_id: UUID, account: str, order: str | None) -> bool:
        """Record what the gateway says of a hold that the ledger does not; return whether anything was paid."""
        payments = await self._gateways.of(account).fetch(key_of(provider_id, hold_id), order)
        rows = await self._database.fetch(queries.recorded_states, provider_id, hold_id) if payments else []
        recorded = {tuple(row[name] for name in ("authorisation", "state", "amount_minor", "refund")) for row in rows}
        for payment in payments:
            if not _facts(account, payment) <= recorded:
                await self._record(provider_id, hold_id, account, payment, "fetch")
        return bool(payments)

    async def _check(
        self, provider_id: int, hold_id: UUID, account: str, order: str | None, *, has_ended: bool = False
    ) -> bool:
        """As `_look`; return whether it could be done. Once the hold has ended, nobody is to pay for it any more."""
        try:
            was_paid = await self._look(provider_id, hold_id, account, order)
            if has_ended and order and not was_paid:
                await self._gateways.of(account).close(order)
        except DatabaseUnreachable:
            return False  # said once for all, elsewhere
        except HealthPlusError as error:
            logger.warning("the payment gateway could not be looked at: %s", error.code)
            return False
        except PostgresError:
            # A fault about one payment must not keep the others from being looked at.
            logger.exception("what the gateway says of a payment for provider %s could not be noted", provider_id)
            return False
        return True

    async def _record(
        self,
        provider_id: int,
        hold_id: UUID,
        account: str,
        payment: GatewayPayment,
        source: str,
        event_id: str | None = None,
    ) -> str:
        try:
            row = await self._book.locking(
                provider_id,
                lambda wait_seconds: self._database.fetch_row(
                    queries.record_gateway_event,
                    provider_id,
                    hold_id,
                    joined(account, payment.authorisation),
                    payment.state,
                    payment.amount_minor,
                    payment.currency,
                    source,
                    event_id,
                    payment.refunded_minor or None,
                    [msgspec.to_builtins(refund) for refund in payment.refunds] or None,
                    payment.method or None,
                    wait_seconds=wait_seconds,
                ),
            )
        finally:
            self._book.changed(provider_id)
        assert row is not None
        result: str = row["result"]
        return result


def _facts(account: str, payment: GatewayPayment) -> set[tuple[str, str, int, str]]:
    """Return what a gateway says of a payment, as `recorded_states` has it: its state, or those of its refunds."""
    name = joined(account, payment.authorisation)
    if payment.refunds:
        refunds = {(name, refund.state, refund.amount_minor, refund.name) for refund in payment.refunds}
        return {(name, "captured", payment.amount_minor, ""), *refunds}
    moved_minor = payment.refunded_minor if payment.state == "refunded" else payment.amount_minor
    return {(name, payment.state, moved_minor, "")}
