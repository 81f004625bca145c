"""The documents that the API takes and answers with: bookings, offers and waits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from healthplus.directory.known_services import SERVICES_MAX
from healthplus.web.api.amounts import AmountMinor, Currency, Fee
from healthplus.web.http.ids import ID_MAX

Id = Annotated[int, Meta(ge=1, le=ID_MAX)]
Instant = Annotated[datetime, Meta(tz=True)]
SlotsNeeded = Annotated[int, Meta(ge=1, le=20, description="Consecutive slots.")]


ServiceName = Annotated[
    int | str | None,
    Meta(
        description="What is to be done: a `slug` or `id` of the provider's `services`, which says how long it takes "
        "and what it costs. Null, without `tests`: a visit of `slots_needed` slots for the clinic's fee."
    ),
]
Test = Annotated[int | str, Meta(description="A test of a laboratory's `services`, by its `slug` or its `id`.")]
Tests = Annotated[
    list[Test],
    Meta(description=f"Tests to be done in one visit, at most {SERVICES_MAX}: their fees and lengths add up."),
]
PersonId = Annotated[
    UUID | None, Meta(description="Whom it is for: an `id` of `/api/v1/me/persons`; null: the holder of the account.")
]


class InsteadOf(Struct, forbid_unknown_fields=True):
    """An appointment of the same person, with any provider, that is cancelled once the hold is booked."""

    provider_id: Id
    id: UUID


class HoldRequest(Struct, forbid_unknown_fields=True):
    """A service or tests, or else a slot or several in a row, to hold for five minutes."""

    clinic_id: Id
    start: Instant
    slots_needed: SlotsNeeded = 1
    service: ServiceName = None
    tests: Tests = []
    person_id: PersonId = None
    instead_of: InsteadOf | None = None


class PersonRequest(Struct, forbid_unknown_fields=True):
    """Which of my persons a hold is for."""

    person_id: UUID


class ReasonRequest(Struct, forbid_unknown_fields=True):
    """Why I come, for the clinic alone; null or an empty text removes it."""

    reason: Annotated[str, Meta(max_length=1000, description="At most 200 letters, on one line.")] | None


class MoveRequest(Struct, forbid_unknown_fields=True):
    """Another start at the same clinic."""

    start: Instant


class PaymentRequest(Struct, forbid_unknown_fields=True):
    """How to pay, by the gateway's name for it; any text will do where nothing is paid online."""

    method: Annotated[str, Meta(min_length=1, max_length=200)]


class WaitRequest(Struct, forbid_unknown_fields=True):
    """A queue window: slots in a row that start and end between two instants, at one clinic or (null) at any.

    Instead of slots, a service or tests, as for a hold: they end by `to`, and what is kept free after them may go
    beyond it. Where one clinic alone offers all of it, that one is meant.
    """

    from_: Instant = field(name="from")
    to: Instant
    clinic_id: Id | None = None
    slots_needed: SlotsNeeded = 1
    service: ServiceName = None
    tests: Tests = []
    person_id: PersonId = None


class AcceptRequest(Struct, forbid_unknown_fields=True):
    """Accept the offer as it is, or instead another time (and clinic) that is obtainable now."""

    start: Instant | None = None
    clinic_id: Id | None = None


class ChosenService(Fee):
    """What a visit is for, with its fee, and how long it takes; a test's minutes are what it adds to the visit.

    A fee of 0 with funding `clinic` is unknown: the clinic asks it, besides the fee of the visit.
    """

    id: int
    slug: str
    name: str
    funding: str
    length_minutes: int


class Slot(Struct):
    """`state` is free, held (by others), booked or mine; `fits`: as many slots as needed can start here.

    For services: it may begin here, and `fits` says whether there is time for all of it.
    """

    clinic_id: int
    start: datetime
    end: datetime
    state: str
    held_until: datetime | None
    fits: bool


class Slots(Struct, rename={"from_": "from"}):
    """A provider's slots, earliest first; for `services`, those at which they may begin."""

    provider_id: int
    from_: datetime
    to: datetime
    slots_needed: int
    slots: list[Slot]
    services: list[ChosenService] | UnsetType = UNSET


class Payment(Struct):
    """`pending`: the patient pays at `url`, by a form with `fields` if there are any; then the hold is booked."""

    state: str
    url: str
    fields: dict[str, str] = {}


class TermsStep(Struct):
    """A patient who cancels later than `after`, which is `hours_before` the start, leaves `kept_minor`."""

    hours_before: int
    after: Instant
    kept_minor: AmountMinor


