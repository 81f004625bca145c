"""What the product needs of a payment gateway.

Amounts are whole numbers of the smallest unit of a currency, as ISO 4217 has it (healthplus/money.py); a gateway that
counts otherwise is converted to by its adapter. `key` names what is paid for; several payments may come under one key.
How the protocol fits two gateways:

* Stripe: a PaymentIntent with `capture_method=manual`, made with the key as its idempotency key and in its metadata.
  `requires_capture` is an Authorisation, `requires_action` Pending, a card error Declined (the intent is then confirmed
  again with another method). Capture, void and refund are its capture, cancel and refund.
* Razorpay: an order made with the key in its notes, always Pending. The patient pays at its checkout, and payments of
  the order come by webhook or fetch, more than one where the patient tried twice. They are captured with their amount.
  There is no void: what is not captured goes back by itself, or is captured and refunded.

Both refund a part where they are told so. The product captures all of what was set aside: what it keeps of a cancelled
booking is what it does not refund.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Literal, NoReturn, Protocol
from urllib.parse import urlsplit

import msgspec

from healthplus.errors import BadSignature, PaymentUnavailable
from healthplus.payments.settled import SettlementPage

PaymentState = Literal["authorised", "captured", "voided", "refunded"]
"""Set aside; taken; let go before it was taken; given back after."""


class Authorisation(msgspec.Struct, frozen=True):
    """Money set aside, by the gateway's own name for it."""

    name: str


class Declined(msgspec.Struct, frozen=True):
    """A refusal, with a sentence for the patient."""

    reason: str


class Pending(msgspec.Struct, frozen=True):
    """The patient goes on at this address; whether they paid becomes known later.

    `order`: the gateway's name for what was requested, under which `fetch` finds its payments. `fields`: of a form that
    is sent to the address; without any, it is a link.
    """

    url: str
    order: str = ""
    fields: dict[str, str] = {}


RefundState = Literal["pending", "processed", "failed"]
"""Ordered at the gateway; on its way through the banks; refused by one of them, so that the money is still here."""


class GatewayRefund(msgspec.Struct, frozen=True):
    """Money that goes back, by the gateway's own name for it. `key`: which it was ordered with, "" where by hand there.

    `reference`: by which the person's bank finds it (ARN, RRN), once there is one.
    """

    name: str
    key: str
    amount_minor: int
    state: RefundState
    reference: str = ""


class GatewayPayment(msgspec.Struct, frozen=True):
    """A payment as the gateway has it now. `refunded_minor`: how much was given back, once it is refunded.

    `method`: upi, card or netbanking, where the gateway says so. `charge_minor`: what the gateway keeps for its
    service, with tax, once known. `refunds`: each that was ordered.
    """

    authorisation: str
    state: PaymentState
    amount_minor: int
    currency: str
    refunded_minor: int = 0
    method: str = ""
    charge_minor: int | None = None
    refunds: list[GatewayRefund] = []


class ListedPayment(msgspec.Struct, frozen=True):
    """A payment as a gateway's list has it. `key`: for what it was, "" where that does not say so.

    `returned_minor`: how much of what was captured has gone back or is on its way, in however many refunds; one that
    failed is not among them. `charge_minor` as of GatewayPayment. `refunds`: each of those, and in the answer of `find`
    also those that failed.
    """

    name: str
    key: str
    state: Literal["authorised", "captured", "voided"]
    amount_minor: int
    currency: str
    returned_minor: int = 0
    charge_minor: int | None = None
    refunds: list[GatewayRefund] = []


def given_up(return_url: str) -> str:
    """Return where a patient is led who gives up at the gateway, from where they would be led once they have paid."""
    return urlsplit(return_url)._replace(query="bank=cancelled").geturl()


class WebhookEvent(msgspec.Struct, frozen=True):
    """A payment that a webhook reports, under the gateway's own id for the event.

    `order`: for which it was made, where `key` is what the patient's browser may have changed: the payment is then only
    believed to be for the key if that order is. `is_doubtful`: it may not be so any more. What is not believed is
    looked at.
    """

    id: str
    key: str
    payment: GatewayPayment
    order: str = ""
    is_doubtful: bool = False


class Returned(msgspec.Struct, frozen=True):
    """The order for which a patient comes back from the gateway's page. `is_declined`: they could not pay."""

    order: str
    is_declined: bool = False


