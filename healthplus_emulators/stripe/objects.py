"""Stripe's objects as its API shows them, new."""

from __future__ import annotations

import secrets
from typing import Any

from healthplus_emulators.ledger import Document

LAPSE_SECONDS = 7 * 24 * 3600
"""How long a card's authorisation lasts."""
_FEE_PERCENT, _TAX_PERCENT = 2, 18


def new_id(prefix: str) -> str:
    """Return a name for a new object."""
    return f"{prefix}_{secrets.token_hex(12)}"


def session(asked: Document, url: str, created: int) -> Document:
    """Return a Checkout Session for what was asked, which `StripeBank` has checked."""
    price = asked["line_items"][0]["price_data"]
    total = int(price["unit_amount"]) * int(asked["line_items"][0]["quantity"])
    name = f"cs_test_{secrets.token_hex(24)}"
    return {
        "id": name,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": asked.get("cancel_url"),
        "client_reference_id": asked.get("client_reference_id"),
        "created": created,
        "currency": price["currency"],
        "customer": None,
        "expires_at": int(asked.get("expires_at", created + 24 * 3600)),
        "livemode": False,
        "metadata": asked.get("metadata", {}),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": asked["allowed_payment_method_types"],
        "payment_status": "unpaid",
        "status": "open",
        "success_url": asked["success_url"],
        "url": f"{url}/c/pay/{name}",
    }


def intent(paid: Document, asked: Document, created: int) -> Document:
    """Return the PaymentIntent of a session; `asked`: its payment_intent_data."""
    name = new_id("pi")
    return {
        "id": name,
        "object": "payment_intent",
        "amount": paid["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": asked.get("capture_method", "automatic_async"),
        "client_secret": f"{name}_secret_{secrets.token_hex(12)}",
        "created": created,
        "currency": paid["currency"],
        "description": asked.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": asked.get("metadata", {}),
        "payment_method_types": paid["payment_method_types"],
        "status": "requires_payment_method",
    }


def charge(paid: Document, created: int, capture_before: int | None, declined: str | None) -> Document:
    """Return a try to charge a card for an intent. `declined`: the code of why not."""
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": paid["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": False,
        "created": created,
        "currency": paid["currency"],
        "description": paid["description"],
        "failure_code": declined,
        "failure_message": "Your card was declined." if declined else None,
        "livemode": False,
        "metadata": paid["metadata"],
        "paid": declined is None,
        "payment_intent": paid["id"],
        "payment_method_details": {
            "type": "card",
            "card": {"brand": "visa", "capture_before": capture_before, "country": "IN", "last4": "4242"},
        },
        "refunded": False,
        "status": "failed" if declined else "succeeded",
    }


def transaction(source: Document, kind: str, amount: int, created: int) -> Document:
    """Return what an object does to the account's balance; of a charge, Stripe keeps a fee with tax."""
    fee = round(amount * _FEE_PERCENT / 100) if kind == "charge" else 0
    tax = round(fee * _TAX_PERCENT / 100)
    details = [("stripe_fee", fee), ("tax", tax)] if fee else []
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created + 3 * 24 * 3600,
        "created": created,
        "currency": source["currency"],
        "exchange_rate": None,
        "fee": fee + tax,
        "fee_details": [
            {"amount": part, "application": None, "currency": source["currency"], "type": name}
            for name, part in details
        ],
        "net": amount - fee - tax,
        "reporting_category": kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    }


def payout(amount: int, currency: str, created: int) -> Document:
    """Return an automatic payout of which all is known."""
    return {
        "id": new_id("po"),
        "object": "payout",
        "amount": amount,
        "arrival_date": created + 24 * 3600,
        "automatic": True,
        "created": created,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed",
        "source_type": "card",
        "status": "paid",
        "trace_id": {"status": "supported", "value": secrets.token_hex(8).upper()},
        "type": "bank_account",
    }


def refund(of: Document, amount: int, created: int, status: str, asked: Document) -> Document:
    """Return a refund of a charge."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "destination_details": {
            "type": "card",
            "card": {"reference_status": "pending", "type": "refund"},
        },
        "metadata": asked.get("metadata", {}),
        "payment_intent": of["payment_intent"],
        "reason": asked.get("reason"),
        "receipt_number": None,
        "status": status,
    }


def event(kind: str, about: Document, created: int, version: str) -> Document:
    """Return an event about an object as it is now."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": version,
        "created": created,
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def listed(url: str, found: list[Document], *, has_more: bool = False) -> dict[str, Any]:
    """Return a list as its endpoints answer it."""
    return {"object": "list", "url": url, "has_more": has_more, "data": found}
