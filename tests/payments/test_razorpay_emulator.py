"""The emulated Razorpay, as the official SDK sees it: what it asks for and checks is the measure of the emulator."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from razorpay import Client
from razorpay.errors import BadRequestError, SignatureVerificationError

from healthplus_emulators.emulator import Keys
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running, running_emulator

KEYS = Keys("a secret key", "a webhook secret", "rzp_test_Emulated")
DAY_SECONDS = 86_400


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_emulator("razorpay", tmp_path_factory.mktemp("razorpay"), KEYS) as running:
        yield running


@pytest.fixture(autouse=True)
async def without_faults(emulator: Running) -> AsyncIterator[None]:
    yield
    await emulator.plan_faults(FaultPlan())
    await emulator.control("account", direct_settlement="no")


class Sdk:
    """The official SDK, which waits for each answer: so in a thread."""

    def __init__(self, url: str, secret: str = KEYS.secret) -> None:
        self.client: Any = Client(auth=(KEYS.key_id, secret), base_url=url)

    async def __call__(self, area: str, call: str, *asked: object, **headers: str) -> Any:
        do = getattr(getattr(self.client, area), call)
        return await asyncio.to_thread(do, *asked, **({"headers": headers} if headers else {}))

    async def order(self, capture: str = "manual", **more: object) -> Any:
        asked = {"amount": 50000, "currency": "INR", "receipt": str(uuid4()), "notes": {"key": "1:x"}, **more}
        return await self("order", "create", asked | {"payment": {"capture": capture}})


@pytest.fixture
def sdk(emulator: Running) -> Sdk:
    return Sdk(emulator.url)


async def pay(emulator: Running, order: Any, method: str = "card", **more: str) -> dict[str, str]:
    """Pay an order as a patient does; return what comes back to the shop."""
    fields: dict[str, str] = await emulator.control("pay", order=order["id"], method=method, **more)
    return fields


async def test_a_card_is_authorised_captured_and_refunded_in_parts(emulator: Running, sdk: Sdk) -> None:
    order = await sdk.order()
    assert (order["status"], order["amount_due"]) == ("created", 50000)
    found = await sdk("order", "all", {"receipt": order["receipt"]})
    assert [one["id"] for one in found["items"]] == [order["id"]]
    name = (await pay(emulator, order))["razorpay_payment_id"]
    payment = await sdk("payment", "fetch", name)
    assert (payment["status"], payment["captured"], payment["fee"]) == ("authorized", False, None)
    with pytest.raises(BadRequestError, match="equal to the amount authorized"):
        await sdk("payment", "capture", name, 40000, {"currency": "INR"})
    with pytest.raises(BadRequestError, match="should be captured"):
        await sdk("payment", "refund", name, {"amount": 100})
    payment = await sdk("payment", "capture", name, 50000, {"currency": "INR"})
    assert (payment["status"], payment["captured"], payment["fee"], payment["tax"]) == ("captured", True, 1180, 180)
    with pytest.raises(BadRequestError, match="already been captured"):
        await sdk("payment", "capture", name, 50000, {"currency": "INR"})
    for amount in (20000, 10000):
        refund = await sdk("payment", "refund", name, {"amount": amount, "notes": {"key": "k"}})
        assert refund["amount"] == amount
    with pytest.raises(BadRequestError, match="greater than"):
        await sdk("payment", "refund", name, {"amount": 20001})
    expanded = await sdk("order", "all", {"receipt": order["receipt"], "expand[]": "payments"})
    (payment,) = expanded["items"][0]["payments"]["items"]
    assert (payment["status"], payment["amount_refunded"], payment["refund_status"]) == ("captured", 30000, "partial")
    await sdk("payment", "refund", name, {})
    assert (await sdk("order", "payments", order["id"]))["items"][0]["status"] == "refunded"
    with pytest.raises(BadRequestError, match="fully refunded"):
        await sdk("payment", "refund", name, {"amount": 1})
    refunds = (await sdk("payment", "fetch_multiple_refund", name, {"count": 100}))["items"]
    assert sorted(one["amount"] for one in refunds) == [10000, 20000, 20000]
    assert all(one["status"] == "processed" and one["acquirer_data"]["arn"] for one in refunds)


async def test_a_refund_with_one_key_is_made_once(emulator: Running, sdk: Sdk) -> None:
    name = (await pay(emulator, await sdk.order(), "upi"))["razorpay_payment_id"]
    key = {"X-Refund-Idempotency": str(uuid4())}
    first = await sdk("payment", "refund", name, {"amount": 100}, **key)
    assert (await sdk("payment", "refund", name, {"amount": 100}, **key))["id"] == first["id"]
    with pytest.raises(BadRequestError, match="idempotency key"):
        await sdk("payment", "refund", name, {"amount": 200}, **key)
    with pytest.raises(BadRequestError, match="idempotency key"):
        await sdk("payment", "refund", name, {"amount": 100}, **{"X-Refund-Idempotency": "short"})
    assert (await sdk("payment", "fetch", name))["amount_refunded"] == 100


async def test_refunds_are_on_their_way_and_fail(emulator: Running, sdk: Sdk) -> None:
    name = (await pay(emulator, await sdk.order(), "upi"))["razorpay_payment_id"]
    for chance, state, refunded in ((0.0, "processed", 300), (1.0, "failed", 300)):
        await emulator.plan_faults(FaultPlan(refund_pending=1, refund_fails=chance, refund_seconds=60))
        refund = await sdk("payment", "refund", name, {"amount": 300})
        assert refund["status"] == "pending"
        await emulator.pass_time(61)
        assert (await sdk("refund", "fetch", refund["id"]))["status"] == state
        assert (await sdk("payment", "fetch", name))["amount_refunded"] == refunded


async def test_what_is_taken_at_once(emulator: Running, sdk: Sdk) -> None:
    for method, direct_settlement, capture, status in (
        ("upi", "no", "manual", "captured"),
        ("card", "no", "automatic", "captured"),
        ("card", "yes", "manual", "captured"),
        ("netbanking", "no", "manual", "authorized"),
    ):
        await emulator.control("account", direct_settlement=direct_settlement)
        order = await sdk.order(capture)
        name = (await pay(emulator, order, method))["razorpay_payment_id"]
        assert (await sdk("payment", "fetch", name))["status"] == status
        assert (await sdk("order", "fetch", order["id"]))["status"] == ("paid" if status == "captured" else "attempted")


async def test_an_authorisation_lapses(emulator: Running, sdk: Sdk) -> None:
    name = (await pay(emulator, await sdk.order()))["razorpay_payment_id"]
    await emulator.pass_time(4 * DAY_SECONDS)
    assert (await sdk("payment", "fetch", name))["status"] == "authorized"
    await emulator.pass_time(DAY_SECONDS)
    payment = await sdk("payment", "fetch", name)
    assert (payment["status"], payment["captured"], payment["refund_status"]) == ("refunded", False, "full")


async def test_an_order_is_paid_once_but_late_news_of_a_bank_may_pay_it_again(emulator: Running, sdk: Sdk) -> None:
    order = await sdk.order()
    declined = await emulator.control("decline", order=order["id"], method="card")
    assert declined["error[code]"] == "BAD_REQUEST_ERROR"
    await pay(emulator, order)
    with pytest.raises(KeyError, match="already done"):
        await pay(emulator, order)
    await emulator.control("pay-late", order=order["id"], method="netbanking", seconds="60")
    await emulator.pass_time(61)
    payments = (await sdk("order", "payments", order["id"]))["items"]
    assert sorted(one["status"] for one in payments) == ["authorized", "authorized", "failed"]


async def test_what_is_asked_for_wrongly_is_refused(emulator: Running, sdk: Sdk) -> None:
    for wrong in ({"amount": 99}, {"amount": "100"}, {"receipt": "x" * 41}, {"currency": ""}):
        with pytest.raises(BadRequestError):
            await sdk("order", "create", {"amount": 50000, "currency": "INR", **wrong})
    with pytest.raises(BadRequestError, match="Authentication failed"):
        await Sdk(emulator.url, "another secret").order()
    with pytest.raises(BadRequestError, match="does not exist"):
        await sdk("payment", "fetch", "pay_nothing")


async def test_what_came_and_went_is_settled(emulator: Running, sdk: Sdk) -> None:
    await emulator.control("settle")
    name = (await pay(emulator, await sdk.order(), "upi"))["razorpay_payment_id"]
    refund = await sdk("payment", "refund", name, {"amount": 10000})
    lapsing = (await pay(emulator, await sdk.order()))["razorpay_payment_id"]
    await emulator.pass_time(6 * DAY_SECONDS)
    settlement = await emulator.control("settle")
    on = time.gmtime(settlement["created_at"] + 5.5 * 3600)
    asked = {"year": on.tm_year, "month": on.tm_mon, "day": on.tm_mday, "count": 1000}
    items = [
        one for one in (await sdk("settlement", "report", asked))["items"] if one["settlement_id"] == settlement["id"]
    ]
    assert {one["entity_id"]: (one["type"], one["credit"], one["debit"], one["fee"]) for one in items} == {
        name: ("payment", 48820, 0, 1180),
        refund["id"]: ("refund", 0, 10000, 0),
    }
    assert lapsing not in {one["payment_id"] for one in items}
    assert (await sdk("settlement", "fetch", settlement["id"]))["amount"] == 38820


@contextlib.asynccontextmanager
async def webhooks(emulator: Running) -> AsyncIterator[list[tuple[dict[str, str], bytes]]]:
    """Have the emulator's webhooks come here; each is only taken when it comes again."""
    came: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        one = {name.lower(): text for name, text in request.headers.items()}, await request.read()
        came.append(one)
        return web.Response(status=200 if came.count(one) > 1 else 503)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await emulator.plan_faults(FaultPlan(webhook_url=f"http://127.0.0.1:{runner.addresses[0][1]}/"))
        yield came
    finally:
        await runner.cleanup()


