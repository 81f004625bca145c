from __future__ import annotations

from typing import Any

import pytest

from healthplus.accounts.actors import Staff
from healthplus.errors import DatabaseUnreachable, PaymentDeclined
from healthplus.ops.check import money_invariants, violations
from healthplus.payments.accounts import Gateways
from healthplus.payments.captures import Captures
from healthplus.payments.payments import Payments
from tests.fixtures.environment import AT_CLINIC, FREE, PROVIDER, Environment
from tests.payments.conftest import Bank
from tests.payments.steps import capture, facts, money, money_back, pay


async def test_authorise_then_book_then_capture(payments: Payments, bank: Bank, environment: Environment) -> None:
    paid = await pay(payments, environment, await environment.held())
    assert (paid.outcome.code, paid.voided) == ("booked", None)
    assert await money(environment) == ("authorised", "capture")
    assert await capture(payments, environment) == (1, 0)
    assert await money(environment) == ("captured", None)
    assert await payments.captures.poll() == (0, 0)
    assert bank.calls == ["authorise", "capture"]


async def test_what_is_paid_at_the_clinic_moves_no_money(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    paid = await pay(payments, environment, await environment.held(AT_CLINIC, 13), "cash, later")
    assert paid.outcome.code == "booked"
    assert (bank.calls, await money(environment)) == ([], None)


async def test_a_decline_leaves_the_hold(payments: Payments, environment: Environment) -> None:
    held = await environment.held()
    with pytest.raises(PaymentDeclined):
        await pay(payments, environment, held, "sandbox-declined")
    assert (await pay(payments, environment, held)).outcome.code == "booked"


async def test_a_hold_lost_meanwhile_is_not_paid_for(payments: Payments, bank: Bank, environment: Environment) -> None:
    held = await environment.held()

    async def lose() -> None:
        await environment.pass_time(seconds=306)
        await environment.held(name="bina")

    bank.after["authorise"] = lose
    paid = await pay(payments, environment, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await money(environment) == ("voided", None)
    assert bank.calls == ["authorise", "void"]


async def test_a_void_that_fails_is_done_later(payments: Payments, bank: Bank, environment: Environment) -> None:
    held = await environment.held()
    bank.after["authorise"] = lambda: environment.book.release(PROVIDER, held, environment.actor("asha"))
    bank.fails = {"void"}
    paid = await pay(payments, environment, held)
    assert (paid.outcome.code, paid.voided) == ("wrong_state", False)
    assert await payments.captures.poll() == (1, 1)
    bank.fails.clear()
    # It was tried just now, and is left alone for a while.
    assert await payments.captures.poll() == (0, 0)
    await environment.pass_time(seconds=31)
    assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("voided", None)


async def test_gone_before_money_moves(payments: Payments, bank: Bank, environment: Environment) -> None:
    held = await environment.held()
    other = await payments.pay(PROVIDER, held, "sandbox-ok", environment.actor("bina"), "key")
    assert other.outcome.code == "not_found"
    await environment.pass_time(seconds=306)
    assert (await pay(payments, environment, held)).outcome.code == "expired"
    assert bank.calls == []


async def test_an_unknown_outcome_is_settled_by_a_repeat(
    payments: Payments, bank: Bank, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await environment.held()
    confirm = environment.book.confirm

    async def lose_the_answer(*args: Any, **options: Any) -> Any:
        await confirm(*args, **options)
        raise DatabaseUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(environment.book, "confirm", lose_the_answer)
        with pytest.raises(DatabaseUnreachable):
            await pay(payments, environment, held)
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    assert await money(environment) == ("authorised", "capture")
    assert bank.calls == ["authorise"]


@pytest.mark.parametrize("captured_first", [False, True])
async def test_cancelling_gives_the_money_back(
    payments: Payments, bank: Bank, environment: Environment, captured_first: bool
) -> None:
    held = await environment.held()
    await pay(payments, environment, held)
    if captured_first:
        await capture(payments, environment)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("refunded" if captured_first else "voided", None)


async def test_cancelling_while_it_is_captured(payments: Payments, bank: Bank, environment: Environment) -> None:
    held = await environment.held()
    await pay(payments, environment, held)
    bank.after["capture"] = lambda: environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    assert await capture(payments, environment) == (1, 0)
    assert await money(environment) == ("captured", "refund")
    assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("refunded", None)


async def test_another_process_undoes_what_this_one_is_about_to_mark(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held)

    async def meanwhile() -> None:
        await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
        other = Captures(environment.db, Gateways({"sandbox": bank}))
        assert await other.poll() == (1, 0)  # wants to void, and finds it captured
        assert await money(environment) == ("captured", "refund")
        assert await other.poll() == (1, 0)
        assert await money(environment) == ("refunded", None)

    bank.after["capture"] = meanwhile
    assert await capture(payments, environment) == (1, 0)
    assert await money(environment) == ("refunded", None)
    assert bank.calls == ["authorise", "capture", "void", "refund"]


async def test_a_gateway_that_fails_is_asked_again(payments: Payments, bank: Bank, environment: Environment) -> None:
    await pay(payments, environment, await environment.held())
    bank.fails = {"capture"}
    assert await capture(payments, environment) == (1, 1)
    assert await money(environment) == ("authorised", "capture")
    bank.fails.clear()
    await environment.pass_time(seconds=31)
    assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("captured", None)


async def test_a_payment_that_is_pending_books_nothing_yet(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await environment.held()
    paid = await pay(payments, environment, held, "sandbox-later")
    assert paid.outcome.code == "pending"
    assert paid.url.startswith("http://127.0.0.1:")
    assert (await pay(payments, environment, held, "sandbox-later")).url == paid.url
    assert await money(environment) is None
    # The patient thinks better of it, and takes a card that pays at once.
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    assert await facts(environment) == [("authorised", "answer")]


async def test_the_ledger_says_what_happened_and_how_that_was_known(
    payments: Payments, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held)
    await capture(payments, environment)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    assert await money_back(payments, held) == ("refund_due", 0, 50000)
    await payments.captures.poll()
    assert await facts(environment) == [("authorised", "answer"), ("captured", "answer"), ("refunded", "answer")]
    assert await money_back(payments, held) == ("refunded", 0, 50000)
    await environment.pass_time(minutes=3)
    assert await violations(environment.db, money_invariants) == []


@pytest.mark.parametrize("captured_first", [False, True])
async def test_the_patient_is_told_once_that_the_money_went_back(
    payments: Payments, bank: Bank, environment: Environment, captured_first: bool
) -> None:
    await environment.db.execute("UPDATE accounts.patient SET email = 'asha@example.org' WHERE name = 'asha'")
    await environment.db.execute("UPDATE accounts.patient SET email_verified_at = public.app_now() WHERE name = 'asha'")
    held = await environment.held()
    await pay(payments, environment, held)
    if captured_first:
        await capture(payments, environment)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    notices = "SELECT count(*) FROM notices.notice WHERE kind = 'refunded' AND booking_id = $1"
    assert await environment.db.fetch_value(notices, held) == 0
    await payments.captures.poll()
    await environment.db.execute(
        """SELECT payments.record_gateway_event(
            provider_id, hold_id, authorisation, state, 50000, 'INR', 'webhook', 'again')
        FROM ledger.payment"""
    )
    assert await environment.db.fetch_value(notices, held) == 1


@pytest.mark.parametrize(("clinic_id", "hour"), [(AT_CLINIC, 13), (FREE, 18)])
@pytest.mark.parametrize("staff", [False, True])
async def test_without_online_funding_no_money_is_ever_on_record(
    payments: Payments, bank: Bank, environment: Environment, clinic_id: int, hour: int, staff: bool
) -> None:
    held = await environment.held(clinic_id, hour)
    if staff:  # a booking by phone
        booked = await environment.book.confirm(PROVIDER, held, None, Staff(7), "call 1")
    else:
        booked = (await pay(payments, environment, held, "cash, later")).outcome
    assert (booked.code, booked.funding) == ("booked", "clinic" if clinic_id == AT_CLINIC else "free")
    await environment.book.cancel(PROVIDER, held, Staff(1))
    assert await payments.captures.poll() == await payments.reconciliation.poll() == (0, 0)
    for table in ("payments.intent", "ledger.payment", "ledger.entry"):
        assert await environment.db.fetch_value(f"SELECT count(*) FROM {table}") == 0
    assert bank.calls == []


async def test_the_front_desk_cannot_book_what_is_paid_online_without_money(environment: Environment) -> None:
    held = await environment.held()
    assert (await environment.book.confirm(PROVIDER, held, None, Staff(7))).code == "payment_required"
