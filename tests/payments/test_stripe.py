"""Stripe's gateway at the emulator: what the protocol promises, and what Stripe alone is like."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import stripe

from healthplus.errors import BadInput, BadSignature, PaymentUnavailable
from healthplus.metrics import GATEWAY_FAILURES, MEMORY
from healthplus.payments.gateway import Authorisation, GatewayPayment, GatewayRefund, Pending
from healthplus.payments.gateways.stripe import StripeGateway
from healthplus.payments.gateways.stripe_objects import from_stripe, read_event, to_stripe
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running
from healthplus_emulators.stripe.emulator import signature
from tests.payments.emulated import account_keys, stripe_client, until, webhooks_of
from tests.payments.steps import BACK

AMOUNT = 50000
HEADER = "stripe-signature"


@pytest.fixture
def key() -> str:
    return f"1:{uuid4()}"


@pytest.fixture
async def gateway(stripe_emulator: Running) -> AsyncIterator[StripeGateway]:
    await stripe_emulator.plan_faults(FaultPlan())
    async with StripeGateway(account_keys(stripe_emulator)) as opened:
        yield opened


def refusals() -> float:
    """Return how often a gateway refused a request of this process."""
    return MEMORY.values[GATEWAY_FAILURES._places[("refused",)]]


async def requested(gateway: StripeGateway, key: str, order: str | None = None, amount: int = AMOUNT) -> str:
    """Request money; return the order to whose page the patient is led."""
    answer = await gateway.authorise(key, amount, "INR", "card", BACK, order)
    assert isinstance(answer, Pending)
    assert answer.url.startswith(gateway.pages)
    assert answer.fields == {}
    return answer.order


async def paid(gateway: StripeGateway, emulator: Running, key: str) -> tuple[str, str]:
    """Request money, and pay; return the names of the order and the payment."""
    order = await requested(gateway, key)
    return order, (await emulator.control("pay", order=order))["id"]


async def test_a_repeat_leads_to_the_same_page_while_it_is_open(
    gateway: StripeGateway, stripe_emulator: Running, key: str
) -> None:
    order = await requested(gateway, key)
    assert await requested(gateway, key) == order  # a process died before it stored the order
    assert await requested(gateway, key, order) == order
    await gateway.close(order)
    await gateway.close(order)
    second = await requested(gateway, key, order)
    assert second != order
    assert await requested(gateway, key, second, AMOUNT + 100) != second  # the fee is another
    with pytest.raises(KeyError, match="expired"):
        await stripe_emulator.control("pay", order=second)


async def test_what_was_paid_meanwhile_is_set_aside(gateway: StripeGateway, stripe_emulator: Running, key: str) -> None:
    order, name = await paid(gateway, stripe_emulator, key)
    await gateway.close(order)
    assert await gateway.authorise(key, AMOUNT, "INR", "card", BACK, order) == Authorisation(name)
    assert await gateway.fetch(key, order) == [GatewayPayment(name, "authorised", AMOUNT, "INR", method="card")]
    assert await gateway.fetch(key) == []


async def test_a_declined_card_is_no_payment(gateway: StripeGateway, stripe_emulator: Running, key: str) -> None:
    order = await requested(gateway, key)
    await stripe_emulator.control("pay", order=order, card="declined")
    assert await gateway.fetch(key, order) == []
    assert await requested(gateway, key, order) == order
    await gateway.close(order)  # which cancels its intent
    assert await gateway.fetch(key, order) == []


async def test_steps_that_are_no_longer_possible_change_nothing(
    gateway: StripeGateway, stripe_emulator: Running, key: str
) -> None:
    _, name = await paid(gateway, stripe_emulator, key)
    assert await gateway.refund(name, AMOUNT, "INR") == "authorised"
    assert [await gateway.capture(name, AMOUNT, "INR") for _ in range(2)] == ["captured", "captured"]
    assert await gateway.void(name) == "captured"
    _, gone = await paid(gateway, stripe_emulator, f"{key}:2")
    await stripe_emulator.control("lapse", payment_intent=gone)
    assert await gateway.capture(gone, AMOUNT, "INR") == "voided"
    assert [await gateway.void(gone) for _ in range(2)] == ["voided", "voided"]
    assert await gateway.refund(gone, AMOUNT, "INR") == "voided"
    with pytest.raises(PaymentUnavailable):
        await gateway.capture("pi_none", AMOUNT, "INR")


async def test_refunds_have_keys(gateway: StripeGateway, stripe_emulator: Running, key: str) -> None:
    order, name = await paid(gateway, stripe_emulator, key)
    await gateway.capture(name, AMOUNT, "INR")
    parts = [await gateway.refund(name, 1000 + number, "INR", f"part {number}") for number in range(12)]
    assert await gateway.refund(name, 1003, "INR", "part 3") == parts[3]
    with pytest.raises(PaymentUnavailable, match="Another amount"):
        await gateway.refund(name, 999, "INR", "part 3")
    (seen,) = await gateway.fetch(key, order)
    assert (seen.state, seen.refunded_minor, seen.charge_minor) == ("captured", 12066, 1180)
    assert seen.refunds == parts[::-1]  # also those that a charge does not show
    with pytest.raises(PaymentUnavailable):
        await gateway.refund(name, AMOUNT, "INR")  # more than is left
    last = await gateway.refund(name, 20000, "INR")
    assert isinstance(last, GatewayRefund)
    (seen,) = await gateway.fetch(key, order)
    assert (seen.state, seen.refunded_minor, seen.refunds[0]) == ("refunded", 32066, last)


async def test_refunds_by_hand_are_seen(gateway: StripeGateway, stripe_emulator: Running, key: str) -> None:
    order, name = await paid(gateway, stripe_emulator, key)
    await gateway.capture(name, AMOUNT, "INR")
    await stripe_emulator.control("refund", payment_intent=name, amount="20000")
    (seen,) = await gateway.fetch(key, order)
    assert (seen.state, seen.refunded_minor, seen.refunds[0].key) == ("refunded", 20000, "")
    ours = await gateway.refund(name, 30000, "INR")
    assert isinstance(ours, GatewayRefund)
    assert await gateway.refund(name, 30000, "INR", "more") == "refunded"  # there is nothing left


async def test_a_refund_that_fails_is_told(gateway: StripeGateway, stripe_emulator: Running, key: str) -> None:
    order, name = await paid(gateway, stripe_emulator, key)
    await gateway.capture(name, AMOUNT, "INR")
    plan = FaultPlan(refund_pending=1, refund_fails=1, refund_seconds=0)
    async with webhooks_of(stripe_emulator, plan) as taken:
        ordered = await gateway.refund(name, AMOUNT, "INR", "all")
        assert isinstance(ordered, GatewayRefund)
        assert ordered.state == "pending"
        await until(lambda: any(b'"refund.failed"' in body and name.encode() in body for _, body in taken))
    (seen,) = await gateway.fetch(key, order)
    assert (seen.state, seen.refunded_minor, seen.refunds[0].state) == ("captured", 0, "failed")
    (told,) = (
        event
        for headers, body in taken
        if b'"refund.failed"' in body and (event := gateway.read_webhook(headers, body)) and event.key == key
    )
    assert (told.payment.authorisation, told.payment.amount_minor, told.payment.refunds) == (name, AMOUNT, seen.refunds)
    assert await gateway.refund(name, AMOUNT, "INR", "all") == seen.refunds[0]
    assert isinstance(await gateway.refund(name, AMOUNT, "INR", "all, again"), GatewayRefund)


async def test_failures_that_stripe_keeps_are_no_end(
    gateway: StripeGateway, stripe_emulator: Running, key: str
) -> None:
    """A quarter of all requests fail for good, before or after they were done."""

    async def at_last(call: object) -> object:
        for _ in range(40):
            try:
                return await call()  # type: ignore[operator]
            except PaymentUnavailable:
                pass
        raise AssertionError

    await stripe_emulator.plan_faults(FaultPlan(fail_kept=0.25))
    for number in range(10):
        one = f"{key}:{number}"
        made = await at_last(lambda one=one: gateway.authorise(one, AMOUNT, "INR", "card", BACK))
        assert isinstance(made, Pending)
        name = (await stripe_emulator.control("pay", order=made.order))["id"]
        assert await at_last(lambda name=name: gateway.capture(name, AMOUNT, "INR")) == "captured"
        await at_last(lambda name=name: gateway.refund(name, 1000, "INR", "part"))
        (seen,) = await gateway.fetch(one, made.order)
        assert [refund.amount_minor for refund in seen.refunds] == [1000]  # once
    assert (await stripe_emulator.plan_faults(FaultPlan()))["fail_kept"] > 2


async def test_a_day_of_kept_failures_ends(
    gateway: StripeGateway, stripe_emulator: Running, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All keys are used up while it fails; then there is a new one soon."""
    await stripe_emulator.plan_faults(FaultPlan(fail_kept=1))
    for _ in range(10):
        with pytest.raises(PaymentUnavailable):
            await requested(gateway, key)
    await stripe_emulator.plan_faults(FaultPlan())
    monkeypatch.setattr("healthplus.payments.gateways.stripe._KEY_SECONDS", 7)
    assert await requested(gateway, key)


