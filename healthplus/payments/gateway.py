"""What the product needs of whoever moves the money. Amounts are whole paise."""

from __future__ import annotations

from typing import Literal, NoReturn, Protocol

import msgspec

from healthplus.errors import PaymentUnavailable

Money = Literal["authorised", "captured", "voided", "refunded"]
"""Set aside; taken; given back before it was taken; given back after."""


class Authorisation(msgspec.Struct, frozen=True):
    """Money set aside, by the gateway's own name for it."""

    name: str


class Declined(msgspec.Struct, frozen=True):
    """A refusal, with a sentence for the patient."""

    reason: str


class Gateway(Protocol):
    """Every method may be called again with the same arguments: it then answers as before and moves no more money.

    All raise PaymentUnavailable when the gateway cannot be reached: whether the money moved is then unknown.

    A gateway is expected to let go by itself of money that is never captured, as card networks do after some days:
    where a process dies between `authorise` and booking.confirm, and the client never asks again, nobody else will.
    """

    async def authorise(self, key: str, amount_paise: int, method: str) -> Authorisation | Declined:
        """Set money aside under `key`, once. A refusal is not kept: another method may be tried under the same key.

        Raises BadInput for a method the gateway does not know.
        """

    async def capture(self, authorisation: str) -> Money:
        """Take what was set aside. Like `void` and `refund`, gives what became of the money.

        A step that can no longer be taken, such as voiding what is captured, changes nothing and gives what is so.
        """

    async def void(self, authorisation: str) -> Money:
        """Let go of what was set aside and not captured."""

    async def refund(self, authorisation: str) -> Money:
        """Give back what was captured."""


class NoGateway:
    """Stands in where no gateway is set up: visits paid for online cannot be booked, all others can."""

    @staticmethod
    def _unavailable() -> NoReturn:
        raise PaymentUnavailable(
            "Online payment is not set up here; ask the operator, or choose a visit paid at the clinic."
        )

    async def authorise(self, key: str, amount_paise: int, method: str) -> Authorisation | Declined:  # noqa: ARG002
        self._unavailable()

    async def capture(self, authorisation: str) -> Money:  # noqa: ARG002
        self._unavailable()

    async def void(self, authorisation: str) -> Money:  # noqa: ARG002
        self._unavailable()

    async def refund(self, authorisation: str) -> Money:  # noqa: ARG002
        self._unavailable()
