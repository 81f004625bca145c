"""What was requested at a gateway for its own page: looked at as the patient comes back, and closed at the end."""

from __future__ import annotations

import asyncio

import pytest

from healthplus.payments.accounts import Gateways
from healthplus.payments.payments import Payments
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.orders import Orders
from tests.payments.steps import facts, money, pay, states


@pytest.fixture
def gateway() -> Orders:
    return Orders()


@pytest.fixture
def payments(environment: Environment, gateway: Orders) -> Payments:
    return Payments(environment.db, environment.book, Gateways({"sandbox": gateway}))


async def test_who_comes_back_is_booked_at_once(payments: Payments, gateway: Orders, environment: Environment) -> None:
    held = await environment.held()
    assert (await pay(payments, environment, held, "card")).url
    gateway.pay("order-1")
    await asyncio.gather(*(payments.look_now(PROVIDER, held) for _ in range(5)))
    assert gateway.looks == 1  # however often the page is read
    assert (await states(environment), await facts(environment)) == (["booked"], [("authorised", "fetch")])
    payments._looked.clear()
    await payments.look_now(PROVIDER, held)
    assert gateway.looks == 1  # nothing is left to be known


async def test_a_gateway_that_does_not_answer_costs_the_page_nothing(
    payments: Payments, gateway: Orders, environment: Environment
) -> None:
    held = await environment.held()
    await payments.look_now(PROVIDER, held)  # nothing was requested
    await pay(payments, environment, held, "card")
    gateway.is_silent = True
    payments._looked.clear()
    await payments.look_now(PROVIDER, held)
    assert (gateway.looks, await states(environment)) == (1, ["reserved"])


@pytest.mark.parametrize("ends", ["released", "expired"])
async def test_what_was_requested_for_a_hold_that_ended_is_closed(
    ends: str, payments: Payments, gateway: Orders, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held, "card")
    await environment.pass_time(seconds=20)
    assert await payments.reconciliation.poll() == (1, 0)
    assert gateway.closed == []  # it may still be paid for
    if ends == "released":
        assert (await environment.book.release(PROVIDER, held, environment.actor("asha"))).code == "released"
        await environment.pass_time(seconds=30)
    else:
        await environment.pass_time(minutes=6)
    assert await payments.reconciliation.poll() == (1, 0)
    assert gateway.closed == ["order-1"]


async def test_what_was_paid_is_not_closed(payments: Payments, gateway: Orders, environment: Environment) -> None:
    held = await environment.held()
    await pay(payments, environment, held, "upi")
    await environment.pass_time(minutes=6)
    gateway.pay("order-1", is_captured=True)
    assert await payments.reconciliation.poll() == (1, 0)
    assert gateway.closed == []
    assert sorted(await states(environment)) == ["booked", "expired"]  # the time was still free
    assert await money(environment) == ("captured", None)


async def test_another_order_closes_the_one_before_and_what_was_paid_for_it_counts(
    payments: Payments, gateway: Orders, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held, "card")
    gateway.pay("order-1")
    await pay(payments, environment, held, "upi")
    await asyncio.gather(*payments._tasks)
    assert gateway.closed == ["order-1"]
    assert await states(environment) == ["booked"]
