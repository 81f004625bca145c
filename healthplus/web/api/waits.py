"""A patient's ticket in a provider's queue: joining, reading, accepting an offer, leaving."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from healthplus.accounts.actors import Patient
from healthplus.booking.outcomes import Refused
from healthplus.errors import BadInput, NotFound
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.keys import needs_key
from healthplus.web.api.models import AcceptRequest, Booking, Wait, WaitRequest
from healthplus.web.api.presenters import booking_of_outcome, wait_of_queue_position
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS, error_for_refused_time
from healthplus.web.api.requested_services import Repeatable, requested_services
from healthplus.web.api.slots import WINDOW_MAX
from healthplus.web.http.actor import require_caller, require_patient
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.http.ids import ProviderId
from healthplus.web.http.instants import checked_instant
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.http.requests import is_head
from healthplus.web.services import AnyRequest, services

After = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        description="The `version` last seen: the answer then waits for news of it, 25 seconds at most.",
    ),
]


Seen = Annotated[
    bool,
    QueryParameter(
        description="Whether somebody sees the answer. With false you stay present, but an offer or a call counts as "
        "not seen: say so while your page is hidden.",
    ),
]


class WaitsController(Controller):
    path = "/providers/{provider_id:int}/waits"
    tags = ("Waits",)
    security = ({"token": []},)

    @post(responses=PROBLEMS, **needs_key("book"))
    async def join(
        self, request: AnyRequest, provider_id: ProviderId, data: JSONBody[WaitRequest], idempotency_key: IdempotencyKey
    ) -> Response[Wait]:
        """Join the queue, for at most an hour, for slots that others may let go; first come, first served."""
        caller = await require_caller(request)
        window = checked_instant("from", data.from_), checked_instant("to", data.to)
        if not window[0] < window[1] <= window[0] + WINDOW_MAX:
            raise BadInput("`to` must be after `from`, by at most 31 days.")
        app = services(request)
        repeatable = Repeatable("join", caller.actor, idempotency_key)
        clinic_id, service_ids = await requested_services(
            app, provider_id, data.clinic_id, data.slots_needed, data.service, data.tests, repeatable
        )
        joined = await app.waiting.join(
            provider_id,
            clinic_id,
            window,
            data.slots_needed,
            caller.patient_id,
            caller.actor,
            idempotency_key,
            person_id=data.person_id,
            token_hash=caller.token_hash,
            service_ids=service_ids,
        )
        if isinstance(joined, Refused):
            raise await error_for_refused_time(request, joined, caller.patient_id)
        _, position = joined
        assert position is not None
        shown = await wait_of_queue_position(position, provider_id, app)
        return JsonAnswer(shown, headers={"Location": shown.url})

    @get("/{wait_id:uuid}", responses=READ_PROBLEMS)
    async def read(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        wait_id: FromPath[UUID],
        after: After = None,
        seen: Seen = True,
    ) -> Response[Wait]:
        """Read my queue position, and stay present: a ticket not read for 60 s is passed over until it is read."""
        return await _read(request, provider_id, wait_id, await require_patient(request), after, seen)

    @post("/{wait_id:uuid}/accept", responses=PROBLEMS, **needs_key("book"))
    async def accept(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        wait_id: FromPath[UUID],
        idempotency_key: IdempotencyKey,
        data: JSONBody[AcceptRequest | None] = None,
    ) -> Response[Booking]:
        """Accept the offer, or another time instead, as a hold of five minutes from now."""
        patient_id = await require_patient(request)
        choice = data or AcceptRequest()
        if choice.clinic_id is not None and choice.start is None:
            raise BadInput("Say at which `start` you want the other clinic.")
        if choice.start is not None:
            checked_instant("start", choice.start)
        app = services(request)
        outcome = await app.book.accept(
            provider_id, wait_id, Patient(patient_id), idempotency_key, choice.clinic_id, choice.start
        )
        if outcome.code != "accepted":
            raise await error_for_refused_time(request, outcome, patient_id)
        shown = await booking_of_outcome(outcome, provider_id, app, patient_id)
        return JsonAnswer(shown, headers={"Location": shown.url})

    @post("/{wait_id:uuid}/answer", status_code=200, responses=PROBLEMS, **needs_key("book"))
    async def answer(
        self, request: AnyRequest, provider_id: ProviderId, wait_id: FromPath[UUID], idempotency_key: IdempotencyKey
    ) -> Wait:
        """Answer a call: I take it. The answer has a `hold_url` where nobody ahead of you may still take it.

        Else the state stays `called` until that is decided: then it is `accepted`, or `waiting` under your number.
        """
        patient_id = await require_patient(request)
        app = services(request)
        outcome = await app.book.answer(provider_id, wait_id, Patient(patient_id), idempotency_key)
        if isinstance(outcome, Refused):
            raise await error_for_refused_time(request, outcome, patient_id)
        position = await app.waiting.look(provider_id, wait_id, patient_id)
        assert position is not None
        return await wait_of_queue_position(position, provider_id, app)

    @delete("/{wait_id:uuid}", status_code=200, responses=PROBLEMS, **needs_key("book"))
    async def leave(
        self, request: AnyRequest, provider_id: ProviderId, wait_id: FromPath[UUID], idempotency_key: IdempotencyKey
    ) -> Wait:
        """Leave the queue; an offer made meanwhile goes to the next in it, and a turn is used."""
        patient_id = await require_patient(request)
        app = services(request)
        outcome = await app.book.leave_queue(provider_id, wait_id, Patient(patient_id), idempotency_key)
        if outcome.code != "left":
            raise error_for_refusal(outcome)
        position = await app.waiting.look(provider_id, wait_id, patient_id)
        assert position is not None
        return await wait_of_queue_position(position, provider_id, app)


class MyWaitsController(Controller):
    """The same tickets, found by the patient who asks instead of by provider."""

    path = "/waits"
    tags = ("Waits",)
    security = ({"token": []},)

    @get(responses={401: PROBLEMS[401], 503: PROBLEMS[503]})
    async def list_waits(self, request: AnyRequest) -> list[Wait]:
        """List my tickets: none, or the one a patient may have."""
        patient_id = await require_patient(request)
        app = services(request)
        positions = [
            (
                provider_id,
                await app.waiting.look(provider_id, ticket_id, patient_id, is_present=not is_head(request)),
            )
            for provider_id, ticket_id in await app.waiting.tickets_of(patient_id)
        ]
        return [
            await wait_of_queue_position(position, provider_id, app)
            for provider_id, position in positions
            if position is not None
        ]

    @get("/{wait_id:uuid}", responses=READ_PROBLEMS)
    async def read(
        self, request: AnyRequest, wait_id: FromPath[UUID], after: After = None, seen: Seen = True
    ) -> Response[Wait]:
        """Read my queue position, and stay present."""
        patient_id = await require_patient(request)
        for provider_id, _ in await services(request).waiting.tickets_of(patient_id, wait_id):
            return await _read(request, provider_id, wait_id, patient_id, after, seen)
        raise NotFound


async def _read(
    request: AnyRequest, provider_id: int, ticket_id: UUID, patient_id: int, after: str | None, seen: bool
) -> Response[Wait]:
    app = services(request)
    if after is None:
        position = await app.waiting.look(
            provider_id, ticket_id, patient_id, is_present=not is_head(request), seen=seen
        )
    else:
        position = await app.waiting.poll(provider_id, ticket_id, patient_id, after, seen=seen)
    if position is None:
        raise NotFound
    return JsonAnswer(await wait_of_queue_position(position, provider_id, app, reconnect=app.waiting.draining))
