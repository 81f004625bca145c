"""How rows, outcomes and queue positions become the API's documents.

A client's deadlines are CLIENT_MARGIN before the server's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import UNSET, UnsetType

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.booking.outcomes import STATUS_TEXTS, BookingChanged, BookingCode
from healthplus.booking.terms import Terms, terms_of, terms_without_steps
from healthplus.database import Record
from healthplus.waiting.positions import QueuePosition
from healthplus.web.api.models import (
    Booking,
    Call,
    CancelNow,
    ChosenService,
    InsteadOf,
    Offer,
    Replaced,
    TermsStep,
    Wait,
)
from healthplus.web.api.urls import booking_url, hold_url, wait_url
from healthplus.web.clock import DatabaseClock
from healthplus.web.services import AppServices

_T = TypeVar("_T")
_CAN_BE_CANCELLED = ("reserved", "offered", "booked")


def seconds_left(deadline: datetime, clock: DatabaseClock) -> int:
    """Return how many whole seconds a client has before a deadline of the server's; 0 when it is over."""
    return max(0, round((deadline - CLIENT_MARGIN - clock.now()).total_seconds()))


async def chosen_services(app: AppServices, service_ids: Sequence[int] | None) -> list[ChosenService] | UnsetType:
    """Return the documents of what a visit is for; UNSET where it is for no service."""
    if not service_ids:
        return UNSET
    return [
        ChosenService(
            id=one.service_id,
            slug=one.slug,
            name=one.name,
            funding=one.funding,
            fee_minor=one.fee_minor,
            currency=one.currency,
            length_minutes=one.length_minutes,
        )
        for one in await app.known_services.of(service_ids)
    ]


async def booking_of_outcome(
    outcome: BookingChanged[BookingCode],
    provider_id: int,
    app: AppServices,
    patient_id: int,
    slots_needed: int | UnsetType = UNSET,
) -> Booking:
    """Return the document for a patient's hold or appointment that a verb has just changed."""
    # An accepted offer is a hold; the outcome has the ticket's state.
    state = "reserved" if outcome.code == "accepted" else outcome.state
    shown = Booking(
        id=outcome.booking_id,
        url=booking_url(provider_id, outcome.booking_id, state),
        provider_id=provider_id,
        clinic_id=outcome.clinic_id,
        start=outcome.starts_at,
        end=outcome.ends_at,
        state=state,
        fee_minor=outcome.fee_minor,
        currency=await app.currencies.of(outcome.clinic_id),
        funding=outcome.funding,
        status_text=STATUS_TEXTS.get(state, UNSET),
        slots_needed=slots_needed,
        services=await chosen_services(app, outcome.service_ids),
    )
    _add_deadline(shown, outcome.deadline, app.clock)
    if state in _CAN_BE_CANCELLED:
        # Most have no terms, and nothing needs to be read.
        terms = (
            terms_without_steps(outcome.starts_at, outcome.fee_minor, outcome.funding)
            if outcome.terms_id is None
            else await app.book.terms(provider_id, outcome.booking_id, patient_id)
        )
        _add_terms(shown, _present(terms), app.clock)
    return shown


async def booking_of_row(row: Record, provider_id: int, app: AppServices, patient_id: int) -> Booking:
    """Return the document for a patient's hold or appointment read from the book."""
    # An offer cannot be paid for before it is accepted.
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
        services=await chosen_services(app, row["service_ids"]),
        person_id=row["person_id"],
        patient_name=row["patient_name"],
        reason=row.get("reason", UNSET),
        needs_rebooking=row["needs_rebooking"],
        can_rate=state == "fulfilled",
    )
    if row["instead_of_id"]:
        replaced = InsteadOf(row["instead_of_provider_id"], row["instead_of_id"])
        await add_replaced(shown, replaced, app, patient_id)
    _add_deadline(shown, row["deadline"], app.clock)
    if state in _CAN_BE_CANCELLED:
        _add_terms(shown, terms_of(row), app.clock)
    return shown


async def add_replaced(shown: Booking, replaced: InsteadOf, app: AppServices, patient_id: int) -> None:
    """Add to a patient's document which appointment it replaces and, of a hold, what booking it makes that cost."""
    shown.instead_of = Replaced(replaced.provider_id, replaced.id)
    if shown.state != "reserved":
        return
    row = await app.book.booking(replaced.provider_id, replaced.id, patient_id)
    if row is not None and row["state"] == "booked" and row["starts_at"] > app.clock.now():
        terms = terms_of(row)
        shown.instead_of.currency = await app.currencies.of(row["clinic_id"])
        shown.instead_of.cancel_now = CancelNow(terms.kept_minor, terms.returned_minor, terms.until)


async def wait_of_queue_position(
    position: QueuePosition, provider_id: int, app: AppServices, *, reconnect: bool = False
) -> Wait:
    """Return the document for a ticket, with its offer or the URL of its hold."""
    shown = Wait(
        id=position.ticket_id,
        url=wait_url(provider_id, position.ticket_id),
        provider_id=provider_id,
        clinic_id=position.clinic_id,
        from_=position.window_from,
        to=position.visit_to,
        slots_needed=position.slots_needed,
        number=position.number,
        state=position.state,
        joined_at=position.joined_at,
        expires_at=position.expires_at,
        version=position.version,
        position=position.position,
        holds_ahead=position.holds,
        next_lapse_at=position.next_lapse_at,
        reconnect=reconnect,
        services=await chosen_services(app, position.service_ids),
    )
    if position.state == "offered" and position.deadline is not None:
        shown.offer = Offer(
            hold_id=_present(position.offer_id),
            clinic_id=_present(position.offer_clinic_id),
            start=_present(position.starts_at),
            end=_present(position.ends_at),
            fee_minor=_present(position.fee_minor),
            currency=await app.currencies.of(_present(position.offer_clinic_id)),
            expires_at=position.deadline - CLIENT_MARGIN,
            expires_in=seconds_left(position.deadline, app.clock),
        )
    elif position.state == "called" and position.deadline is not None:
        shown.call = Call(
            clinic_id=_present(position.offer_clinic_id),
            start=_present(position.starts_at),
            end=_present(position.ends_at),
            fee_minor=_present(position.fee_minor),
            currency=await app.currencies.of(_present(position.offer_clinic_id)),
            expires_at=position.deadline - CLIENT_MARGIN,
            expires_in=seconds_left(position.deadline, app.clock),
            called=_present(position.called),
            answered=position.answered,
        )
    elif position.state == "accepted":
        shown.hold_url = hold_url(provider_id, _present(position.offer_id))
    return shown


def _add_deadline(shown: Booking, deadline: datetime | None, clock: DatabaseClock) -> None:
    if deadline is not None:
        shown.expires_at = deadline - CLIENT_MARGIN
        shown.expires_in = seconds_left(deadline, clock)


def _add_terms(shown: Booking, terms: Terms, clock: DatabaseClock) -> None:
    shown.terms = [TermsStep(step.hours_before, step.after, step.kept_minor) for step in terms.steps]
    if shown.start > clock.now():
        shown.cancel_now = CancelNow(terms.kept_minor, terms.returned_minor, terms.until)
        if shown.state == "booked" and terms.kept_minor:
            shown.kept_after_move_minor = terms.kept_minor


def _present(value: _T | None) -> _T:
    assert value is not None
    return value
