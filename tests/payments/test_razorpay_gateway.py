"""The product's client of Razorpay: what it asks for is what the official SDK would, and what it is told is checked."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from razorpay import Client
from razorpay.errors import SignatureVerificationError

from healthplus.errors import BadInput, BadSignature, PaymentUnavailable
from healthplus.payments.gateway import Authorisation, GatewayPayment, GatewayRefund, Pending, Returned
from healthplus.payments.gateways.razorpay import RazorpayGateway
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running, running_emulator
from tests.payments.razorpay_account import ACCOUNT, KEYS, RETURN_URL, document_of, event, gateway_of, pay, signed

DAY_SECONDS = 86_400


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_emulator("razorpay", tmp_path_factory.mktemp("razorpay"), KEYS) as running:
        yield running


@pytest.fixture
async def gateway(emulator: Running) -> AsyncIterator[RazorpayGateway]:
    async with gateway_of(emulator.url) as client:
        yield client
    await emulator.plan_faults(FaultPlan())


@pytest.fixture
def key() -> str:
    return f"1:{uuid4()}"


async def begin(gateway: RazorpayGateway, key: str, amount: int = 50000) -> str:
    answer = await gateway.authorise(key, amount, "INR", "card", RETURN_URL)
    assert isinstance(answer, Pending)
    return answer.order


async def test_a_patient_is_led_to_the_checkout_by_a_form(gateway: RazorpayGateway, key: str) -> None:
    answer = await gateway.authorise(key, 50000, "INR", "upi", RETURN_URL)
    assert isinstance(answer, Pending)
    assert answer.url == f"{gateway.pages}/v1/checkout/embedded"
    number = answer.fields.pop("description")
    assert number.startswith("Appointment HP-")
    assert answer.fields == {
        "key_id": KEYS.key_id, "order_id": answer.order, "amount": "50000", "currency": "INR",
        "name": "Apollo Clinics", "notes[key]": key, "prefill[method]": "upi",
        "callback_url": f"https://shop.example/hi/payments/{ACCOUNT}/return",
        "cancel_url": "https://shop.example/hi/doctor/1/hold/x?bank=cancelled",
    }  # fmt: skip
    order = await document_of(gateway, f"orders/{answer.order}")
    assert (order["receipt"], order["notes"]) == (key[2:], {"key": key})
    for method in ("wallet", "vpa", ""):
        with pytest.raises(BadInput):
            await gateway.authorise(key, 50000, "INR", method)


async def test_an_order_is_made_once(gateway: RazorpayGateway, key: str) -> None:
    order = await begin(gateway, key)
    assert await begin(gateway, key) == order, "also where its name was never stored"
    assert await begin(gateway, key, 60000) != order
    assert await begin(gateway, key) == order
    assert await begin(gateway, f"2:{key[2:]}") != order


async def test_who_has_paid_is_not_asked_for_more(emulator: Running, gateway: RazorpayGateway, key: str) -> None:
    for method in ("card", "upi"):
        one = f"{len(method)}:{key[2:]}"
        name = await pay(emulator, await begin(gateway, one), method)
        assert await gateway.authorise(one, 50000, "INR", "card", RETURN_URL) == Authorisation(name)
        if method == "upi":
            await gateway.refund(name, 50000, "INR")
            assert await begin(gateway, one), "what went back pays for nothing"


async def test_what_was_paid_is_found(emulator: Running, gateway: RazorpayGateway, key: str) -> None:
    order = await begin(gateway, key)
    assert await gateway.fetch(key, order) == []
    await emulator.control("decline", order=order, method="card")
    assert await gateway.fetch(key, order) == []
    name = await pay(emulator, order, "card")
    authorised = GatewayPayment(name, "authorised", 50000, "INR", method="card")
    assert await gateway.fetch(key, order) == [authorised]
    assert await gateway.fetch(key) == [authorised], "also where its name was never stored"
    assert await gateway.capture(name, 50000, "INR") == "captured"
    assert await gateway.capture(name, 50000, "INR") == "captured"
    again = await pay(emulator, order, "upi", again="yes")
    found = {one.authorisation: one for one in await gateway.fetch(key, order)}
    assert found == {
        name: GatewayPayment(name, "captured", 50000, "INR", method="card", charge_minor=1180),
        again: GatewayPayment(again, "captured", 50000, "INR", method="upi", charge_minor=1180),
    }
    assert await gateway.fetch(f"1:{uuid4()}") == []


async def test_money_is_captured_whole_or_not(emulator: Running, gateway: RazorpayGateway, key: str) -> None:
    name = await pay(emulator, await begin(gateway, key), "card")
    for amount, currency in ((40000, "INR"), (50000, "USD")):
        with pytest.raises(PaymentUnavailable):
            await gateway.capture(name, amount, currency)
    with pytest.raises(PaymentUnavailable):
        await gateway.capture("pay_nothing", 1, "INR")
    assert await gateway.refund(name, 50000, "INR") == "authorised", "nothing was taken that could be refunded"


async def test_what_is_not_needed_is_captured_and_refunded(
    emulator: Running, gateway: RazorpayGateway, key: str
) -> None:
    name = await pay(emulator, await begin(gateway, key), "card")
    assert await gateway.void(name) == "captured", "which is then due to be refunded"
    assert await gateway.void(name) == "captured"
    refund = await gateway.refund(name, 50000, "INR")
    assert isinstance(refund, GatewayRefund)
    assert await gateway.void(name) == "refunded"


async def test_what_is_not_needed_lapses(emulator: Running, key: str) -> None:
    async with gateway_of(emulator.url, lets_lapse=True) as gateway:
        name = await pay(emulator, await begin(gateway, key), "card")
        assert await gateway.void(name) == "voided"
        assert (await gateway.fetch(key))[0].state == "authorised"
        await emulator.pass_time(6 * DAY_SECONDS)
        assert await gateway.fetch(key) == [GatewayPayment(name, "voided", 50000, "INR", method="card")]
        assert await gateway.capture(name, 50000, "INR") == "voided"
        assert await gateway.refund(name, 50000, "INR") == "voided"
        taken = await pay(emulator, await begin(gateway, f"2:{key[2:]}"), "upi")
        assert await gateway.void(taken) == "captured"


async def test_refunds_in_parts_each_once(emulator: Running, gateway: RazorpayGateway, key: str) -> None:
    order = await begin(gateway, key)
    name = await pay(emulator, order, "upi")
    first = await gateway.refund(name, 10000, "INR", "a part")
    assert isinstance(first, GatewayRefund)
    assert await gateway.refund(name, 10000, "INR", "a part") == first
    assert (await gateway.fetch(key, order))[0].state == "captured", "a part of what stands"
    with pytest.raises(PaymentUnavailable):
        await gateway.refund(name, 9999, "INR", "a part")
    with pytest.raises(BadInput):
        await gateway.refund(name, 40001, "INR", "too much")
    await gateway.refund(name, 15000, "INR")
    (found,) = await gateway.fetch(key, order)
    assert (found.state, found.refunded_minor) == ("refunded", 15000)
    assert {(one.key, one.amount_minor, one.state) for one in found.refunds} == {
        ("a part", 10000, "processed"),
        ("", 15000, "processed"),
    }
    assert all(one.reference for one in found.refunds)
    await gateway.refund(name, 25000, "INR", "the rest")
    again = await gateway.refund(name, 10000, "INR", "a part")
    assert isinstance(again, GatewayRefund)
    assert again.name == first.name


async def test_a_refund_on_its_way_and_one_that_fails(emulator: Running, gateway: RazorpayGateway, key: str) -> None:
    order = await begin(gateway, key)
    name = await pay(emulator, order, "upi")
    await emulator.plan_faults(FaultPlan(refund_fails=1, refund_seconds=60))
    refund = await gateway.refund(name, 50000, "INR")
    assert isinstance(refund, GatewayRefund)
    assert (refund.state, refund.reference) == ("pending", "")
    assert (await gateway.fetch(key, order))[0].state == "refunded"
    await emulator.pass_time(61)
    (found,) = await gateway.fetch(key, order)
    assert (found.state, found.refunded_minor, found.refunds[0].state) == ("captured", 0, "failed")
    stands = await gateway.refund(name, 50000, "INR")
    assert isinstance(stands, GatewayRefund)
    assert (stands.name, stands.state) == (refund.name, "failed"), "how it stands now"


async def test_what_comes_back_with_the_patient_is_checked(
    emulator: Running, gateway: RazorpayGateway, key: str
) -> None:
    order = await begin(gateway, key)
    declined = await emulator.control("decline", order=order, method="card")
    assert gateway.read_return(declined) == Returned(order, is_declined=True)
    fields: dict[str, str] = await emulator.control("pay", order=order, method="card")
    assert Client(auth=(KEYS.key_id, KEYS.secret)).utility.verify_payment_signature(fields)
    assert gateway.read_return(fields) == Returned(order)
    for name, text in fields.items():
        for at, sign in enumerate(text):
            changed = text[:at] + chr(ord(sign) ^ 1) + text[at + 1 :]
            with pytest.raises(BadSignature):
                gateway.read_return(fields | {name: changed})
        for wrong in ({**fields, name: ""}, {one: fields[one] for one in fields if one != name}):
            with pytest.raises(BadSignature):
                gateway.read_return(wrong)
    deep = '{"order_id": "order_1", "x": ' + "[" * 3000
    for metadata in ("", "[]", "{}", '{"order_id": "order_\\n"}', '{"order_id": "../x"}', "\ud800", deep):
        with pytest.raises(BadSignature):
            gateway.read_return(declined | {"error[metadata]": metadata})


async def test_every_changed_byte_of_a_webhook_is_refused(
    emulator: Running, gateway: RazorpayGateway, key: str
) -> None:
    name = await pay(emulator, await begin(gateway, key), "upi")
    body = event("payment.captured", await document_of(gateway, f"payments/{name}"))
    headers = signed(body)
    signature = headers["x-razorpay-signature"]
    utility = Client(auth=("", "")).utility
    assert utility.verify_webhook_signature(body.decode(), signature, KEYS.webhook_secret)
    read = gateway.read_webhook(headers, body)
    assert read is not None
    assert (read.key, read.payment.authorisation, read.payment.state) == (key, name, "captured")
    assert (read.id, read.is_doubtful) == (headers["x-razorpay-event-id"], False)
    for at in range(len(body)):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        with pytest.raises(BadSignature):
            gateway.read_webhook(headers, changed)
        with pytest.raises(SignatureVerificationError):
            utility.verify_webhook_signature(changed.decode(), signature, KEYS.webhook_secret)
    for at, sign in enumerate(signature):
        wrong = signature[:at] + chr(ord(sign) ^ 1) + signature[at + 1 :]
        with pytest.raises(BadSignature):
            gateway.read_webhook(headers | {"x-razorpay-signature": wrong}, body)
    for refused in ({}, {"x-razorpay-signature": ""}, signed(body, "another"), signed(body + b" ")):
        with pytest.raises(BadSignature):
            gateway.read_webhook(refused, body)


async def test_what_a_webhook_means(emulator: Running, gateway: RazorpayGateway, key: str) -> None:
    order = await begin(gateway, key)
    name = await pay(emulator, order, "upi")
    payment = await document_of(gateway, f"payments/{name}")

    def read(kind: str, payment: dict[str, Any], **more: Any) -> tuple[str, int] | None:
        body = event(kind, payment, **more)
        found = gateway.read_webhook(signed(body), body)
        return None if found is None else (found.payment.state, found.payment.refunded_minor)

    assert read("payment.authorized", payment | {"status": "authorized", "captured": False}) == ("authorised", 0)
    assert read("order.paid", payment, order={"id": order}) == ("captured", 0)
    assert read("payment.failed", payment | {"status": "failed"}) is None
    lapsed = payment | {"status": "refunded", "captured": False, "amount_refunded": 50000}
    refund = {"id": "rfnd_1", "amount": 50000, "status": "processed", "notes": []}
    assert read("refund.processed", lapsed, refund=refund) == ("voided", 0)
    whole = payment | {"status": "refunded", "amount_refunded": 50000}
    assert read("refund.processed", whole, refund=refund) == ("refunded", 50000)
    part = payment | {"amount_refunded": 100}
    assert read("refund.created", part, refund=refund | {"amount": 100}) == ("refunded", 100)
    assert read("refund.created", part, refund=refund | {"amount": 100, "notes": {"key": "k"}}) == ("captured", 0)
    assert read("refund.failed", payment, refund=refund | {"status": "failed"}) == ("captured", 0)
    for foreign in (
        payment | {"notes": []},
        payment | {"notes": {"key": 1}},
        payment | {"order_id": None},
        payment | {"status": "created"},
        payment | {"id": "pay_/../x"},
        payment | {"amount": -1},
    ):
        assert read("payment.captured", foreign) is None
    for body in (b"", b"[]", b"\xff", b"{}", b'{"event": "settlement.processed", "payload": {}}'):
        assert gateway.read_webhook(signed(body), body) is None
    for age_seconds, is_doubtful in ((3500, False), (3700, True)):
        body = event("payment.captured", payment, age_seconds=age_seconds)
        found = gateway.read_webhook(signed(body), body)
        assert found is not None
        assert found.is_doubtful == is_doubtful


Recorded = tuple[str, str, dict[str, str], Any, str | None]


async def test_it_asks_as_the_official_sdk_does(key: str) -> None:
    asked: list[Recorded] = []

    async def record(request: web.Request) -> web.Response:
        body = await request.read()
        query, auth = dict(request.query), request.headers.get("Authorization")
        asked.append((request.method, request.path, query, json.loads(body or b"null"), auth))
        if request.method == "GET":
            return web.json_response({"items": []})
        if request.path == "/v1/orders":
            return web.json_response({"id": "order_1", "amount": 50000, "currency": "INR"})
        return web.json_response({"id": "pay_1", "amount": 50000, "currency": "INR", "status": "captured"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with gateway_of(url) as gateway:
            await gateway.authorise(key, 50000, "INR", "card", RETURN_URL)
            await gateway.capture("pay_1", 50000, "INR")
            with pytest.raises(PaymentUnavailable):  # what it is answered here is no refund
                await gateway.refund("pay_1", 100, "INR", "a part")
        ours = asked.copy()
        asked.clear()
        sdk: Any = Client(auth=(KEYS.key_id, KEYS.secret), base_url=url)

        def ask() -> None:
            sdk.order.all({"receipt": key[2:], "count": 100, "expand[]": "payments"})
            order = {"amount": 50000, "currency": "INR", "receipt": key[2:], "notes": {"key": key}}
            sdk.order.create(order | {"payment": {"capture": "manual"}})
            sdk.payment.capture("pay_1", 50000, {"currency": "INR"})
            sdk.payment.fetch_multiple_refund("pay_1", {"count": 100})
            sdk.payment.refund("pay_1", {"amount": 100, "speed": "normal", "notes": {"key": "a part"}})

        await asyncio.to_thread(ask)
    assert ours == asked


@pytest.mark.parametrize("secret", [KEYS.secret, "not the secret"])
async def test_a_gateway_that_cannot_be_asked_says_nothing_of_money(
    emulator: Running, key: str, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with gateway_of(emulator.url, secret=secret, seconds_max=0.3) as gateway:
        for plan in (FaultPlan(fail_before=1), FaultPlan(slow=1, slow_seconds=0.6)):
            await emulator.plan_faults(plan if secret == KEYS.secret else FaultPlan())
            for call in (
                gateway.authorise(key, 50000, "INR", "card", RETURN_URL),
                gateway.capture("pay_1", 1, "INR"),
                gateway.void("pay_1"),
                gateway.refund("pay_1", 1, "INR"),
                gateway.fetch(key),
            ):
                with pytest.raises(PaymentUnavailable):
                    await call
    await emulator.plan_faults(FaultPlan())
    assert "canary" not in caplog.text
    assert "not the secret" not in caplog.text
    assert ("refuses the keys" in caplog.text) == (secret != KEYS.secret)
