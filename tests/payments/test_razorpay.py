"""The product with an account at Razorpay: what a patient pays there books or goes back, whatever is reported."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

import pytest

from healthplus.errors import BadSignature, NotFound
from healthplus.ops.check import all_violations
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateways.razorpay import RazorpayGateway
from healthplus.payments.payments import Payments
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running, running_emulator
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.razorpay_account import (
    ACCOUNT,
    KEYS,
    begin,
    document_of,
    event,
    gateway_of,
    open_account,
    pay,
    report,
)
from tests.payments.steps import money, states

DAY_SECONDS = 86_400


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_emulator("razorpay", tmp_path_factory.mktemp("razorpay"), KEYS) as running:
        yield running


@pytest.fixture
async def gateway(emulator: Running, environment: Environment) -> AsyncIterator[RazorpayGateway]:
    await open_account(environment)
    async with gateway_of(emulator.url) as client:
        yield client
    await emulator.plan_faults(FaultPlan())
    await emulator.control("account", direct_settlement="no")


@pytest.fixture
def payments(environment: Environment, gateway: RazorpayGateway) -> Payments:
    return Payments(environment.db, environment.book, Gateways({ACCOUNT: gateway}))


async def settle(payments: Payments, environment: Environment, seconds: int = 90) -> None:
    """Have the background do what it does, for so long."""
    for _ in range(seconds // 15):
        await environment.book.advance(PROVIDER)
        await payments.reconciliation.poll()
        await payments.captures.poll()
        await environment.pass_time(seconds=15)


async def kept_minor(gateway: RazorpayGateway, held: UUID) -> int:
    """Return what is left at Razorpay of what was captured for a hold."""
    found = await gateway.fetch(f"{PROVIDER}:{held}")
    return sum(one.amount_minor - one.refunded_minor for one in found if one.state in ("captured", "refunded"))


@pytest.mark.parametrize("method", ["upi", "card", "netbanking"])
async def test_what_was_paid_books_and_is_captured(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment, method: str
) -> None:
    held = await environment.held()
    order = await begin(payments, environment, held, method)
    assert await begin(payments, environment, held, "card") == order, "with another method, too"
    name = await pay(emulator, order, method)
    await payments.look_now(PROVIDER, held)
    assert await states(environment) == ["booked"]
    assert await money(environment) == (("captured", None) if method == "upi" else ("authorised", "capture"))
    await settle(payments, environment)
    assert await money(environment) == ("captured", None)
    assert await kept_minor(gateway, held) == 50000
    assert await environment.db.fetch_value("SELECT authorisation FROM ledger.payment") == f"{ACCOUNT}/{name}"
    assert await all_violations(environment.db) == []


@pytest.mark.parametrize(
    ("method", "lets_lapse", "direct_settlement"),
    [("upi", False, "no"), ("card", False, "no"), ("card", True, "no"), ("netbanking", True, "yes")],
)
async def test_money_for_a_time_that_is_lost_goes_back_within_a_minute(
    emulator: Running,
    gateway: RazorpayGateway,
    environment: Environment,
    method: str,
    lets_lapse: bool,
    direct_settlement: str,
) -> None:
    await emulator.control("account", direct_settlement=direct_settlement)
    is_taken_at_once = method == "upi" or direct_settlement == "yes"
    async with gateway_of(emulator.url, lets_lapse=lets_lapse) as client:
        payments = Payments(environment.db, environment.book, Gateways({ACCOUNT: client}))
        held = await environment.held()
        order = await begin(payments, environment, held, method)
        await environment.pass_time(seconds=306)
        await environment.held(name="bina")
        name = await pay(emulator, order, method)
        payment = await document_of(gateway, f"payments/{name}")
        # By webhook: the order is given as the money is noted.
        await report(payments, event(f"payment.{payment['status']}", payment))
        due = await environment.db.fetch_value("SELECT due::text FROM ledger.payment WHERE at <= app_now()")
        assert due == ("refund" if is_taken_at_once else "void")
        await settle(payments, environment, 60)
    is_lapsing = lets_lapse and not is_taken_at_once
    assert await money(environment) == ("voided" if is_lapsing else "refunded", None)
    assert await kept_minor(gateway, held) == 0
    if is_lapsing:
        await emulator.pass_time(6 * DAY_SECONDS)
        assert [one.state for one in await gateway.fetch(f"{PROVIDER}:{held}")] == ["voided"]
    assert await all_violations(environment.db) == []


async def test_money_that_comes_late_books_the_same_time_if_it_is_free(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    held = await environment.held()
    order = await begin(payments, environment, held)
    await environment.pass_time(seconds=306)
    await pay(emulator, order)
    await settle(payments, environment, 30)
    assert sorted(await states(environment)) == ["booked", "expired"]
    assert await money(environment) == ("captured", None)


async def test_a_second_payment_goes_back(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    held = await environment.held()
    order = await begin(payments, environment, held)
    await pay(emulator, order)
    await payments.look_now(PROVIDER, held)
    again = await pay(emulator, order, "card", again="yes")
    await report(payments, event("payment.authorized", await document_of(gateway, f"payments/{again}")))
    await settle(payments, environment, 60)
    assert await kept_minor(gateway, held) == 50000
    assert await all_violations(environment.db) == []


async def test_a_second_payment_for_a_time_that_was_given_back_goes_back_soon_too(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    """Although no webhook reports it, and the first was captured in order to be refunded."""
    held = await environment.held()
    order = await begin(payments, environment, held, "card")
    await environment.book.release(PROVIDER, held, environment.actor("asha"))
    await pay(emulator, order, "card")
    await environment.pass_time(seconds=20)
    await settle(payments, environment, 30)
    assert await money(environment) == ("refunded", None)
    await pay(emulator, order, "card", again="yes")
    await settle(payments, environment, 60)
    rows = await environment.db.fetch("SELECT state::text FROM ledger.payment")
    assert [row["state"] for row in rows] == ["refunded", "refunded"]
    assert await kept_minor(gateway, held) == 0


async def test_an_order_whose_name_was_never_stored_is_found(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    """Two processes ask for one at once, or one of them dies: whichever is paid, the money is found."""
    held = await environment.held()
    order = await begin(payments, environment, held)
    other = await gateway._new_order(f"{PROVIDER}:{held}", 50000, "INR")
    assert other != order
    name = await pay(emulator, other)
    await report(payments, event("payment.captured", await document_of(gateway, f"payments/{name}")))
    assert await states(environment) == ["booked"]
    assert await money(environment) == ("captured", None)


async def test_what_the_browser_says_it_is_for_is_not_believed(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    """The notes of a payment come from the form, which its sender can change: they would pay once for two."""
    victim = await environment.held(hour=10, name="bina")
    await payments.pay(PROVIDER, victim, "upi", environment.actor("bina"), "key", "https://shop.example/x")
    held = await environment.held()
    order = await begin(payments, environment, held)
    name = await pay(emulator, order, key=f"{PROVIDER}:{victim}")
    await report(payments, event("payment.captured", await document_of(gateway, f"payments/{name}")))
    assert sorted(await states(environment)) == ["reserved", "reserved"]
    await payments.look_now(PROVIDER, held)
    rows = await environment.db.fetch("SELECT hold_id FROM ledger.payment")
    assert [row["hold_id"] for row in rows] == [held]


@pytest.mark.parametrize(
    "order", list(itertools.permutations(("payment.authorized", "payment.captured", "order.paid")))
)
async def test_in_whatever_order_and_however_often_webhooks_come(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment, order: Sequence[str]
) -> None:
    held = await environment.held()
    paid = await begin(payments, environment, held)
    payment = await document_of(gateway, f"payments/{await pay(emulator, paid)}")
    before = payment | {"status": "authorized", "captured": False, "fee": None}
    bodies = [event(kind, before if kind == "payment.authorized" else payment) for kind in order]
    await asyncio.gather(*(report(payments, body) for body in bodies * 2))
    for body in bodies:
        await report(payments, body)
    assert await states(environment) == ["booked"]
    assert await money(environment) == ("captured", None)
    assert await environment.db.fetch_value("SELECT count(*) FROM ledger.payment") == 1


async def test_an_old_event_is_not_believed_but_looked_into(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    held = await environment.held()
    order = await begin(payments, environment, held)
    # A captured payment that Razorpay does not have: a recording of another account's, say, or one that was changed.
    name = await pay(emulator, await gateway._new_order(f"{PROVIDER}:{held}x"[:-1], 50000, "INR"), "card")
    stale = await document_of(gateway, f"payments/{name}") | {"order_id": order, "status": "captured", "captured": True}
    await report(payments, event("payment.captured", stale, age_seconds=4000))
    assert await states(environment) == ["booked"], "it is there, though not captured"
    assert await money(environment) == ("authorised", "capture")


async def test_what_is_not_this_accounts_changes_nothing(
    emulator: Running, gateway: RazorpayGateway, environment: Environment
) -> None:
    gateways = {ACCOUNT: gateway, "fortis": gateway}
    payments = Payments(environment.db, environment.book, Gateways(gateways))
    held = await environment.held()
    order = await begin(payments, environment, held)
    payment = await document_of(gateway, f"payments/{await pay(emulator, order)}")
    with pytest.raises(BadSignature):
        await report(payments, event("payment.captured", payment), secret="another secret")
    with pytest.raises(NotFound):
        await report(payments, event("payment.captured", payment), "nobody")
    with pytest.raises(NotFound):
        await report(payments, event("payment.captured", payment), "fortis")
    foreign = payment | {"notes": {"key": "99:" + str(held)}}
    await report(payments, event("payment.captured", foreign))
    assert (await states(environment), await money(environment)) == (["reserved"], None)


async def test_money_that_is_captured_although_it_was_left_to_lapse_goes_back(
    emulator: Running, gateway: RazorpayGateway, environment: Environment
) -> None:
    """A capture is under way, for longer than anybody waits, as its booking is cancelled and its money let go."""
    async with gateway_of(emulator.url, lets_lapse=True) as client:
        payments = Payments(environment.db, environment.book, Gateways({ACCOUNT: client}))
        held = await environment.held()
        name = await pay(emulator, await begin(payments, environment, held, "card"), "card")
        await payments.look_now(PROVIDER, held)
        await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
        await payments.captures.poll()
        assert await money(environment) == ("voided", None)
        assert await client.capture(name, 50000, "INR") == "captured"
        await report(payments, event("payment.captured", await document_of(gateway, f"payments/{name}")))
        assert await money(environment) == ("captured", "refund")
        assert await all_violations(environment.db) == []
        await payments.captures.poll()
    assert await money(environment) == ("refunded", None)
    assert await kept_minor(gateway, held) == 0
    assert await all_violations(environment.db) == []


async def test_no_secret_is_stored_and_nothing_that_tells_of_health(
    emulator: Running, gateway: RazorpayGateway, payments: Payments, environment: Environment
) -> None:
    held = await environment.held()
    order = await begin(payments, environment, held)
    name = await pay(emulator, order)
    await report(payments, event("payment.captured", await document_of(gateway, f"payments/{name}")))
    for table in ("payments.intent", "payments.webhook_event", "payments.account", "ledger.payment"):
        rows = await environment.db.fetch(f"SELECT one::text AS said FROM {table} AS one")
        for row in rows:
            assert "canary" not in row["said"]
            assert "exampleupi" not in row["said"]
    said = str(await document_of(gateway, f"orders/{order}"))
    for private in ("Dr 1", "asha", "Clinic 1", environment.at(9)):
        assert private not in said
