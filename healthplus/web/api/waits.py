from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

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
from healthplus.web.api.keys import takes_key
from healthplus.web.api.models import (
    AcceptRequest,
    Booking,
    Wait,
    WaitRequest,
    booking_of_outcome,
    wait_of_place,
)
from healthplus.web.api.slots import WINDOW_MAX
from healthplus.web.http.errors import refusal
from healthplus.web.services import AnyRequest, services

After = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        description="The `version` last seen: the answer then waits for news of it, 25 seconds at most.",
    ),
]


class WaitsController(Controller):
    path = "/providers/{provider_id:int}/waits"
    tags = ("Waits",)
    security = ({"token": []},)

    @post(responses=PROBLEMS, **takes_key("book"))
    async def join(
        self, request: AnyRequest, provider_id: ProviderId, data: JSONBody[WaitRequest], idempotency_key: IdempotencyKey
    ) -> Response[Wait]:
        """Wait, for at most an hour, for slots that others hold or may give back; first come, first served."""
        patient_id = await patient(request)
        wanted_from, wanted_to = checked_instant("from", data.from_), checked_instant("to", data.to)
        if not wanted_from < wanted_to <= wanted_from + WINDOW_MAX:
            raise BadInput("`to` must be after `from`, by at most 31 days.")
        app = services(request)
        outcome, place = await app.waiting.join(
            provider_id,
            data.clinic_id,
            (wanted_from, wanted_to),
            data.slots_needed,
            patient_id,
            actor(patient_id),
            idempotency_key,
        )
        if place is None:
            raise await refused(request, outcome, patient_id)
        shown = await wait_of_place(place, provider_id, app)
        return Response(shown, headers={"Location": shown.url})

    @get("/{wait_id:uuid}", responses=READ_PROBLEMS)
    async def read(
        self, request: AnyRequest, provider_id: ProviderId, wait_id: FromPath[UUID], after: After = None
    ) -> Response[Wait]:
        """Look at my place in the queue, and keep it: whoever has not looked for 60 s is passed over meanwhile."""
        return await _look(request, provider_id, wait_id, await patient(request), after)

    @post("/{wait_id:uuid}/accept", responses=PROBLEMS, **takes_key("book"))
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
        shown = await booking_of_outcome(outcome, provider_id, app)
        return Response(shown, headers={"Location": shown.url})

    @delete("/{wait_id:uuid}", status_code=200, responses=PROBLEMS, **takes_key("book"))
    async def leave(
        self, request: AnyRequest, provider_id: ProviderId, wait_id: FromPath[UUID], idempotency_key: IdempotencyKey
    ) -> Wait:
        """Leave the queue; an offer made meanwhile goes to whoever is next."""
        patient_id = await patient(request)
        app = services(request)
        outcome = await app.book.leave_queue(provider_id, wait_id, patient_id, actor(patient_id), idempotency_key)
        if outcome.code != "left":
            raise refusal(outcome)
        place = await app.waiting.look(provider_id, wait_id, patient_id)
        assert place is not None
        return await wait_of_place(place, provider_id, app)


class MyWaitsController(Controller):
    """The same places by the patient's own way to them, without the provider."""

    path = "/waits"
    tags = ("Waits",)
    security = ({"token": []},)

    @get(responses={401: PROBLEMS[401], 503: PROBLEMS[503]})
    async def list_mine(self, request: AnyRequest) -> list[Wait]:
        """List what I wait for: nothing, or my one place in a queue."""
        patient_id = await patient(request)
        app = services(request)
        places = [
            (provider_id, await app.waiting.look(provider_id, ticket_id, patient_id))
            for provider_id, ticket_id in await app.waiting.tickets_of(patient_id)
        ]
        return [await wait_of_place(place, provider_id, app) for provider_id, place in places if place is not None]

    @get("/{wait_id:uuid}", responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, wait_id: FromPath[UUID], after: After = None) -> Response[Wait]:
        """Look at my place in a queue, and keep it."""
        patient_id = await patient(request)
        for provider_id, _ in await services(request).waiting.tickets_of(patient_id, wait_id):
            return await _look(request, provider_id, wait_id, patient_id, after)
        raise NotFound


async def _look(
    request: AnyRequest, provider_id: int, ticket_id: UUID, patient_id: int, after: str | None
) -> Response[Wait]:
    app = services(request)
    if after is None:
        place = await app.waiting.look(provider_id, ticket_id, patient_id)
    else:
        place = await app.waiting.poll(provider_id, ticket_id, patient_id, after)
    if place is None:
        raise NotFound
    leaving = app.waiting.draining
    return Response(
        await wait_of_place(place, provider_id, app, reconnect=leaving),
        headers={"Connection": "close"} if leaving else {},
    )
