"""One at a time: who holds or waits and wants another is shown what they have, and may switch in one step."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from litestar import Controller, Response, get, post

from healthplus.booking.book import Outcome
from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.web.http.actor import actor
from healthplus.web.pages.addresses import chart_path, hold_path, line_path, wait_path
from healthplus.web.pages.booking import at_clinic, parsed_instant, parsed_number
from healthplus.web.pages.chart import refused_hold
from healthplus.web.pages.queue import refused_wait
from healthplus.web.pages.queue_windows import Want, want_of
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.session import Place, Visitor, demand_visitor, form_of, idempotency_key
from healthplus.web.services import AnyRequest, services

_SLOTS_MAX = 20


class Wanted(NamedTuple):
    """What somebody wants who has a place: a hold from `start`, or a wait for what `want` says.

    `anywhere`: the wait is for any of the provider's clinics.
    """

    place: Record
    start: datetime
    want: Want | None
    slots_needed: int
    anywhere: bool

    @property
    def path(self) -> str:
        """Give where it is chosen: what is wanted if nothing is in the way any more."""
        provider_id, provider, clinic_id = (self.place[name] for name in ("provider_id", "provider", "clinic_id"))
        if self.want is None:
            return chart_path(provider_id, provider, clinic_id, start=self.start, n=self.slots_needed)
        return line_path(provider_id, provider, clinic_id, **self.want.asked(self.slots_needed, self.anywhere))


class BusyController(Controller):
    path = "/busy"

    @get()
    async def busy(self, request: AnyRequest) -> Response[str]:
        who = demand_visitor(request)
        wanted = await _wanted(request)
        if who.place is None:
            # What they had is over.
            return see_other(request, wanted.path)
        return page(request, "busy/busy.html", wanted=wanted, place=wanted.place, has=who.place)

    @post()
    async def switch(self, request: AnyRequest) -> Response[str]:
        who = demand_visitor(request, f"{request.url.path}?{request.url.query}")
        wanted = await _wanted(request)
        form = await form_of(request)
        # Only what the page showed: by a second click, what they have is what the first one took.
        if who.place is not None and form.get("has") == str(who.place.id):
            await _give_up(request, who, who.place)
        outcome = await _take(request, who, wanted, idempotency_key(form))
        provider_id = wanted.place["provider_id"]
        if outcome.code == "reserved":
            assert outcome.booking_id is not None
            return see_other(request, hold_path(provider_id, outcome.booking_id))
        if outcome.ticket_id is not None:
            return see_other(request, wait_path(provider_id, outcome.ticket_id))
        if outcome.code == "claimed":
            return see_other(request, f"/busy?{request.url.query}")
        if wanted.want is None:
            return await refused_hold(request, wanted.place, wanted.start, wanted.slots_needed, outcome)
        return await refused_wait(request, wanted.place, wanted.want, wanted.slots_needed, wanted.anywhere, outcome)


async def _wanted(request: AnyRequest) -> Wanted:
    """Read what is wanted from the address. Raises NotFound for anything that no page of ours asks for."""
    given = request.query_params
    place = await at_clinic(request, parsed_number(given.get("provider", "")), parsed_number(given.get("clinic", "")))
    start = parsed_instant(given.get("start", "") or given.get("from", ""))
    end = parsed_instant(given.get("to", ""))
    slots_needed = parsed_number(given.get("n", "1"), _SLOTS_MAX)
    if start is None:
        raise NotFound
    is_line = given.get("for") == "line"
    want = want_of(start, end, place["time_zone"]) if is_line and end is not None else None
    if (want is None) != (given.get("for") == "hold"):
        raise NotFound
    return Wanted(place, start, want, slots_needed, "anywhere" in given)


async def _give_up(request: AnyRequest, who: Visitor, has: Place) -> None:
    book = services(request).book
    give_up = book.release if has.kind == "hold" else book.leave_queue
    await give_up(has.provider_id, has.id, who.patient_id, actor(who.patient_id))


async def _take(request: AnyRequest, who: Visitor, wanted: Wanted, key: str) -> Outcome:
    app = services(request)
    provider_id, clinic_id = wanted.place["provider_id"], wanted.place["clinic_id"]
    by = (who.patient_id, actor(who.patient_id), key)
    if wanted.want is None:
        return await app.book.hold(provider_id, clinic_id, wanted.start, wanted.slots_needed, *by)
    window = wanted.want.window(wanted.place["time_zone"])
    where = None if wanted.anywhere else clinic_id
    outcome, _ = await app.waiting.join(provider_id, where, window, wanted.slots_needed, *by)
    return outcome
