"""What the booking verbs answer, as types: for each verb, what it did or the codes with which it refuses.

The database answers one row, booking.outcome. Its code decides which of the classes here it becomes, so a branch on
`outcome.code` narrows the type, and a code that is misspelt or forgotten is a type error.
"""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Generic, Literal, TypeAlias, TypeVar, get_args
from uuid import UUID

import msgspec

from healthplus.database import Record

Code_co = TypeVar("Code_co", bound=str, covariant=True)
"""Covariant: a verb's own refusal is a refusal wherever one with any code is expected."""

BookingState: TypeAlias = Literal[
    "reserved", "booked", "expired", "released", "cancelled", "arrived", "fulfilled", "no_show"
]
TicketState: TypeAlias = Literal["waiting", "offered", "called", "accepted", "lapsed", "left", "timed_out", "full"]
NoSlotReason: TypeAlias = (
    Literal["no_such_provider", "no_such_clinic"]
    | Literal["past", "closed", "beyond_horizon", "off_grid", "too_late", "slots_needed", "on_leave", "desk_only"]
    | Literal["too_long", "not_that_day"]
    | Literal["no_such_service", "service_closed", "not_together", "too_many_services", "too_dear"]
)


class BookingChanged(msgspec.Struct, Generic[Code_co], frozen=True):
    """A hold or booking as a verb left it. `deadline` is the server's, while it is held; `version` is the book's.

    For an accepted offer, `number` is the ticket's and `state` the ticket's state.
    """

    code: Code_co
    booking_id: UUID
    state: BookingState | Literal["accepted"]
    clinic_id: int
    starts_at: datetime
    ends_at: datetime
    fee_minor: int
    funding: str
    version: int
    deadline: datetime | None = None
    ticket_id: UUID | None = None
    number: int | None = None
    service_ids: list[int] | None = None
    terms_id: int | None = None


class TicketChanged(msgspec.Struct, Generic[Code_co], frozen=True):
    """A ticket as a verb left it, with the offer made for it, if any: `booking_id` and what follows."""

    code: Code_co
    ticket_id: UUID
    number: int
    state: TicketState
    version: int
    booking_id: UUID | None = None
    clinic_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    deadline: datetime | None = None
    fee_minor: int | None = None
    funding: str | None = None
    service_ids: list[int] | None = None
    terms_id: int | None = None


class Done(msgspec.Struct, Generic[Code_co], frozen=True):
    """A change of a book that is not about one booking; `conflicts` are those that were flagged for rebooking."""

    code: Code_co
    version: int | None = None
    conflicts: list[UUID] | None = None


class Refused(msgspec.Struct, Generic[Code_co], frozen=True):
    """Why a verb changed nothing, and as far as it applies what stands in the way.

    `reason` tells causes of one code apart. `can_wait`: joining the queue makes sense. `alternatives`: starts that are
    free near by, nearest first. `conflicts`: bookings in the way of a change of schedule. `provider_id`: that of the
    patient's own booking in the way, `booking_id`. `limit_max`: the limit that is reached. `retry_at`: when the same
    would not be refused for this any more.
    """

    code: Code_co
    reason: NoSlotReason | None = None
    booking_id: UUID | None = None
    ticket_id: UUID | None = None
    number: int | None = None
    state: BookingState | TicketState | None = None
    clinic_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    deadline: datetime | None = None
    fee_minor: int | None = None
    funding: str | None = None
    version: int | None = None
    can_wait: bool | None = None
    alternatives: list[datetime] | None = None
    conflicts: list[UUID] | None = None
    provider_id: int | None = None
    limit_max: int | None = None
    retry_at: datetime | None = None
    service_ids: list[int] | None = None
    terms_id: int | None = None


COLUMNS = Refused.__struct_fields__
"""Those of booking.outcome; naming them lets a newer database have more."""

# The codes of each class above, by which outcome_of chooses it.
BookingCode: TypeAlias = Literal[
    "reserved", "booked", "released", "cancelled", "moved", "named", "accepted", "arrived", "fulfilled", "no_show"
]
TicketCode: TypeAlias = Literal["waiting", "offered", "called", "answered", "left", "lapsed", "timed_out", "full"]
DoneCode: TypeAlias = Literal["advanced", "changed"]

# What more than one verb refuses with.
SlotCode: TypeAlias = Literal["slot_full", "slot_held", "no_such_slot"]
OwnCode: TypeAlias = Literal["not_found", "wrong_state", "key_reused"]
AheadCode: TypeAlias = Literal["overlap", "same_day", "too_many_unpaid", "too_many_ahead"]
ClaimCode: TypeAlias = AheadCode | Literal["claimed", "lapses", "hold_budget", "not_found"]

