"""Money that comes after its hold has lapsed books the slot again if nobody waits, else it goes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import pytest

from healthplus.accounts.actors import Staff
from healthplus.booking.book import Book
from healthplus.ops.check import money_invariants, violations
from healthplus.payments.payments import Payments
from tests.payments.conftest import Bank
from tests.payments.steps import facts, hold, money, pay, states
from tests.web.world import ONLINE, OTHER_PROVIDER, PROVIDER, World

HALF_AN_HOUR = timedelta(minutes=30)
Meanwhile: TypeAlias = Callable[[Book, World], Awaitable[object]]


@pytest.fixture
async def held(payments: Payments, book: Book, world: World) -> AsyncIterator[UUID]:
    """A hold of Asha's on the slot at nine; afterwards no money is where it should not be."""
    yield await hold(book, world)
    for _ in range(3):
        await payments.captures.poll()
    await world.pass_time(minutes=3)
    assert await violations(world.database, money_invariants) == []


async def lapse(world: World) -> None:
    await world.pass_time(seconds=305)


async def test_the_slot_is_booked_again(payments: Payments, book: Book, bank: Bank, world: World, held: UUID) -> None:
    bank.after["authorise"] = lambda: lapse(world)
    paid = await pay(payments, world, held)
    late = paid.outcome.booking_id
    assert (paid.outcome.code, paid.outcome.state, paid.outcome.fee_minor) == ("booked", "booked", 50000)
    assert late != held
    assert paid.outcome.starts_at == datetime.fromisoformat(world.at(9))
    assert await states(world) == ["expired", "booked"]
    assert await money(world) == ("authorised", "capture")
    events = await world.database.fetch(
        "SELECT kind, reason FROM booking.event WHERE booking_id = $1 ORDER BY seq", late
    )
    assert [tuple(event) for event in events] == [("reserved", "late_payment"), ("booked", "late_payment")]
    # However often it is asked for, and under whatever key.
    for key in ("key", "another"):
        assert (await pay(payments, world, held, key=key)).outcome.booking_id == late
    assert await payments.booked_instead(PROVIDER, held) == late
    assert await states(world) == ["expired", "booked"]
    # The new booking's money is its own.
    await payments.captures.poll()
    await book.cancel(PROVIDER, late, world.actor("asha"))
    assert await money(world) == ("captured", "refund")


async def wait_for_it(book: Book, world: World) -> UUID:
    start = datetime.fromisoformat(world.at(9))
    waiting = await book.join_queue(
        PROVIDER, ONLINE, start, start + HALF_AN_HOUR, 1, world.ids["bina"], world.actor("bina")
    )
    assert waiting.code == "waiting"
    assert waiting.ticket_id
    return waiting.ticket_id


