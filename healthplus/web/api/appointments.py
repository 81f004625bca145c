"""A patient's appointments: listing, reading, moving and cancelling them."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from healthplus.accounts.actors import Patient
from healthplus.errors import NotFound
from healthplus.web.api.holds import give_reason_for, move_booking
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.keys import needs_key
from healthplus.web.api.models import Booking, MoveRequest, ReasonRequest
from healthplus.web.api.presenters import booking_of_outcome, booking_of_row
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS
from healthplus.web.http.actor import require_patient
from healthplus.web.http.ids import ProviderId
from healthplus.web.http.payment_words import payment_words
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.languages import ENGLISH
from healthplus.web.services import AnyRequest, services

_ONE = "/providers/{provider_id:int}/appointments/{appointment_id:uuid}"
_NEVER_BOOKED = ("reserved", "expired", "released")


class AppointmentsController(Controller):
    tags = ("Appointments",)
    security = ({"token": []},)

    @get("/appointments", responses={401: PROBLEMS[401], 503: PROBLEMS[503]})
    async def list_appointments(self, request: AnyRequest) -> list[Booking]:
        """List my appointments and my hold, the latest start first; at most a hundred."""
        patient_id = await require_patient(request)
        app = services(request)
        rows = await app.book.appointments(patient_id)
        coming = await app.preferences.coming(patient_id)
        earlier = {(one["provider_id"], one["booking_id"]) for one in await app.earlier.of(patient_id)}
        shown = [await booking_of_row(row, row["provider_id"], app, patient_id) for row in rows]
        for one in shown:
            one.coming = (one.provider_id, one.id) in coming
            one.earlier = (one.provider_id, one.id) in earlier
        return shown

    @get(_ONE, responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, provider_id: ProviderId, appointment_id: FromPath[UUID]) -> Booking:
        """Look at an appointment of mine."""
        patient_id = await require_patient(request)
        app = services(request)
        row = await app.book.booking(provider_id, appointment_id, patient_id)
        if row is None or row["state"] in _NEVER_BOOKED:
            raise NotFound
        shown = await booking_of_row(row, provider_id, app, patient_id)
        if money := await app.payments.money(provider_id, appointment_id):
            shown.money, shown.money_text = money.money, payment_words(ENGLISH, money)
            shown.kept_minor, shown.returned_minor = money.kept_minor, money.returned_minor
        shown.coming = (provider_id, appointment_id) in await app.preferences.coming(patient_id)
        state = await app.earlier.state(provider_id, appointment_id, patient_id)
        shown.earlier = state is not None and state["is_on"]
        return shown

    @delete(_ONE, status_code=200, responses=PROBLEMS, **needs_key("book"))
    async def cancel(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        appointment_id: FromPath[UUID],
        idempotency_key: IdempotencyKey,
    ) -> Booking:
        """Cancel an appointment before it begins; what was paid is refunded, but for what its `terms` keep."""
        patient_id = await require_patient(request)
        app = services(request)
        outcome = await app.book.cancel(provider_id, appointment_id, Patient(patient_id), idempotency_key)
        if outcome.code != "cancelled":
            raise error_for_refusal(outcome)
        shown = await booking_of_outcome(outcome, provider_id, app, patient_id)
        money = await app.payments.money(provider_id, appointment_id)
        shown.money = money.money if money else UNSET
        shown.money_text = payment_words(ENGLISH, money) if money else UNSET
        shown.kept_minor = money.kept_minor if money else 0
        shown.returned_minor = money.returned_minor if money else 0
        return shown

    @post(f"{_ONE}/move", status_code=200, responses=PROBLEMS, **needs_key("book"))
    async def move(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        appointment_id: FromPath[UUID],
        data: JSONBody[MoveRequest],
        idempotency_key: IdempotencyKey,
    ) -> Booking:
        """Move an appointment to another time at the same clinic, for the same fee."""
        return await move_booking(request, provider_id, appointment_id, data, idempotency_key)

    @put(f"{_ONE}/reason", responses=PROBLEMS, **needs_key("book"))
    async def give_reason(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        appointment_id: FromPath[UUID],
        data: JSONBody[ReasonRequest],
    ) -> Booking:
        """Say why I come, for the clinic alone, until the appointment begins."""
        return await give_reason_for(request, provider_id, appointment_id, data)
