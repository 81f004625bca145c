"""Razorpay's objects, as far as the product reads them, and what they mean to it.

As its API documents them ("Orders Entity", "Payments Entity", "Refunds Entity"). Notes without any entry are a list.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from healthplus.errors import PaymentUnavailable
from healthplus.payments.gateway import GatewayPayment, GatewayRefund, ListedPayment, PaymentState, RefundState

OrderId = Annotated[str, msgspec.Meta(pattern="^order_[0-9A-Za-z]{1,40}\\Z")]
PaymentId = Annotated[str, msgspec.Meta(pattern="^pay_[0-9A-Za-z]{1,40}\\Z")]
SettlementId = Annotated[str, msgspec.Meta(pattern="^setl_[0-9A-Za-z]{1,40}\\Z")]
RefundId = Annotated[str, msgspec.Meta(pattern="^rfnd_[0-9A-Za-z]{1,40}\\Z")]
Minor = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}\\Z")]


class Refund(msgspec.Struct):
    id: RefundId
    amount: Minor
    status: RefundState = "processed"
    notes: Any = None
    acquirer_data: Any = None


class Payment(msgspec.Struct):
    id: PaymentId
    amount: Minor
    currency: Currency
    status: str
    order_id: OrderId | None = None
    method: str | None = None
    amount_refunded: Minor | None = None
    captured: bool | None = None
    fee: Minor | None = None
    notes: Any = None


class Payments(msgspec.Struct):
    items: list[Payment] = []


class Refunds(msgspec.Struct):
    items: list[Refund] = []


class Settled(msgspec.Struct):
    """A settlement; `amount` is what was paid out."""

    id: SettlementId
    amount: int
    status: str
    created_at: int
    utr: str | None = None


class Recon(msgspec.Struct):
    """A line of a settlement ("Fetch Settlement Recon Details"); `fee` has the tax on it in it."""

    entity_id: str
    type: str
    debit: Minor
    credit: Minor
    amount: Minor
    currency: Currency
    created_at: int
    fee: int | None = None
    tax: int | None = None
    settlement_id: SettlementId | None = None
    payment_id: PaymentId | None = None
    notes: Any = None


class Recons(msgspec.Struct):
    items: list[Recon] = []


class Order(msgspec.Struct):
    id: OrderId
    amount: Minor
    currency: Currency
    receipt: str | None = None
    status: str = ""
    notes: Any = None
    payments: Payments = msgspec.field(default_factory=Payments)


class Orders(msgspec.Struct):
    items: list[Order] = []


class Entity(msgspec.Struct):
    entity: msgspec.Raw


class Event(msgspec.Struct):
    event: str
    payload: dict[str, Entity] = {}
    created_at: int | None = None


class ErrorPlace(msgspec.Struct):
    order_id: OrderId


def note_of(notes: object) -> str:
    """Return our key in an object's notes; an empty list stands for none."""
    key = notes.get("key") if isinstance(notes, dict) else None
    return key[:200] if isinstance(key, str) else ""


def has_note(notes: object) -> bool:
    """Return whether an object's notes have a key of ours, unlike what was made by hand there."""
    return isinstance(notes, dict) and "key" in notes


def is_money(payment: Payment) -> bool:
    """Return whether a payment is or was more than an attempt."""
    return payment.status in ("authorized", "captured", "refunded")


def state_of(payment: Payment) -> PaymentState:
    match payment.status:
        case "authorized":
            return "authorised"
        case "captured":
            return "captured"
        case "refunded":
            return "refunded" if payment.captured else "voided"
        case _:
            raise PaymentUnavailable


def refund_of(refund: Refund) -> GatewayRefund:
    data = refund.acquirer_data if isinstance(refund.acquirer_data, dict) else {}
    known = (data.get(name) for name in ("arn", "rrn", "utr"))
    reference = next((text for text in known if isinstance(text, str)), "")[:200]
    return GatewayRefund(refund.id, note_of(refund.notes), refund.amount, refund.status, reference)


def fact_of(payment: Payment, refunds: list[Refund]) -> GatewayPayment:
    """Return a payment as the product has it: refunded, too, where a part of it went back without a key."""
    state: PaymentState = state_of(payment)
    known = [refund_of(one) for one in refunds]
    final_minor = sum(one.amount_minor for one in known if not one.key and one.state != "failed")
    if state == "captured" and final_minor:
        state = "refunded"
    refunded_minor = 0
    if state == "refunded":
        refunded_minor = final_minor or payment.amount_refunded or payment.amount
    return GatewayPayment(
        payment.id,
        state,
        payment.amount,
        payment.currency,
        refunded_minor,
        payment.method or "",
        payment.fee,  # Razorpay's fee has the tax on it in it
        known if state != "voided" else [],
    )


def listed_of(payment: Payment, refunds: list[Refund]) -> ListedPayment:
    """Return a payment as it stands in a list."""
    state = state_of(payment)
    return ListedPayment(
        payment.id,
        note_of(payment.notes),
        "captured" if state == "refunded" else state,
        payment.amount,
        payment.currency,
        (payment.amount_refunded or 0) if state in ("captured", "refunded") else 0,
        payment.fee,
        [refund_of(one) for one in refunds],
    )
