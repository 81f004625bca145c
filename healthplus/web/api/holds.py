"""A patient's hold: making, reading, moving and releasing it, and paying for it, which books it."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from healthplus.accounts.actors import Patient
from healthplus.booking.errors import HoldExpired
from healthplus.booking.outcomes import ConfirmRefused
from healthplus.booking.reasons import give_reason
from healthplus.errors import HealthPlusError, NotFound
from healthplus.web import direct
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.keys import needs_key
from healthplus.web.api.models import (
    Booking,
    HoldRequest,
    MoveRequest,
    Payment,
    PaymentRequest,
    PersonRequest,
    ReasonRequest,
)
from healthplus.web.api.presenters import add_replaced, booking_of_outcome, booking_of_row
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS, error_for_refused_time
from healthplus.web.api.requested_services import Repeatable, requested_services
from healthplus.web.api.urls import appointment_url
from healthplus.web.http.actor import require_caller, require_patient
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.http.ids import ProviderId
from healthplus.web.http.instants import checked_instant
from healthplus.web.http.page_paths import hold_path
from healthplus.web.http.payment_words import payment_words
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.languages import ENGLISH
from healthplus.web.services import AnyRequest, services


class HoldsController(Controller):
    path = "/providers/{provider_id:int}/holds"
    tags = ("Holds",)
    security = ({"token": []},)

    @post(responses=PROBLEMS, opt={direct.OPTION: True}, **needs_key("book"))
    async def hold(
        self, request: AnyRequest, provider_id: ProviderId, data: JSONBody[HoldRequest], idempotency_key: IdempotencyKey
    ) -> Response[Booking]:
        """Hold a slot, or time for a service or tests, for five minutes, in which nobody else can have it."""
        caller = await require_caller(request)
        start = checked_instant("start", data.start)
        app = services(request)
        repeatable = Repeatable("hold", caller.actor, idempotency_key)
        _, service_ids = await requested_services(
            app, provider_id, data.clinic_id, data.slots_needed, data.service, data.tests, repeatable
        )
        instead_of = (data.instead_of.provider_id, data.instead_of.id) if data.instead_of else None
        outcome = await app.book.hold(
            provider_id,
            data.clinic_id,
            start,
            data.slots_needed,
            caller.patient_id,
            caller.actor,
            idempotency_key,
            person_id=data.person_id,
            instead_of=instead_of,
            token_hash=caller.token_hash,
            service_ids=service_ids,
        )
        if outcome.code != "reserved":
            raise await error_for_refused_time(request, outcome, caller.patient_id)
        shown = await booking_of_outcome(outcome, provider_id, app, caller.patient_id, data.slots_needed)
        if data.instead_of:
            await add_replaced(shown, data.instead_of, app, caller.patient_id)
        return JsonAnswer(shown, headers={"Location": shown.url})

    @get("/{hold_id:uuid}", responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID]) -> Booking:
        """Read a hold of mine, or the booking it has become; 410 when it has expired."""
        patient_id = await require_patient(request)
        row = await services(request).book.booking(provider_id, hold_id, patient_id)
        if row is None:
            raise NotFound
        if row["state"] == "expired":
            raise await _with_money(request, HoldExpired(), provider_id, hold_id)
        return await booking_of_row(row, provider_id, services(request), patient_id)

    @delete("/{hold_id:uuid}", status_code=200, responses=PROBLEMS, **needs_key("book"))
    async def release(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], idempotency_key: IdempotencyKey
    ) -> Booking:
        """Release a hold before it expires."""
        patient_id = await require_patient(request)
        app = services(request)
        outcome = await app.book.release(provider_id, hold_id, Patient(patient_id), idempotency_key)
        if outcome.code != "released":
            raise error_for_refusal(outcome)
        return await booking_of_outcome(outcome, provider_id, app, patient_id)

    @post("/{hold_id:uuid}/move", status_code=200, responses=PROBLEMS, **needs_key("book"))
    async def move(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        hold_id: FromPath[UUID],
        data: JSONBody[MoveRequest],
        idempotency_key: IdempotencyKey,
    ) -> Booking:
        """Hold another time instead, at the same clinic; the five minutes go on."""
        return await move_booking(request, provider_id, hold_id, data, idempotency_key)

    @put("/{hold_id:uuid}/person", responses=PROBLEMS, **needs_key("book"))
    async def choose_person(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], data: JSONBody[PersonRequest]
    ) -> Booking:
        """Say for which of my persons a hold is, until it is paid for; the five minutes go on."""
        patient_id = await require_patient(request)
        app = services(request)
        outcome = await app.book.choose_person(provider_id, hold_id, data.person_id, Patient(patient_id))
        if outcome.code != "named":
            raise await error_for_refused_time(request, outcome, patient_id)
        row = await app.book.booking(provider_id, hold_id, patient_id)
        assert row is not None
        return await booking_of_row(row, provider_id, app, patient_id)

    @put("/{hold_id:uuid}/reason", responses=PROBLEMS, **needs_key("book"))
    async def give_reason(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], data: JSONBody[ReasonRequest]
    ) -> Booking:
        """Say why I come, for the clinic alone; it stays with the appointment that the hold becomes."""
        return await give_reason_for(request, provider_id, hold_id, data)

    @post(
        "/{hold_id:uuid}/payment", status_code=200, responses=PROBLEMS, opt={direct.OPTION: True}, **needs_key("book")
    )
    async def pay(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        hold_id: FromPath[UUID],
        data: JSONBody[PaymentRequest],
        idempotency_key: IdempotencyKey,
    ) -> Response[Booking]:
        """Pay for a hold, which books it. The money is taken only once the slot is yours.

        200: it is booked; under another id where the hold had expired and its slot was still free. 202: it is still
        held, and the patient pays at `payment.url`, from where they are led to the hold's page here; read the hold to
        see whether it is booked.
        """
        caller = await require_caller(request)
        app = services(request)
        paid = await app.payments.pay(
            provider_id,
            hold_id,
            data.method,
            caller.actor,
            idempotency_key,
            f"{request.app.state.site.url}{hold_path(provider_id, hold_id)}?bank=later",
            token_hash=caller.token_hash,
        )
        if paid.outcome.code == "pending":
            assert paid.url is not None
            row = await app.book.booking(provider_id, hold_id, caller.patient_id)
            assert row is not None
            shown = await booking_of_row(row, provider_id, app, caller.patient_id)
            shown.payment = Payment("pending", paid.url, paid.fields)
            return JsonAnswer(shown, status_code=202)
        if paid.outcome.code == "not_found":  # perhaps only for this token
            await app.tokens.require_afresh(caller.token_hash, caller.patient_id)
        if paid.outcome.code != "booked":
            raise await _with_money(request, _not_paid(paid.outcome, paid.voided), provider_id, hold_id)
        return JsonAnswer(await booking_of_outcome(paid.outcome, provider_id, app, caller.patient_id), status_code=200)


async def move_booking(request: AnyRequest, provider_id: int, booking_id: UUID, data: MoveRequest, key: str) -> Booking:
    """Move a hold or an appointment of the patient who makes the request."""
    patient_id = await require_patient(request)
    start = checked_instant("start", data.start)
    app = services(request)
    outcome = await app.book.reschedule(provider_id, booking_id, start, Patient(patient_id), key)
    if outcome.code != "moved":
        raise await error_for_refused_time(request, outcome, patient_id)
    return await booking_of_outcome(outcome, provider_id, app, patient_id)


async def give_reason_for(request: AnyRequest, provider_id: int, booking_id: UUID, data: ReasonRequest) -> Booking:
    """Store why the patient who makes the request comes, for their hold or appointment."""
    patient_id = await require_patient(request)
    app = services(request)
    await give_reason(app.database, provider_id, booking_id, patient_id, data.reason or "")
    row = await app.book.booking(provider_id, booking_id, patient_id)
    assert row is not None
    return await booking_of_row(row, provider_id, app, patient_id)


async def _with_money(request: AnyRequest, error: HealthPlusError, provider_id: int, hold_id: UUID) -> HealthPlusError:
    """Add to the error for an expired hold what has become of its money, or the URL of what was booked instead."""
    if isinstance(error, HoldExpired):
        payments = services(request).payments
        if instead := await payments.booked_instead(provider_id, hold_id):
            error.members["yours"] = appointment_url(provider_id, instead)
        elif money := await payments.money(provider_id, hold_id):
            error.members["money"] = money.money
            error.members["money_text"] = payment_words(ENGLISH, money)
    return error


def _not_paid(refused: ConfirmRefused, voided: bool | None) -> HealthPlusError:
    error = error_for_refusal(refused)
    if voided is not None:
        error.members["money"] = "voided" if voided else "void_due"
        error.detail += " The money for it goes back." if voided else " The money for it goes back shortly."
    return error
