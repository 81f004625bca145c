"""The emulated Stripe, as the tests that go for every gateway use it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from healthplus.payments.accounts import joined
from healthplus.payments.gateway import Gateway
from healthplus.payments.gateways.stripe import ANSWER_SECONDS_MAX, StripeGateway
from healthplus.payments.gateways.stripe_objects import Intent, Refund, payment_of
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running
from tests.payments.emulated import account_keys
from tests.payments.rigs import SLOWER_SECONDS, STEP_FAULTS, WEBHOOK_FAULTS, AtBank, Rig, opened


class StripeRig(Rig):
    """The emulated Stripe."""

    account = "stripe"
    methods = ("card", "card")
    answer_seconds_max = 2.0  # its client takes some milliseconds of the processor for each answer
    steps = frozenset({"store_order"})

    def __init__(self, emulator: Running) -> None:
        self._emulator = emulator

    def gateway(self, answer_seconds_max: float | None = None) -> AbstractAsyncContextManager[Gateway]:
        keys = account_keys(self._emulator)
        return StripeGateway(keys, answer_seconds_max=answer_seconds_max or ANSWER_SECONDS_MAX)

    def faulty(self, webhook_url: str) -> FaultPlan:
        return FaultPlan(
            **STEP_FAULTS,
            **WEBHOOK_FAULTS,
            slow_seconds=self.answer_seconds_max + SLOWER_SECONDS,
            fail_kept=0.05,
            refund_pending=0.3,
            webhook_url=webhook_url,
        )

    def peaceful(self) -> FaultPlan:
        return FaultPlan()

    async def plan_faults(self, plan: Any) -> Counter[str]:
        return await self._emulator.plan_faults(plan)

    async def pay_there(self, key: str, order: str, *, good: bool = True) -> None:  # noqa: ARG002
        with contextlib.suppress(KeyError):  # nobody can pay there any more
            await self._emulator.control("pay", order=order, card="good" if good else "declined")

    async def settle(self, adjust: int = 0) -> tuple[str, int]:
        if adjust:
            await self._emulator.control("adjust", amount=str(adjust), currency="inr")
        made = await self._emulator.control("settle")
        return made["id"], made["amount"]

    def at_bank(self, key: str | None = None) -> list[AtBank]:
        with opened(self._emulator.ledger) as ledger:
            came = dict(ledger.execute("SELECT id, at FROM moved WHERE state = 'authorised'").fetchall())
            charges = dict(_bodies(ledger, "charge", "id"))
            refunds = _bodies(ledger, "refund", "parent")
            found = []
            for name, body in _bodies(ledger, "payment_intent", "id"):
                if name not in came:
                    continue
                body["latest_charge"] = charges[body["latest_charge"]]
                intent = msgspec.convert(body, Intent)
                payment = payment_of(intent, [msgspec.convert(one, Refund) for of, one in refunds if of == name])
                assert payment is not None
                assert intent.metadata is not None
                found.append(
                    AtBank(
                        joined(self.account, name), intent.metadata["key"], payment.state, payment.amount_minor,
                        payment.refunded_minor, came[name],
                    )
                )  # fmt: skip
        return [one for one in found if key in (None, one.key)]

    def moves(self) -> Counter[tuple[str, str]]:
        with opened(self._emulator.ledger) as ledger:
            return Counter(
                (joined(self.account, name), state)
                for name, state in ledger.execute("SELECT id, state FROM moved").fetchall()
            )


def _bodies(ledger: sqlite3.Connection, kind: str, named_by: str) -> list[tuple[str, dict[str, Any]]]:
    rows = ledger.execute(f"SELECT {named_by}, body FROM object WHERE kind = ?", (kind,))
    return [(name, msgspec.json.decode(body)) for name, body in rows]
