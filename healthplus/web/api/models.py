"""The API's documents, in and out. A client's deadlines are five seconds before the server's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from healthplus.booking.book import CLIENT_MARGIN, STATUS_TEXTS, Outcome
from healthplus.database import Record
from healthplus.waiting.waiting_users import Place
from healthplus.web.api.amounts import Fee
from healthplus.web.clock import DatabaseClock
from healthplus.web.services import Services

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


class Payment(Struct):
    """`pending`: the patient goes on at this address, and the hold is booked once they have paid there."""

    state: str
    url: str


class Booking(Fee, kw_only=True):
    """A hold or an appointment. While held, it has `expires_at`, and `expires_in`, in seconds.

    `can_rate`: the visit took place, and its provider can be rated, at the same address with `/rating` after it.
    Once given back, `money` says what becomes of what was paid: void_due, voided, refund_due or refunded.
    """

    id: UUID
    url: str
    provider_id: int
    clinic_id: int
    start: datetime
    end: datetime
    state: str
    funding: str
    status_text: str | UnsetType = UNSET
    slots_needed: int | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    needs_rebooking: bool | UnsetType = UNSET
    can_rate: bool | UnsetType = UNSET
    money: str | UnsetType = UNSET
    payment: Payment | UnsetType = UNSET


class Offer(Fee):
    """Slots set aside for a waiting patient, to accept before `expires_at`."""

    hold_id: UUID
    clinic_id: int
    start: datetime
    end: datetime
    expires_at: datetime
    expires_in: int


class Wait(Struct, kw_only=True, rename={"from_": "from"}):
    """A place in a provider's queue. `position` 1 is served next; `hold_url` is there once an offer was accepted.

    `holds_ahead`: how many holds of others may yet free a time you wait for; the first of them ends at `next_lapse_at`,
    unless it is paid for. Ask again with `after` this `version` to be answered when there is news. `reconnect`: this
    server is about to end; ask again at once, your place is kept.
    """

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
    version: str
    position: int | None = None
    holds_ahead: int | None = None
    next_lapse_at: datetime | None = None
    offer: Offer | None = None
    reconnect: bool = False
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


async def booking_of_outcome(
    outcome: Outcome, provider_id: int, app: Services, slots_needed: int | UnsetType = UNSET
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
        fee_minor=_given(outcome.fee_minor),
        currency=await app.currencies.of(_given(outcome.clinic_id)),
        funding=_given(outcome.funding),
        status_text=STATUS_TEXTS.get(state, UNSET),
        slots_needed=slots_needed,
    )
    _add_deadline(shown, outcome.deadline, app.clock)
    return shown


async def booking_of_row(row: Record, provider_id: int, app: Services) -> Booking:
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
        fee_minor=row["fee_minor"],
        currency=await app.currencies.of(row["clinic_id"]),
        funding=row["funding"],
        slots_needed=row["slots_needed"],
        needs_rebooking=row["needs_rebooking"],
        can_rate=state == "fulfilled",
    )
    _add_deadline(shown, row["deadline"], app.clock)
    return shown


async def wait_of_place(place: Place, provider_id: int, app: Services, *, reconnect: bool = False) -> Wait:
    """Show a ticket with its offer."""
    shown = Wait(
        id=place.ticket_id,
        url=wait_url(provider_id, place.ticket_id),
        provider_id=provider_id,
        clinic_id=place.clinic_id,
        from_=place.wanted_from,
        to=place.wanted_to,
        slots_needed=place.slots_needed,
        number=place.number,
        state=place.state,
        joined_at=place.joined_at,
        expires_at=place.expires_at,
        version=place.version,
        position=place.position,
        holds_ahead=place.holds,
        next_lapse_at=place.next_lapse_at,
        reconnect=reconnect,
    )
    if place.state == "offered" and place.deadline is not None:
        shown.offer = Offer(
            hold_id=_given(place.offer_id),
            clinic_id=_given(place.offer_clinic_id),
            start=_given(place.starts_at),
            end=_given(place.ends_at),
            fee_minor=_given(place.fee_minor),
            currency=await app.currencies.of(_given(place.offer_clinic_id)),
            expires_at=place.deadline - CLIENT_MARGIN,
            expires_in=seconds_left(place.deadline, app.clock),
        )
    elif place.state == "accepted":
        shown.hold_url = hold_url(provider_id, _given(place.offer_id))
    return shown


def _add_deadline(shown: Booking, deadline: datetime | None, clock: DatabaseClock) -> None:
    if deadline is not None:
        shown.expires_at = deadline - CLIENT_MARGIN
        shown.expires_in = seconds_left(deadline, clock)


def _given(value: Any) -> Any:
    assert value is not None
    return value
