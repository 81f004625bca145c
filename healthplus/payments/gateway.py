"""What the product needs of whoever moves the money. Amounts are whole paise.

`key` names what is paid for; one key may come to bear several payments. How it fits those who do this for a living:

* Stripe: a PaymentIntent with `capture_method=manual`, made with the key as its idempotency key and in its metadata.
  `requires_capture` is an Authorisation, `requires_action` Pending, a card error Declined (the intent is then confirmed
  anew with another method). Capture, void and refund are its capture, cancel and refund.
* Razorpay: an order made with the key as its receipt, always Pending: the patient pays at its checkout, and payments of
  the order are learnt of by webhook or fetch, more than one where the patient tried twice. They are captured with their
  amount; there is no void: what is not captured goes back by itself, or is captured and refunded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NoReturn, Protocol

import msgspec

from healthplus.errors import BadSignature, PaymentUnavailable

Money = Literal["authorised", "captured", "voided", "refunded"]
"""Set aside; taken; given back before it was taken; given back after."""


class Authorisation(msgspec.Struct, frozen=True):
    """Money set aside, by the gateway's own name for it."""

    name: str


class Declined(msgspec.Struct, frozen=True):
    """A refusal, with a sentence for the patient."""

    reason: str


class Pending(msgspec.Struct, frozen=True):
    """It is for the patient to go on, at this address; whether they paid is learnt later."""

    url: str


class Fact(msgspec.Struct, frozen=True):
    """What has become of some money."""

    authorisation: str
    state: Money
    amount_minor: int


class Event(msgspec.Struct, frozen=True):
    """What a webhook tells, under the gateway's own id for the telling."""

    id: str
    key: str
    fact: Fact


class Gateway(Protocol):
    """Every method may be called again with the same arguments: it then answers as before and moves no more money.

    All that ask the gateway raise PaymentUnavailable when it cannot be reached: whether money moved is then unknown.
    """

    pages: str
    """Where its own pages for patients are, as in https://bank.example; empty where it has none."""
    methods: tuple[str, ...]
    """The names of the ways to pay that a page offers."""

    async def authorise(
        self, key: str, amount_minor: int, method: str, back_to: str = ""
    ) -> Authorisation | Declined | Pending:
        """Set money aside under `key`, once. A refusal is not kept: another method may be tried under the same key.

        Where the patient has to go on at the gateway, they are then led `back_to`, a whole address. Raises BadInput for
        a method the gateway does not know.
        """

    async def capture(self, authorisation: str, amount_minor: int) -> Money:
        """Take all that was set aside. Like `void` and `refund`, gives what became of the money.

        A step that can no longer be taken, such as voiding what is captured, changes nothing and gives what is so.
        """

    async def void(self, authorisation: str) -> Money:
        """Let go of what was set aside and not captured."""

    async def refund(self, authorisation: str) -> Money:
        """Give back what was captured."""

    async def fetch(self, key: str) -> list[Fact]:
        """Give all money there is, or was, under a key."""

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        """Give what a webhook tells, or None for what is of no concern here.

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
        method: str,  # noqa: ARG002
        back_to: str = "",  # noqa: ARG002
    ) -> Authorisation | Declined | Pending:
        self._unavailable()

    async def capture(self, authorisation: str, amount_minor: int) -> Money:  # noqa: ARG002
        self._unavailable()

    async def void(self, authorisation: str) -> Money:  # noqa: ARG002
        self._unavailable()

    async def refund(self, authorisation: str) -> Money:  # noqa: ARG002
        self._unavailable()

    async def fetch(self, key: str) -> list[Fact]:  # noqa: ARG002
        return []

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Event | None:  # noqa: ARG002
        raise BadSignature
