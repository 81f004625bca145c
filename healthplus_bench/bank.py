"""A bank that is elsewhere, as far as the product can tell: it costs this machine almost nothing, and answers in time.

It stands in for the sandbox bank's process, inside each app process, so that what is measured is the product alone. The
product itself cannot be told to use it: only `healthplus_bench.serve_elsewhere` puts it in place, for a bench.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import ClassVar, Self

from msgspec.structs import replace

from healthplus.errors import BadSignature, PaymentUnavailable
from healthplus.payments.gateway import (
    Authorisation,
    GatewayPayment,
    GatewayRefund,
    ListedPayment,
    PaymentState,
    Returned,
    WebhookEvent,
)
from healthplus.payments.settled import SettlementPage

ANSWER_VARIABLE = "BENCH_BANK_MS"
"""After how many milliseconds the bank answers."""
METHOD = "sandbox-ok"
_PREFIX = "sandbox-"  # names as long as the sandbox's
_READ_BYTES_MAX = 1 << 20
_BEFORE: dict[PaymentState, PaymentState | None] = {
    "authorised": None, "captured": "authorised", "voided": "authorised", "refunded": "captured",
}  # fmt: skip
"""In which state a payment must be to come into another; None: there is none yet."""


def _new_journal() -> int:
    journal = os.memfd_create("payments")
    fcntl.fcntl(journal, fcntl.F_SETFL, os.O_APPEND)
    return journal


class BankElsewhere:
    """A Gateway; to be used within `async with`. All forks of a process that has imported this are one bank."""

    pages = ""
    methods: tuple[str, ...] = (METHOD,)
    methods_at_once: frozenset[str] = frozenset()
    _journal: ClassVar[int] = _new_journal()
    """What was asked for, a line each, appended whole: every process reads the same lines in the same order."""

    def __init__(self, *_of_the_sandbox: object) -> None:
        """`_of_the_sandbox`: what the product tells the gateway that this one stands in for."""
        self._answer_seconds = int(os.environ.get(ANSWER_VARIABLE, "0")) / 1000
        self._read_to = 0
        self._payments: dict[str, GatewayPayment] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,  # noqa: ARG002
        return_url: str = "",  # noqa: ARG002
        order: str | None = None,  # noqa: ARG002
    ) -> Authorisation:
        await self._note("authorised", key, amount_minor, currency)
        return Authorisation(_PREFIX + key)

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        return await self._step("captured", authorisation, amount_minor, currency)

    async def void(self, authorisation: str) -> PaymentState:
        return await self._step("voided", authorisation)

    async def refund(
        self, authorisation: str, amount_minor: int, currency: str, key: str = ""
    ) -> GatewayRefund | PaymentState:
        state = await self._step("refunded", authorisation, amount_minor, currency)
        return GatewayRefund(authorisation, key, amount_minor, "processed") if state == "refunded" else state

    async def close(self, order: str) -> None:
        pass  # it has no orders

    def read_return(self, fields: Mapping[str, str]) -> Returned:  # noqa: ARG002
        raise BadSignature  # it sends nobody back

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:  # noqa: ARG002
        await asyncio.sleep(self._answer_seconds)
        self._read()
        return [self._payments[key]] if key in self._payments else []

    def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:
        raise PaymentUnavailable(f"The bank does not list what was paid on {day}.")

    def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:
        raise PaymentUnavailable(f"The bank does not say what was paid out on {day}.")

    async def find(self, name: str) -> ListedPayment | None:
        raise PaymentUnavailable(f"The bank does not look for {name}.")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:  # noqa: ARG002
        raise BadSignature  # it sends none

    async def _step(
        self, state: PaymentState, authorisation: str, amount_minor: int = 0, currency: str = "-"
    ) -> PaymentState:
        key = authorisation.removeprefix(_PREFIX)
        await self._note(state, key, amount_minor, currency)
        self._read()
        if key not in self._payments:
            raise PaymentUnavailable(f"The bank knows no payment {authorisation}.")
        return self._payments[key].state

    async def _note(self, state: PaymentState, key: str, amount_minor: int, currency: str) -> None:
        await asyncio.sleep(self._answer_seconds)
        os.write(self._journal, f"{state} {key} {amount_minor} {currency}\n".encode())

    def _read(self) -> None:
        """Bring the payments to what all processes have asked for. A step no longer possible changes nothing."""
        while data := os.pread(self._journal, _READ_BYTES_MAX, self._read_to):
            whole = data[: data.rfind(b"\n") + 1]
            self._read_to += len(whole)
            for line in whole.decode().splitlines():
                wanted, key, amount, currency = line.split(" ")
                known = self._payments.get(key)
                for after, before in _BEFORE.items():
                    if after != wanted or before != (known and known.state):
                        continue
                    if known is None:
                        self._payments[key] = GatewayPayment(_PREFIX + key, after, int(amount), currency)
                    else:
                        back = int(amount) if after == "refunded" else 0
                        self._payments[key] = replace(known, state=after, refunded_minor=back)
