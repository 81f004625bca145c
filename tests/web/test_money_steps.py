"""The steps of the money say what is true for the way it was paid."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from healthplus.payments.gateways.razorpay import METHODS
from healthplus.web.http.money_steps import money_steps
from healthplus.web.languages import ENGLISH
from healthplus.web.pages.pay_methods import pay_methods

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
SECOND_EARLIER = "2026-11-30T09:59:59+00:00"


def payment(**changed: object) -> dict[str, Any]:
    """Return a payment whose capture is due, of which the gateway has not said yet how it was paid."""
    times = dict.fromkeys(("captured_at", "voided_at", "refunded_at", "returned_at", "returns_from"))
    return {
        **{"amount_minor": 95_000, "currency": "INR", "method": None, "kept_minor": 0, "rest_minor": 95_000},
        **{"state": "authorised", "due": "capture", "authorised_at": SECOND_EARLIER, "refunds": [], "has_rest": False},
        **times,
        **changed,
    }


def texts(**changed: object) -> list[str]:
    return [one.text for one in money_steps(ENGLISH, [payment(**changed)], "INR", NOW, is_desk=False)]


def test_money_is_blocked_on_cards_only() -> None:
    assert texts(method="card") == ["Blocked on your card: ₹950", "To be charged in a moment: ₹950"]
    for method in (None, "upi", "netbanking"):
        assert texts(method=method) == ["Approved by your bank: ₹950"]
    let_go = texts(state="voided", due=None, voided_at=SECOND_EARLIER)
    assert let_go == ["Approved by your bank: ₹950", "Released by the bank: ₹950"]


@pytest.mark.parametrize("at_once", [frozenset(), frozenset({"upi"})])
def test_net_banking_is_paid_at_once(at_once: frozenset[str]) -> None:
    class Bank:
        methods = METHODS
        methods_at_once = at_once

    found = {one.name for one in pay_methods(Bank()) if one.is_at_once}  # type: ignore[arg-type]
    assert found == {"netbanking"} | at_once
