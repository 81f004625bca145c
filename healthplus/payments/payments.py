"""Paying for a hold, or for an appointment: set the money aside, then book, then (in captures) take it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.booking.bulkheads import WAIT_SECONDS_MAX
from healthplus.booking.lanes import Call, Lane
from healthplus.booking.outcomes import Booked, ConfirmRefused, Done, Refused
from healthplus.database import Database, PostgresError, Record, note_change
from healthplus.errors import HealthPlusError, PaymentDeclined
from healthplus.idle import idle
from healthplus.payments.accounts import Gateways, joined, queries
from healthplus.payments.captures import Capture, Captures
from healthplus.payments.day_checks import DayChecks
from healthplus.payments.gateway import Declined, Pending
from healthplus.payments.reconciliation import Reconciliation, key_of

METHODS = {
    "sandbox-upi": "upi",
    "sandbox-netbanking": "netbanking",
    **dict.fromkeys(("sandbox-ok", "sandbox-later"), "card"),
}
"""What the sandbox's ways to pay are; other gateways name them so."""

LOOK_SECONDS = 3.0
"""How long what the gateway was just asked about a hold is good for."""
LOOK_SECONDS_MAX = 3.0
"""How long the page of a hold waits for that."""
LOOKED_MAX = 10_000


class Paid(msgspec.Struct, frozen=True):
    """The result of paying.

    `voided`: money set aside for a slot that was lost was let go (False: it soon will be). `url`: nothing is decided
    yet, and the patient is to go on there, by a form with `fields` where there are any.
    """

    outcome: Booked | ConfirmRefused | Done[Literal["pending"]]
    voided: bool | None = None
    url: str | None = None
    fields: dict[str, str] = {}


class PaidOnline(msgspec.Struct, frozen=True):
    """The result of paying online what was to be paid at the clinic; all but `code` as of Paid.

    `not_payable`: it has ended, was paid meanwhile or has another fee by now; `voided` is then of what came for it.
    """

    code: Literal["paid", "pending", "not_payable", "not_found"]
    voided: bool | None = None
    url: str | None = None
    fields: dict[str, str] = {}


class Money(NamedTuple):
    """The money for a booking or hold, in the smallest unit of its currency: `kept_minor` and `returned_minor` of it.

    `money`: capture_due, captured, void_due, voided, refund_due, refunded, or kept where all of it is; unanswered where
    the bank has not said whether it moved any. `twice_minor`: what was paid besides, and goes back; it has where
    `is_twice_returned`. `time_zone`: of the clinic.
    """

    money: str
    amount_minor: int
    currency: str
    time_zone: str
    kept_minor: int = 0
    returned_minor: int = 0
    taken_at: datetime | None = None
    returned_at: datetime | None = None
    twice_minor: int = 0
    is_twice_returned: bool = False

    @classmethod
    def of(cls, row: Record) -> Self | None:
        """Return the money in a row of a booking; None where nothing was paid online."""
        return cls(*(row[name] for name in cls._fields)) if row["money"] else None


