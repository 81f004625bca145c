"""What the product needs of a payment gateway.

Amounts are whole numbers of the smallest unit of a currency, as ISO 4217 has it (healthplus/money.py); a gateway that
counts otherwise is converted to by its adapter. `key` names what is paid for; several payments may come under one key.
How the protocol fits two gateways:

* Stripe: a PaymentIntent with `capture_method=manual`, made with the key as its idempotency key and in its metadata.
  `requires_capture` is an Authorisation, `requires_action` Pending, a card error Declined (the intent is then confirmed
  again with another method). Capture, void and refund are its capture, cancel and refund.
* Razorpay: an order made with the key as its receipt, always Pending. The patient pays at its checkout, and payments of
  the order come by webhook or fetch, more than one where the patient tried twice. They are captured with their amount.
  There is no void: what is not captured goes back by itself, or is captured and refunded.

Both refund a part where they are told so. The product captures all of what was set aside: what it keeps of a cancelled
booking is what it does not refund.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NoReturn, Protocol

import msgspec

from healthplus.errors import BadSignature, PaymentUnavailable

PaymentState = Literal["authorised", "captured", "voided", "refunded"]
"""Set aside; taken; let go before it was taken; given back after."""


class Authorisation(msgspec.Struct, frozen=True):
    """Money set aside, by the gateway's own name for it."""

    name: str


class Declined(msgspec.Struct, frozen=True):
    """A refusal, with a sentence for the patient."""

    reason: str


class Pending(msgspec.Struct, frozen=True):
    """The patient goes on at this address; whether they paid becomes known later."""

    url: str


class GatewayPayment(msgspec.Struct, frozen=True):
    """A payment as the gateway has it now. `refunded_minor`: how much was given back, once it is refunded."""

    authorisation: str
    state: PaymentState
    amount_minor: int
    currency: str
    refunded_minor: int = 0


class WebhookEvent(msgspec.Struct, frozen=True):
    """A payment that a webhook reports, under the gateway's own id for the event."""

    id: str
    key: str
    payment: GatewayPayment


class Gateway(Protocol):
    """Every method may be called again with the same arguments: it then answers as before and moves no more money.

    The coroutines raise PaymentUnavailable when the gateway cannot be reached: whether money moved is then unknown.
    """

    pages: str
    """Where its own pages for patients are, as in https://bank.example; empty where it has none."""
    methods: tuple[str, ...]
    """The names of the ways to pay that a page offers."""

    async def authorise(
        self, key: str, amount_minor: int, currency: str, method: str, return_url: str = ""
    ) -> Authorisation | Declined | Pending:
        """Set money aside under `key`, once. After a refusal, another method may be tried under the same key.

        A patient who has to go on at the gateway is then led to `return_url`, a whole address. Raises BadInput for a
        method that the gateway does not know.
        """

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        """Take all that was set aside. Like `void` and `refund`, return the payment's state afterwards.

        A step that is no longer possible, such as voiding what is captured, changes nothing.
        """

    async def void(self, authorisation: str) -> PaymentState:
        """Let go of what was set aside and not captured."""

    async def refund(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        """Give back this much of what was captured, once.

        Raises PaymentUnavailable also where another amount was given back before, which is then for people to look at.
        """

    async def fetch(self, key: str) -> list[GatewayPayment]:
        """Return all payments under a key, those that went back too."""

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """Return what a webhook reports, or None if it is not about payments.

        Raises BadSignature unless the gateway signed this very body, a short while ago.
        """


class NoGateway:
    """Stands in where no gateway is set up: visits paid for online cannot be booked, all others can."""

    pages = ""
    methods: tuple[str, ...] = ()

    @staticmethod
    def _unavailable() -> NoReturn:
        raise PaymentUnavailable(
            "Online payment is not set up here; ask the operator, or choose a visit paid at the clinic."
        )

    async def authorise(
        self,
        key: str,  # noqa: ARG002
        amount_minor: int,  # noqa: ARG002
        currency: str,  # noqa: ARG002
        method: str,  # noqa: ARG002
        return_url: str = "",  # noqa: ARG002
    ) -> Authorisation | Declined | Pending:
        self._unavailable()

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:  # noqa: ARG002
        self._unavailable()

    async def void(self, authorisation: str) -> PaymentState:  # noqa: ARG002
        self._unavailable()

    async def refund(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:  # noqa: ARG002
        self._unavailable()

    async def fetch(self, key: str) -> list[GatewayPayment]:  # noqa: ARG002
        return []

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:  # noqa: ARG002
        raise BadSignature
