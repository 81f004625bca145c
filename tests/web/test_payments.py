"""Paying over HTTP where the answer is not yet known, and the gateway's webhooks."""

from __future__ import annotations

import time
from uuid import uuid4

import httpx
import pytest

from healthplus.payments.gateways.sandbox import SIGNATURE
from healthplus.settings import Settings
from healthplus.signatures import sign
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.payments.steps import webhook
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import hold, hold_body

WEBHOOKS = "/api/v1/webhooks/payments"
LATER = {"method": "sandbox-later"}


@pytest.fixture
def secret(sandbox_bank: Settings) -> str:
    assert sandbox_bank.payment_webhook_secret
    return sandbox_bank.payment_webhook_secret


async def send(http: httpx.AsyncClient, body: bytes, secret: str, at: float | None = None) -> httpx.Response:
    signature = sign(secret, body, time.time() if at is None else at)
    return await http.post(WEBHOOKS, content=body, headers={SIGNATURE: signature})


async def test_a_pending_payment_is_booked_by_a_webhook(
    asha: Client, http: httpx.AsyncClient, environment: Environment, secret: str
) -> None:
    held = await hold(asha, hold_body(environment))
    pending = await asha.post(f"{held['url']}/payment", LATER, key="pay")
    assert pending.status_code == 202
    assert (pending.json()["id"], pending.json()["state"]) == (held["id"], "reserved")
    assert pending.json()["payment"]["state"] == "pending"
    assert pending.json()["payment"]["url"].startswith("http://")
    assert pending.json()["expires_in"] > 290
    body = webhook(held["id"], "authorised")
    for _ in range(2):
        assert (await send(http, body, secret)).status_code == 200
    assert (await asha.get(held["url"])).json()["state"] == "booked"


async def test_what_was_booked_late_is_pointed_at(
    asha: Client, http: httpx.AsyncClient, environment: Environment, secret: str
) -> None:
    held = await hold(asha, hold_body(environment))
    await asha.post(f"{held['url']}/payment", LATER)
    await environment.pass_time(seconds=306)
    gone = problem(await asha.get(held["url"]), 410, "expired")
    assert "yours" not in gone
    assert (await send(http, webhook(held["id"], "authorised"), secret)).status_code == 200
    gone = problem(await asha.get(held["url"]), 410, "expired")
    late = (await asha.get(gone["yours"])).json()
    assert (late["state"], late["start"]) == ("booked", held["start"])
    paid = await asha.post(f"{held['url']}/payment", LATER)
    assert (paid.status_code, paid.json()["id"]) == (200, late["id"])


async def test_money_for_what_is_lost_is_said_to_go_back(
    asha: Client, bina: Client, http: httpx.AsyncClient, environment: Environment, secret: str
) -> None:
    held = await hold(asha, hold_body(environment))
    await asha.post(f"{held['url']}/payment", LATER)
    await environment.pass_time(seconds=306)
    await hold(bina, hold_body(environment))
    assert (await send(http, webhook(held["id"], "authorised"), secret)).status_code == 200
    assert problem(await asha.get(held["url"]), 410, "expired")["money"] == "void_due"
    assert (await send(http, webhook(held["id"], "voided"), secret)).status_code == 200
    assert problem(await asha.post(f"{held['url']}/payment", LATER), 410, "expired")["money"] == "voided"


async def test_no_webhook_breaks_anything(
    asha: Client, http: httpx.AsyncClient, environment: Environment, secret: str
) -> None:
    held = await hold(asha, hold_body(environment))
    counts = await environment.counts()
    body = webhook(held["id"], "authorised")
    problem(await http.post(WEBHOOKS, content=body), 403, "bad_signature")
    problem(await send(http, body, "another secret"), 403, "bad_signature")
    problem(await send(http, body, secret, time.time() - 400), 403, "bad_signature")
    problem(await send(http, body, secret, 0), 403, "bad_signature")
    problem(await send(http, body, secret), 404, "not_found")  # held, but nobody asked for money yet
    problem(await send(http, webhook(uuid4(), "captured"), secret), 404, "not_found")
    problem(await http.post(WEBHOOKS, content=b"x" * 300_000, headers={SIGNATURE: "t=1,v1=x"}), 413)
    problem(await http.get(WEBHOOKS), 405)
    for other in (b"", b"{}", b"\xff", webhook(held["id"], "disputed")):
        assert (await send(http, other, secret)).status_code == 200
    assert await environment.counts() == counts


async def test_a_large_webhook_is_read(http: httpx.AsyncClient, secret: str) -> None:
    assert (await send(http, b'{"type": "other", "x": "' + b"x" * 100_000 + b'"}', secret)).status_code == 200


async def test_paying_leaves_no_trace_when_declined(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment, clinic_id=ONLINE))
    problem(await asha.post(f"{held['url']}/payment", {"method": "sandbox-declined"}), 402, "payment_declined")
    assert await environment.db.fetch_value("SELECT count(*) FROM payments.intent") == 0
    problem(await asha.post(f"{held['url']}/payment", {"method": "sandbox-unreachable"}), 503, "payment_unavailable")
    problem(await asha.post(f"{held['url']}/payment", {"method": "sandbox-declined"}), 402, "payment_declined")
    # What the bank says of one request says nothing of another.
    rows = await environment.db.fetch("SELECT provider_id, hold_id::text, amount_minor FROM payments.intent")
    assert [tuple(row) for row in rows] == [(PROVIDER, held["id"], 50000)]
