"""What the terms of a booking keep when its patient cancels: at the ledger and at the bank, to the paisa."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import pytest

from healthplus.accounts.actors import Actor, Staff, System
from healthplus.booking.replacements import cancel_replaced
from healthplus.ops.check import all_violations
from healthplus.payments.gateway import GatewayPayment, PaymentState
from healthplus.payments.payments import Payments
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.terms import set_terms
from tests.payments.conftest import Bank
from tests.payments.steps import capture, money, money_back, pay, send, webhook

FEE = 50000
MICROSECOND = timedelta(microseconds=1)
ALWAYS = 8784
"""Hours before the start: earlier than anything is booked."""


async def settle(payments: Payments, environment: Environment) -> None:
    """Have all that is due be done, and more time pass than it may take."""
    for _ in range(3):
        await environment.pass_time(seconds=31)
        await payments.captures.poll()
    await environment.pass_time(minutes=2)
    assert await payments.captures.poll() == (0, 0)
    assert await all_violations(environment.db) == []


async def booked(payments: Payments, environment: Environment, *, captured: bool, hour: int = 9) -> UUID:
    held = await environment.held(hour=hour)
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    if captured:
        await capture(payments, environment)
    return held


async def at_bank(bank: Bank, held: UUID) -> GatewayPayment:
    """Return the payment as the bank has it, without the refunds, whose sum it says."""
    (payment,) = await bank.fetch(f"{PROVIDER}:{held}")
    assert payment.refunded_minor == sum(refund.amount_minor for refund in payment.refunds)
    return msgspec.structs.replace(payment, refunds=[])


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize(("kept", "minor"), [("20%", 10000), (12345, 12345), ("0%", 0), ("100%", FEE), (60000, FEE)])
async def test_the_rest_goes_back(
    payments: Payments, bank: Bank, environment: Environment, captured: bool, kept: int | str, minor: int
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: kept})
    held = await booked(payments, environment, captured=captured)
    shown = await environment.book.terms(PROVIDER, held, environment.ids["asha"])
    assert shown is not None
    assert (shown.kept_minor, shown.returned_minor) == (minor, FEE - minor)
    assert (await environment.book.cancel(PROVIDER, held, environment.actor("asha"))).code == "cancelled"
    due = "kept" if minor == FEE else "refund_due" if minor or captured else "void_due"
    assert await money_back(payments, held) == (due, minor, FEE - minor)
    await settle(payments, environment)
    state: PaymentState = "captured" if minor == FEE else "refunded" if minor or captured else "voided"
    refunded = FEE - minor if state == "refunded" else 0
    assert await money(environment) == (state, None)
    assert await money_back(payments, held) == ("kept" if minor == FEE else state, minor, FEE - minor)
    assert await at_bank(bank, held) == GatewayPayment(f"sandbox-{PROVIDER}:{held}", state, FEE, "INR", refunded)
    back = "SELECT sum(amount_minor) FROM ledger.entry WHERE state IN ('voided', 'refunded')"
    assert (await environment.db.fetch_value(back) or 0) == FEE - minor


@pytest.mark.parametrize("actor", [Staff(1), System("operator")])
@pytest.mark.parametrize("captured", [False, True])
async def test_what_others_cancel_goes_back_whole(
    payments: Payments, bank: Bank, environment: Environment, actor: Actor, captured: bool
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "100%"})
    held = await booked(payments, environment, captured=captured)
    assert (await environment.book.cancel(PROVIDER, held, actor)).code == "cancelled"
    if isinstance(actor, Staff):  # they may take it back until then
        await environment.pass_time(minutes=2, seconds=50)
        assert await payments.captures.poll() == (0, 0)
        await environment.pass_time(seconds=10)
    await settle(payments, environment)
    assert await money(environment) == ("refunded" if captured else "voided", None)
    assert await money_back(payments, held) == ("refunded" if captured else "voided", 0, FEE)


async def test_what_the_clinic_has_to_make_good_for_goes_back_whole(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "100%"})
    held = await booked(payments, environment, captured=True)
    start = environment.instant(9)
    changed = await environment.book.add_leave(
        PROVIDER, None, start, start + timedelta(hours=1), "", Staff(1), flag_for_rebooking=True
    )
    assert changed.code == "changed"
    shown = await environment.book.terms(PROVIDER, held, environment.ids["asha"])
    assert shown is not None
    assert (shown.steps, shown.kept_minor, shown.returned_minor, shown.until) == ((), 0, FEE, start)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await settle(payments, environment)
    assert (await at_bank(bank, held)).refunded_minor == FEE


async def test_a_hold_given_up_or_lost_costs_nothing(payments: Payments, bank: Bank, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "100%"})
    held = await environment.held()
    bank.after["authorise"] = lambda: environment.book.release(PROVIDER, held, environment.actor("asha"))
    assert (await pay(payments, environment, held)).voided
    lost = await environment.held(hour=10)

    async def lose() -> None:
        await environment.pass_time(seconds=306)
        await environment.held(hour=10, name="bina")

    bank.after["authorise"] = lose
    assert (await pay(payments, environment, lost, key="lost")).voided
    assert await environment.db.fetch_value("SELECT count(*) FROM ledger.payment WHERE state = 'voided'") == 2
    assert await environment.db.fetch_value("SELECT count(kept_minor) FROM ledger.payment") == 0


async def test_what_is_paid_at_the_clinic_keeps_nothing(payments: Payments, environment: Environment) -> None:
    await set_terms(environment.db, AT_CLINIC, {ALWAYS: "100%"})
    held = await environment.held(AT_CLINIC, 13)
    await pay(payments, environment, held, "cash")
    shown = await environment.book.terms(PROVIDER, held, environment.ids["asha"])
    assert shown is not None
    assert (shown.steps, shown.kept_minor, shown.returned_minor) == ((), 0, 0)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    assert await payments.money(PROVIDER, held) is None


async def test_a_repeated_cancel_answers_the_same_and_keeps_no_more(
    payments: Payments, environment: Environment
) -> None:
    hours = (environment.instant(9) - await environment.now()) // timedelta(hours=1)
    await set_terms(environment.db, ONLINE, {ALWAYS: 100, hours - 10: FEE})
    held = await booked(payments, environment, captured=True)
    first = await environment.book.cancel(PROVIDER, held, environment.actor("asha"), "key")
    await environment.pass_time(hours=20)
    assert await environment.book.cancel(PROVIDER, held, environment.actor("asha"), "key") == first
    assert (await environment.book.cancel(PROVIDER, held, environment.actor("asha"))).code == "wrong_state"
    # A repeat of the payment does not say that it is booked, and takes no other money.
    assert (await pay(payments, environment, held, key="again")).outcome.code == "wrong_state"
    await settle(payments, environment)
    assert await money_back(payments, held) == ("refunded", 100, FEE - 100)


@pytest.mark.parametrize("minor", [100, FEE])
async def test_a_repeated_payment_of_what_was_cancelled_books_nothing(
    payments: Payments, environment: Environment, minor: int
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: minor})
    held = await booked(payments, environment, captured=False)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    for key in ("while it is to be captured", "once it is"):
        assert (await pay(payments, environment, held, key=key)).outcome.code == "wrong_state"
        await payments.captures.poll()
    await settle(payments, environment)
    assert await money_back(payments, held) == ("kept" if minor == FEE else "refunded", minor, FEE - minor)


async def test_what_is_kept_is_written_once(payments: Payments, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: 100})
    held = await booked(payments, environment, captured=False)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    for kept in ("NULL", "99", "101"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="written once"):
            await environment.db.execute(f"UPDATE ledger.payment SET kept_minor = {kept}")


async def test_terms_change_for_new_holds_only(payments: Payments, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "10%"})
    held = await booked(payments, environment, captured=True)
    await set_terms(environment.db, ONLINE, {ALWAYS: "90%"})
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await settle(payments, environment)
    assert await money_back(payments, held) == ("refunded", 5000, 45000)


@pytest.mark.parametrize("cancels", ["the patient", "another booking"])
async def test_moving_does_not_lessen_what_is_kept(payments: Payments, environment: Environment, cancels: str) -> None:
    """Of two moves the dearer counts."""
    await set_terms(environment.db, ONLINE, {30: "60%", 100: "20%"})
    held = await booked(payments, environment, captured=True)
    book, asha, patient = environment.book, environment.actor("asha"), environment.ids["asha"]
    await environment.pass_until(environment.instant(9) - timedelta(hours=31))
    week = environment.instant(9) + timedelta(days=7)
    assert (await book.reschedule(PROVIDER, held, week, asha)).code == "moved"  # 31 hours before: nothing dear yet
    shown = await book.terms(PROVIDER, held, patient)
    assert shown is not None
    assert (shown.kept_minor, shown.until) == (10000, week - timedelta(hours=30))
    assert [(step.hours_before, step.kept_minor) for step in shown.steps] == [(100, 10000), (30, 30000)]
    await environment.pass_until(week - timedelta(hours=29))
    assert (await book.reschedule(PROVIDER, held, week + timedelta(days=20), asha)).code == "moved"
    assert (await book.reschedule(PROVIDER, held, week + timedelta(days=21), asha)).code == "moved"
    shown = await book.terms(PROVIDER, held, patient)
    assert shown is not None
    assert (shown.kept_minor, shown.until) == (30000, week + timedelta(days=21))
    if cancels == "the patient":
        await book.cancel(PROVIDER, held, asha)
    else:
        await replace(environment, held, week + timedelta(days=1))
        await cancel_replaced(environment.db, book)
    await settle(payments, environment)
    assert await money_back(payments, held) == ("refunded", 30000, 20000)


@pytest.mark.parametrize("actor", [Staff(1), System("operator")])
async def test_what_others_move_goes_back_whole(payments: Payments, environment: Environment, actor: Actor) -> None:
    """However often its patient moves it after that, or did before."""
    await set_terms(environment.db, ONLINE, {ALWAYS: "100%"})
    held = await booked(payments, environment, captured=True)
    book, asha, patient = environment.book, environment.actor("asha"), environment.ids["asha"]
    for hour, mover in ((11, asha), (10, actor), (11, asha)):
        assert (await book.reschedule(PROVIDER, held, environment.instant(hour), mover)).code == "moved"
    shown = await book.terms(PROVIDER, held, patient)
    assert shown is not None
    assert (shown.steps, shown.kept_minor, shown.returned_minor) == ((), 0, FEE)
    await book.cancel(PROVIDER, held, asha)
    await settle(payments, environment)
    assert await money_back(payments, held) == ("refunded", 0, FEE)


async def replace(environment: Environment, old: UUID, start: datetime) -> None:
    """Book with another provider instead, to be paid at the clinic."""
    book, patient, actor = environment.book, environment.ids["asha"], environment.actor("asha")
    afternoon = start + timedelta(hours=4)
    held = await book.hold(OTHER_PROVIDER, AT_CLINIC, afternoon, 1, patient, actor, instead_of=(PROVIDER, old))
    assert held.code == "reserved"
    assert (await book.confirm(OTHER_PROVIDER, held.booking_id, None, actor)).code == "booked"


async def test_what_is_replaced_keeps_what_it_did_when_the_other_was_booked(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    """However late the processes come to cancel it."""
    await set_terms(environment.db, ONLINE, {24: "100%", ALWAYS: "10%"})
    held = await booked(payments, environment, captured=True)
    await replace(environment, held, environment.instant(9) + timedelta(days=3))
    await environment.pass_until(environment.instant(8))
    await cancel_replaced(environment.db, environment.book)
    await settle(payments, environment)
    assert await money_back(payments, held) == ("refunded", 5000, 45000)
    assert (await at_bank(bank, held)).refunded_minor == 45000


async def test_money_that_came_late_is_kept_by_the_same_terms(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "20%"})
    held = await environment.held()
    bank.after["authorise"] = lambda: environment.pass_time(seconds=306)
    late = (await pay(payments, environment, held)).outcome
    assert (late.code, late.booking_id != held) == ("booked", True)
    await environment.book.cancel(PROVIDER, late.booking_id, environment.actor("asha"))
    await settle(payments, environment)
    assert await money_back(payments, late.booking_id) == ("refunded", 10000, 40000)
    assert (await at_bank(bank, held)).refunded_minor == 40000


@pytest.mark.parametrize("minor", [10000, FEE])
async def test_a_second_payment_goes_back_whole_beside_one_of_which_something_is_kept(
    payments: Payments, environment: Environment, secret: str, minor: int
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: minor})
    held = await booked(payments, environment, captured=True)
    await send(payments, secret, webhook(held, "captured", "twice"))
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await send(payments, secret, webhook(held, "captured", "thrice"))
    kept = "SELECT authorisation FROM ledger.payment WHERE kept_minor IS NOT NULL"
    assert await environment.db.fetch_value(kept) == f"sandbox-{PROVIDER}:{held}"
    for name in ("twice", "thrice"):
        await send(payments, secret, webhook(held, "refunded", name, refunded=FEE))
    await settle(payments, environment)
    assert await money_back(payments, held) == ("kept" if minor == FEE else "refunded", minor, FEE - minor)


async def test_what_the_bank_let_go_before_it_was_taken_is_kept_by_nobody(
    payments: Payments, environment: Environment, secret: str
) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "20%"})
    held = await booked(payments, environment, captured=False)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await send(payments, secret, webhook(held, "voided", f"sandbox-{PROVIDER}:{held}"))
    assert await money_back(payments, held) == ("voided", 0, FEE)
    await settle(payments, environment)


async def test_what_was_given_back_by_hand_at_the_bank_is_taken_note_of(
    payments: Payments, bank: Bank, environment: Environment, secret: str
) -> None:
    """All of it, where the terms keep something: no more goes back, and nothing is left to be kept."""
    await set_terms(environment.db, ONLINE, {ALWAYS: "20%"})
    held = await booked(payments, environment, captured=True)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    name = f"sandbox-{PROVIDER}:{held}"
    await bank.refund(name, FEE, "INR")
    for _ in range(2):
        await send(payments, secret, webhook(held, "refunded", name, refunded=FEE))
    await environment.pass_time(hours=1)
    await payments.reconciliation.poll()
    while (await payments.captures.poll())[0]:
        pass
    assert await money(environment) == ("refunded", None)
    rows = await environment.db.fetch("SELECT amount_minor, why, is_rest, state::text FROM ledger.refund")
    assert [tuple(row) for row in rows] == [(FEE, "gateway", False, "processed")]
    assert (await at_bank(bank, held)).refunded_minor == FEE
    assert await all_violations(environment.db) == []


async def test_a_step_counts_after_its_instant_and_not_at_it(environment: Environment) -> None:
    """In SQL, where the instant can be named; hours are hours, also on a day when clocks change."""
    terms_id = await set_terms(environment.db, ONLINE, {24: "50%", 4: "100%"})
    held = await environment.held()
    start = environment.instant(9)
    at = "SELECT cancelling.* FROM booking.booking, booking.cancelling(booking, $1) WHERE booking_id = $2"

    async def cancelling(moment: object) -> tuple[object, ...]:
        row = await environment.db.fetch_row(at, moment, held)
        assert row is not None
        return tuple(row)

    day, hours = start - timedelta(hours=24), start - timedelta(hours=4)
    assert await cancelling(day - timedelta(days=9)) == (0, FEE, day)
    assert await cancelling(day) == (0, FEE, day)
    assert await cancelling(day + MICROSECOND) == (25000, 25000, hours)
    assert await cancelling(hours) == (25000, 25000, hours)
    assert await cancelling(hours + MICROSECOND) == (FEE, 0, None)
    kept = "SELECT directory.kept_minor($1, $2, $3, $3::timestamptz - interval '23 hours')"
    for fee, minor in ((1, 1), (3, 2), (99_999_999, 50_000_000), (100_000_000, 50_000_000)):
        assert await environment.db.fetch_value(kept, terms_id, fee, start) == minor