class Gateway(Protocol):
    """Every method may be called again with the same arguments: it then answers as before and moves no more money.

    The coroutines raise PaymentUnavailable when the gateway cannot be reached: whether money moved is then unknown.
    """

    pages: str
    """Where its own pages for patients are, as in https://bank.example, with spaces between; empty for none."""
    methods: tuple[str, ...]
    """The names of the ways to pay that a page offers."""
    methods_at_once: frozenset[str]
    """Those of them by which the money is taken as the patient pays; by the others, it is set aside first."""

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,
        return_url: str = "",
        order: str | None = None,
    ) -> Authorisation | Declined | Pending:
        """Set money aside under `key`, once. After a refusal, another method may be tried under the same key.

        A patient who has to go on at the gateway is then led to `return_url`, a whole address; who gives up there, to
        `given_up` of it. `order`: to which they were led for this key before, if they were; a gateway that has orders
        leads them there again while it is open. Raises BadInput for a method that the gateway does not know.
        """

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        """Take all that was set aside. Like `void`, return the payment's state afterwards.

        A step that is no longer possible, such as voiding what is captured, changes nothing.
        """

    async def void(self, authorisation: str) -> PaymentState:
        """Let go of what was set aside and not captured; a gateway that cannot captures it, so that it is refunded."""

    async def refund(
        self, authorisation: str, amount_minor: int, currency: str, key: str = ""
    ) -> GatewayRefund | PaymentState:
        """Give back this much of what was captured, once for each `key`; "" is all that is left of it, and not kept.

        Return how this refund stands now, also when asked again: the product asks while it is pending, for twenty
        hours. One that failed is ordered again under another key. Return the payment's state where it has nothing to
        give back, as it was let go before. Raises PaymentUnavailable also where another amount was given back under
        this key before, which is then for people to look at; BadInput where the gateway refuses this order for good.
        """

    async def close(self, order: str) -> None:
        """Let nobody pay for this order any more, where the gateway can do so."""

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:
        """Return all payments under a key, those that went back too.

        `order`: what was requested for it, by the gateway's name; None: the patient was led to none.
        """

    def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:
        """Iterate over all payments that were made on a day of UTC, under whatever key, a page at a time.

        Of tries to pay that came to nothing, there are none.
        """

    def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:
        """Iterate over what was paid out on a day, by the gateway's own days, with all that it was made of.

        What is still under way there comes with a later call. A gateway that pays nothing out has no pages.
        """

    async def find(self, name: str) -> ListedPayment | None:
        """Return a payment by the gateway's name for it; None where there is none, or nothing came of it."""

    def read_return(self, fields: Mapping[str, str]) -> Returned:
        """Return the order for which the gateway's page sends the patient back with these fields.

        Raises BadSignature for a payment that the gateway did not sign; that one failed, no gateway signs. Nothing is
        decided by the fields: `fetch` says what was paid.
        """

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """Return what a webhook reports, or None if it is not about payments.

        Raises BadSignature unless the gateway signed this very body, a short while ago.
        """


class NoGateway:
    """Stands in where no gateway is set up: visits paid for online cannot be booked, all others can."""

    pages = ""
    methods: tuple[str, ...] = ()
    methods_at_once: frozenset[str] = frozenset()

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
        order: str | None = None,  # noqa: ARG002
    ) -> Authorisation | Declined | Pending:
        self._unavailable()

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:  # noqa: ARG002
        self._unavailable()

    async def void(self, authorisation: str) -> PaymentState:  # noqa: ARG002
        self._unavailable()

    async def refund(
        self,
        authorisation: str,  # noqa: ARG002
        amount_minor: int,  # noqa: ARG002
        currency: str,  # noqa: ARG002
        key: str = "",  # noqa: ARG002
    ) -> GatewayRefund | PaymentState:
        self._unavailable()

    async def close(self, order: str) -> None:
        pass

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:  # noqa: ARG002
        self._unavailable()

    def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:  # noqa: ARG002
        self._unavailable()

    def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:  # noqa: ARG002
        self._unavailable()

    async def find(self, name: str) -> ListedPayment | None:  # noqa: ARG002
        self._unavailable()

    def read_return(self, fields: Mapping[str, str]) -> Returned:  # noqa: ARG002
        raise BadSignature

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:  # noqa: ARG002
        raise BadSignature
