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
from msgspec.structs import replace

from healthplus.payments.gateway import GatewayPayment, GatewayRefund, ListedPayment, PaymentState
from healthplus.payments.gateways.sandbox import (
    METHODS,
    METHODS_AT_ONCE,
    SIGNATURE,
    AuthoriseAnswer,
    StepAnswer,
    WebhookBody,
)
from healthplus.signatures import sign
from healthplus_sandbox.faults import CommonPlan, Faults
from healthplus_sandbox.outbox import TIMEOUT, Outbox

STEPS: dict[str, tuple[PaymentState, PaymentState]] = {
    "capture": ("authorised", "captured"),
    "void": ("authorised", "voided"),
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
CREATE TABLE IF NOT EXISTS refund (
    name TEXT PRIMARY KEY,
    authorisation TEXT NOT NULL,
    key TEXT NOT NULL,  -- '' is all that is left of the payment
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    state TEXT NOT NULL CHECK (state IN ('pending', 'processed', 'failed')),
    reference TEXT NOT NULL,
    due_at REAL,  -- when what is pending will be processed, or fail
    fails INTEGER NOT NULL DEFAULT 0,
    UNIQUE (authorisation, key)
) STRICT;
CREATE INDEX IF NOT EXISTS refund_due_at ON refund (due_at) WHERE due_at IS NOT NULL;
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
    refund_pending: float = 0.0  # a refund takes later_seconds, and may fail then
    refund_fails: float = 0.0
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
    ) -> StepAnswer | tuple[int, str]:
        """Capture or void all, if that is possible; return the payment's state afterwards.

        Or an HTTP status and why not.
        """
        known = self._find(name)
        if known is None or known.state == "pending":
            return _UNKNOWN
        if currency not in (None, known.currency) or amount_minor not in (None, known.amount_minor):
            return 409, f"{_amount(known)} were set aside, not {currency} {amount_minor}."
        before, after = STEPS[step]
        if known.state == before:
            self._advance(name, after, prompted=True)
            return StepAnswer(after)
        return StepAnswer(known.state)

    def refund(
        self, name: str, key: str, amount_minor: int | None, currency: str | None
    ) -> StepAnswer | tuple[int, str]:
        """Give back so much of what was taken, once for each key; return the payment's state and the refund's.

        Or an HTTP status and why not.
        """
        known = self._find(name)
        if known is None or known.state == "pending":
            return _UNKNOWN
        given = next((refund for refund in self._refunds(name) if refund.key == key), None)
        if known.state in ("authorised", "voided"):
            return StepAnswer(known.state)
        is_old = known.state == "refunded" and not self._refunds(name) and amount_minor == known.refunded_minor
        if not is_old and (refused := _why_not(known, given, amount_minor, currency)):
            return 409, refused
        if given is not None or is_old:  # from before refunds had rows
            return StepAnswer(known.state, given)
        fails = self.faults.happens("refund_fails", self.faults.plan.refund_fails)
        is_pending = self.faults.happens("refund_pending", self.faults.plan.refund_pending)
        self._ledger.execute(
            """INSERT INTO refund (name, authorisation, key, amount_minor, state, reference, due_at, fails)
            VALUES (?, ?, ?, ?, 'pending', ?, ?, ?)""",
            (
                *(f"{name}:{key}" if key else name, name, key, amount_minor),
                str(random.randrange(10**11, 10**12)),  # noqa: S311 - twelve digits, as banks have
                *(time.time() + self.faults.plan.later_seconds if is_pending else None, fails),
            ),
        )
        self._note_refund(name, key, "pending" if is_pending else "failed" if fails else "processed", prompted=True)
        made = next(refund for refund in self._refunds(name) if refund.key == key)
        known = self._find(name)
        assert known is not None
        return StepAnswer(known.state, made)

    def _note_refund(self, name: str, key: str, state: str, *, prompted: bool) -> None:
        """Have a refund be in a state, and its payment in that which its refunds make it."""
        self._ledger.execute(
            """UPDATE refund SET state = ?, due_at = CASE ? WHEN 'pending' THEN due_at END
            WHERE authorisation = ? AND key = ?""",
            (state, state, name, key),
        )
        live = [refund for refund in self._refunds(name) if refund.state != "failed"]
        known = self._find(name)
        assert known is not None
        gone = sum(refund.amount_minor for refund in live)
        is_over = gone == known.amount_minor or any(not refund.key for refund in live)
        was_over = self._ledger.execute("SELECT 1 FROM moved WHERE authorisation = ? AND state = 'refunded'", (name,))
        is_move = is_over and was_over.fetchone() is None
        state_now: PaymentState = "refunded" if is_over else "captured"
        self._advance(name, state_now, prompted=prompted, refunded_minor=gone, is_move=is_move)

    def _refunds(self, name: str) -> list[GatewayRefund]:
        rows = self._ledger.execute(
            "SELECT name, key, amount_minor, state, reference FROM refund WHERE authorisation = ? ORDER BY rowid",
            (name,),
        )
        return [
            GatewayRefund(refund, key, amount_minor, state, reference if state == "processed" else "")
            for refund, key, amount_minor, state, reference in rows
        ]

    def payments(self, key: str) -> list[GatewayPayment]:
        """Return the payments under a key."""
        rows = self._ledger.execute(
            """SELECT authorisation, state, amount_minor, currency, refunded_minor FROM payment
            WHERE key = ? AND state <> 'pending'""",
            (key,),
        ).fetchall()
        return [
            GatewayPayment(name, state, amount_minor, currency, refunded_minor, refunds=self._refunds(name))
            for name, state, amount_minor, currency, refunded_minor in rows
        ]

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
        found = [ListedPayment(*row) for row in rows.fetchall()]
        return [replace(one, refunds=self._refunds(one.name)) for one in found]

    def _advance(
        self, name: str, state: PaymentState, *, prompted: bool, refunded_minor: int = 0, is_move: bool = True
    ) -> None:
        update = """UPDATE payment SET state = ?, due_at = NULL, refunded_minor = ? WHERE authorisation = ?
            RETURNING key, authorisation, amount_minor, currency, refunded_minor"""
        payment = self._ledger.execute(update, (state, refunded_minor, name)).fetchone()
        if is_move:
            self._ledger.execute("INSERT INTO moved VALUES (?, ?, ?)", (name, state, time.time()))
        plan = self.faults.plan
        if plan.webhooks == "none" or (plan.webhooks == "unprompted" and prompted) or plan.webhook_url is None:
            return
        key, *_, amount_minor, currency, gone = payment
        made = self._refunds(name)
        body = WebhookBody(uuid.uuid4().hex, f"payment.{state}", key, name, amount_minor, currency, gone, made)
        self._outbox.put(msgspec.json.encode(body))

    async def run(self) -> None:
        """Authorise what is pending, and send webhooks, as each is due; until cancelled."""
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                pending = "SELECT authorisation FROM payment WHERE due_at <= ?"
                for (name,) in self._ledger.execute(pending, (time.time(),)).fetchall():
                    self._advance(name, "authorised", prompted=False)
                refunding = "SELECT authorisation, key, fails FROM refund WHERE due_at <= ?"
                for name, key, fails in self._ledger.execute(refunding, (time.time(),)).fetchall():
                    self._note_refund(name, key, "failed" if fails else "processed", prompted=False)
                await asyncio.sleep(0 if await self._outbox.send_due(session) else _POLL_SECONDS)


def _moved_by(request: PaymentRequest) -> PaymentState:
    """Return what becomes of money as it is paid: by UPI it leaves the account at once."""
    return "captured" if request.method in METHODS_AT_ONCE else "authorised"


_UNKNOWN = (404, "The sandbox has no such authorisation.")


def _why_not(payment: _Payment, given: GatewayRefund | None, amount_minor: int | None, currency: str | None) -> str:
    """Return why so much of what was taken cannot be given back; `given`: what was, under the same key."""
    taken, before = _amount(payment), given.amount_minor if given else payment.refunded_minor
    left = payment.amount_minor - payment.refunded_minor
    if currency not in (None, payment.currency) or not 1 <= (amount_minor or 0) <= payment.amount_minor:
        return f"{taken} were taken: say how much of it to refund, not {currency} {amount_minor}."
    if given is not None:
        return "" if amount_minor == before else f"{before} of {taken} were refunded before, not {amount_minor}."
    return (
        f"{left} of {taken} are left: too little for a refund of {amount_minor}." if (amount_minor or 0) > left else ""
    )


def _amount(payment: _Payment | PaymentRequest) -> str:
    return f"{payment.currency} {payment.amount_minor} (in its smallest unit)"
