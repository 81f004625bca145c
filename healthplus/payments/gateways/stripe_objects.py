"""Stripe's objects as far as the product reads them, and its amounts; `stripe.py` asks for them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from healthplus.errors import BadInput
from healthplus.money import currency_digits
from healthplus.payments.gateway import (
    GatewayPayment,
    GatewayRefund,
    ListedPayment,
    PaymentState,
    RefundState,
    WebhookEvent,
)

KEY, REFUND_KEY, PAID = "key", "refund_key", "paid"
"""What our objects there have in their metadata: for what it is; of a refund also its own key, and what was paid."""

# Stripe writes these with other decimals than ISO 4217 has ("Supported currencies" in its docs).
_DIGITS = {"MGA": 0, "ISK": 2, "UGX": 2}
_REFUND_STATES: dict[str, RefundState] = {
    "succeeded": "processed",
    "pending": "pending",
    "requires_action": "pending",
    "failed": "failed",
    "canceled": "failed",
}


class BalanceTransaction(msgspec.Struct):
    """What a charge did to the account's balance; `fee` is with tax, in the balance's currency."""

    fee: int
    currency: str


class _ReferencedCard(msgspec.Struct):
    reference: str | None = None


class _Destination(msgspec.Struct):
    card: _ReferencedCard | None = None


class Refund(msgspec.Struct):
    """Money that goes back."""

    id: str
    amount: int
    currency: str
    status: str | None = None
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None
    destination_details: _Destination | None = None

    @property
    def seen(self) -> GatewayRefund:
        """Return it as the product sees it."""
        card = self.destination_details.card if self.destination_details else None
        return GatewayRefund(
            self.id,
            (self.metadata or {}).get(REFUND_KEY, ""),
            from_stripe(self.amount, self.currency),
            _REFUND_STATES.get(self.status or "", "pending"),
            card.reference or "" if card else "",
        )


class Refunds(msgspec.Struct):
    """The last refunds of a charge."""

    data: list[Refund]
    has_more: bool = False


class Charge(msgspec.Struct):
    """A try to charge a card; `paid`: it was a good one, `captured`: its money has been taken."""

    id: str
    amount: int
    amount_refunded: int
    captured: bool
    currency: str
    paid: bool
    refunded: bool
    payment_intent: str | None = None
    metadata: dict[str, str] = {}
    balance_transaction: BalanceTransaction | str | None = None
    refunds: Refunds | None = None


class Intent(msgspec.Struct):
    """A payment, with its last charge."""

    id: str
    amount: int
    currency: str
    status: str
    metadata: dict[str, str] = {}
    latest_charge: Charge | str | None = None


class Intents(msgspec.Struct):
    """A page of payments, the last made first."""

    data: list[Intent]
    has_more: bool = False


class Session(msgspec.Struct):
    """A page where the patient pays, and the payment once they have tried to."""

    id: str
    status: str | None = None
    amount_total: int | None = None
    currency: str | None = None
    url: str | None = None
    payment_intent: Intent | str | None = None


class _Data(msgspec.Struct):
    object: msgspec.Raw


class Event(msgspec.Struct):
    """What a webhook reports; `account`: of another owner than the one who has us take money."""

    id: str
    type: str
    data: _Data
    account: str | None = None


def to_stripe(amount_minor: int, currency: str) -> int:
    """Return an amount as Stripe writes it. Raises BadInput where its currency has decimals that Stripe lacks."""
    digits = currency_digits(currency)
    amount = Decimal(amount_minor).scaleb(_DIGITS.get(currency, digits) - digits)
    if amount % 1 or (digits > 2 and amount % 10):
        raise BadInput(f"Stripe takes no amount of {currency} with so many decimals.")
    return int(amount)


def from_stripe(amount: int, currency: str) -> int:
    """Return an amount of Stripe's in the smallest unit of ISO 4217; `currency` in small letters, as there."""
    code = currency.upper()
    digits = currency_digits(code)
    return int(Decimal(amount).scaleb(digits - _DIGITS.get(code, digits)))


def state_of(intent: Intent) -> PaymentState | None:
    """Return the state of a payment before anything of it was given back; None: it is none yet, or never was one."""
    charge = intent.latest_charge if isinstance(intent.latest_charge, Charge) else None
    match intent.status:
        case "requires_capture":
            return "authorised"
        case "succeeded":
            return "captured"
        case "canceled" if charge is not None and charge.paid:
            return "voided"
    return None


