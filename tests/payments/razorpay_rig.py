"""The emulated Razorpay, as the tests for every gateway use it: UPI, which is taken as it is paid, or a card."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from healthplus.payments.accounts import joined
from healthplus.payments.gateway import Gateway
from healthplus.payments.gateways.razorpay import ANSWER_SECONDS_MAX
from healthplus.payments.gateways.razorpay_objects import Payment, Refund, fact_of
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running
from tests.payments.razorpay_account import gateway_of
from tests.payments.rigs import SLOWER_SECONDS, STEP_FAULTS, WEBHOOK_FAULTS, AtBank, Rig, opened


class RazorpayRig(Rig):
    """The emulated Razorpay; patients pay there by `method`."""

    account = "razorpay"
    steps = frozenset({"store_order"})
    ends = frozenset({"captured", "refunded"})

    answer_seconds_max = 1.0

    def __init__(self, emulator: Running, method: str) -> None:
        self._emulator = emulator
        self._method = method
        self.methods = (method, method)
        # What is not needed is captured, if it is not yet, and then refunded.
        self.differs = dict.fromkeys(("lost", "desk_first"), frozenset({"refund", "note_refunds"}))
        if method == "upi":
            self.differs["given_back"] = frozenset({"void", "refund", "note_refunds"})
            self.differs["found"] = self.differs["at_clinic_found"] = frozenset({"capture", "note_states"})

    def gateway(self, answer_seconds_max: float | None = None) -> AbstractAsyncContextManager[Gateway]:
        return gateway_of(self._emulator.url, seconds_max=answer_seconds_max or ANSWER_SECONDS_MAX)

    def faulty(self, webhook_url: str) -> FaultPlan:
        return FaultPlan(
            **STEP_FAULTS,
            **WEBHOOK_FAULTS,
            slow_seconds=self.answer_seconds_max + SLOWER_SECONDS,
            pay_twice=0.05,
            refund_pending=0.3,
            webhook_url=webhook_url,
        )

    def peaceful(self) -> FaultPlan:
        return FaultPlan()

    async def plan_faults(self, plan: Any) -> Counter[str]:
        return await self._emulator.plan_faults(plan)

    async def pay_there(self, key: str, order: str, *, good: bool = True) -> None:  # noqa: ARG002
        with contextlib.suppress(KeyError):  # it is paid
            await self._emulator.control("pay" if good else "decline", order=order, method=self._method)

    def at_bank(self, key: str | None = None) -> list[AtBank]:
        with opened(self._emulator.ledger) as ledger:
            came = dict(ledger.execute("SELECT id, at FROM moved WHERE state = 'authorized'").fetchall())
            keys = {name: body["notes"]["key"] for name, body in _bodies(ledger, "order")}
            refunds = [msgspec.convert(body, Refund) for _, body in _bodies(ledger, "refund")]
            of = [body["payment_id"] for _, body in _bodies(ledger, "refund")]
            found = []
            for name, body in _bodies(ledger, "payment"):
                if name not in came:
                    continue  # only tried
                own = [refund for payment, refund in zip(of, refunds, strict=True) if payment == name]
                fact = fact_of(msgspec.convert(body, Payment), own)
                money = (fact.state, fact.amount_minor, fact.refunded_minor)
                found.append(AtBank(joined(self.account, name), keys[body["order_id"]], *money, came[name]))
        return [one for one in found if key in (None, one.key)]

    def moves(self) -> Counter[tuple[str, str]]:
        with opened(self._emulator.ledger) as ledger:
            return Counter(
                (joined(self.account, name), "authorised" if state == "authorized" else state)
                for name, state in ledger.execute("SELECT id, state FROM moved").fetchall()
            )


def _bodies(ledger: sqlite3.Connection, kind: str) -> list[tuple[str, dict[str, Any]]]:
    rows = ledger.execute("SELECT id, body FROM object WHERE kind = ? ORDER BY number", (kind,))
    return [(name, msgspec.json.decode(body)) for name, body in rows]
