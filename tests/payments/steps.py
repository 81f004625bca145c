"""What the tests of payments do again and again."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import msgspec

from healthplus.payments.gateways.sandbox import SIGNATURE, WebhookBody
from healthplus.payments.payments import Paid, PaidOnline, Payments
from healthplus.signatures import sign
from tests.fixtures.environment import PROVIDER, Environment

HEADER = SIGNATURE.lower()
BACK = "https://healthplus.example/doctor/1/hold/2?bank=later"
"""Where a patient is led back to from a gateway's page."""


async def pay(
    payments: Payments, environment: Environment, booking_id: UUID, method: str = "sandbox-ok", key: str = "key"
) -> Any:
    paid: Paid = await payments.pay(PROVIDER, booking_id, method, environment.actor("asha"), key, BACK)
    return paid


async def pay_online(
    payments: Payments, environment: Environment, booking_id: UUID, method: str = "sandbox-ok", shown_minor: int = 30000
) -> PaidOnline:
    """Pay online what was to be paid at the clinic."""
    return await payments.pay_online(PROVIDER, booking_id, method, environment.actor("asha"), shown_minor, BACK)


async def capture(payments: Payments, environment: Environment) -> tuple[int, int]:
    """Capture what no process has captured from memory; return how many were due, and how many failed."""
    assert await payments.captures.poll() == (0, 0)
    await environment.pass_time(seconds=30)
    return await payments.captures.poll()


async def money(environment: Environment) -> tuple[str, str | None] | None:
    row = await environment.db.fetch_row("SELECT state::text, due::text FROM ledger.payment")
    return None if row is None else (row["state"], row["due"])


async def money_back(payments: Payments, booking_id: UUID) -> tuple[str, int, int] | None:
    """Return what becomes of the money for a booking: its state, how much is kept, and how much goes back."""
    money = await payments.money(PROVIDER, booking_id)
    return None if money is None else (money.money, money.kept_minor, money.returned_minor)


async def facts(environment: Environment) -> list[tuple[str, str]]:
    """Return the ledger: each state that money reached, and how that was known."""
    rows = await environment.db.fetch(
        "SELECT state::text, source::text FROM ledger.entry ORDER BY hold_id, authorisation, state"
    )
    return [(row["state"], row["source"]) for row in rows]


async def states(environment: Environment) -> list[str]:
    """Return the states of all bookings, first made first."""
    rows = await environment.db.fetch("SELECT state::text FROM booking.booking ORDER BY created_at")
    return [row["state"] for row in rows]


def webhook(
    hold_id: UUID,
    state: str,
    name: str = "money",
    amount: int = 50000,
    event: str | None = None,
    currency: str = "INR",
    refunded: int = 0,
) -> bytes:
    """Return the body of a webhook of the sandbox bank."""
    key = f"{PROVIDER}:{hold_id}"
    body = WebhookBody(event or uuid4().hex, f"payment.{state}", key, name, amount, currency, refunded)
    return msgspec.json.encode(body)


async def send(payments: Payments, secret: str, body: bytes, at: float | None = None) -> None:
    """Have a webhook come, signed with the secret."""
    await payments.reconciliation.receive({HEADER: sign(secret, body, at or time.time())}, body)


async def ask(environment: Environment, hold_id: UUID) -> None:
    """Note that the hold is about to be paid for."""
    await environment.db.execute(
        "INSERT INTO payments.intent VALUES ($1, $2, 50000, app_now(), app_now() + interval '20 seconds')",
        PROVIDER,
        hold_id,
    )