class CancelNow(Struct):
    """What is kept of what was paid online, and what goes back, on cancelling at any time up to `until`.

    After that, more is kept; or the appointment begins, and cannot be cancelled any more.
    """

    kept_minor: AmountMinor
    returned_minor: AmountMinor
    until: Instant


class Replaced(InsteadOf):
    """An appointment that is cancelled once a hold is booked: while it is held, what that costs now.

    Without `cancel_now` nothing is cancelled: it has begun, or was cancelled before.
    """

    currency: Currency | UnsetType = UNSET
    cancel_now: CancelNow | UnsetType = UNSET


class Booking(Fee, kw_only=True):
    """A hold or an appointment. While held, it has `expires_at`, and `expires_in`, in seconds.

    `coming`, when it is read: I have said that I am coming, by a reminder or at the same URL with `/coming` after it.
    `earlier`, when it is read: I am told when an earlier time comes free, as asked at the same URL with `/earlier`.
    `can_rate`: the appointment took place, and its provider can be rated, at the same URL with `/rating` after it.
    When it is read, it has `person_id`, and in `patient_name` that person's name as it was when they were booked for;
    and, when it is read by itself, the `reason` that was given for it.
    `instead_of`, when it is made or read: the appointment that it replaces, which is cancelled once it is booked, and
    what that costs.
    `services`: what it is for, unless that is a visit of `slots_needed` slots; `fee_minor` is the sum of the fees that
    are known.
    `terms`: the steps by which something is kept when its patient cancels, as amounts of this fee, the first to come
    first, each until the next; none where all is returned at any time. `cancel_now`: what cancelling costs now or, of a
    hold, would cost once it is booked; releasing a hold costs nothing. What the clinic causes costs nothing either.
    `kept_after_move_minor`: moving the appointment now costs nothing, but whenever it is cancelled after that, at least
    as much is kept; it is there where that is more than nothing.
    Of what was paid online, `money` says how it stands: capture_due or captured, and after a cancellation void_due,
    voided, refund_due or refunded, or kept where nothing goes back; `money_text` says it in words, as all pages do.
    `kept_minor` and `returned_minor` say how much of it is kept and goes back.
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
    services: list[ChosenService] | UnsetType = UNSET
    person_id: UUID | UnsetType | None = UNSET
    patient_name: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET
    expires_at: datetime | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    needs_rebooking: bool | UnsetType = UNSET
    can_rate: bool | UnsetType = UNSET
    coming: bool | UnsetType = UNSET
    earlier: bool | UnsetType = UNSET
    terms: list[TermsStep] | UnsetType = UNSET
    cancel_now: CancelNow | UnsetType = UNSET
    money: str | UnsetType = UNSET
    money_text: str | UnsetType = UNSET
    kept_minor: AmountMinor | UnsetType = UNSET
    returned_minor: AmountMinor | UnsetType = UNSET
    payment: Payment | UnsetType = UNSET
    instead_of: Replaced | UnsetType = UNSET
    kept_after_move_minor: AmountMinor | UnsetType = UNSET


class Offer(Fee):
    """Slots set aside for a waiting patient, to accept before `expires_at`."""

    hold_id: UUID
    clinic_id: int
    start: datetime
    end: datetime
    expires_at: datetime
    expires_in: int


class Call(Fee):
    """Slots that several waiting patients are asked about at once, to answer before `expires_at`.

    The lowest number of those that answer gets them, as soon as nobody with a lower number may still answer. `called`:
    how many are asked; `answered`: you have.
    """

    clinic_id: int
    start: datetime
    end: datetime
    expires_at: datetime
    expires_in: int
    called: int
    answered: bool


class Wait(Struct, kw_only=True, rename={"from_": "from"}):
    """A ticket in a provider's queue. `position` 1 is served next; `hold_url` is there once an offer was accepted.

    In the state `offered` it has an `offer`, in the state `called` a `call`. `services`: what it is for, unless that is
    a visit of `slots_needed` slots.

    `holds_ahead`: how many holds of others may still free a time within the window; the first of them ends at
    `next_lapse_at`, unless it is paid for. A request with `after` this `version` is answered when something changes.
    `reconnect`: this server is about to end; send the request again at once, the ticket keeps its number.
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
    call: Call | None = None
    reconnect: bool = False
    services: list[ChosenService] | UnsetType = UNSET
    hold_url: str | UnsetType = UNSET
