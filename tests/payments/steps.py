"""What the tests of payments do again and again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from healthplus.payments.payments import Paid, Payments
from tests.fixtures.environment import PROVIDER, Environment


async def pay(
    payments: Payments, environment: Environment, booking_id: UUID, method: str = "sandbox-ok", key: str = "key"
) -> Any:
    paid: Paid = await payments.pay(PROVIDER, booking_id, method, environment.actor("asha"), key)
    return paid


async def capture(payments: Payments, environment: Environment) -> tuple[int, int]:
    """Capture what no process has captured from memory; return how many were due, and how many failed."""
    assert await payments.captures.poll() == (0, 0)
    await environment.pass_time(seconds=30)
    return await payments.captures.poll()


async def money(environment: Environment) -> tuple[str, str | None] | None:
    row = await environment.db.fetch_row("SELECT state::text, due::text FROM ledger.payment")
    return None if row is None else (row["state"], row["due"])


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
