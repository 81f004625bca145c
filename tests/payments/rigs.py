"""A gateway with the bank behind it, as the tests that go for every gateway use it: what a patient does there, too."""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
import msgspec

from healthplus.database import Database
from healthplus.payments.accounts import SANDBOX
from healthplus.payments.gateway import Gateway
from healthplus.payments.gateways.sandbox import ANSWER_SECONDS_MAX, SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url
from healthplus.settings import Settings
from healthplus_sandbox.bank import FaultPlan

STEP_FAULTS = {"fail_before": 0.14, "fail_after": 0.14, "never_answer": 0.005, "slow": 0.03}
WEBHOOK_FAULTS = {"webhook_lost": 0.3, "webhook_repeated": 0.3, "webhook_seconds_max": 3}
SLOWER_SECONDS = 0.2
"""So much longer than anyone waits, what is slow takes in these tests."""


class AtBank(NamedTuple):
    """A payment in the bank's own ledger; `name` is the product's, `came_at` when it was set aside."""

    name: str
    key: str
    state: str
    amount_minor: int
    refunded_minor: int
    came_at: float


class Rig(ABC):
    """One account at a gateway."""

    account: str
    methods: tuple[str, ...]
    """What pays, first at once if anything does; and what the patient goes on with at the gateway."""
    answer_seconds_max: float
    """How long an answer is waited for where it may be late."""
    steps: frozenset[str] = frozenset()
    """What paying here crosses besides what it crosses with the sandbox."""
    differs: Mapping[str, frozenset[str]] = MappingProxyType({})
    """Of kinds of payments, what only one of this and the sandbox crosses."""
    ends: frozenset[str] = frozenset({"captured", "voided", "refunded"})
    """The states in which payments here come to rest."""

    @abstractmethod
    def gateway(self, answer_seconds_max: float | None = None) -> AbstractAsyncContextManager[Gateway]:
        """Return the gateway, as the product has it."""

    @abstractmethod
    def faulty(self, webhook_url: str) -> msgspec.Struct:
        """Return a plan with all faults that this bank plays."""

    @abstractmethod
    def peaceful(self) -> msgspec.Struct:
        """Return a plan without any, nor webhooks."""

    def refunding(self) -> Any:
        """Return a plan in which what goes back takes a second, and some of it fails; None: this bank has none."""
        return None

    @abstractmethod
    async def plan_faults(self, plan: Any) -> Counter[str]:
        """Have the bank play other faults; return how often it has played each until now."""

    @abstractmethod
    async def pay_there(self, key: str, order: str, *, good: bool = True) -> None:
        """Pay at the gateway as the patient would; `order`: where they were led to, "" where there are none."""

    @abstractmethod
    def at_bank(self, key: str | None = None) -> list[AtBank]:
        """Return what the bank's own ledger has, of one key or of all."""

    @abstractmethod
    def moves(self) -> Counter[tuple[str, str]]:
        """Return how often each payment reached each state, by the bank's own ledger."""

    async def settle(self, adjust: int = 0) -> tuple[str, int]:
        """Pay out all that moved, with an adjustment; return the settlement and how much it is."""
        raise AssertionError(f"This bank pays nothing out, and adjusts by no {adjust}.")

    async def open_account(self, db: Database) -> None:
        """Have all clinics take their money with this account."""
        if self.account != SANDBOX:
            await db.execute(
                "INSERT INTO payments.account (account, gateway, owner, is_default) VALUES ($1, $2, 'Owner', true)",
                self.account,
                self.account,
            )


class SandboxRig(Rig):
    """The sandbox bank."""

    account = SANDBOX
    methods = ("sandbox-ok", "sandbox-later")
    answer_seconds_max = 0.5

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = settings.data_folder / "sandbox-bank" / "sandbox-bank.sqlite3"

    def gateway(self, answer_seconds_max: float | None = None) -> AbstractAsyncContextManager[Gateway]:
        url, secret = bank_url(self._settings), self._settings.payment_webhook_secret
        return SandboxGateway(url, secret, answer_seconds_max or ANSWER_SECONDS_MAX)

    def faulty(self, webhook_url: str) -> FaultPlan:
        return FaultPlan(
            **STEP_FAULTS, **WEBHOOK_FAULTS, slow_seconds=self.answer_seconds_max + SLOWER_SECONDS, pay_twice=0.05,
            later=0.03, later_seconds=3, webhooks="all", webhook_url=webhook_url,
        )  # fmt: skip

    def peaceful(self) -> FaultPlan:
        return FaultPlan(webhooks="none")

    def refunding(self) -> FaultPlan:
        return FaultPlan(webhooks="none", refund_pending=0.3, refund_fails=0.3, later_seconds=1)

    async def plan_faults(self, plan: Any) -> Counter[str]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{bank_url(self._settings)}/fault-plan", data=msgspec.json.encode(plan)) as response,
        ):
            return Counter(msgspec.json.decode(await response.read()))

    async def pay_there(self, key: str, order: str, *, good: bool = True) -> None:  # noqa: ARG002
        answer = "approve" if good else "decline"
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{bank_url(self._settings)}/pay/{key}/{answer}", allow_redirects=False),
        ):
            pass

    def at_bank(self, key: str | None = None) -> list[AtBank]:
        with opened(self._ledger) as ledger:
            return [
                AtBank(*row)
                for row in ledger.execute(
                    """SELECT authorisation, key, state, amount_minor, refunded_minor,
                        (SELECT at FROM moved
                        WHERE moved.authorisation = payment.authorisation AND moved.state = 'authorised')
                    FROM payment WHERE state <> 'pending' AND key = coalesce(?, key)""",
                    (key,),
                )
            ]

    def moves(self) -> Counter[tuple[str, str]]:
        with opened(self._ledger) as ledger:
            return Counter(ledger.execute("SELECT authorisation, state FROM moved").fetchall())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a bank's own ledger."""
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        yield ledger
