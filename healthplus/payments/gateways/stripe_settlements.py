"""What Stripe paid out: its automatic payouts, with the balance transactions that each is made of.

What an owner pays out by hand there cannot be told apart from the rest of the balance, so it is left out (Stripe's
"Payout reconciliation"); and a payout is read once Stripe has said of all transactions whether they belong to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import msgspec
from stripe import V1Services
from stripe.params import BalanceTransactionListParams, PayoutListParams

from healthplus.payments.gateways.days import seconds_of
from healthplus.payments.gateways.stripe_answers import read
from healthplus.payments.gateways.stripe_objects import KEY, from_stripe
from healthplus.payments.settled import LineKind, Settlement, SettlementLine, SettlementPage

KINDS: dict[str, LineKind] = {
    **dict.fromkeys(("charge", "payment"), "payment"),
    **dict.fromkeys(("refund", "payment_refund", "refund_failure"), "refund"),
    **dict.fromkeys(("stripe_fee", "tax_fee", "stripe_fx_fee", "fee"), "fee"),
}
"""By the type of a balance transaction, or its reporting category where that says a fee; all others are neither."""
_PAGE = 100


class _Trace(msgspec.Struct):
    value: str | None = None


class Payout(msgspec.Struct):
    """Money paid out; `reconciliation_status`: whether it is known by now what is in it."""

    id: str
    amount: int
    created: int
    currency: str
    status: str
    automatic: bool = False
    reconciliation_status: str = ""
    trace_id: _Trace | None = None

    @property
    def is_known(self) -> bool:
        """Return whether it can be read now."""
        return self.automatic and self.reconciliation_status == "completed" and self.status != "canceled"


class _Payouts(msgspec.Struct):
    data: list[Payout]
    has_more: bool = False


class _Source(msgspec.Struct):
    id: str
    object: str
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


class _FeeDetail(msgspec.Struct):
    amount: int
    type: str


class Transaction(msgspec.Struct):
    """A change of the account's balance; `source`: what it is about, whole."""

    id: str
    amount: int
    fee: int
    net: int
    currency: str
    created: int
    type: str
    reporting_category: str = ""
    exchange_rate: float | None = None
    fee_details: list[_FeeDetail] = []
    source: _Source | str | None = None


class _Transactions(msgspec.Struct):
    data: list[Transaction]
    has_more: bool = False


async def settlement_pages(v1: V1Services, day: date) -> AsyncIterator[SettlementPage]:
    """Iterate over the payouts that were made on a day of UTC, a page of lines at a time. Raises PaymentUnavailable."""
    since, until = seconds_of(day)
    asked: PayoutListParams = {"created": {"gte": since, "lt": until}, "limit": _PAGE}
    while True:
        page = await read(v1.payouts.list_async(asked), _Payouts)
        for payout in page.data:
            if payout.is_known:
                async for lines in _lines(v1, payout):
                    yield SettlementPage([_settlement(payout)], lines)
        if not page.data or not page.has_more:
            return
        asked = {**asked, "starting_after": page.data[-1].id}


async def _lines(v1: V1Services, payout: Payout) -> AsyncIterator[list[SettlementLine]]:
    asked: BalanceTransactionListParams = {"payout": payout.id, "limit": _PAGE, "expand": ["data.source"]}
    while True:
        page = await read(v1.balance_transactions.list_async(asked), _Transactions)
        # The payout itself is in its list, too.
        yield [line_of(payout.id, one) for one in page.data if not _is_of(one, payout)]
        if not page.data or not page.has_more:
            return
        asked = {**asked, "starting_after": page.data[-1].id}


def _is_of(transaction: Transaction, payout: Payout) -> bool:
    source = transaction.source.id if isinstance(transaction.source, _Source) else transaction.source
    return transaction.type == "payout" and source == payout.id


def _settlement(payout: Payout) -> Settlement:
    currency = payout.currency.upper()
    reference = payout.trace_id.value or "" if payout.trace_id else ""
    at = datetime.fromtimestamp(payout.created, UTC)
    return Settlement(payout.id, at, currency, from_stripe(payout.amount, payout.currency), reference)


def line_of(settlement: str, one: Transaction) -> SettlementLine:
    """Return a balance transaction as the line of a settlement."""
    kind = KINDS.get(one.type) or KINDS.get(one.reporting_category, "other")
    source = one.source if isinstance(one.source, _Source) else None
    payment = refund = ""
    if source is not None and kind in ("payment", "refund"):
        payment = source.payment_intent or source.id
        refund = source.id if kind == "refund" else ""
    key = (source.metadata or {}).get(KEY, "") if source else ""
    tax = sum(part.amount for part in one.fee_details if part.type == "tax")
    amount, fee = (0, one.fee - one.amount) if kind == "fee" else (one.amount, one.fee)
    if one.type == "tax_fee":
        tax = fee
    return SettlementLine(
        settlement,
        one.id,
        kind,
        amount_minor=from_stripe(amount, one.currency),
        fee_minor=from_stripe(fee, one.currency),
        tax_minor=from_stripe(tax, one.currency),
        net_minor=from_stripe(one.net, one.currency),
        at=datetime.fromtimestamp(one.created, UTC),
        payment=payment,
        refund=refund,
        keys=(key,) if key else (),
        is_converted=one.exchange_rate is not None,
    )
