"""The sandbox bank: a server with a ledger of its own and no money.

It is not the product, and knows nothing of its database: what happens here is what would happen at a bank, whatever
becomes of the product. Tests have it play faults (`POST /fault-plan`).
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec

from healthplus.payments.gateway import GatewayPayment, ListedPayment, PaymentState
from healthplus.payments.gateways.sandbox import METHODS, METHODS_AT_ONCE, SIGNATURE, AuthoriseAnswer, WebhookBody
from healthplus.signatures import sign
from healthplus_sandbox.faults import CommonPlan, Faults
from healthplus_sandbox.outbox import TIMEOUT, Outbox

STEPS: dict[str, tuple[PaymentState, PaymentState]] = {
    "capture": ("authorised", "captured"),
    "void": ("authorised", "voided"),
    "refund": ("captured", "refunded"),
}
_POLL_SECONDS = 0.05
_PAGE = 100
PATIENT_SECONDS = 60
"""So long a patient who opened the bank's page has to answer; then what waits is approved."""

_LEDGER = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;  -- a power cut may cost the bank its memory: there is no money in it
CREATE TABLE IF NOT EXISTS payment (
    authorisation TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'authorised', 'captured', 'voided', 'refunded')),
    due_at REAL,  -- when what is pending will be authorised
    refunded_minor INTEGER NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND amount_minor)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payment_key ON payment (key);
CREATE INDEX IF NOT EXISTS payment_due_at ON payment (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS moved (authorisation TEXT NOT NULL, state TEXT NOT NULL, at REAL NOT NULL) STRICT;
"""
# A ledger made before money had a currency.
_ADD_CURRENCY = """
ALTER TABLE payment RENAME COLUMN amount_paise TO amount_minor;
ALTER TABLE payment ADD COLUMN currency TEXT NOT NULL DEFAULT 'INR';
"""
# A ledger made before less than all could be refunded.
_ADD_REFUNDED = """
ALTER TABLE payment
    ADD COLUMN refunded_minor INTEGER NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND amount_minor);
