from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, JSONBody

from healthplus.database import Record
from healthplus.errors import BadInput, NotFound
from healthplus.web.api.common import (
    PROBLEMS,
    READ_PROBLEMS,
    IdempotencyKey,
    ProviderId,
    actor,
    checked_instant,
    patient,
    refused,
)
from healthplus.web.api.models import (
    AcceptRequest,
    Booking,
    Wait,
    WaitRequest,
    booking_of_outcome,
    wait_of_row,
    wait_url,
)
from healthplus.web.api.slots import WINDOW_MAX
from healthplus.web.problems import refusal
from healthplus.web.services import AnyRequest, Services, services


class WaitsController(Controller):
    path = "/providers/{provider_id:int}/waits"
    tags = ("Waits",)
    security = ({"token": []},)

    @post(responses=PROBLEMS)
    async def join(
        self, request: AnyRequest, provider_id: ProviderId, data: JSONBody[WaitRequest], idempotency_key: IdempotencyKey
    ) -> Response[Wait]:
        """Wait, for at most an hour, for slots that others hold or may give back; first come, first served."""
        patient_id = await patient(request)
        wanted_from, wanted_to = checked_instant("from", data.from_), checked_instant("to", data.to)
        if not wanted_from < wanted_to <= wanted_from + WINDOW_MAX:
            raise BadInput("`to` must be after `from`, by at most 31 days.")
        app = services(request)
        outcome = await app.book.join_queue(
            provider_id,
            data.clinic_id,
            wanted_from,
            wanted_to,
            data.slots_needed,
            patient_id,
            actor(patient_id),
            idempotency_key,
        )
        if outcome.ticket_id is None:
            raise await refused(request, outcome, patient_id)
        shown = await _look(app, provider_id, outcome.ticket_id, patient_id, joining=True)
        return Response(shown, headers={"Location": wait_url(provider_id, outcome.ticket_id)})

    @get("/{wait_id:uuid}", responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, provider_id: ProviderId, wait_id: FromPath[UUID]) -> Wait:
        """Look at my place in the queue, and keep it: whoever has not looked for 60 s is passed over meanwhile."""
        patient_id = await patient(request)
        return await _look(services(request), provider_id, wait_id, patient_id)

    @post("/{wait_id:uuid}/accept", responses=PROBLEMS)
    async def accept(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        wait_id: FromPath[UUID],
        idempotency_key: IdempotencyKey,
        data: JSONBody[AcceptRequest | None] = None,
    ) -> Response[Booking]:
        """Take the offer, or another time instead: it becomes a hold of five minutes from now."""
        patient_id = await patient(request)
        wanted = data or AcceptRequest()
        if wanted.clinic_id is not None and wanted.start is None:
            raise BadInput("Say at which `start` you want the other clinic.")
        if wanted.start is not None:
            checked_instant("start", wanted.start)
        app = services(request)
        outcome = await app.book.accept(
            provider_id, wait_id, patient_id, actor(patient_id), idempotency_key, wanted.clinic_id, wanted.start
        )
        if outcome.code != "accepted":
            raise refusal(outcome)
        shown = booking_of_outcome(outcome, provider_id, app.clock)
        return Response(shown, headers={"Location": shown.url})

    @delete("/{wait_id:uuid}", status_code=200, responses=PROBLEMS)
    async def leave(
        self, request: AnyRequest, provider_id: ProviderId, wait_id: FromPath[UUID], idempotency_key: IdempotencyKey
    ) -> Wait:
        """Leave the queue; an offer made meanwhile goes to whoever is next."""
        patient_id = await patient(request)
        app = services(request)
        outcome = await app.book.leave_queue(provider_id, wait_id, patient_id, actor(patient_id), idempotency_key)
        if outcome.code != "left":
            raise refusal(outcome)
        return wait_of_row(await _ticket(app, provider_id, wait_id, patient_id), provider_id, app.clock)


async def _ticket(app: Services, provider_id: int, ticket_id: UUID, patient_id: int) -> Record:
    row = await app.book.ticket(provider_id, ticket_id, patient_id)
    if row is None:
        raise NotFound
    return row


async def _look(app: Services, provider_id: int, ticket_id: UUID, patient_id: int, *, joining: bool = False) -> Wait:
    row = await _ticket(app, provider_id, ticket_id, patient_id)
    is_over = row["state"] == "offered" and (row["deadline"] is None or row["deadline"] <= app.clock.now())
    # Before it is noted as seen: an absent ticket that merely looked present again would wake nobody, and an offer that
    # lapsed unseen must not count as shown.
    if row["present"] is False or is_over:
        await app.book.resume(provider_id, ticket_id, patient_id)
        row = await _ticket(app, provider_id, ticket_id, patient_id)
    # Joining has just noted the client as present.
    if row["state"] == "offered" or (row["state"] == "waiting" and not joining):
        await app.book.see(provider_id, ticket_id, row["booking_id"])
    return wait_of_row(row, provider_id, app.clock)
