"""A gateway with orders that wants a form, in this process."""

# ruff: noqa: ARG002 - it takes what a gateway is told

from __future__ import annotations

from healthplus.errors import PaymentUnavailable
from healthplus.payments.gateway import Authorisation, Declined, GatewayPayment, NoGateway, PaymentState, Pending

PAGES = "https://gateway.example"


class Orders(NoGateway):
    """Makes an order for each request, which a test pays by `pay`. `closed`: which nobody pays for any more."""

    pages = PAGES
    methods: tuple[str, ...] = ("upi", "card")
    methods_at_once: frozenset[str] = frozenset({"upi"})

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.looks = 0
        self.is_silent = False
        self._paid: dict[str, GatewayPayment] = {}
        self._orders = 0

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,
        return_url: str = "",
        order: str | None = None,
    ) -> Authorisation | Declined | Pending:
        self._orders += 1
        made = f"order-{self._orders}"
        return Pending(f"{PAGES}/checkout", made, {"order_id": made, "callback_url": return_url, 'na"me': "<Dr & Co>"})

    def pay(self, order: str, *, is_captured: bool = False) -> None:
        """Have the patient pay at the gateway."""
        state: PaymentState = "captured" if is_captured else "authorised"
        self._paid[order] = GatewayPayment(f"paid-{order}", state, 50000, "INR")

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:
        self.looks += 1
        if self.is_silent:
            raise PaymentUnavailable
        return [self._paid[order]] if order in self._paid else []

    async def close(self, order: str) -> None:
        self.closed.append(order)
