from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from healthplus.errors import PaymentUnavailable
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateway import (
    Authorisation,
    Declined,
    GatewayPayment,
    GatewayRefund,
    PaymentState,
    Pending,
)
from healthplus.payments.gateways.sandbox import SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url
from healthplus.payments.payments import Payments
from healthplus.settings import Settings
from healthplus_emulators.running import Running, running_emulator
from tests.fixtures.environment import Environment
from tests.payments.emulated import STRIPE_KEYS
from tests.payments.razorpay_account import KEYS as RAZORPAY_KEYS
from tests.payments.razorpay_rig import RazorpayRig
from tests.payments.rigs import Rig, SandboxRig
from tests.payments.stripe_rig import StripeRig

_Answer = TypeVar("_Answer")
Hook = Callable[[], Awaitable[object]]


class Bank(SandboxGateway):
    """The sandbox, with something that happens just after a step was taken there; counts the calls."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(bank_url(settings), settings.payment_webhook_secret)
        self.after: dict[str, Hook] = {}
        self.fails: set[str] = set()
        self.calls: list[str] = []

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,
        return_url: str = "",
        order: str | None = None,
    ) -> Authorisation | Declined | Pending:
        answer = await super().authorise(key, amount_minor, currency, method, return_url, order)
        return await self._then("authorise", answer)

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        return await self._then("capture", await super().capture(authorisation, amount_minor, currency))

    async def void(self, authorisation: str) -> PaymentState:
        return await self._then("void", await super().void(authorisation))

    async def refund(
        self, authorisation: str, amount_minor: int, currency: str, key: str = ""
    ) -> GatewayRefund | PaymentState:
        return await self._then("refund", await super().refund(authorisation, amount_minor, currency, key))

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:
        return await self._then("fetch", await super().fetch(key, order))

    async def _then(self, step: str, answer: _Answer) -> _Answer:
        self.calls.append(step)
        if step in self.fails:
            raise PaymentUnavailable
        if hook := self.after.pop(step, None):
            await hook()
        return answer


@pytest.fixture
def secret(sandbox_bank: Settings) -> str:
    """What the sandbox bank signs its webhooks with."""
    assert sandbox_bank.payment_webhook_secret
    return sandbox_bank.payment_webhook_secret


@pytest.fixture
async def bank(sandbox_bank: Settings) -> AsyncIterator[Bank]:
    async with Bank(sandbox_bank) as gateway:
        yield gateway


@pytest.fixture
def payments(environment: Environment, bank: Bank) -> Payments:
    return Payments(environment.db, environment.book, Gateways({"sandbox": bank}))


@pytest.fixture(scope="session")
def stripe_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The session's emulated Stripe, which is a process of its own; its webhooks go nowhere."""
    with running_emulator("stripe", tmp_path_factory.mktemp("stripe"), STRIPE_KEYS) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def razorpay_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The session's emulated Razorpay, which is a process of its own; its webhooks go nowhere."""
    with running_emulator("razorpay", tmp_path_factory.mktemp("razorpay"), RAZORPAY_KEYS) as emulator:
        yield emulator


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Rig:
    """An account at the gateway whose name is the parameter."""
    rigs: dict[str, Callable[[], Rig]] = {
        "sandbox": lambda: SandboxRig(request.getfixturevalue("sandbox_bank")),
        "stripe": lambda: StripeRig(request.getfixturevalue("stripe_emulator")),
        "razorpay-upi": lambda: RazorpayRig(request.getfixturevalue("razorpay_emulator"), "upi"),
        "razorpay-card": lambda: RazorpayRig(request.getfixturevalue("razorpay_emulator"), "card"),
    }
    return rigs[request.param]()