Held: TypeAlias = BookingChanged[Literal["reserved"]]
HoldRefused: TypeAlias = Refused[SlotCode | ClaimCode | Literal["key_reused", "online_only"]]
Booked: TypeAlias = BookingChanged[Literal["booked"]]
ConfirmRefused: TypeAlias = Refused[OwnCode | AheadCode | Literal["expired", "payment_required", "time_changed"]]
Released: TypeAlias = BookingChanged[Literal["released"]]
ReleaseRefused: TypeAlias = Refused[OwnCode | Literal["expired"]]
Cancelled: TypeAlias = BookingChanged[Literal["cancelled"]]
CancelRefused: TypeAlias = Refused[OwnCode | Literal["too_late"]]
Moved: TypeAlias = BookingChanged[Literal["moved"]]
MoveRefused: TypeAlias = Refused[OwnCode | SlotCode | AheadCode | Literal["expired", "too_late", "hold_budget"]]
Named: TypeAlias = BookingChanged[Literal["named"]]
NameRefused: TypeAlias = Refused[AheadCode | Literal["expired", "not_found", "wrong_state", "hold_budget"]]
Joined: TypeAlias = TicketChanged[Literal["waiting", "offered"]]
JoinRefused: TypeAlias = Refused[ClaimCode | Literal["slot_full", "no_such_slot", "turns_used", "key_reused"]]
Accepted: TypeAlias = BookingChanged[Literal["accepted"]]
AcceptRefused: TypeAlias = Refused[OwnCode | SlotCode | AheadCode | Literal["offer_over", "claimed"]]
Answered: TypeAlias = TicketChanged[Literal["answered"]]
AnswerRefused: TypeAlias = Refused[OwnCode | AheadCode | Literal["offer_over", "claimed"]]
Left: TypeAlias = TicketChanged[Literal["left"]]
LeaveRefused: TypeAlias = Refused[OwnCode]
Resumed: TypeAlias = TicketChanged[TicketCode] | Accepted
Advanced: TypeAlias = Done[Literal["advanced"]]
Attendance: TypeAlias = Literal["arrived", "fulfilled", "no_show"]
Attended: TypeAlias = BookingChanged[Attendance]
AttendRefused: TypeAlias = Refused[Literal["not_found", "wrong_state"]]
ScheduleChanged: TypeAlias = Done[Literal["changed"]]
ScheduleRefused: TypeAlias = Refused[Literal["conflict", "shift_overlap", "invalid", "not_found"]]

RefusalCode: TypeAlias = (
    OwnCode
    | SlotCode
    | ClaimCode
    | Literal["expired", "payment_required", "time_changed", "too_late", "offer_over", "turns_used"]
    | Literal["busy", "conflict", "shift_overlap", "invalid", "online_only"]
)
"""Every code that means that nothing was changed."""

Outcome: TypeAlias = BookingChanged[BookingCode] | TicketChanged[TicketCode] | Done[DoneCode] | Refused[RefusalCode]

STATUS_TEXTS = {
    "reserved": "Appointment Successful",
    "booked": "Appointment Successful",
    "slot_full": "Appointment Failed – Slot Full",
    "slot_held": "Appointment Failed – Retry, as other users are holding reserved slots",
}
"""The specified texts of the three answers to a hold, to the letter, by an outcome's code."""

LIMITS = frozenset((*get_args(AheadCode), "lapses", "hold_budget", "turns_used"))
"""The codes of refusals because of what one account may have and do, which the operator sees counted."""

ACCOUNT_UNPAID_MAX = 6
"""booking.account_unpaid_max(), the `limit_max` of a too_many_unpaid that is the account's; a person's is lower."""

_BOOKING = frozenset(get_args(BookingCode))
_TICKET = frozenset(get_args(TicketCode))
_DONE = frozenset(get_args(DoneCode))

_booking_fields = itemgetter(*BookingChanged.__struct_fields__)
_ticket_fields = itemgetter(*TicketChanged.__struct_fields__)


def outcome_of(row: Record) -> Outcome:
    """Return what a row says that begins with booking.outcome, whose code may not be empty."""
    code = row["code"]
    if code in _BOOKING:
        return BookingChanged(*_booking_fields(row))
    if code in _TICKET:
        return TicketChanged(*_ticket_fields(row))
    if code in _DONE:
        return Done(code, row["version"], row["conflicts"])
    return Refused(*row[: len(COLUMNS)])