async def test_an_account_that_captures_at_once(stripe_emulator: Running, key: str) -> None:
    async with StripeGateway(account_keys(stripe_emulator), captures_at_once=True) as gateway:
        assert gateway.methods_at_once == {"card"}
        order, name = await paid(gateway, stripe_emulator, key)
        (seen,) = await gateway.fetch(key, order)
        assert (seen.state, await gateway.void(name)) == ("captured", "captured")


async def test_what_is_not_offered(gateway: StripeGateway, key: str) -> None:
    assert (gateway.methods, gateway.methods_at_once) == (("card",), frozenset())
    for method, back in (("upi", BACK), ("card", "")):
        with pytest.raises(BadInput):
            await gateway.authorise(key, AMOUNT, "INR", method, back)
    with pytest.raises(BadInput, match="decimals"):
        await gateway.authorise(key, 1001, "KWD", "card", BACK)
    with pytest.raises(BadSignature):
        gateway.read_return({"order": "x"})


@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount"),
    [
        ("INR", 95000, 95000),
        ("JPY", 500, 500),
        ("KWD", 1230, 1230),
        ("ISK", 500, 50000),  # no decimals, written with two
        ("UGX", 500, 50000),
        ("MGA", 50000, 500),  # two decimals, written with none
    ],
)
async def test_amounts_as_stripe_writes_them(
    gateway: StripeGateway, stripe_emulator: Running, key: str, currency: str, amount_minor: int, amount: int
) -> None:
    assert (to_stripe(amount_minor, currency), from_stripe(amount, currency.lower())) == (amount, amount_minor)
    answer = await gateway.authorise(key, amount_minor, currency, "card", BACK)
    assert isinstance(answer, Pending)
    name = (await stripe_emulator.control("pay", order=answer.order))["id"]
    assert await gateway.capture(name, amount_minor, currency) == "captured"
    (seen,) = await gateway.fetch(key, answer.order)
    assert (seen.amount_minor, seen.currency) == (amount_minor, currency)
    async with stripe_client(stripe_emulator) as client:
        assert (await client.v1.payment_intents.retrieve_async(name)).amount == amount