async def test_the_sdk_accepts_what_the_emulator_signs(emulator: Running, sdk: Sdk) -> None:
    async with webhooks(emulator) as came:
        fields = await pay(emulator, await sdk.order(), "upi")
        name, give_up = fields["razorpay_payment_id"].encode(), time.monotonic() + 20
        while len(events := [one for one in came if name in one[1]]) < 6:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
    utility = sdk.client.utility
    assert utility.verify_payment_signature(fields)
    assert len({headers["x-razorpay-event-id"] for headers, _ in events}) == 3, "the same when it comes again"
    for headers, body in events:
        assert utility.verify_webhook_signature(body.decode(), headers["x-razorpay-signature"], KEYS.webhook_secret)
    with pytest.raises(SignatureVerificationError):
        utility.verify_payment_signature(fields | {"razorpay_payment_id": "pay_another"})
    headers, body = events[0]
    with pytest.raises(SignatureVerificationError):
        utility.verify_webhook_signature(body.decode() + " ", headers["x-razorpay-signature"], KEYS.webhook_secret)


async def test_the_checkout_works_without_script(emulator: Running, sdk: Sdk) -> None:
    form = {
        "key_id": KEYS.key_id, "name": "Apollo <Clinics>", "description": "Appointment HP-7K3M-2QXD",
        "callback_url": "https://shop.example/back?a=1&b=2", "cancel_url": "https://shop.example/hold",
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:

        async def send(path: str, fields: dict[str, str] | None = None) -> tuple[str, str]:
            method = "GET" if fields is None else "POST"
            async with session.request(method, emulator.url + path, data=fields) as response:
                return response.url.path, await response.text()

        for method, choice, expected in (
            ("upi", "pay", "razorpay_signature"),
            ("card", "pay", "razorpay_signature"),
            ("card", "decline", "error[code]"),
            ("netbanking", "pay", "razorpay_signature"),
        ):
            order = await sdk.order()
            here, said = await send(
                "/v1/checkout/embedded", {**form, "order_id": order["id"], "prefill[method]": method}
            )
            assert here.endswith(f"/{method}")
            assert "Apollo &lt;Clinics&gt;" in said
            assert "₹500.00" in said
            assert "<script" not in said
            assert 'type="text"' not in said
            assert ("<svg" in said) == (method == "upi")
            if (method, choice) == ("card", "pay"):
                assert "Your bank" in (await send(here, {"choice": "bank"}))[1]
            _, said = await send(here, {"choice": choice})
            assert f'name="{expected}"' in said
            assert 'action="https://shop.example/back?a=1&amp;b=2"' in said
            assert order["id"] in said
        _, said = await send("/v1/checkout/embedded", {**form, "order_id": "order_nothing"})
        assert "not known here" in said
        here, said = await send("/v1/checkout/embedded", {**form, "order_id": order["id"]})
        assert all(f'href="{here}/{method}"' in said for method in ("upi", "card", "netbanking"))
        assert 'href="https://shop.example/hold"' in said
