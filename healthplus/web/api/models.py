"""The API's documents, in and out. A client's deadlines are five seconds before the server's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from healthplus.booking.book import CLIENT_MARGIN, STATUS_TEXTS, Outcome
from healthplus.database import Record
from healthplus.web.clock import DatabaseClock

ID_MAX = 2**63 - 1
"""The database's largest."""

Id = Annotated[int, Meta(ge=1, le=ID_MAX)]
Instant = Annotated[datetime, Meta(tz=True)]
SlotsNeeded = Annotated[int, Meta(ge=1, le=20, description="Consecutive slots.")]


class HoldRequest(Struct, forbid_unknown_fields=True):
    """A slot, or several in a row, to hold for five minutes."""

    clinic_id: Id
    start: Instant
    slots_needed: SlotsNeeded = 1


class MoveRequest(Struct, forbid_unknown_fields=True):
    """Another start at the same clinic."""

    start: Instant


class PaymentRequest(Struct, forbid_unknown_fields=True):
    """How to pay, by the gateway's name for it; anything will do where nothing is paid online."""

    method: Annotated[str, Meta(min_length=1, max_length=200)]


class WaitRequest(Struct, forbid_unknown_fields=True):
    """What to wait for: slots in a row that start and end within a time, at one clinic or (null) any."""

    from_: Instant = field(name="from")
    to: Instant
    clinic_id: Id | None = None
    slots_needed: SlotsNeeded = 1


class AcceptRequest(Struct, forbid_unknown_fields=True):
    """Take the offer as it is, or another time (and clinic) that is obtainable now instead."""

    start: Instant | None = None
    clinic_id: Id | None = None


class Slot(Struct):
    """`state` is free, held (by others), booked or mine; `fits`: as many slots as asked for can start here."""

    clinic_id: int
    start: datetime
    end: datetime
    state: str
    held_until: datetime | None
    fits: bool


class Slots(Struct, rename={"from_": "from"}):
    """A provider's slots, earliest first."""

    provider_id: int
    from_: datetime
    to: datetime
    slots_needed: int
    slots: list[Slot]


class Booking(Struct, kw_only=True):
    """A hold or an appointment. While held, it has `expires_at`, and `expires_in`, in seconds.

    Once given back, `money` says what becomes of what was paid: void_due, voided, refund_due or refunded.
    """

    id: UUID
    url: str
    provider_id: int
    clinic_id: int
    start: datetime
    end: datetime
    state: str
    fee_paise: int
    funding: str
    status_text: str | UnsetType = UNSET
    slots_needed: int | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    needs_rebooking: bool | UnsetType = UNSET
    money: str | UnsetType = UNSET


class Offer(Struct):
    """Slots set aside for a waiting patient, to accept before `expires_at`."""

    hold_id: UUID
    clinic_id: int
    start: datetime
    end: datetime
    fee_paise: int
    expires_at: datetime
    expires_in: int


class Wait(Struct, kw_only=True, rename={"from_": "from"}):
    """A place in a provider's queue. `position` 1 is served next; `hold_url` is there once an offer was accepted."""

    id: UUID
    url: str
    provider_id: int
    clinic_id: int | None
    from_: datetime
    to: datetime
    slots_needed: int
    number: int
    state: str
    joined_at: datetime
    expires_at: datetime
    position: int | None = None
    offer: Offer | None = None
    hold_url: str | UnsetType = UNSET


def hold_url(provider_id: int, booking_id: UUID) -> str:
    return f"/api/v1/providers/{provider_id}/holds/{booking_id}"


def wait_url(provider_id: int, ticket_id: UUID) -> str:
    return f"/api/v1/providers/{provider_id}/waits/{ticket_id}"


def booking_url(provider_id: int, booking_id: UUID, state: str) -> str:
    if state in ("reserved", "offered", "expired", "released"):
        return hold_url(provider_id, booking_id)
    return f"/api/v1/providers/{provider_id}/appointments/{booking_id}"


def seconds_left(deadline: datetime, clock: DatabaseClock) -> int:
    """Give the whole seconds a client has until a server's deadline; the countdown on the page starts from it."""
    return max(0, round((deadline - CLIENT_MARGIN - clock.now()).total_seconds()))


def booking_of_outcome(
    outcome: Outcome, provider_id: int, clock: DatabaseClock, slots_needed: int | UnsetType = UNSET
) -> Booking:
    """Show what a verb did to a hold or booking."""
    assert outcome.booking_id is not None
    # An accepted offer is a hold; the outcome speaks of the ticket.
    state = "reserved" if outcome.code == "accepted" else outcome.state
    assert state is not None
    shown = Booking(
        id=outcome.booking_id,
        url=booking_url(provider_id, outcome.booking_id, state),
        provider_id=provider_id,
        clinic_id=_given(outcome.clinic_id),
        start=_given(outcome.starts_at),
        end=_given(outcome.ends_at),
        state=state,
        fee_paise=_given(outcome.fee_paise),
        funding=_given(outcome.funding),
        status_text=STATUS_TEXTS.get(state, UNSET),
        slots_needed=slots_needed,
    )
    _add_deadline(shown, outcome.deadline, clock)
    return shown


def booking_of_row(row: Record, provider_id: int, clock: DatabaseClock) -> Booking:
    """Show a hold or booking as it was read."""
    # An offer is no hold yet: it cannot be paid for before it is accepted.
    state = "offered" if row["state"] == "reserved" and row.get("offer") else row["state"]
    shown = Booking(
        id=row["booking_id"],
        url=booking_url(provider_id, row["booking_id"], state),
        provider_id=provider_id,
        clinic_id=row["clinic_id"],
        start=row["starts_at"],
        end=row["ends_at"],
        state=state,
        fee_paise=row["fee_paise"],
        funding=row["funding"],
        slots_needed=row["slots_needed"],
        needs_rebooking=row["needs_rebooking"],
    )
    _add_deadline(shown, row["deadline"], clock)
    return shown


def wait_of_row(row: Record, provider_id: int, clock: DatabaseClock) -> Wait:
    """Show a ticket with its offer."""
    shown = Wait(
        id=row["ticket_id"],
        url=wait_url(provider_id, row["ticket_id"]),
        provider_id=provider_id,
        clinic_id=row["clinic_id"],
        from_=row["wanted_from"],
        to=row["wanted_to"],
        slots_needed=row["slots_needed"],
        number=row["number"],
        state=row["state"],
        joined_at=row["joined_at"],
        expires_at=row["expires_at"],
        position=row["position"],
    )
    if row["state"] == "offered" and row["deadline"] is not None:
        shown.offer = Offer(
            hold_id=row["booking_id"],
            clinic_id=row["offer_clinic_id"],
            start=row["starts_at"],
            end=row["ends_at"],
            fee_paise=row["fee_paise"],
            expires_at=row["deadline"] - CLIENT_MARGIN,
            expires_in=seconds_left(row["deadline"], clock),
        )
    elif row["state"] == "accepted":
        shown.hold_url = hold_url(provider_id, row["booking_id"])
    return shown


def _add_deadline(shown: Booking, deadline: datetime | None, clock: DatabaseClock) -> None:
    if deadline is not None:
        shown.expires_at = deadline - CLIENT_MARGIN
        shown.expires_in = seconds_left(deadline, clock)


def _given(value: Any) -> Any:
    assert value is not None
    return value