async def test_a_gateway_that_does_not_answer_is_unavailable(stripe_emulator: Running, key: str) -> None:
    async with StripeGateway(account_keys(stripe_emulator), answer_seconds_max=0.3) as gateway:
        for plan in (FaultPlan(fail_before=1), FaultPlan(fail_after=1), FaultPlan(never_answer=1)):
            await stripe_emulator.plan_faults(plan)
            for _ in range(3):
                with pytest.raises(PaymentUnavailable):
                    await gateway.fetch(key, "cs_test_any")
        await stripe_emulator.plan_faults(FaultPlan())
        assert await gateway.fetch(key, "cs_test_any") == []


async def test_a_wrong_key_is_counted(stripe_emulator: Running, key: str) -> None:
    keys = account_keys(stripe_emulator)
    before = refusals()
    async with StripeGateway(type(keys)("sk_test_wrong", "whsec_wrong", "", keys.url)) as gateway:
        with pytest.raises(PaymentUnavailable) as refused:
            await gateway.authorise(key, AMOUNT, "INR", "card", BACK)
    assert "sk_" not in str(refused.value)
    assert refusals() == before + 1


async def test_webhooks_report_what_became_of_a_payment(
    gateway: StripeGateway, stripe_emulator: Running, key: str
) -> None:
    async with webhooks_of(stripe_emulator) as taken:
        _, name = await paid(gateway, stripe_emulator, key)
        await gateway.capture(name, AMOUNT, "INR")
        await gateway.refund(name, 1000, "INR", "part")
        await gateway.refund(name, AMOUNT - 1000, "INR")
        _, lapsed = await paid(gateway, stripe_emulator, f"{key}:2")
        await stripe_emulator.control("lapse", payment_intent=lapsed)
        await until(lambda: any(b"charge.expired" in body for _, body in taken))
        await until(lambda: sum(b'"charge.refunded"' in body for _, body in taken) == 2)
    read = [event for headers, body in taken if (event := gateway.read_webhook(headers, body))]
    read = [event for event in read if event.key.startswith(key)]  # what becomes of other tests' refunds is told, too
    assert len({event.id for event in read}) == len(read)
    assert {
        (event.key, event.payment.authorisation, event.payment.state, event.payment.refunded_minor) for event in read
    } == {
        (key, name, "authorised", 0),
        (key, name, "captured", 0),
        (key, name, "captured", 1000),
        (key, name, "refunded", AMOUNT),
        (f"{key}:2", lapsed, "authorised", 0),
        (f"{key}:2", lapsed, "voided", 0),
    }


