"""The book's Python face: one method a verb, one server-side call each. The rules are in functions/."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Actor, Patient
from healthplus.booking import outcomes
from healthplus.booking.calls import BookCalls, Request, queries
from healthplus.booking.outcomes import Refused
from healthplus.booking.terms import Terms, terms_of
from healthplus.database import Range, Record

CLIENT_MARGIN = timedelta(seconds=5)
"""How much longer a hold lives here than its client is shown, so that a last-second payment still counts."""


class Shift(msgspec.Struct, frozen=True):
    """A weekly template, in the clinic's city's time.

    `weekday` is ISO 8601's (Monday is 1); `shift_id` None means a new one; `ends` at midnight means the end of the day.
    Until `release_hours` before it begins only the desk can book it; 0: nobody else ever can; None: everybody, at once.
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
    release_hours: int | None = None


def services_of(service_ids: Sequence[int]) -> tuple[list[int] | None, str | None]:
    """Return services in one order, as a verb takes them, and as a lane does; None where there are none."""
    ids = sorted(set(service_ids))
    return ids or None, ",".join(map(str, ids)) or None


class Book(BookCalls):
    """The verbs. Each returns what it did, or `Refused` with a code of its own; booking/outcomes.py has the types.

    `actor` is who asks: a patient may touch only what is their own. It also owns the idempotency `key`. All methods
    raise OutcomeUnknown, after which it is unknown whether the change was made; and DatabaseBusy, DatabaseReadOnly and
    DatabaseUnreachable, after which nothing was changed. Where a `token_hash` is given, the verb changes nothing unless
    that token signs the patient in at that moment: else Unauthenticated is raised.
    """

    async def hold(  # noqa: PLR0913
        self,
        provider_id: int,
        clinic_id: int,
        start: datetime,
        slots_needed: int,
        patient_id: int,
        actor: Actor,
        key: str | None = None,
        *,
        person_id: UUID | None = None,
        instead_of: tuple[int, UUID] | None = None,
        reason: str | None = None,
        token_hash: bytes | None = None,
        service_ids: Sequence[int] = (),
    ) -> outcomes.Held | outcomes.HoldRefused:
        """Hold slots in a row for a person of a patient's account, for five minutes; `person_id` None: the holder.

        `instead_of`: the provider and id of a booking of that person which this one replaces once it is confirmed.
        `reason`: why the desk goes beyond what a person may have ahead. `service_ids`: what is to be done, which says
        how long it takes, and what it costs; `slots_needed` is then 1. Raises DiskFull when there is no room for
        bookings.
        """
        self._database.space.require_for_bookings()
        ids, lane_ids = services_of(service_ids)
        slots = (clinic_id, start, slots_needed)
        whom = (patient_id, person_id)
        replaced = instead_of or (None, None)
        return await self._gather(
            Request(
                "hold",
                provider_id,
                patient_id,
                actor,
                key,
                token_hash,
                args=(*slots, ids, *whom, *replaced, str(actor), key, reason),
                row=None
                if instead_of or reason
                else (provider_id, *slots, lane_ids, *whom, str(actor), key, token_hash),
                refusable=(provider_id, *slots, lane_ids, *whom, *replaced, str(actor), key),
            )
        )

    async def confirm(
        self,
        provider_id: int,
        booking_id: UUID,
        authorisation: str | None,
        actor: Actor,
        key: str | None = None,
        method: str | None = None,
        *,
        token_hash: bytes | None = None,
        shown_at: datetime | None = None,
    ) -> outcomes.Booked | outcomes.ConfirmRefused:
        """Book a hold, with the money set aside for it where there is any; `method` is how it was paid.

        `shown_at`: when the patient was shown that it begins; without money, it is not booked if that has changed.
        """
        patient_id = actor.patient_id if isinstance(actor, Patient) else None
        row = (provider_id, booking_id, patient_id, authorisation, str(actor), key, method, token_hash, shown_at)
        return await self._gather(
            Request(
                "confirm",
                provider_id,
                patient_id,
                actor,
                key,
                token_hash,
                args=(booking_id, authorisation, str(actor), key, method, shown_at),
                row=None if patient_id is None else row,
            )
        )

    async def release(
        self, provider_id: int, booking_id: UUID, actor: Actor, key: str | None = None
    ) -> outcomes.Released | outcomes.ReleaseRefused:
        """Give up a live hold; the queue is served first."""
        return await self._call("release", provider_id, booking_id, actor, key)

    async def cancel(
        self,
        provider_id: int,
        booking_id: UUID,
        actor: Actor,
        key: str | None = None,
        *,
        ordered_at: datetime | None = None,
    ) -> outcomes.Cancelled | outcomes.CancelRefused:
        """Cancel a booking that has not started; the queue is served first.

        What is kept of its money when a patient does so is what `terms` say. `ordered_at`: when the patient ordered it
        by booking another instead; None: now.
        """
        return await self._call("cancel", provider_id, booking_id, actor, key, ordered_at)

    async def reschedule(
        self,
        provider_id: int,
        booking_id: UUID,
        start: datetime,
        actor: Actor,
        key: str | None = None,
        *,
        reason: str | None = None,
    ) -> outcomes.Moved | outcomes.MoveRefused:
        """Move a hold or booking to another start at the same clinic; `reason` as for `hold`."""
        return await self._call("reschedule", provider_id, booking_id, start, actor, key, reason)

    async def choose_person(
        self, provider_id: int, booking_id: UUID, person_id: UUID | None, actor: Actor
    ) -> outcomes.Named | outcomes.NameRefused:
        """Note which person of the account a live hold is for; None: the holder."""
        return await self._call("choose_person", provider_id, booking_id, person_id, actor)

    async def join_queue(  # noqa: PLR0913
        self,
        provider_id: int,
        clinic_id: int | None,
        window_from: datetime,
        window_to: datetime,
        slots_needed: int,
        patient_id: int,
        actor: Actor,
        key: str | None = None,
        *,
        person_id: UUID | None = None,
        token_hash: bytes | None = None,
        service_ids: Sequence[int] = (),
    ) -> outcomes.Joined | outcomes.JoinRefused:
        """Queue for slots in a row within a window; `clinic_id` None: at any of the provider's clinics.

        `person_id` None: for the account's holder. `service_ids` as for `hold`. Raises DiskFull when there is no room
        for bookings.
        """
        self._database.space.require_for_bookings()
        ids, lane_ids = services_of(service_ids)
        slots = (clinic_id, Range(window_from, window_to), slots_needed)
        whom = (patient_id, person_id, str(actor), key)
        return await self._gather(
            Request(
                "join_queue",
                provider_id,
                patient_id,
                actor,
                key,
                token_hash,
                args=(*slots, ids, *whom),
                row=(provider_id, *slots, lane_ids, *whom, token_hash),
            )
        )

    async def accept(
        self,
        provider_id: int,
        ticket_id: UUID,
        actor: Actor,
        key: str | None = None,
        clinic_id: int | None = None,
        start: datetime | None = None,
    ) -> outcomes.Accepted | outcomes.AcceptRefused:
        """Accept the offer made for a ticket, or another start that can be had now instead."""
        return await self._call("accept", provider_id, ticket_id, clinic_id, start, actor, key)

    async def answer(
        self, provider_id: int, ticket_id: UUID, actor: Actor, key: str | None = None
    ) -> outcomes.Answered | outcomes.Accepted | outcomes.AnswerRefused:
        """Say that a ticket takes what it and others were called for; the lowest number that does so has it."""
        return await self._call("answer", provider_id, ticket_id, actor, key)

    async def leave_queue(
        self, provider_id: int, ticket_id: UUID, actor: Actor, key: str | None = None
    ) -> outcomes.Left | outcomes.LeaveRefused:
        """Leave the queue, and give up an offer made meanwhile."""
        return await self._call("leave_queue", provider_id, ticket_id, actor, key)

    async def resume(
        self, provider_id: int, ticket_id: UUID, actor: Actor
    ) -> outcomes.Resumed | Refused[Literal["not_found"]]:
        """Count a ticket's client as present again."""
        return await self._call("resume", provider_id, ticket_id, actor)

    async def advance(
        self, provider_id: int, unless_busy: bool = False
    ) -> outcomes.Advanced | Refused[Literal["busy", "not_found"]]:
        """Do what time has made due; `unless_busy`: leave it to a caller that has the book locked."""
        return await (self._ask if unless_busy else self._call)("advance", provider_id, unless_busy)

    async def attend(
        self, provider_id: int, booking_id: UUID, state: outcomes.Attendance, actor: Actor
    ) -> outcomes.Attended | outcomes.AttendRefused:
        """Record what came of an appointment."""
        return await self._call("attend", provider_id, booking_id, state, actor)

    async def change_shift(
        self, shift: Shift, actor: Actor, *, remove: bool = False, flag_for_rebooking: bool = False
    ) -> outcomes.ScheduleChanged | outcomes.ScheduleRefused:
        """Add, change or end a shift; refused while bookings are in the way, unless these are to be flagged."""
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
            shift.release_hours,
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
        actor: Actor,
        *,
        flag_for_rebooking: bool = False,
    ) -> outcomes.ScheduleChanged | outcomes.ScheduleRefused:
        """Close a time, as change_shift does; `clinic_id` None: at all of the provider's clinics."""
        during = Range(starts_at, ends_at)
        return await self._call("change_leave", provider_id, None, clinic_id, during, reason, flag_for_rebooking, actor)

    async def remove_leave(
        self, provider_id: int, leave_id: UUID, actor: Actor
    ) -> outcomes.ScheduleChanged | outcomes.ScheduleRefused:
        """Open a time again."""
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
        service_ids: Sequence[int] = (),
    ) -> list[Record]:
        """Return the slots from one instant to another: clinic_id, starts_at, ends_at, state, held_until, fits.

        With `service_ids`, those at which they may begin.
        """
        ids, _ = services_of(service_ids)
        return await self._database.fetch(
            queries.chart, provider_id, clinic_id, starts_from, starts_before, slots_needed, ids, patient_id
        )

    async def chart_stamp(self, provider_id: int) -> Record | None:
        """Return what a chart depends on besides the request: version, minute, and how many holds are due."""
        return await self._database.fetch_row(queries.chart_stamp, provider_id)

    async def booking(self, provider_id: int, booking_id: UUID, patient_id: int) -> Record | None:
        """Return a patient's own hold or booking, or None."""
        return await self._database.fetch_row(queries.booking, provider_id, booking_id, patient_id)

    async def terms(self, provider_id: int, booking_id: UUID, patient_id: int) -> Terms | None:
        """Return what is kept when a patient cancels a hold, once it is booked, or a booking; None: there is none."""
        row = await self._database.fetch_row(queries.terms, provider_id, booking_id, patient_id)
        return None if row is None else terms_of(row)

    async def services_of_request(self, provider_id: int, verb: str, actor: Actor, key: str) -> Record | None:
        """Return what a request asked for whose result is kept under its key: service_ids, and a ticket's clinic_id.

        `verb`: "hold" or "join". None: there is no such result, or it is of a visit of some slots.
        """
        return await self._database.fetch_row(queries.services_of_request, provider_id, verb, str(actor), key)

    async def claim(self, patient_id: int) -> Record | None:
        """Return a patient's claim, live or not: provider_id with booking_id or ticket_id."""
        return await self._database.fetch_row(queries.claim, patient_id)

    async def appointments(self, patient_id: int) -> list[Record]:
        """Return a patient's bookings and live holds, the latest appointment first."""
        return await self._database.fetch(queries.appointments, patient_id)
