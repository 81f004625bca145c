"""What a ticket's page, and the bar of other pages, are sent when something has changed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.database import load
from healthplus.errors import NotFound
from healthplus.waiting.positions import QueuePosition
from healthplus.web.http.requests import is_head
from healthplus.web.pages.queue_alternatives import QueueAlternatives, queue_alternatives
from healthplus.web.pages.rendering import fragment, language_of
from healthplus.web.pages.session import PatientSession, read_session, session_of
from healthplus.web.pages.ticket_view import TicketView
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import ChartKey

queries = load(Path(__file__).with_name("queue.sql"))

_INSTEAD_SECONDS = 5.0
"""How old at most what is shown as free instead may be."""


async def ticket_view(
    request: AnyRequest, provider_id: int, ticket: QueuePosition, *, with_instead: bool = True
) -> TicketView:
    """Return a ticket as its page shows it, with what is free instead where it is over. Raises NotFound."""
    app = services(request)
    row = await app.database.fetch_row(queries.ticket, provider_id, ticket.ticket_id)
    if row is None:
        raise NotFound
    chosen = await app.known_services.of(ticket.service_ids)
    view = TicketView(provider_id, ticket, row, chosen, app.clock.now(), language_of(request))
    if not with_instead or view.state in ("waiting", "offered", "called") or view.is_held or view.is_booked:
        return view
    return replace(view, instead=await _instead(request, view))


async def _instead(request: AnyRequest, view: TicketView) -> QueueAlternatives | None:
    """Return what is free instead of what a ticket was for; None where the provider no longer works there.

    Read once for all: a queue ends for many at the same moment.
    """
    day = (view.ticket.starts_at or view.ticket.window_from).astimezone(ZoneInfo(view.zone)).date()
    where = view.provider_id, view.row["clinic_id"]
    key = ChartKey(*where, day, day, view.slots_needed, view.zone, tuple(view.ticket.service_ids or ()))

    async def read() -> QueueAlternatives | None:
        queue = await services(request).database.fetch_row(queries.queue, *where)
        return None if queue is None else await queue_alternatives(request, queue, key)

    return await services(request).reads.read((QueueAlternatives, key), read, seconds=_INSTEAD_SECONDS)


async def ticket_update(
    request: AnyRequest,
    session: PatientSession,
    provider_id: int,
    ticket: QueuePosition,
    after: str | None,
    *,
    bar: bool,
) -> dict[str, object]:
    """Return what a script needs that shows a ticket's version `after`: of its page, or with `bar` of another's bar."""
    update: dict[str, object] = {"version": ticket.version}
    if ticket.version == after:
        return update
    view = await ticket_view(request, provider_id, ticket, with_instead=not bar)
    update |= {"state": view.state, "title": view.title, "say": view.spoken, "position": ticket.position}
    if not bar:
        return update | {"html": fragment(request, "queue/position.html", view=view, refused=None, limit=None)}
    # As it is now: what the patient had when the request came may be over.
    request.state.session = await read_session(request, session.patient_id, session.token)
    return update | {"say": view.spoken_elsewhere, "html": fragment(request, "personal/live_bar.html", ended=view)}


class WatchedTicket(NamedTuple):
    """A ticket whose bar is on a page that asks for updates of its own, and the version that it shows."""

    provider_id: int
    ticket_id: UUID
    version: str

    @classmethod
    def of(cls, text: str) -> WatchedTicket | None:
        """Read "12/<id>/<version>"; None for anything else."""
        found = re.fullmatch(r"([0-9]{1,18})/([0-9a-f-]{36})/([0-9a-f]*)", text)
        try:
            return cls(int(found[1]), UUID(found[2]), found[3]) if found else None
        except ValueError:
            return None


async def changed_ticket(request: AnyRequest, watched: WatchedTicket) -> dict[str, object] | None:
    """Return the update of a bar; None where it shows the ticket as it is. The patient counts as present.

    Where nobody is signed in who has this ticket, it is `over`.
    """
    session = session_of(request)
    if session is None:
        return {"over": True}
    ticket = await services(request).waiting.look(
        watched.provider_id, watched.ticket_id, session.patient_id, is_present=not is_head(request)
    )
    if ticket is None:
        return {"over": True}
    if ticket.version == watched.version:
        return None
    return await ticket_update(request, session, watched.provider_id, ticket, watched.version, bar=True)
