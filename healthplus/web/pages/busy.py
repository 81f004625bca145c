"""One at a time: who holds or waits and wants another is shown what they have, and may switch in one step."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from litestar import Controller, Response, get, post

from healthplus.booking.book import Outcome
from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.web.api.common import actor
from healthplus.web.api.models import ID_MAX
from healthplus.web.pages.addresses import chart_path
from healthplus.web.pages.booking import at_clinic, parsed_instant
from healthplus.web.pages.chart import refused_hold
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.visitor import Place, Visitor, demand_visitor, form_of, idempotency_key
from healthplus.web.services import AnyRequest, services


class Wanted(NamedTuple):
    """What somebody wants who has a place: a hold from `start`, or a wait for something until `end`.

    `anywhere`: the wait is for any of the provider's clinics.
    """

    kind: str
    provider_id: int
    clinic_id: int
    start: datetime
    end: datetime | None
    slots_needed: int
    anywhere: bool


class BusyController(Controller):
    path = "/busy"

    @get()
    async def busy(self, request: AnyRequest) -> Response[str]:
        who = demand_visitor(request)
        wanted = _wanted(request)
        place = await at_clinic(request, wanted.provider_id, wanted.clinic_id)
        if who.place is None:
            # What they had is over: nothing is in the way any more.
            return see_other(request, _chart(wanted, place))
        return page(request, "busy/busy.html", wanted=wanted, place=place, has=who.place)

    @post()
    async def switch(self, request: AnyRequest) -> Response[str]:
        back_to = f"{request.url.path}?{request.url.query}"
        who = demand_visitor(request, back_to)
        wanted = _wanted(request)
        place = await at_clinic(request, wanted.provider_id, wanted.clinic_id)
        key = idempotency_key(await form_of(request))
        if who.place is not None:
            await _give_up(request, who, who.place)
        outcome = await _take(request, who, wanted, key)
        if outcome.code == "reserved":
            return see_other(request, f"/doctor/{wanted.provider_id}/hold/{outcome.booking_id}")
        if outcome.ticket_id is not None:
            return see_other(request, f"/doctor/{wanted.provider_id}/wait/{outcome.ticket_id}")
        if outcome.code == "claimed":
            return see_other(request, f"/busy?{request.url.query}")
        return await refused_hold(request, place, wanted.start, wanted.slots_needed, outcome)


def _wanted(request: AnyRequest) -> Wanted:
    """Read what is wanted from the address. Raises NotFound for anything that cannot be."""
    given = request.query_params
    start = parsed_instant(given.get("start", "") or given.get("from", ""))
    end = parsed_instant(given.get("to", ""))
    kind = given.get("for", "")
    ids = [_number(given.get(name, ""), ID_MAX) for name in ("provider", "clinic")]
    slots_needed = _number(given.get("n", "1"), 20)
    if start is None or kind not in ("hold", "line") or (kind == "line" and (end is None or end <= start)):
        raise NotFound
    return Wanted(kind, ids[0], ids[1], start, end, slots_needed, "anywhere" in given)


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= most):
        raise NotFound
    return int(text)


def _chart(wanted: Wanted, place: Record) -> str:
    start = wanted.start if wanted.kind == "hold" else None
    day = wanted.start.date() if start is None else None
    return chart_path(
        wanted.provider_id, place["provider"], wanted.clinic_id, day=day, start=start, n=wanted.slots_needed
    )


async def _give_up(request: AnyRequest, who: Visitor, has: Place) -> None:
    book = services(request).book
    give_up = book.release if has.kind == "hold" else book.leave_queue
    await give_up(has.provider_id, has.id, who.patient_id, actor(who.patient_id))


async def _take(request: AnyRequest, who: Visitor, wanted: Wanted, key: str) -> Outcome:
    app = services(request)
    by = (who.patient_id, actor(who.patient_id), key)
    if wanted.end is None or wanted.kind == "hold":
        return await app.book.hold(wanted.provider_id, wanted.clinic_id, wanted.start, wanted.slots_needed, *by)
    window = (wanted.start, wanted.end)
    clinic_id = None if wanted.anywhere else wanted.clinic_id
    outcome, _ = await app.waiting.join(wanted.provider_id, clinic_id, window, wanted.slots_needed, *by)
    return outcome
