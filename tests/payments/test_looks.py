"""Looks at the gateway for money that no webhook reported: when they are made, and what comes after the last."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from healthplus.errors import PaymentUnavailable
from healthplus.payments.payments import Payments
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.conftest import Bank
from tests.payments.steps import ask, capture, facts, money, pay, send, states, webhook


async def test_money_that_no_webhook_reported_is_found(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held, "sandbox-later")
    await bank.authorise(
        f"{PROVIDER}:{held}", 50000, "INR", "sandbox-ok"
    )  # the patient pays there, and the webhook is lost
    await environment.pass_time(seconds=19)
    assert await payments.reconciliation.poll() == (0, 0)
    await environment.pass_time(seconds=1)
    assert await payments.reconciliation.poll() == (1, 0)
    assert (await states(environment), await facts(environment)) == (["booked"], [("authorised", "fetch")])
    await capture(payments, environment)
    assert await money(environment) == ("captured", None)


async def test_what_is_looked_for_and_how_often(payments: Payments, bank: Bank, environment: Environment) -> None:
    held = await environment.held()
    bank.fails = {"authorise"}
    with pytest.raises(PaymentUnavailable):
        await pay(payments, environment, held, "sandbox-later")
    looks = [timedelta()]
    next_look = "SELECT check_at - app_now() FROM payments.intent"
    while (wait := await environment.db.fetch_value(next_look)) is not None:  # until the intent is gone
        looks.append(looks[-1] + wait)
        await environment.pass_time(seconds=wait.total_seconds())
        assert await payments.reconciliation.poll() == (1, 0)
    waits = [after - before for before, after in itertools.pairwise(looks)]
    assert max(wait for wait, at in zip(waits, looks, strict=False) if at < timedelta(minutes=10)) < timedelta(
        seconds=31
    )
    assert max(waits) <= timedelta(hours=6)
    assert timedelta(days=2) <= looks[-1] < timedelta(days=2, hours=6)
    assert 20 < len(looks) < 50


async def intents(environment: Environment) -> int:
    found: int = await environment.db.fetch_value("SELECT count(*) FROM payments.intent")
    return found


async def test_money_that_is_taken_is_looked_at_once_at_its_hour(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    await pay(payments, environment, await environment.held())
    await environment.db.execute("UPDATE ledger.payment SET at = app_now()")  # as if this process had captured it
    assert await payments.captures.poll() == (1, 0)
    await environment.pass_time(minutes=59, seconds=59)
    assert await payments.reconciliation.poll() == (0, 0)
    await environment.pass_time(seconds=1)
    assert await payments.reconciliation.poll() == (1, 0)
    assert (bank.calls.count("fetch"), await intents(environment)) == (1, 0)


async def test_money_that_is_taken_late_is_looked_at_twice(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    await pay(payments, environment, await environment.held())
    await environment.pass_time(seconds=20)
    assert await payments.reconciliation.poll() == (1, 0)
    await environment.pass_time(seconds=10)
    assert await payments.captures.poll() == (1, 0)
    await environment.pass_time(minutes=59)
    assert await payments.reconciliation.poll() == (0, 0)
    await environment.pass_time(seconds=30)
    assert await payments.reconciliation.poll() == (1, 0)
    assert (bank.calls.count("fetch"), await intents(environment)) == (2, 0)


async def test_a_request_during_a_look_is_looked_for_again(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    """The last look at what was asked for three days ago is not the last at what is asked for meanwhile."""
    held = await environment.held()
    await ask(environment, held)
    await environment.db.execute(
        "UPDATE payments.intent SET asked_at = asked_at - interval '3 days', check_at = app_now()"
    )

    async def meanwhile() -> None:
        await pay(payments, environment, held, "sandbox-later")

    bank.after["fetch"] = meanwhile
    assert await payments.reconciliation.poll() == (1, 0)
    wait = await environment.db.fetch_value("SELECT check_at - asked_at FROM payments.intent")
    assert timedelta(seconds=20) <= wait < timedelta(seconds=40)


@pytest.mark.parametrize("state", ["authorised", "captured"])
@pytest.mark.parametrize("is_known", [False, True])
async def test_money_goes_back_that_comes_when_nobody_looks_for_it_any_more(
    payments: Payments, bank: Bank, environment: Environment, secret: str, state: str, is_known: bool
) -> None:
    """A webhook after the last look: for a hold that came to nothing, and once more for a booking."""
    held = await environment.held()
    if is_known:
        await pay(payments, environment, held)
        await capture(payments, environment)
    else:
        await ask(environment, held)
    await environment.pass_time(days=3)  # the slot is over, at whatever hour this runs
    await environment.book.advance(PROVIDER)
    assert await payments.reconciliation.poll() == (1, 0)
    assert await intents(environment) == 0
    await send(payments, secret, webhook(held, state, "late"))
    row = await environment.db.fetch_row(
        "SELECT state::text, due::text FROM ledger.payment WHERE authorisation = 'late'"
    )
    assert row is not None
    assert tuple(row) == (state, "void" if state == "authorised" else "refund")
    assert await states(environment) == ["booked" if is_known else "expired"]
    assert await intents(environment) == 0


async def test_a_gateway_that_cannot_be_looked_at_is_looked_at_again(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held, "sandbox-later")
    await environment.pass_time(seconds=20)
    bank.fails = {"fetch"}
    assert await payments.reconciliation.poll() == (1, 1)
    assert await payments.reconciliation.poll() == (0, 0)
    bank.fails.clear()
    await environment.pass_time(seconds=30)
    assert await payments.reconciliation.poll() == (1, 0)
