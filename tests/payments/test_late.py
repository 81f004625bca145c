"""Money that comes after its hold has lapsed books the slot again if nobody waits, else it goes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

import pytest

from healthplus.accounts.actors import Staff
from healthplus.ops.check import money_invariants, violations
from healthplus.payments.payments import Payments
from tests.fixtures.environment import ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.payments.conftest import Bank
from tests.payments.steps import capture, facts, money, pay, states

HALF_AN_HOUR = timedelta(minutes=30)
Meanwhile: TypeAlias = Callable[[Environment], Awaitable[object]]


@pytest.fixture
async def held(payments: Payments, environment: Environment) -> AsyncIterator[UUID]:
    """A hold of Asha's on the slot at nine; afterwards no money is where it should not be."""
    yield await environment.held()
    await environment.pass_time(seconds=30)
    for _ in range(3):
        await payments.captures.poll()
    await environment.pass_time(minutes=3)
    assert await violations(environment.db, money_invariants) == []


async def lapse(environment: Environment) -> None:
    await environment.pass_time(seconds=305)


async def test_the_slot_is_booked_again(payments: Payments, bank: Bank, environment: Environment, held: UUID) -> None:
    bank.after["authorise"] = lambda: lapse(environment)
    paid = await pay(payments, environment, held)
    late = paid.outcome.booking_id
    assert (paid.outcome.code, paid.outcome.state, paid.outcome.fee_minor) == ("booked", "booked", 50000)
    assert late != held
    assert paid.outcome.starts_at == environment.instant(9)
    assert await states(environment) == ["expired", "booked"]
    assert await money(environment) == ("authorised", "capture")
    events = await environment.db.fetch(
        "SELECT kind, reason FROM booking.event WHERE booking_id = $1 ORDER BY seq", late
    )
    assert [tuple(event) for event in events] == [("reserved", "late_payment"), ("booked", "late_payment")]
    # However often it is asked for, and under whatever key.
    for key in ("key", "another"):
        assert (await pay(payments, environment, held, key=key)).outcome.booking_id == late
    assert await payments.booked_instead(PROVIDER, held) == late
    assert await states(environment) == ["expired", "booked"]
    # The new booking's money is its own.
    await capture(payments, environment)
    await environment.book.cancel(PROVIDER, late, environment.actor("asha"))
    assert await money(environment) == ("captured", "refund")


async def wait_for_it(environment: Environment) -> UUID:
    start = environment.instant(9)
    waiting = await environment.book.join_queue(
        PROVIDER, ONLINE, start, start + HALF_AN_HOUR, 1, environment.ids["bina"], environment.actor("bina")
    )
    assert waiting.code == "waiting"
    assert waiting.ticket_id
    return waiting.ticket_id