async def test_every_change_of_a_webhook_is_refused(gateway: StripeGateway, stripe_emulator: Running, key: str) -> None:
    """By the client's verifier, which is what the gateway asks, too."""
    async with webhooks_of(stripe_emulator) as taken:
        await paid(gateway, stripe_emulator, key)
        await until(lambda: any(b"charge.succeeded" in body for _, body in taken))
    headers, body = next((headers, body) for headers, body in taken if b"charge.succeeded" in body)
    assert gateway.read_webhook(headers, body)
    signed = headers[HEADER]
    secret = stripe_emulator.keys.webhook_secret
    changed = [
        (signed, body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :]) for at in range(len(body)) for bit in (1, 128)
    ]
    changed += [
        (signed[:at] + chr(other) + signed[at + 1 :], body)
        for at in range(len(signed))
        for other in range(256)
        if chr(other) != signed[at]
    ]
    changed += [("", body), (signed, body[:-1]), (signed, body + b" "), (signed[:-1], body)]
    for header, text in changed:
        with pytest.raises(BadSignature):
            gateway.read_webhook({HEADER: header}, text)
        with pytest.raises((stripe.SignatureVerificationError, UnicodeDecodeError, TypeError)):
            stripe.WebhookSignature.verify_header(text, header, secret, 300)


async def test_webhooks_of_others_and_of_before_are_refused(gateway: StripeGateway, stripe_emulator: Running) -> None:
    body = b'{"id": "evt_1", "object": "event", "type": "charge.succeeded", "data": {"object": {}}}'
    secret = stripe_emulator.keys.webhook_secret
    now = time.time()
    for header in (
        signature("whsec_other", body, now),
        signature(secret, body, now - 3600),
        signature(secret, body, now).replace("v1=", "v0="),
    ):
        with pytest.raises(BadSignature):
            gateway.read_webhook({HEADER: header}, body)
    assert gateway.read_webhook({HEADER: signature(secret, body, now)}, body) is None  # signed, and no charge


def test_events_that_say_nothing_to_us() -> None:
    charge = b"""{"id": "ch_1", "amount": 1, "amount_refunded": 0, "captured": true, "currency": "inr", "paid": true,
        "refunded": false, "payment_intent": "pi_1", "metadata": {"key": "1:2"}}"""

    def event(kind: str, about: bytes = charge, more: bytes = b"") -> bytes:
        return b'{"id": "evt_1", "type": "%s", "data": {"object": %s}%s}' % (kind.encode(), about, more)

    assert read_event(event("charge.captured"))
    for kind in ("charge.updated", "charge.dispute.created", "payment_intent.succeeded", "unheard.of", "charge"):
        assert read_event(event(kind)) is None
    assert read_event(event("charge.captured", more=b', "account": "acct_2"')) is None  # another owner's
    assert read_event(event("charge.captured", charge.replace(b'"key"', b'"other"'))) is None
    assert read_event(event("charge.captured", charge.replace(b'"paid": true', b'"paid": false'))) is None


async def test_nothing_secret_is_logged(
    stripe_emulator: Running, key: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with StripeGateway(account_keys(stripe_emulator)) as gateway:
        _, name = await paid(gateway, stripe_emulator, key)
        await gateway.capture(name, AMOUNT, "INR")
        with pytest.raises(PaymentUnavailable):
            await gateway.capture("pi_none", AMOUNT, "INR")
    said = "\n".join(record.getMessage() for record in caplog.records) + "".join(capfd.readouterr())
    for secret in (*stripe_emulator.keys.__struct_fields__,):
        value = getattr(stripe_emulator.keys, secret)
        assert not value or value not in said
    assert "Appointment" not in said
    assert repr(account_keys(stripe_emulator)) == "AccountKeys(key_id='')"