def payment_of(intent: Intent, refunds: list[Refund]) -> GatewayPayment | None:
    """Return a payment as the product sees it, with all its refunds; None where no money was ever set aside."""
    state = state_of(intent)
    if state is None:
        return None
    charge = intent.latest_charge if isinstance(intent.latest_charge, Charge) else None
    seen = [one.seen for one in refunds] if state == "captured" else []
    given = [one for one in seen if one.state != "failed"]
    refunded_minor = sum(one.amount_minor for one in given)
    amount_minor = from_stripe(intent.amount, intent.currency)
    if given and (refunded_minor == amount_minor or any(not one.key for one in given)):
        state = "refunded"
    return GatewayPayment(
        intent.id,
        state,
        amount_minor,
        intent.currency.upper(),
        refunded_minor,
        "card",
        _charged_minor(charge, intent.currency) if charge else None,
        seen,
    )


def listed_of(intent: Intent, refunds: list[Refund]) -> ListedPayment | None:
    """Return a payment as it stands in a list, with all its refunds; None where no money was ever set aside."""
    match state_of(intent):
        case "authorised" | "captured" | "voided" as state:
            charge = intent.latest_charge if isinstance(intent.latest_charge, Charge) else None
            returned = charge.amount_refunded if charge is not None and state == "captured" else 0
            return ListedPayment(
                intent.id,
                intent.metadata.get(KEY, ""),
                state,
                from_stripe(intent.amount, intent.currency),
                intent.currency.upper(),
                from_stripe(returned, intent.currency),
                _charged_minor(charge, intent.currency) if charge else None,
                [one.seen for one in refunds],
            )
    return None


def _charged_minor(charge: Charge, currency: str) -> int | None:
    """Return what Stripe keeps, where its balance has the payment's currency."""
    transaction = charge.balance_transaction
    if not isinstance(transaction, BalanceTransaction) or transaction.currency != currency:
        return None
    return from_stripe(transaction.fee, currency)


def read_event(body: bytes) -> WebhookEvent | None:
    """Return what a webhook reports; None where it is not about a payment of ours, or of a kind that says nothing new.

    Raises msgspec's errors.
    """
    event = msgspec.json.decode(body, type=Event)
    if event.account is not None:
        return None
    match event.type.partition("."):
        case "charge", _, ("succeeded" | "captured" | "expired" | "refunded" as what):
            charge = msgspec.json.decode(event.data.object, type=Charge)
            return _of_charge(event.id, charge, is_gone=what == "expired")
        case "refund", _, ("updated" | "failed"):
            return _of_refund(event.id, msgspec.json.decode(event.data.object, type=Refund))
    return None


def _of_charge(event_id: str, charge: Charge, *, is_gone: bool) -> WebhookEvent | None:
    """Read what became of a charge. One of which a part was given back is captured: `fetch` has its refunds."""
    if charge.payment_intent is None or KEY not in charge.metadata or not charge.paid:
        return None
    state: PaymentState = "captured" if charge.captured else "authorised"
    if charge.refunded or is_gone:
        state = "refunded" if charge.captured else "voided"
    amount_minor, refunded_minor = (
        from_stripe(amount, charge.currency) for amount in (charge.amount, charge.amount_refunded)
    )
    payment = GatewayPayment(
        charge.payment_intent,
        state,
        amount_minor,
        charge.currency.upper(),
        refunded_minor if charge.captured else 0,
        "card",
    )
    return WebhookEvent(event_id, charge.metadata[KEY], payment)


def _of_refund(event_id: str, refund: Refund) -> WebhookEvent | None:
    """Read what became of a refund that we ordered; one that was ordered by hand does not say for what it is."""
    metadata = refund.metadata or {}
    paid = metadata.get(PAID, "")
    if refund.payment_intent is None or KEY not in metadata or not paid.isdecimal():
        return None
    payment = GatewayPayment(
        refund.payment_intent, "captured", int(paid), refund.currency.upper(), 0, "card", None, [refund.seen]
    )
    return WebhookEvent(event_id, metadata[KEY], payment)
