"""The gateway for trying things out: it asks the sandbox bank, a process of its own in which no money moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date
from types import TracebackType
from typing import Annotated, Self, TypeVar

import msgspec

from healthplus.errors import BadInput, BadSignature, PaymentUnavailable
from healthplus.metrics import GATEWAY_FAILURES
from healthplus.payments.gateway import (
    Authorisation,
    Declined,
    GatewayPayment,
    GatewayRefund,
    ListedPayment,
    PaymentState,
    Pending,
    Returned,
    WebhookEvent,
)
from healthplus.payments.gateways.days import seconds_of
from healthplus.payments.gateways.loopback import LoopbackClient
from healthplus.payments.settled import SettlementPage
from healthplus.signatures import is_signed

T = TypeVar("T")

METHODS = (
    "sandbox-upi",
    "sandbox-ok",
    "sandbox-netbanking",
    "sandbox-later",
    "sandbox-declined",
    "sandbox-unreachable",
)
"""Ways to pay: UPI, a card and net banking, which always pay; a card that pays later, or never; a bank that is down."""
METHODS_AT_ONCE = frozenset({"sandbox-upi"})
SIGNATURE = "Bank-Signature"
ANSWER_SECONDS_MAX = 5.0
_KEEP_SECONDS = 15  # less than the bank does: it must never hang up just as we ask again

_Text = Annotated[str, msgspec.Meta(pattern="^[ -~]{1,200}$")]


class AuthoriseAnswer(msgspec.Struct, omit_defaults=True):
    """The bank's answer to a request to set money aside: one of these."""

    authorisation: str | None = None
    declined: str | None = None
    url: str | None = None


class WebhookBody(msgspec.Struct):
    """The body of the bank's webhooks; `type` is payment. and a payment's state, `refunded_minor` as there."""

    id: _Text
    type: str
    key: _Text
    authorisation: _Text
    amount_minor: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    refunded_minor: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
    refunds: list[GatewayRefund] = []


class StepAnswer(msgspec.Struct, omit_defaults=True):
    """The bank's answer to a capture, void or refund: the payment's state afterwards, and that of the refund."""

    state: PaymentState
    refund: GatewayRefund | None = None


class SandboxGateway:
    """A Gateway; to be used within `async with`."""

    methods: tuple[str, ...] = METHODS
    methods_at_once: frozenset[str] = METHODS_AT_ONCE

    def __init__(self, url: str, webhook_secret: str | None, answer_seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._url = url
        self.pages = url
        self._secret = webhook_secret
        self._answer_seconds_max = answer_seconds_max

    async def __aenter__(self) -> Self:
        self._client = LoopbackClient(self._url, self._answer_seconds_max, _KEEP_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,
        return_url: str = "",
        order: str | None = None,  # noqa: ARG002
    ) -> Authorisation | Declined | Pending:
        request = {
            "key": key,
            "amount_minor": amount_minor,
            "currency": currency,
            "method": method,
            "return_url": return_url,
        }
        answer = await self._ask("POST", "/payments", AuthoriseAnswer, request)
        if answer.declined is not None:
            return Declined(answer.declined)
        if answer.url is not None:
            return Pending(answer.url)
        assert answer.authorisation is not None
        return Authorisation(answer.authorisation)

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        return await self._step(authorisation, "capture", {"amount_minor": amount_minor, "currency": currency})

    async def void(self, authorisation: str) -> PaymentState:
        return await self._step(authorisation, "void", {})

    async def refund(
        self, authorisation: str, amount_minor: int, currency: str, key: str = ""
    ) -> GatewayRefund | PaymentState:
        body = {"amount_minor": amount_minor, "currency": currency, "key": key}
        answer = await self._ask("POST", f"/payments/{authorisation}/refund", StepAnswer, body)
        return answer.refund or answer.state

    async def close(self, order: str) -> None:
        """Change nothing: the sandbox has no orders."""

    def read_return(self, fields: Mapping[str, str]) -> Returned:  # noqa: ARG002
        raise BadSignature

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:  # noqa: ARG002
        return await self._ask("GET", f"/payments/{key}", list[GatewayPayment])

    async def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:
        since, until = seconds_of(day)
        after = ""
        while page := await self._ask("GET", f"/listed/{since}/{until}/{after}", list[ListedPayment]):
            yield page
            after = page[-1].name

    async def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:  # noqa: ARG002
        return  # it pays nothing out
        yield

    async def find(self, name: str) -> ListedPayment | None:
        return next(iter(await self._ask("GET", f"/listed/{name}", list[ListedPayment])), None)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        if not is_signed(self._secret, headers.get(SIGNATURE.lower(), ""), body):
            raise BadSignature
        try:
            event = msgspec.json.decode(body, type=WebhookBody)
            state = msgspec.convert(event.type.removeprefix("payment."), PaymentState)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # signed, so meant for someone; not for us
        payment = GatewayPayment(
            event.authorisation,
            state,
            event.amount_minor,
            event.currency,
            event.refunded_minor,
            refunds=event.refunds,
        )
        return WebhookEvent(event.id, event.key, payment)

    async def _step(self, authorisation: str, step: str, body: dict[str, int | str]) -> PaymentState:
        return (await self._ask("POST", f"/payments/{authorisation}/{step}", StepAnswer, body)).state

    async def _ask(self, method: str, path: str, answer_type: type[T], body: object = None) -> T:
        data = b"" if body is None else msgspec.json.encode(body)
        try:
            status, answer = await self._client.ask(method, path, data)
        except (OSError, ValueError) as error:
            GATEWAY_FAILURES.add("unreachable")
            raise PaymentUnavailable from error
        if status == 422:
            raise BadInput(answer.decode())
        if status != 200:
            if status not in (404, 409):  # what it does not know, or has ended: it works
                GATEWAY_FAILURES.add("refused")
            raise PaymentUnavailable(answer.decode() if status in (404, 409) else None)
        try:
            return msgspec.json.decode(answer, type=answer_type)
        except msgspec.MsgspecError as error:  # a bank of another release
            raise PaymentUnavailable from error