UPDATE payment SET refunded_minor = amount_minor WHERE state = 'refunded';
"""


class FaultPlan(CommonPlan):
    """The faults that this bank can play."""

    later: float = 0.0  # a good card makes the patient go on at the bank
    later_seconds: float = 4.0
    webhooks: Literal["all", "unprompted", "none"] = "unprompted"  # unprompted: what no answer has said


class PaymentRequest(msgspec.Struct):
    """Money to be set aside."""

    key: str
    amount_minor: int
    currency: str
    method: str
    return_url: str = ""


class _Payment(msgspec.Struct):
    amount_minor: int
    currency: str
    state: Any  # a PaymentState, or pending
    refunded_minor: int


class Bank:
    """The bank's ledger, and the faults it plays."""

    def __init__(self, ledger: Path, secret: str, webhook_url: str | None, pages: str) -> None:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        ledger.touch(mode=0o600)
        ledger.chmod(0o600)  # SQLite makes the files beside it of the same mode
        self.faults = Faults(FaultPlan(webhook_url=webhook_url))
        self._ledger = sqlite3.connect(ledger, isolation_level=None)
        if any(row[1] == "amount_paise" for row in self._ledger.execute("PRAGMA table_info(payment)")):
            self._ledger.executescript(_ADD_CURRENCY)
        self._ledger.executescript(_LEDGER)
        if all(row[1] != "refunded_minor" for row in self._ledger.execute("PRAGMA table_info(payment)")):
            self._ledger.executescript(_ADD_REFUNDED)
        self._outbox = Outbox(self._ledger, self.faults, lambda body: {SIGNATURE: sign(secret, body, time.time())})
        self._pages = pages
        self.return_urls: dict[str, str] = {}

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def authorise(self, request: PaymentRequest) -> AuthoriseAnswer | tuple[int, str]:
        """Set money aside; or return an HTTP status and why not."""
        if request.method not in METHODS:
            return 422, f"The sandbox takes these methods of payment: {', '.join(METHODS)}."
        if request.method == "sandbox-unreachable":
            return 503, ""
        if request.method == "sandbox-declined":
            return AuthoriseAnswer(declined="The bank declined the payment.")
        name = f"sandbox-{request.key}"
        later = request.method == "sandbox-later" or self.faults.happens("later", self.faults.plan.later)
        known = self._find(name)
        if known is None:
            due_at = time.time() + self.faults.plan.later_seconds if later else None
            self._put(name, request, due_at)
        elif (known.amount_minor, known.currency) != (request.amount_minor, request.currency):
            return 409, f"{_amount(known)} were set aside before, not {_amount(request)}."
        elif known.state == "pending" and not later:
            self._advance(name, _moved_by(request), prompted=True)
        later = later and (known is None or known.state == "pending")
        if later and request.return_url.startswith(("http://", "https://")):
            self.return_urls[request.key] = request.return_url
        return AuthoriseAnswer(url=f"{self._pages}/pay/{request.key}") if later else AuthoriseAnswer(authorisation=name)

    def ask_patient(self, key: str) -> tuple[int, str] | None:
        """Give the patient time to answer; return amount and currency of what waits for them, or None."""
        update = """UPDATE payment SET due_at = ? WHERE authorisation = ? AND state = 'pending'
            RETURNING amount_minor, currency"""
        row = self._ledger.execute(update, (time.time() + PATIENT_SECONDS, f"sandbox-{key}")).fetchone()
        return row and (row[0], row[1])

    def answer(self, key: str, *, is_approved: bool) -> None:
        """Authorise what waits for the patient's answer, or forget it."""
        name = f"sandbox-{key}"
        known = self._find(name)
        if known is None or known.state != "pending":
            return
        if is_approved:
            self._advance(name, "authorised", prompted=False)
        else:
            self._ledger.execute("DELETE FROM payment WHERE authorisation = ?", (name,))

    def _find(self, name: str) -> _Payment | None:
        find = "SELECT amount_minor, currency, state, refunded_minor FROM payment WHERE authorisation = ?"
        row = self._ledger.execute(find, (name,)).fetchone()
        return row and _Payment(*row)

    def _put(self, name: str, request: PaymentRequest, due_at: float | None) -> None:
        insert = """INSERT INTO payment (authorisation, key, amount_minor, currency, state, due_at)
            VALUES (?, ?, ?, ?, 'pending', ?)"""
        money = (request.key, request.amount_minor, request.currency)
        self._ledger.execute(insert, (name, *money, due_at))
        if due_at is None:
            self._advance(name, _moved_by(request), prompted=True)
        if self.faults.happens("pay_twice", self.faults.plan.pay_twice):
            again_at = time.time() + random.uniform(0, self.faults.plan.later_seconds)  # noqa: S311
            self._ledger.execute(insert, (f"{name}-again", *money, again_at))

    def step(
        self, name: str, step: str, amount_minor: int | None, currency: str | None
    ) -> PaymentState | tuple[int, str]:
        """Capture or void all, or refund some of it, if that is possible; return the payment's state afterwards.

        Or an HTTP status and why not. A refund must say how much.
        """
        known = self._find(name)
        if known is None or known.state == "pending":
            return 404, "The sandbox has no such authorisation."
        is_refund = step == "refund"
        if currency not in (None, known.currency) or (not is_refund and amount_minor not in (None, known.amount_minor)):
            return 409, f"{_amount(known)} were set aside, not {currency} {amount_minor}."
        if is_refund and (amount_minor is None or not 1 <= amount_minor <= known.amount_minor):
            return 409, f"{_amount(known)} were taken: say how much of it to refund, not {amount_minor}."
        if is_refund and known.state == "refunded" and amount_minor != known.refunded_minor:
            return 409, f"{known.refunded_minor} of {_amount(known)} were refunded before, not {amount_minor}."
        before, after = STEPS[step]
        if known.state != before:
            state: PaymentState = known.state
            return state
        self._advance(name, after, prompted=True, refunded_minor=(amount_minor or 0) if is_refund else 0)
        return after

    def payments(self, key: str) -> list[GatewayPayment]:
        """Return the payments under a key."""
        rows = self._ledger.execute(
            """SELECT authorisation, state, amount_minor, currency, refunded_minor FROM payment
            WHERE key = ? AND state <> 'pending'""",
            (key,),
        )
        return [GatewayPayment(*row) for row in rows]

    def find(self, name: str) -> list[ListedPayment]:
        """Return the payment of this name, if there is one."""
        return self._listed("authorisation = ?", name)

    def listed(self, since: float, until: float, after: str) -> list[ListedPayment]:
        """Return some of the payments made from `since` until before `until`: the next after `after`, by name."""
        made = "(SELECT min(at) FROM moved WHERE moved.authorisation = payment.authorisation)"
        return self._listed(f"{made} >= ? AND {made} < ? AND authorisation > ?", since, until, after)

    def _listed(self, condition: str, *values: object) -> list[ListedPayment]:
        rows = self._ledger.execute(
            f"""SELECT authorisation, key, iif(state = 'refunded', 'captured', state), amount_minor, currency,
                refunded_minor
            FROM payment WHERE state <> 'pending' AND {condition} ORDER BY authorisation LIMIT {_PAGE}""",
            values,
        )
        return [ListedPayment(*row) for row in rows]

    def _advance(self, name: str, state: PaymentState, *, prompted: bool, refunded_minor: int = 0) -> None:
        update = """UPDATE payment SET state = ?, due_at = NULL, refunded_minor = ? WHERE authorisation = ?
            RETURNING key, authorisation, amount_minor, currency, refunded_minor"""
        payment = self._ledger.execute(update, (state, refunded_minor, name)).fetchone()
        self._ledger.execute("INSERT INTO moved VALUES (?, ?, ?)", (name, state, time.time()))
        plan = self.faults.plan
        if plan.webhooks == "none" or (plan.webhooks == "unprompted" and prompted) or plan.webhook_url is None:
            return
        self._outbox.put(msgspec.json.encode(WebhookBody(uuid.uuid4().hex, f"payment.{state}", *payment)))

    async def run(self) -> None:
        """Authorise what is pending, and send webhooks, as each is due; until cancelled."""
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                pending = "SELECT authorisation FROM payment WHERE due_at <= ?"
                for (name,) in self._ledger.execute(pending, (time.time(),)).fetchall():
                    self._advance(name, "authorised", prompted=False)
                await asyncio.sleep(0 if await self._outbox.send_due(session) else _POLL_SECONDS)


def _moved_by(request: PaymentRequest) -> PaymentState:
    """Return what becomes of money as it is paid: by UPI it leaves the account at once."""
    return "captured" if request.method in METHODS_AT_ONCE else "authorised"


def _amount(payment: _Payment | PaymentRequest) -> str:
    return f"{payment.currency} {payment.amount_minor} (in its smallest unit)"