async def test_who_waits_and_is_present_comes_first(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    await environment.pass_time(seconds=280)
    ticket = await wait_for_it(environment)
    bank.after["authorise"] = lambda: environment.pass_time(seconds=26)
    paid = await pay(payments, environment, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await money(environment) == ("voided", None)
    assert (await environment.book.accept(PROVIDER, ticket, environment.actor("bina"))).code == "accepted"


async def test_who_waits_and_has_gone_does_not(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    await wait_for_it(environment)
    bank.after["authorise"] = lambda: lapse(environment)  # Bina was last seen five minutes ago
    assert (await pay(payments, environment, held)).outcome.code == "booked"


async def test_what_is_kept_for_a_longer_appointment_is_not_to_be_had(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    """Bina waits for two slots in a row: when Asha's is free it is kept for her, though she cannot have it yet."""
    start = environment.instant(9)
    await environment.hold(start + HALF_AN_HOUR, name="chand")
    await environment.pass_time(seconds=280)
    await environment.db.execute(
        "UPDATE booking.booking SET deadline = deadline + interval '4 minutes' WHERE patient_id = $1",
        environment.ids["chand"],
    )
    waiting = await environment.book.join_queue(
        PROVIDER, ONLINE, start, start + 2 * HALF_AN_HOUR, 2, environment.ids["bina"], environment.actor("bina")
    )
    assert waiting.code == "waiting"
    bank.after["authorise"] = lambda: environment.pass_time(seconds=26)
    paid = await pay(payments, environment, held)
    assert await environment.db.fetch_value("SELECT withheld_seat FROM booking.ticket") == 1
    assert (paid.outcome.code, paid.voided) == ("expired", True)


async def hold_elsewhere(environment: Environment) -> None:
    start = environment.instant(10)
    assert (await environment.hold(start, provider_id=OTHER_PROVIDER)).code == "reserved"


async def wait_elsewhere(environment: Environment) -> None:
    start = environment.instant(10)
    await environment.hold(start, name="bina", provider_id=OTHER_PROVIDER)
    waiting = await environment.book.join_queue(
        OTHER_PROVIDER, ONLINE, start, start + HALF_AN_HOUR, 1, environment.ids["asha"], environment.actor("asha")
    )
    assert waiting.code == "waiting"


async def lose_it_to_another(environment: Environment) -> None:
    await environment.held(name="bina")


async def close_the_clinic(environment: Environment) -> None:
    start = environment.instant(8)
    assert (
        await environment.book.add_leave(PROVIDER, None, start, start + timedelta(hours=3), "", Staff(1))
    ).code == "changed"


async def come_too_late(environment: Environment) -> None:
    await environment.pass_until(environment.instant(8, 50))


@pytest.mark.parametrize(
    "meanwhile", [hold_elsewhere, wait_elsewhere, lose_it_to_another, close_the_clinic, come_too_late]
)
async def test_otherwise_the_money_goes_back(
    payments: Payments, bank: Bank, environment: Environment, held: UUID, meanwhile: Meanwhile
) -> None:
    async def lose() -> None:
        await lapse(environment)
        await meanwhile(environment)

    bank.after["authorise"] = lose
    paid = await pay(payments, environment, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await facts(environment) == [("authorised", "answer"), ("voided", "answer")]
    assert (await pay(payments, environment, held)).outcome.code == "expired"
    assert await facts(environment) == [("authorised", "answer"), ("voided", "answer")]


async def test_who_gave_it_back_gets_the_money_back(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    bank.after["authorise"] = lambda: environment.book.release(PROVIDER, held, environment.actor("asha"))
    paid = await pay(payments, environment, held)
    assert (paid.outcome.code, paid.voided, await states(environment)) == ("wrong_state", True, ["released"])


async def test_money_that_comes_twice_books_once(payments: Payments, environment: Environment, held: UUID) -> None:
    """Also where there are seats for more: only one booking is paid for."""
    await environment.db.execute("UPDATE schedule.shift SET seats = 3")
    await environment.db.fetch_row(
        "INSERT INTO payments.intent VALUES ($1, $2, 50000, app_now(), app_now())", PROVIDER, held
    )
    await lapse(environment)
    record = "SELECT payments.record_gateway_event($1, $2, $3, 'authorised', 50000, 'INR', 'webhook', $4)"
    for number, name in enumerate(("first", "first", "second", "second")):
        await environment.db.execute(record, PROVIDER, held, name, f"event {number}")
    assert await states(environment) == ["expired", "booked"]
    rows = await environment.db.fetch("SELECT authorisation, due::text FROM ledger.payment ORDER BY 1")
    assert [tuple(row) for row in rows] == [("first", "capture"), ("second", "void")]
    # The bank knows neither.
    await environment.db.execute(
        """SELECT payments.advance_payment(payment, reached::ledger.payment_state, 'answer', app_now())
        FROM ledger.payment, (VALUES ('captured', 'capture'), ('voided', 'void')) AS answer (reached, step)
        WHERE step = due::text"""
    )


@pytest.mark.parametrize("elsewhere_first", [False, True])
async def test_it_is_no_lapse(
    payments: Payments, bank: Bank, environment: Environment, held: UUID, elsewhere_first: bool
) -> None:
    """Three holds unpaid in a day would be too many; Asha's first was paid for, if late."""

    async def lose() -> None:
        await lapse(environment)
        if elsewhere_first:  # the claim that lapsed has been overwritten, and the lapse noted
            await environment.held(hour=10)
            await lapse(environment)

    bank.after["authorise"] = lose
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    for _ in range(1 if elsewhere_first else 2):
        await environment.held(hour=24 + 11)
        await lapse(environment)
    await environment.held(hour=24 + 11)
    await lapse(environment)
    start = environment.instant(24 + 11)
    assert (await environment.hold(start)).code == "lapses"


async def test_nothing_is_booked_for_somebody_erased(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    async def lapse_and_erase() -> None:
        await lapse(environment)
        await environment.db.execute(
            "UPDATE accounts.patient SET name = '', erased_at = app_now() WHERE patient_id = $1",
            environment.ids["asha"],
        )

    bank.after["authorise"] = lapse_and_erase
    paid = await pay(payments, environment, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await states(environment) == ["expired"]
    assert await money(environment) == ("voided", None)
