"""The book's Python face: one method a verb, one server-side call each. The rules are in functions/*.sql."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec

from healthplus.database import Database, Range, Record, load
from healthplus.errors import DatabaseUnreachable

queries = load(Path(__file__).with_name("queries.sql"))

CLIENT_MARGIN = timedelta(seconds=5)
"""How much longer a hold lives here than its client is shown (brief, section 8)."""

CALLS_PER_PROVIDER_MAX = 1
"""Newcomers of one process at the database at once: they come to the lock in the order in which they asked."""

_UNCHANGED = (
    "",
    None,
    "slot_full",
    "slot_held",
    "no_such_slot",
    "claimed",
    "lapses",
    "busy",
    "not_found",
    "key_reused",
)
"""Codes of outcomes that change nothing."""

STATUS_TEXTS = {
    "reserved": "Appointment Successful",
    "booked": "Appointment Successful",
    "slot_full": "Appointment Failed – Slot Full",
    "slot_held": "Appointment Failed – Retry, as other users are holding reserved slots",
}
"""The brief's three answers to the letter (its section 5), by an outcome's code."""


class Outcome(msgspec.Struct, frozen=True):
    """What a verb answers: the columns of the database's booking.outcome, in order."""

    code: str
    reason: str | None = None
    booking_id: UUID | None = None
    ticket_id: UUID | None = None
    number: int | None = None
    state: str | None = None
    clinic_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    deadline: datetime | None = None
    fee_paise: int | None = None
    funding: str | None = None
    version: int | None = None
    can_wait: bool | None = None
    alternatives: list[datetime] | None = None
    conflicts: list[UUID] | None = None


class Shift(msgspec.Struct, frozen=True):
    """A weekly template, in the clinic's city's time.

    `weekday` is ISO 8601's; `shift_id` None means a new one; `ends` at midnight means the end of the day.
    """

    provider_id: int
    shift_id: int | None
    clinic_id: int
    weekday: int
    starts: time
    ends: time
    slot_minutes: int
    seats: int = 1
    slots_max: int = 1
    valid_from: date | None = None
    valid_to: date | None = None


