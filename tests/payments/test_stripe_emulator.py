"""The emulated Stripe, driven through the official client alone, so that what it gets wrong shows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import stripe
from stripe.params import BalanceTransactionListParams
from stripe.params.checkout import SessionCreateParams

from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running
from tests.payments.emulated import stripe_client, until, webhooks_of

AMOUNT = 50000
EXPAND = ["latest_charge.balance_transaction", "latest_charge.refunds"]


@pytest.fixture
async def client(stripe_emulator: Running) -> AsyncIterator[stripe.StripeClient]:
    await stripe_emulator.plan_faults(FaultPlan())
    async with stripe_client(stripe_emulator) as opened:
        yield opened


def wanted(key: str = "1:key", capture: str = "manual", **more: Any) -> SessionCreateParams:
    asked: dict[str, Any] = {
        "mode": "payment",
        "allowed_payment_method_types": ["card"],
        "line_items": [
            {
                "price_data": {"currency": "inr", "unit_amount": AMOUNT, "product_data": {"name": "Appointment"}},
                "quantity": 1,
            }
        ],
        "metadata": {"key": key},
        "payment_intent_data": {"capture_method": capture, "description": "Appointment", "metadata": {"key": key}},
        "success_url": "https://healthplus.example/back?order={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://healthplus.example/back?given_up",
        **more,
    }
    return asked  # type: ignore[return-value]


async def paid(
    client: stripe.StripeClient, emulator: Running, capture: str = "manual", key: str = "1:key"
) -> stripe.PaymentIntent:
    """Have a patient pay in a session; return the intent as the API then shows it."""
    session = await client.v1.checkout.sessions.create_async(wanted(key, capture))
    await emulator.control("pay", order=session.id)
    session = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert session.status == "complete"
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    return session.payment_intent


async def read(client: stripe.StripeClient, name: str) -> tuple[stripe.PaymentIntent, stripe.Charge]:
    intent = await client.v1.payment_intents.retrieve_async(name, {"expand": EXPAND})
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent, intent.latest_charge


async def put_forward(emulator: Running, seconds: float) -> None:
    """Have what is due within this time happen; then its clock is right again, for other tests."""
    await emulator.pass_time(seconds)
    await emulator.pass_time(-seconds)


async def test_a_session_is_made_read_and_ended(client: stripe.StripeClient) -> None:
    ends = int(time.time()) + 31 * 60
    made = await client.v1.checkout.sessions.create_async(wanted(expires_at=ends))
    seen = await client.v1.checkout.sessions.retrieve_async(made.id)
    for session in (made, seen):
        assert (session.object, session.mode, session.status, session.payment_status) == (
            "checkout.session",
            "payment",
            "open",
            "unpaid",
        )
        assert (session.amount_total, session.currency, session.expires_at) == (AMOUNT, "inr", ends)
        assert session.metadata
        assert session.metadata["key"] == "1:key"
        assert session.payment_intent is None
        assert session.url
        assert session.url.endswith(made.id)
    ended = await client.v1.checkout.sessions.expire_async(made.id)
    assert (ended.status, ended.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        await client.v1.checkout.sessions.expire_async(made.id)


async def test_a_post_is_done_once_for_its_key(client: stripe.StripeClient) -> None:
    options: stripe.RequestOptions = {"idempotency_key": uuid4().hex}
    first = await client.v1.checkout.sessions.create_async(wanted(), options)
    again = await client.v1.checkout.sessions.create_async(wanted(), options)
    assert (first.id, first.last_response is not None) == (again.id, True)
    assert again.last_response
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as refused:
        await client.v1.checkout.sessions.create_async(wanted("2:other"), options)
    assert refused.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):  # a key is one for all addresses
        await client.v1.refunds.create_async({"payment_intent": "pi_none"}, options)


async def test_a_failure_can_be_kept_for_a_key(client: stripe.StripeClient, stripe_emulator: Running) -> None:
    options: stripe.RequestOptions = {"idempotency_key": uuid4().hex}
    await stripe_emulator.plan_faults(FaultPlan(fail_kept=1))
    with pytest.raises(stripe.APIError) as failed:
        await client.v1.checkout.sessions.create_async(wanted(), options)
    await stripe_emulator.plan_faults(FaultPlan())
    with pytest.raises(stripe.APIError) as again:
        await client.v1.checkout.sessions.create_async(wanted(), options)
    assert (failed.value.http_status, again.value.http_status) == (500, 500)
    assert again.value.headers
    assert again.value.headers.get("idempotent-replayed") == "true"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types"),  # taken away in Endive
        ({"surprise": "1"}, "surprise"),
        ({"expires_at": 1}, "expires_at"),
        ({"line_items": []}, "line_items"),
        ({"success_url": ""}, "success_url"),
        ({"metadata": {"key": "x" * 501}}, "metadata"),
        ({"payment_intent_data": {"capture_method": "later"}}, "payment_intent_data[capture_method]"),
    ],
)
async def test_what_stripe_refuses(client: stripe.StripeClient, more: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.checkout.sessions.create_async(wanted(**more))
    assert (refused.value.http_status, refused.value.param) == (400, param)


async def test_an_account_is_its_keys_alone(stripe_emulator: Running) -> None:
    other = stripe_emulator._replace(keys=type(stripe_emulator.keys)("sk_test_other", "whsec_other"))
    async with stripe_client(other) as client:
        with pytest.raises(stripe.AuthenticationError) as refused:
            await client.v1.checkout.sessions.create_async(wanted())
    assert "sk_test" not in str(refused.value)
    async with stripe_client(stripe_emulator) as client:
        with pytest.raises(stripe.InvalidRequestError, match="version"):
            await client.v1.refunds.list_async({}, {"stripe_version": "2020-08-27"})
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await client.v1.payment_intents.retrieve_async("pi_none")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")


async def test_money_is_set_aside_and_captured_once(client: stripe.StripeClient, stripe_emulator: Running) -> None:
    made = await paid(client, stripe_emulator)
    intent, charge = await read(client, made.id)
    assert (intent.status, intent.amount_capturable, intent.metadata["key"]) == ("requires_capture", AMOUNT, "1:key")
    assert (charge.captured, charge.paid, charge.balance_transaction) == (False, True, None)
    assert charge.payment_method_details
    assert charge.payment_method_details.card
    assert charge.payment_method_details.card.capture_before == charge.created + 7 * 24 * 3600
    captured = await client.v1.payment_intents.capture_async(made.id, {"amount_to_capture": AMOUNT})
    assert (captured.status, captured.amount_received) == ("succeeded", AMOUNT)
    _, charge = await read(client, made.id)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    fees = charge.balance_transaction
    assert (fees.fee, fees.net, sum(part.amount for part in fees.fee_details)) == (1180, AMOUNT - 1180, 1180)
    for call in (client.v1.payment_intents.capture_async, client.v1.payment_intents.cancel_async):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await call(made.id)
        assert refused.value.code == "payment_intent_unexpected_state"
        assert refused.value.error
        assert refused.value.error.payment_intent
        assert refused.value.error.payment_intent.status == "succeeded"


async def test_money_is_let_go_or_lapses(client: stripe.StripeClient, stripe_emulator: Running) -> None:
    made = await paid(client, stripe_emulator)
    assert (await client.v1.payment_intents.cancel_async(made.id)).status == "canceled"
    _, charge = await read(client, made.id)
    assert charge.refunds is not None
    assert (charge.refunded, charge.refunds.data) == (False, [])  # since Basil
    lapses = await paid(client, stripe_emulator)
    await put_forward(stripe_emulator, 7 * 24 * 3600 + 1)
    intent, _ = await read(client, lapses.id)
    assert (intent.status, intent.cancellation_reason) == ("canceled", "expired")
    at_once = await paid(client, stripe_emulator, capture="automatic")
    assert at_once.status == "succeeded"


async def test_refunds(client: stripe.StripeClient, stripe_emulator: Running) -> None:
    made = await paid(client, stripe_emulator, capture="automatic")
    names = [
        (
            await client.v1.refunds.create_async({"payment_intent": made.id, "amount": 1000, "metadata": {"n": str(n)}})
        ).id
        for n in range(12)
    ]
    _, charge = await read(client, made.id)
    assert charge.refunds
    assert (charge.amount_refunded, len(charge.refunds.data), charge.refunds.has_more) == (12000, 10, True)
    listed = await client.v1.refunds.list_async({"payment_intent": made.id, "limit": 5})
    assert [one.id async for one in listed.auto_paging_iter()] == names[::-1]
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await client.v1.refunds.create_async({"payment_intent": made.id, "amount": AMOUNT})
    await client.v1.refunds.create_async({"payment_intent": made.id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": made.id})
    assert refused.value.code == "charge_already_refunded"
    blocked = await paid(client, stripe_emulator)
    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        await client.v1.refunds.create_async({"payment_intent": blocked.id})


@pytest.mark.parametrize(("fails", "ends"), [(0, "succeeded"), (1, "failed")])
async def test_a_refund_takes_its_time(
    client: stripe.StripeClient, stripe_emulator: Running, fails: int, ends: str
) -> None:
    made = await paid(client, stripe_emulator, capture="automatic")
    await stripe_emulator.plan_faults(FaultPlan(refund_pending=1, refund_fails=fails, refund_seconds=60))
    refund = await client.v1.refunds.create_async({"payment_intent": made.id})
    assert refund.status == "pending"
    await put_forward(stripe_emulator, 61)
    refund = await client.v1.refunds.retrieve_async(refund.id)
    assert refund.status == ends
    assert refund.destination_details
    assert refund.destination_details.card
    assert (refund.destination_details.card.reference_status == "available") is not bool(fails)
    _, charge = await read(client, made.id)
    assert charge.amount_refunded == (0 if fails else AMOUNT)


async def test_the_page_works_without_script(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(wanted())
    assert session.url
    async with aiohttp.ClientSession() as patient:

        async def press(path: str, choice: str) -> tuple[int, str, str]:
            sent = patient.post(f"{session.url}{path}", data={"choice": choice}, allow_redirects=False)
            async with sent as answer:
                return answer.status, answer.headers.get("Location", ""), await answer.text()

        async with patient.get(session.url) as shown:
            text = await shown.text()
            assert "<script" not in text
            assert "₹500.00" in text
            assert "given_up" in text
        assert "declined" in (await press("", "declined"))[2]
        status, where, _ = await press("", "second")
        assert (status, where) == (303, f"/c/pay/{session.id}/check")
        assert "declined" in (await press("/check", "refuse"))[2]
        assert (await press("/check", "approve"))[:2] == (
            303,
            f"https://healthplus.example/back?order={session.id}",
        )
        async with patient.get(session.url) as shown:
            assert "cannot pay here" in await shown.text()
    session = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    charges = await client.v1.charges.list_async({"payment_intent": session.payment_intent.id})
    assert [one.status for one in charges.data] == ["succeeded", "failed", "failed"]


async def test_events_are_signed_so_that_the_client_takes_them(
    client: stripe.StripeClient, stripe_emulator: Running
) -> None:
    secret = stripe_emulator.keys.webhook_secret
    key = uuid4().hex
    async with webhooks_of(stripe_emulator) as taken:
        made = await paid(client, stripe_emulator, key=key)
        await client.v1.payment_intents.capture_async(made.id)
        await until(lambda: sum(key.encode() in body for _, body in taken) >= 6)
    events = [
        client.construct_event(body, headers["stripe-signature"], secret)
        for headers, body in taken
        if key.encode() in body  # what became of other tests' money may be told only now
    ]
    assert {event.type for event in events} == {
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
        "charge.captured",
        "payment_intent.succeeded",
    }
    kept = await client.v1.events.list_async({"type": "charge.captured", "limit": 1})
    assert kept.data[0].id in {event.id for event in events}


async def test_what_came_and_went_is_paid_out(client: stripe.StripeClient, stripe_emulator: Running) -> None:
    await stripe_emulator.control("settle")
    intent = await paid(client, stripe_emulator, "automatic")
    refund = await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 700})
    await stripe_emulator.control("adjust", amount="-50", currency=intent.currency)
    made = await stripe_emulator.control("settle")
    payouts = await client.v1.payouts.list_async({"created": {"gte": made["created"]}, "limit": 100})
    payout = next(one for one in payouts.data if one.id == made["id"])
    assert (payout.automatic, payout.reconciliation_status, payout.status) == (True, "completed", "paid")
    asked: BalanceTransactionListParams = {"payout": payout.id, "limit": 100, "expand": ["data.source"]}
    found = {one.type: one for one in (await client.v1.balance_transactions.list_async(asked)).data}
    assert found.keys() == {"charge", "refund", "adjustment", "payout"}
    charge, back = found["charge"].source, found["refund"].source
    assert isinstance(charge, stripe.Charge)
    assert isinstance(back, stripe.Refund)
    assert (charge.payment_intent, back.id, back.payment_intent) == (intent.id, refund.id, intent.id)
    assert (found["refund"].amount, found["adjustment"].amount) == (-700, -50)
    assert {one.type for one in found["charge"].fee_details} == {"stripe_fee", "tax"}
    assert sum(one.net for kind, one in found.items() if kind != "payout") == payout.amount == -found["payout"].net
    assert (await client.v1.payouts.retrieve_async(payout.id)).amount == payout.amount
    assert len((await client.v1.balance_transactions.list_async({"payout": payout.id, "limit": 2})).data) == 2
