"""A fee that was to be paid at the clinic, and is paid online: once, whatever the desk does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from healthplus.accounts.actors import Staff
from healthplus.database import Database
from healthplus.errors import PaymentDeclined
from healthplus.ops.check import all_violations, business_invariants, violations
from healthplus.payments.accounts import queries
from healthplus.payments.payments import PaidOnline, Payments
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.fixtures.races import rewrite, switch_lock_off
from tests.fixtures.terms import set_terms
from tests.fixtures.till import pay_at_desk
from tests.payments.conftest import Bank
from tests.payments.steps import facts, money, money_back, pay_online, send, webhook

FEE = 30000
_PAID = "SELECT funding::text FROM booking.booking WHERE booking_id = $1"
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
_ISSUED = "SELECT kind::text, amount_minor, source_kind::text FROM receipts.document ORDER BY document.kind, number"


async def book(environment: Environment, hour: int = 13) -> UUID:
    held = await environment.held(AT_CLINIC, hour)
    assert (await environment.book.confirm(PROVIDER, held, None, environment.actor("asha"))).code == "booked"
    return held


@pytest.fixture
async def booking(payments: Payments, environment: Environment) -> AsyncIterator[UUID]:
    """An appointment for 300 rupees, to be paid at the clinic; afterwards no money is where it should not be."""
    await set_terms(environment.db, AT_CLINIC, {8784: 12345})
    yield await book(environment)
    await settle(payments, environment)
    assert await all_violations(environment.db) == []


async def settle(payments: Payments, environment: Environment) -> None:
    await environment.pass_time(seconds=31)
    for _ in range(3):
        await payments.captures.poll()


async def give_back_at_desk(db: Database, booking: UUID) -> str:
    paid_id = await db.fetch_value("SELECT payment_id FROM till.payment WHERE booking_id = $1", booking)
    given = {
        "provider_id": PROVIDER, "booking_id": str(booking), "clinic_id": AT_CLINIC, "method": "cash",
        "amount_minor": -FEE, "actor": "staff:1", "key": "back", "of_id": str(paid_id), "reason": "Paid by phone",
    }  # fmt: skip
    answer: str = await db.fetch_value(
        "SELECT till.give_back(jsonb_populate_record(NULL::till.payment, $1::jsonb), 1, NULL, $2)",
        given,
        FEE,
    )
    return answer


async def test_it_is_paid_and_cancelled_as_any_that_is_paid_online(
    payments: Payments, environment: Environment, booking: UUID
) -> None:
    """The terms keep their part, receipt and credit note follow, and a repeat pays nothing more."""
    db = environment.db
    for _ in range(2):
        assert (await pay_online(payments, environment, booking)).code == "paid"
    assert await money(environment) == ("authorised", "capture")
    assert await pay_at_desk(db, booking) == "not_payable"
    await settle(payments, environment)
    assert await facts(environment) == [("authorised", "answer"), ("captured", "answer")]
    event = await db.fetch_row("SELECT kind, actor FROM booking.event ORDER BY seq DESC LIMIT 1")
    assert event
    assert tuple(event) == ("paid_online", str(environment.actor("asha")))
    await environment.book.cancel(PROVIDER, booking, environment.actor("asha"))
    await settle(payments, environment)
    assert await money_back(payments, booking) == ("refunded", 12345, FEE - 12345)
    await db.execute("SELECT receipts.issue(9)")
    assert [tuple(row) for row in await db.fetch(_ISSUED)] == [
        ("receipt", FEE, "online"),
        ("credit_note", FEE - 12345, "online"),
    ]
    assert (await pay_online(payments, environment, booking)).code == "not_payable"


async def test_who_is_declined_may_try_again(payments: Payments, environment: Environment, booking: UUID) -> None:
    with pytest.raises(PaymentDeclined):
        await pay_online(payments, environment, booking, "sandbox-declined")
    assert await environment.db.fetch_value("SELECT count(*) FROM payments.intent") == 0
    assert (await pay_online(payments, environment, booking, shown_minor=FEE + 1)).code == "not_payable"
    assert (await pay_online(payments, environment, booking)).code == "paid"


async def test_only_what_is_to_be_paid_at_the_clinic_is_paid_so(payments: Payments, environment: Environment) -> None:
    held = await environment.held()
    assert (await pay_online(payments, environment, held, shown_minor=50000)).code == "not_payable"
    assert await environment.db.fetch_value("SELECT count(*) FROM payments.intent") == 0
    other = await payments.pay_online(PROVIDER, held, "sandbox-ok", environment.actor("bina"), 50000, "")
    assert other.code == "not_found"


Meanwhile = Callable[[Environment, UUID], Awaitable[object]]


async def cancel(environment: Environment, booking: UUID) -> None:
    assert (await environment.book.cancel(PROVIDER, booking, environment.actor("asha"))).code == "cancelled"


async def settle_at_desk(environment: Environment, booking: UUID) -> None:
    """Have it take place unpaid, and then be paid at the desk."""
    await environment.pass_until(environment.instant(13))
    for state in ("arrived", "fulfilled"):
        assert (await environment.book.attend(PROVIDER, booking, state, Staff(1))).code == state
    assert await pay_at_desk(environment.db, booking) == "recorded"


async def pay_a_part(environment: Environment, booking: UUID) -> None:
    assert await pay_at_desk(environment.db, booking, 100) == "recorded"


async def change_fee(environment: Environment, booking: UUID) -> None:
    await environment.db.execute("UPDATE booking.booking SET fee_minor = fee_minor + 1 WHERE booking_id = $1", booking)


@pytest.mark.parametrize("meanwhile", [cancel, settle_at_desk, pay_a_part, change_fee])
async def test_what_comes_too_late_goes_back_at_once(
    payments: Payments, bank: Bank, environment: Environment, booking: UUID, meanwhile: Meanwhile
) -> None:
    bank.after["authorise"] = lambda: meanwhile(environment, booking)
    assert await pay_online(payments, environment, booking) == PaidOnline("not_payable", voided=True)
    assert await money(environment) == ("voided", None)
    assert await environment.db.fetch_value(_PAID, booking) == "clinic"
    # The gateway's key is used up: the desk takes what is owed.
    assert (await pay_online(payments, environment, booking)).code == "not_payable"


@pytest.mark.parametrize("is_paid_at_desk", [False, True])
async def test_what_was_paid_at_the_gateway_is_found(
    payments: Payments, secret: str, environment: Environment, booking: UUID, *, is_paid_at_desk: bool
) -> None:
    """By a webhook of what is captured at once: it pays, or its refund is ordered with the commit that notes it."""
    db = environment.db
    assert (await pay_online(payments, environment, booking, "sandbox-later")).url
    if is_paid_at_desk:
        assert await pay_at_desk(db, booking) == "recorded"
    await send(payments, secret, webhook(booking, "captured", "pm_1", FEE))
    assert await money(environment) == ("captured", "refund" if is_paid_at_desk else None)
    assert await db.fetch_value(_PAID, booking) == ("clinic" if is_paid_at_desk else "online")
    # A second payment for the same came twice.
    await send(payments, secret, webhook(booking, "captured", "pm_2", FEE))
    rows = await db.fetch("SELECT due::text FROM ledger.payment ORDER BY authorisation")
    assert [row["due"] for row in rows] == ["refund" if is_paid_at_desk else None, "refund"]
    await db.execute(  # this bank knows nothing of them
        "UPDATE ledger.payment SET state = 'refunded', refunded_at = app_now(), refunded_source = 'webhook', "
        "due = NULL WHERE due = 'refund'"
    )


async def test_what_comes_when_nobody_looks_any_more_goes_back(
    payments: Payments, secret: str, environment: Environment, booking: UUID
) -> None:
    assert (await pay_online(payments, environment, booking, "sandbox-later")).url
    await environment.db.execute("DELETE FROM payments.intent")
    await send(payments, secret, webhook(booking, "authorised", "pm_1", FEE))
    assert await money(environment) == ("authorised", "void")
    await environment.db.execute(
        "UPDATE ledger.payment SET state = 'voided', voided_at = app_now(), voided_source = 'webhook', due = NULL"
    )


async def test_nobody_is_to_pay_after_an_hour_or_what_is_paid(
    payments: Payments, environment: Environment, booking: UUID
) -> None:
    """What was requested is looked for, and closed only then."""
    assert (await pay_online(payments, environment, booking, "sandbox-later")).url
    for minutes, is_ended in ((1, False), (60, True)):
        await environment.pass_time(minutes=minutes)
        assert await has_ended(environment) is is_ended
    assert (await pay_online(payments, environment, booking, "sandbox-later")).url
    assert await pay_at_desk(environment.db, booking) == "recorded"
    await environment.pass_time(minutes=1)
    assert await has_ended(environment) is True


async def has_ended(environment: Environment) -> bool:
    row = await environment.db.fetch_row(queries.take_due_intents, 9, timedelta(seconds=20))
    assert row
    ended: bool = row["has_ended"]
    return ended


class _Undone(Exception):
    """Rolls back."""


async def test_what_the_desk_gave_back_before_stays_given_back(
    payments: Payments, environment: Environment, booking: UUID
) -> None:
    """Undoing that, three minutes long, would have it paid twice."""
    undo = "SELECT till.undo($1, $2, 'staff:1', public.app_now())"
    assert await pay_at_desk(environment.db, booking) == "recorded"
    assert await give_back_at_desk(environment.db, booking) == "returned"
    assert (await pay_online(payments, environment, booking)).code == "paid"
    with contextlib.suppress(_Undone):
        async with environment.db.transaction() as db:
            await rewrite(cast(Database, db), "till.last_payment", ("AND funding = 'online'", "AND false"))
            assert await db.fetch_value(undo, PROVIDER, booking) == "undone"
            broken = await violations(cast(Database, db), business_invariants)
            assert {one.invariant for one in broken} == {"fees_are_paid_once"}
            raise _Undone
    assert await environment.db.fetch_value(undo, PROVIDER, booking) == "too_late"


def by_desk(payments: Payments, environment: Environment, booking: UUID) -> Callable[[Database], Awaitable[str]]:
    return lambda db: pay_at_desk(db, booking)


def by_phone(payments: Payments, environment: Environment, booking: UUID) -> Callable[[Database], Awaitable[str]]:
    sql = "SELECT payments.pay_online($1, $2, 'money', $3, $4, 'answer')"
    return lambda db: db.fetch_value(sql, PROVIDER, booking, FEE, str(environment.actor("asha")))


@pytest.mark.parametrize("is_guarded", [False, True])
@pytest.mark.parametrize(("first", "second"), [(by_desk, by_phone), (by_phone, by_desk)])
@pytest.mark.breaks_invariants
async def test_of_desk_and_gateway_one_is_paid(
    payments: Payments, environment: Environment, first: Any, second: Any, *, is_guarded: bool
) -> None:
    """The second comes while the first is not committed: without the book's lock, it sees nothing of it."""
    db, booking = environment.db, await book(environment)
    if not is_guarded:
        await switch_lock_off(db)
    async with db.transaction() as transaction:
        answers = [await first(payments, environment, booking)(transaction)]
        other = asyncio.create_task(second(payments, environment, booking)(db))
        if is_guarded:
            await until(lambda: db.fetch_value(_WAITING))
        else:
            answers.append(await other)
    if is_guarded:
        answers.append(await other)
    won = "recorded" if first is by_desk else "paid"
    lost = {"recorded": "paid", "paid": "recorded"}[won]
    assert answers == [won, "not_payable" if is_guarded else lost]
    broken = {one.invariant for one in await violations(db, business_invariants)}
    if is_guarded:
        assert not broken
        due = await db.fetch_value("SELECT due::text FROM ledger.payment")
        assert due == ("void" if won == "recorded" else "capture")
    else:
        assert "fees_are_paid_once" in broken