async def test_who_waits_and_is_present_comes_first(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID
) -> None:
    await world.pass_time(seconds=280)
    ticket = await wait_for_it(book, world)
    bank.after["authorise"] = lambda: world.pass_time(seconds=26)
    paid = await pay(payments, world, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await money(world) == ("voided", None)
    assert (await book.accept(PROVIDER, ticket, world.actor("bina"))).code == "accepted"


async def test_who_waits_and_has_gone_does_not(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID
) -> None:
    await wait_for_it(book, world)
    bank.after["authorise"] = lambda: lapse(world)  # Bina was last seen five minutes ago
    assert (await pay(payments, world, held)).outcome.code == "booked"


async def test_what_is_kept_for_a_longer_visit_is_not_to_be_had(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID
) -> None:
    """Bina waits for two slots in a row: when Asha's is free it is kept for her, though she cannot have it yet."""
    start = datetime.fromisoformat(world.at(9))
    await book.hold(PROVIDER, ONLINE, start + HALF_AN_HOUR, 1, world.ids["chand"], world.actor("chand"))
    await world.pass_time(seconds=280)
    await world.database.execute(
        "UPDATE booking.booking SET deadline = deadline + interval '4 minutes' WHERE patient_id = $1",
        world.ids["chand"],
    )
    waiting = await book.join_queue(
        PROVIDER, ONLINE, start, start + 2 * HALF_AN_HOUR, 2, world.ids["bina"], world.actor("bina")
    )
    assert waiting.code == "waiting"
    bank.after["authorise"] = lambda: world.pass_time(seconds=26)
    paid = await pay(payments, world, held)
    assert await world.database.fetch_value("SELECT withheld_seat FROM booking.ticket") == 1
    assert (paid.outcome.code, paid.voided) == ("expired", True)


async def hold_elsewhere(book: Book, world: World) -> None:
    start = datetime.fromisoformat(world.at(10))
    assert (
        await book.hold(OTHER_PROVIDER, ONLINE, start, 1, world.ids["asha"], world.actor("asha"))
    ).code == "reserved"


async def wait_elsewhere(book: Book, world: World) -> None:
    start = datetime.fromisoformat(world.at(10))
    await book.hold(OTHER_PROVIDER, ONLINE, start, 1, world.ids["bina"], world.actor("bina"))
    waiting = await book.join_queue(
        OTHER_PROVIDER, ONLINE, start, start + HALF_AN_HOUR, 1, world.ids["asha"], world.actor("asha")
    )
    assert waiting.code == "waiting"


async def lose_it_to_another(book: Book, world: World) -> None:
    await hold(book, world, name="bina")


async def close_the_clinic(book: Book, world: World) -> None:
    start = datetime.fromisoformat(world.at(8))
    assert (await book.add_leave(PROVIDER, None, start, start + timedelta(hours=3), "", Staff(1))).code == "changed"


async def come_too_late(book: Book, world: World) -> None:
    await world.pass_until(datetime.fromisoformat(world.at(8, 50)))


@pytest.mark.parametrize(
    "meanwhile", [hold_elsewhere, wait_elsewhere, lose_it_to_another, close_the_clinic, come_too_late]
)
async def test_otherwise_the_money_goes_back(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID, meanwhile: Meanwhile
) -> None:
    async def lose() -> None:
        await lapse(world)
        await meanwhile(book, world)

    bank.after["authorise"] = lose
    paid = await pay(payments, world, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await facts(world) == [("authorised", "answer"), ("voided", "answer")]
    assert (await pay(payments, world, held)).outcome.code == "expired"
    assert await facts(world) == [("authorised", "answer"), ("voided", "answer")]


async def test_who_gave_it_back_gets_the_money_back(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID
) -> None:
    bank.after["authorise"] = lambda: book.release(PROVIDER, held, world.actor("asha"))
    paid = await pay(payments, world, held)
    assert (paid.outcome.code, paid.voided, await states(world)) == ("wrong_state", True, ["released"])


async def test_money_that_comes_twice_books_once(payments: Payments, world: World, held: UUID) -> None:
    """Also where there are seats for more: only one booking is paid for."""
    await world.database.execute("UPDATE schedule.shift SET seats = 3")
    await world.database.fetch_row(
        "INSERT INTO payments.intent VALUES ($1, $2, 50000, app_now(), app_now())", PROVIDER, held
    )
    await lapse(world)
    record = "SELECT payments.record_gateway_event($1, $2, $3, 'authorised', 50000, 'INR', 'webhook', $4)"
    for number, name in enumerate(("first", "first", "second", "second")):
        await world.database.execute(record, PROVIDER, held, name, f"event {number}")
    assert await states(world) == ["expired", "booked"]
    rows = await world.database.fetch("SELECT authorisation, due::text FROM ledger.payment ORDER BY 1")
    assert [tuple(row) for row in rows] == [("first", "capture"), ("second", "void")]
    # The bank knows neither.
    await world.database.execute(
        """SELECT payments.advance_payment(payment, reached::ledger.payment_state, 'answer', app_now())
        FROM ledger.payment, (VALUES ('captured', 'capture'), ('voided', 'void')) AS answer (reached, step)
        WHERE step = due::text"""
    )


@pytest.mark.parametrize("elsewhere_first", [False, True])
async def test_it_is_no_lapse(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID, elsewhere_first: bool
) -> None:
    """Three holds unpaid in a day would be too many; Asha's first was paid for, if late."""

    async def lose() -> None:
        await lapse(world)
        if elsewhere_first:  # the claim that lapsed has been overwritten, and the lapse noted
            await hold(book, world, hour=10)
            await lapse(world)

    bank.after["authorise"] = lose
    assert (await pay(payments, world, held)).outcome.code == "booked"
    for _ in range(1 if elsewhere_first else 2):
        await hold(book, world, hour=11)
        await lapse(world)
    await hold(book, world, hour=11)
    await lapse(world)
    start = datetime.fromisoformat(world.at(11))
    assert (await book.hold(PROVIDER, ONLINE, start, 1, world.ids["asha"], world.actor("asha"))).code == "lapses"


async def test_nothing_is_booked_for_somebody_erased(
    payments: Payments, book: Book, bank: Bank, world: World, held: UUID
) -> None:
    async def lapse_and_erase() -> None:
        await lapse(world)
        await world.database.execute(
            "UPDATE accounts.patient SET name = '', erased_at = app_now() WHERE patient_id = $1", world.ids["asha"]
        )

    bank.after["authorise"] = lapse_and_erase
    paid = await pay(payments, world, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await states(world) == ["expired"]
    assert await money(world) == ("voided", None)