class Book:
    """The verbs.

    `patient_id` must own what is touched; None is staff or the system. `actor` owns the idempotency `key`.
    """

    def __init__(self, database: Database, changed: Callable[[int], None] = lambda _: None) -> None:
        """`changed` is told of each provider whose book a verb may have changed, once that is committed."""
        self._database = database
        self.changed = changed
        self._turns: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    def _turn(self, provider_id: int) -> asyncio.Semaphore:
        # A rush on one provider queues here, in order, and not in the pool, where it would keep everyone else waiting.
        return self._turns.get(provider_id) or self._turns.setdefault(
            provider_id, asyncio.Semaphore(CALLS_PER_PROVIDER_MAX)
        )

    async def _call(self, verb: str, provider_id: int, *args: object) -> Outcome:
        try:
            row = await self._database.fetch_row(queries[verb], provider_id, *args)
        except DatabaseUnreachable:
            self.changed(provider_id)  # perhaps it was
            raise
        assert row is not None
        outcome = Outcome(*row)
        # A refused rush must not have everyone who waits look again and again; what its settling changed is seen soon.
        if outcome.code not in _UNCHANGED:
            self.changed(provider_id)
        return outcome

    async def hold(
        self,
        provider_id: int,
        clinic_id: int,
        start: datetime,
        slots_needed: int,
        patient_id: int,
        actor: str,
        key: str | None = None,
    ) -> Outcome:
        """reserved | slot_full | slot_held | no_such_slot | claimed | lapses | key_reused"""
        wanted = (provider_id, clinic_id, start, slots_needed, patient_id, actor, key)
        turn = self._turn(provider_id)
        if turn.locked() and (refusal := await self._call("refuse_hold", *wanted)).code:
            return refusal
        async with turn:
            return await self._call("hold", *wanted)

    async def confirm(
        self,
        provider_id: int,
        booking_id: UUID,
        patient_id: int | None,
        authorisation: str | None,
        actor: str,
        key: str | None = None,
        method: str | None = None,
    ) -> Outcome:
        """booked | expired | payment_required | wrong_state | not_found | key_reused"""
        return await self._call("confirm", provider_id, booking_id, patient_id, authorisation, actor, key, method)

    async def release(
        self, provider_id: int, booking_id: UUID, patient_id: int | None, actor: str, key: str | None = None
    ) -> Outcome:
        """released | expired | wrong_state | not_found | key_reused"""
        return await self._call("release", provider_id, booking_id, patient_id, actor, key)

    async def cancel(
        self, provider_id: int, booking_id: UUID, patient_id: int | None, actor: str, key: str | None = None
    ) -> Outcome:
        """cancelled | too_late | wrong_state | not_found | key_reused"""
        return await self._call("cancel", provider_id, booking_id, patient_id, actor, key)

    async def reschedule(
        self,
        provider_id: int,
        booking_id: UUID,
        patient_id: int | None,
        start: datetime,
        actor: str,
        key: str | None = None,
    ) -> Outcome:
        """moved | slot_full | slot_held | no_such_slot | too_late | expired | wrong_state | not_found | key_reused"""
        return await self._call("reschedule", provider_id, booking_id, patient_id, start, actor, key)

    async def join_queue(
        self,
        provider_id: int,
        clinic_id: int | None,
        wanted_from: datetime,
        wanted_to: datetime,
        slots_needed: int,
        patient_id: int,
        actor: str,
        key: str | None = None,
    ) -> Outcome:
        """waiting | offered | slot_full | no_such_slot | claimed | key_reused; `clinic_id` None: at any clinic"""
        wanted = Range(wanted_from, wanted_to)
        async with self._turn(provider_id):
            return await self._call("join_queue", provider_id, clinic_id, wanted, slots_needed, patient_id, actor, key)

    async def accept(
        self,
        provider_id: int,
        ticket_id: UUID,
        patient_id: int | None,
        actor: str,
        key: str | None = None,
        clinic_id: int | None = None,
        start: datetime | None = None,
    ) -> Outcome:
        """accepted | offer_over | claimed | wrong_state | not_found | key_reused; for another start, hold's refusals"""
        return await self._call("accept", provider_id, ticket_id, patient_id, clinic_id, start, actor, key)

    async def leave_queue(
        self, provider_id: int, ticket_id: UUID, patient_id: int | None, actor: str, key: str | None = None
    ) -> Outcome:
        """left | wrong_state | not_found | key_reused"""
        return await self._call("leave_queue", provider_id, ticket_id, patient_id, actor, key)

    async def resume(self, provider_id: int, ticket_id: UUID, patient_id: int | None) -> Outcome:
        """The ticket's state as the code, or not_found."""
        return await self._call("resume", provider_id, ticket_id, patient_id)

    async def settle(self, provider_id: int, unless_busy: bool = False) -> Outcome:
        """settled | busy | not_found; `unless_busy`: rather than wait, leave it to whoever has the book locked"""
        return await self._call("settle", provider_id, unless_busy)

    async def attend(self, provider_id: int, booking_id: UUID, state: str, actor: str) -> Outcome:
        """arrived | fulfilled | no_show | wrong_state | not_found"""
        return await self._call("attend", provider_id, booking_id, state, actor)

    async def change_shift(
        self, shift: Shift, actor: str, *, remove: bool = False, flag_for_rebooking: bool = False
    ) -> Outcome:
        """changed | conflict, with the bookings in the way | shift_overlap | not_found"""
        return await self._call(
            "change_shift",
            shift.provider_id,
            shift.shift_id,
            shift.clinic_id,
            shift.weekday,
            shift.starts,
            f"{shift.ends:%H:%M}" if shift.ends != time() else "24:00",
            shift.slot_minutes,
            shift.seats,
            shift.slots_max,
            Range(shift.valid_from, shift.valid_to),
            remove,
            flag_for_rebooking,
            actor,
        )

    async def add_leave(
        self,
        provider_id: int,
        clinic_id: int | None,
        starts_at: datetime,
        ends_at: datetime,
        reason: str,
        actor: str,
        *,
        flag_for_rebooking: bool = False,
    ) -> Outcome:
        """changed | conflict, with the bookings in the way | not_found; `clinic_id` None: away from all of them"""
        during = Range(starts_at, ends_at)
        return await self._call("change_leave", provider_id, None, clinic_id, during, reason, flag_for_rebooking, actor)

    async def remove_leave(self, provider_id: int, leave_id: UUID, actor: str) -> Outcome:
        """changed | not_found"""
        return await self._call("change_leave", provider_id, leave_id, None, None, "", False, actor)

    # What follows reads; it takes no lock and changes nothing of the book.

    async def now(self) -> datetime:
        """Return what the database's clock shows, which is the product's only one."""
        now: datetime = await self._database.fetch_value(queries.now)
        return now

    async def chart(
        self,
        provider_id: int,
        clinic_id: int | None,
        starts_from: datetime,
        starts_before: datetime,
        slots_needed: int,
        patient_id: int | None,
    ) -> list[Record]:
        """Give the slots from one instant to another: clinic_id, starts_at, ends_at, state, held_until, fits."""
        return await self._database.fetch(
            queries.chart, provider_id, clinic_id, starts_from, starts_before, slots_needed, patient_id
        )

    async def chart_stamp(self, provider_id: int) -> Record | None:
        """Give what a chart depends on besides the request: version, minute, lapsed."""
        return await self._database.fetch_row(queries.chart_stamp, provider_id)

    async def booking(self, provider_id: int, booking_id: UUID, patient_id: int) -> Record | None:
        """Give a patient's own hold or booking, or None."""
        return await self._database.fetch_row(queries.booking, provider_id, booking_id, patient_id)

    async def claim(self, patient_id: int) -> Record | None:
        """Give what takes, or last took, a patient's one place: provider_id with booking_id or ticket_id."""
        return await self._database.fetch_row(queries.claim, patient_id)

    async def appointments(self, patient_id: int) -> list[Record]:
        """Give a patient's bookings and live holds, latest visit first."""
        return await self._database.fetch(queries.appointments, patient_id)