class Payments:
    """Between the book and the gateway."""

    def __init__(self, database: Database, book: Book, gateways: Gateways, background: Database | None = None) -> None:
        """`background`: what captures and reconciliation use instead of the pool of requests."""
        self._database = database
        self._book = book
        self.gateways = gateways
        self._begin_lane = Lane(database, queries.begin_payment, lambda _, row: row)
        self.captures = Captures(background or database, gateways)
        self.reconciliation = Reconciliation(background or database, book, gateways)
        self.day_checks = DayChecks(background or database, gateways, self.reconciliation)
        # A webhook is a request: its gateway waits, and must not wait behind what nobody waits for.
        self.webhooks = Reconciliation(database, book, gateways)
        self._looked: dict[UUID, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def tasks(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """Return the background tasks of payments, each of which runs until cancelled."""
        captures = self.captures
        return (captures.run, captures.run_from_memory, self.reconciliation.run, self.day_checks.run)

    async def pay(
        self,
        provider_id: int,
        booking_id: UUID,
        method: str,
        patient: Patient,
        key: str | None = None,
        return_url: str = "",
        *,
        token_hash: bytes | None = None,
        shown_at: datetime | None = None,
    ) -> Paid:
        """Book a hold of the patient's. The outcome is one of Book.confirm, or `expired` before any money moves.

        Or it is `pending`, with a `url`, from which the patient is led to `return_url`, a whole address. If a hold
        lapsed while it was being paid for, another booking may be booked instead. `method` is the gateway's name for a
        way to pay; it counts only for what is paid online. Raises PaymentDeclined, PaymentUnavailable and BadInput,
        with the hold as it was. `token_hash`: of a token that must sign the patient in when paying begins, or the
        outcome is `not_found`; what is under way at the bank then goes on, whatever becomes of the token. `shown_at`:
        when the patient was shown that it begins; if that has changed as paying begins, the outcome is `time_changed`.
        """
        held = await self._begin(provider_id, booking_id, patient, token_hash, shown_at)
        if held["code"] == "not_found":
            return Paid(Refused("not_found"))
        if held["is_moved"]:
            return Paid(Refused("time_changed", booking_id=booking_id, state="reserved"))
        # Perhaps a repeat: confirm knows it by what was set aside the first time, and no more money is.
        authorisation: str | None = held["authorisation"]
        if held["is_due"]:
            answer = await self._request(provider_id, booking_id, held, method, return_url)
            if isinstance(answer, Pending):
                return Paid(Done("pending"), url=answer.url, fields=answer.fields)
            authorisation = answer
        elif held["code"] == "expired" and authorisation is None:
            return Paid(Refused("expired", booking_id=booking_id, state="expired"))
        outcome = await self._book.confirm(
            provider_id,
            booking_id,
            authorisation,
            patient,
            key,
            method,
            token_hash=None if held["is_due"] else token_hash,
            shown_at=shown_at,
        )
        if outcome.code == "booked" and held["is_due"] and authorisation is not None:
            # Under the hold's name, also where its money came late and booked another booking.
            money = (authorisation, held["fee_minor"], held["currency"], METHODS.get(method, method))
            self.captures.remember(Capture(provider_id, booking_id, *money))
        if outcome.code == "booked" or outcome.code == "key_reused" or authorisation is None:
            return Paid(outcome)
        return Paid(outcome, await self._void_if_due(provider_id, booking_id))

    async def pay_online(
        self, provider_id: int, booking_id: UUID, method: str, patient: Patient, shown_minor: int, return_url: str
    ) -> PaidOnline:
        """Pay the fee of a patient's appointment online, which was to be paid at the clinic; a repeat pays once.

        `shown_minor`: what the patient was shown that it costs. `pending` as with `pay`. Raises PaymentDeclined,
        PaymentUnavailable and BadInput, with the appointment as it was.
        """
        begun = await self._database.fetch_row(
            queries.begin_booking_payment, provider_id, booking_id, patient.patient_id, shown_minor
        )
        if begun is None:
            return PaidOnline("not_found")
        if not begun["is_due"]:
            return PaidOnline("paid" if begun["is_paid"] else "not_payable")
        answer = await self._request(provider_id, booking_id, begun, method, return_url)
        if isinstance(answer, Pending):
            return PaidOnline("pending", url=answer.url, fields=answer.fields)
        amount_minor = begun["fee_minor"]
        try:
            row = await self._book.locking(
                provider_id,
                lambda wait_seconds: self._database.fetch_row(
                    queries.pay_online,
                    provider_id,
                    booking_id,
                    answer,
                    amount_minor,
                    str(patient),
                    wait_seconds=wait_seconds,
                ),
                patient,
            )
        finally:
            self._book.changed(provider_id)
        assert row is not None
        if row["code"] != "paid":
            return PaidOnline(row["code"], await self._void_if_due(provider_id, booking_id))
        money = (answer, amount_minor, begun["currency"], METHODS.get(method, method))
        self.captures.remember(Capture(provider_id, booking_id, *money))
        return PaidOnline("paid")

    async def money(self, provider_id: int, booking_id: UUID) -> Money | None:
        """Return the money for a booking or hold; None: there was none."""
        row = await self._database.fetch_row(queries.money, provider_id, booking_id)
        return None if row is None else Money.of(row)

    async def booked_instead(self, provider_id: int, hold_id: UUID) -> UUID | None:
        """Return what the money for a lapsed hold booked instead of it."""
        found: UUID | None = await self._database.fetch_value(queries.booked_instead, provider_id, hold_id)
        return found

    async def unanswered(self, holds: Sequence[tuple[int, UUID]]) -> set[tuple[int, UUID]]:
        """Return those of these holds, each of a provider, whose bank has not said whether it moved money."""
        if not holds:
            return set()
        rows = await self._database.fetch(queries.unanswered, *map(list, zip(*holds, strict=True)))
        return {(row["provider_id"], row["hold_id"]) for row in rows}

    async def look_now(self, provider_id: int, hold_id: UUID) -> None:
        """Note what the gateway says was paid for a hold, as far as it answers soon. The patient is back from there.

        Asks it once in LOOK_SECONDS for each hold, however often the patient comes.
        """
        now = asyncio.get_running_loop().time()
        if now < self._looked.get(hold_id, now):
            return
        if len(self._looked) >= LOOKED_MAX:
            self._looked = {known: until for known, until in self._looked.items() if until > now}
        self._looked[hold_id] = now + LOOK_SECONDS
        # It goes on where the page does not wait for it any longer: half of it must not be noted.
        look = self._start(self.webhooks.look_for(provider_id, hold_id))
        async with idle():
            await asyncio.wait([look], timeout=LOOK_SECONDS_MAX)

    async def _request(
        self, provider_id: int, hold_id: UUID, asked: Record, method: str, return_url: str
    ) -> str | Pending:
        """Request money, whose intent is stored: if this process goes no further, reconciliation finds what comes.

        Return the payment's name, or where the patient goes on. Raises PaymentDeclined, PaymentUnavailable, BadInput.
        """
        async with idle():
            answer = await self.gateways.of(asked["account"]).authorise(
                key_of(provider_id, hold_id),
                asked["fee_minor"],
                asked["currency"],
                method,
                return_url,
                asked["order_name"],
            )
        note_change()  # reconciliation may book with this money, whatever becomes of this request
        if isinstance(answer, Declined):
            await self._forget_declined(provider_id, hold_id, asked)
            raise PaymentDeclined(f"{answer.reason} {PaymentDeclined.__doc__}")
        if isinstance(answer, Pending):
            await self._store_order(provider_id, hold_id, asked["account"], answer.order)
            return answer
        return joined(asked["account"], answer.name)

    async def _store_order(self, provider_id: int, hold_id: UUID, account: str, order: str) -> None:
        """Store what was requested, before the patient is led there, so that what they pay is looked for."""
        if not order:
            return
        before = await self._database.fetch_value(queries.store_order, provider_id, hold_id, order)
        if before not in (None, order):
            self._start(self.webhooks.leave(provider_id, hold_id, account, before))

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do this whatever becomes of the request."""
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _forget_declined(self, provider_id: int, hold_id: UUID, held: Record) -> None:
        """Look for no money where the only request for it was declined; if that cannot be noted, it is looked for."""
        if held["is_first"]:
            with contextlib.suppress(HealthPlusError, PostgresError):
                await self._database.execute(queries.forget_declined, provider_id, hold_id, held["asked_at"])

    async def _begin(
        self, provider_id: int, hold_id: UUID, patient: Patient, token_hash: bytes | None, shown_at: datetime | None
    ) -> Record:
        """Return the row of begin_payment for one hold, which is asked together with those of others."""
        row = (provider_id, hold_id, patient.patient_id, token_hash, shown_at)
        until = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX
        # In place of a book, a number of the hold: one call at a time is about it. When its answer is lost it may be
        # sent again, since it answers the same.
        call = Call(hold_id.int >> 64, patient.patient_id, row, until, has_key=True)
        try:
            held: Record | None = await self._begin_lane.ask(call)
            if held is None:
                held = await self._database.fetch_row(queries.begin_payment, *([value] for value in row))
        finally:
            self._begin_lane.leave(call)
        assert held is not None
        return held

    async def _void_if_due(self, provider_id: int, hold_id: UUID) -> bool | None:
        """Let go of money that booked nothing; None when there is none, as where another request has paid."""
        try:
            due = await self._database.fetch(queries.void_due, provider_id, hold_id)
            return await self.captures.settle(due) == len(due) if due else None
        except (HealthPlusError, PostgresError):
            return False  # it stays due, and captures will do it
