"""An account at the emulated Razorpay, for tests of the product that takes money with it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from uuid import UUID, uuid4

from healthplus.accounts.actors import Patient
from healthplus.payment_keys import AccountKeys
from healthplus.payments.gateways.razorpay import RazorpayGateway
from healthplus.payments.payments import Payments
from healthplus_emulators.emulator import Keys
from healthplus_emulators.ledger import Document
from healthplus_emulators.razorpay.account import event_body
from healthplus_emulators.running import Running
from tests.fixtures.environment import PROVIDER, Environment

ACCOUNT = "apollo"
KEYS = Keys("a secret key: canary-9f31", "a webhook secret: canary-77aa", "rzp_test_Emulated")
RETURN_URL = "https://shop.example/hi/doctor/1/hold/x?bank=later"


def gateway_of(url: str, *, secret: str = KEYS.secret, seconds_max: float = 10, **more: bool) -> RazorpayGateway:
    """Return the product's client of the emulator at a URL."""
    keys = AccountKeys(secret, KEYS.webhook_secret, KEYS.key_id, url)
    return RazorpayGateway(ACCOUNT, "Apollo Clinics", keys, answer_seconds_max=seconds_max, **more)


async def open_account(environment: Environment, account: str = ACCOUNT) -> None:
    """Have all clinics take money with an account."""
    await environment.db.execute(
        "INSERT INTO payments.account (account, gateway, owner) VALUES ($1, 'razorpay', 'Apollo Clinics')", account
    )
    await environment.db.execute(
        "INSERT INTO payments.clinic_account SELECT clinic_id, $1 FROM directory.clinic", account
    )


async def begin(payments: Payments, environment: Environment, held: UUID, method: str = "upi") -> str:
    """Begin to pay for a hold; return the order."""
    patient = Patient(environment.ids["asha"])
    paid = await payments.pay(PROVIDER, held, method, patient, "key", RETURN_URL)
    assert paid.outcome.code == "pending", paid
    return paid.fields["order_id"]


async def pay(emulator: Running, order: str, method: str = "upi", **more: str) -> str:
    """Pay an order as a patient does; return the payment."""
    fields: dict[str, str] = await emulator.control("pay", order=order, method=method, **more)
    return fields["razorpay_payment_id"]


def signed(body: bytes, secret: str = KEYS.webhook_secret) -> dict[str, str]:
    """Return the headers of a webhook with this body."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-razorpay-signature": signature, "x-razorpay-event-id": uuid4().hex[:14]}


async def report(payments: Payments, body: bytes, account: str = ACCOUNT, secret: str = KEYS.webhook_secret) -> None:
    """Have a webhook come."""
    await payments.reconciliation.receive(signed(body, secret), body, account)


def event(kind: str, payment: Document, *, age_seconds: float = 0, **entities: Document) -> bytes:
    """Return the body of a webhook about a payment."""
    return event_body(kind, int(time.time() - age_seconds), payment=payment, **entities)


async def document_of(gateway: RazorpayGateway, path: str) -> Document:
    """Return an object as the emulator has it."""
    async with gateway._session.get(f"{gateway.pages}/v1/{path}") as response:
        found: Document = await response.json()
        return found


async def until(condition: object, seconds_max: float = 10) -> None:
    """Wait until a coroutine function says that it is so."""
    assert callable(condition)
    give_up = time.monotonic() + seconds_max
    while not await condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
