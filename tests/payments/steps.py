"""What the tests of payments do again and again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from healthplus.booking.book import Book
from healthplus.payments.payments import Paid, Payments
from tests.web.world import ONLINE, PROVIDER, World


async def hold(book: Book, world: World, clinic_id: int = ONLINE, hour: int = 9, name: str = "asha") -> UUID:
    start = datetime.fromisoformat(world.at(hour))
    outcome = await book.hold(PROVIDER, clinic_id, start, 1, world.ids[name], world.actor(name))
    assert outcome.booking_id is not None, outcome
    return outcome.booking_id


async def pay(payments: Payments, world: World, booking_id: UUID, method: str = "sandbox-ok", key: str = "key") -> Any:
    paid: Paid = await payments.pay(PROVIDER, booking_id, method, world.actor("asha"), key)
    return paid


async def money(world: World) -> tuple[str, str | None] | None:
    row = await world.database.fetch_row("SELECT state::text, due::text FROM ledger.payment")
    return None if row is None else (row["state"], row["due"])


async def facts(world: World) -> list[tuple[str, str]]:
    """The ledger: each state that money reached, and how that was known."""
    rows = await world.database.fetch(
        "SELECT state::text, source::text FROM ledger.entry ORDER BY hold_id, authorisation, state"
    )
    return [(row["state"], row["source"]) for row in rows]


async def states(world: World) -> list[str]:
    """The states of all bookings, first made first."""
    rows = await world.database.fetch("SELECT state::text FROM booking.booking ORDER BY created_at")
    return [row["state"] for row in rows]
