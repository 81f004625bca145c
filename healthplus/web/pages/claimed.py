"""One claim at a time: a patient who has one and chooses another is shown it, and may switch in one step."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from litestar import Controller, Response, get, post

from healthplus.booking.outcomes import Refused
from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.web.pages.addresses import chart_path, hold_path, queue_path, ticket_path
from healthplus.web.pages.booking import parsed_instant, parsed_number, practice_location
from healthplus.web.pages.chart import refused_hold
from healthplus.web.pages.queue import refused_join
from healthplus.web.pages.queue_windows import QueueWindow, window_between
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.service_choice import ServiceChoice, field_of, service_choice
from healthplus.web.pages.session import Claim, PatientSession, form_of, idempotency_key, require_patient
from healthplus.web.services import AnyRequest, services

_SLOTS_MAX = 20


class Choice(NamedTuple):
    """What a patient chose instead of their claim: a hold from `start`, or a ticket with a `window`.

    `services`: what it is for, unless that is a visit of so many slots.

    `anywhere`: the ticket is for any of the provider's clinics. `person_id` None: for the holder of the account.
    """

    location: Record
    start: datetime
    window: QueueWindow | None
    slots_needed: int
    services: ServiceChoice
    anywhere: bool
    person_id: UUID | None

    @property
    def path(self) -> str:
        """Return the page on which it was chosen."""
        provider_id, provider, clinic_id = (self.location[name] for name in ("provider_id", "provider", "clinic_id"))
        if self.window is None:
            ids = self.services.address_ids
            return chart_path(provider_id, provider, clinic_id, services=ids, start=self.start, n=self.slots_needed)
        query = self.window.query(self.slots_needed, self.anywhere, self.services.address_ids)
        return queue_path(provider_id, provider, clinic_id, **query)


class ClaimedController(Controller):
    path = "/busy"

    @get()
    async def ask_whether_to_switch(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request)
        choice = await _choice(request)
        if session.claim is None or choice.services.fault:
            # What they had is over, so nothing is in the way of what they chose; or what they chose has changed.
            return see_other(request, choice.path)
        return page(request, "claimed/claimed.html", choice=choice, claim=session.claim)

    @post()
    async def switch(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request, f"{request.url.path}?{request.url.query}")
        choice = await _choice(request)
        form = await form_of(request)
        if choice.services.fault:
            claim, asked = session.claim, choice.services.asked_ids
            is_done = claim is not None and form.get("has") not in (None, str(claim.id))
            if claim is not None and is_done and claim.is_of(choice.location["provider_id"], asked):
                return see_other(request, claim.path)  # by a second click, though it was closed since
            return see_other(request, choice.path)
        # Give up only the claim that the page showed: after a second click, theirs is what the first one took.
        if session.claim is not None and form.get("has") == str(session.claim.id):
            await _give_up(request, session, session.claim)
        key = idempotency_key(form)
        if choice.window is None:
            return await _hold(request, session, choice, key)
        return await _join(request, session, choice, choice.window, key)


async def _choice(request: AnyRequest) -> Choice:
    """Read the choice from the address. Raises NotFound for an address that no page of ours leads to."""
    query = request.query_params
    location = await practice_location(
        request, parsed_number(query.get("provider", "")), parsed_number(query.get("clinic", ""))
    )
    start = parsed_instant(field_of(query, "start") or field_of(query, "from"))
    end = parsed_instant(query.get("to", ""))
    slots_needed = parsed_number(query.get("n", "1"), _SLOTS_MAX)
    if start is None:
        raise NotFound
    is_queue = query.get("for") == "line"
    window = window_between(start, end, location["time_zone"]) if is_queue and end is not None else None
    if (window is None) != (query.get("for") == "hold"):
        raise NotFound
    person = query.get("person", "")
    try:
        person_id = UUID(person) if person else None
    except ValueError:
        raise NotFound from None
    wanted = await service_choice(request, location)
    return Choice(location, start, window, 1 if wanted.chosen else slots_needed, wanted, "anywhere" in query, person_id)


async def _give_up(request: AnyRequest, session: PatientSession, claim: Claim) -> None:
    book = services(request).book
    give_up = book.release if claim.kind == "hold" else book.leave_queue
    await give_up(claim.provider_id, claim.id, session.actor)


async def _hold(request: AnyRequest, session: PatientSession, choice: Choice, key: str) -> Response[str]:
    provider_id, clinic_id = choice.location["provider_id"], choice.location["clinic_id"]
    held = await services(request).book.hold(
        provider_id,
        clinic_id,
        choice.start,
        choice.slots_needed,
        session.patient_id,
        session.actor,
        key,
        person_id=choice.person_id,
        service_ids=choice.services.ids,
    )
    if held.code == "reserved":
        return see_other(request, hold_path(provider_id, held.booking_id))
    if held.code == "claimed":
        return see_other(request, f"/busy?{request.url.query}")
    return await refused_hold(request, choice.location, choice.start, choice.slots_needed, held)


async def _join(
    request: AnyRequest, session: PatientSession, choice: Choice, window: QueueWindow, key: str
) -> Response[str]:
    location = choice.location
    where = None if choice.anywhere else location["clinic_id"]
    joined = await services(request).waiting.join(
        location["provider_id"],
        where,
        window.bounds(location["time_zone"]),
        choice.slots_needed,
        session.patient_id,
        session.actor,
        key,
        person_id=choice.person_id,
        service_ids=choice.services.ids,
    )
    if not isinstance(joined, Refused):
        return see_other(request, ticket_path(location["provider_id"], joined[0].ticket_id))
    if joined.code == "claimed":
        return see_other(request, f"/busy?{request.url.query}")
    return await refused_join(request, location, window, choice.slots_needed, choice.anywhere, choice.person_id, joined)
