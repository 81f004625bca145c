"""In what order the tokens of a session were called: for everyone to see, and to check by the rule."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath

from healthplus.database import Record, load
from healthplus.errors import NotFound
from healthplus.reception.receipts import Chain, Entry, Verification
from healthplus.web.http.ids import ProviderId
from healthplus.web.languages import N_
from healthplus.web.pages.addresses import calls_path
from healthplus.web.pages.delays import told_off
from healthplus.web.pages.rendering import document, page
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("calls.sql"))

_KINDS = {
    "arrived": N_("arrived"),
    "called": N_("called in"),
    "entered": N_("in the room"),
    "done": N_("done"),
    "left": N_("left unseen"),
    "taken_back": N_("the last step was taken back, as recorded by mistake"),
    "corrected": N_("taken out of the order by a ward administrator"),
}


class CallsController(Controller):
    path = "/doctor/{provider_id:int}/calls/{session_id:uuid}"

    @get()
    async def show(self, request: AnyRequest, provider_id: ProviderId, session_id: FromPath[UUID]) -> Response[bytes]:
        return await shared_page(request, lambda unsent: _page(unsent, provider_id, session_id))

    @get("/json")
    async def as_json(
        self, request: AnyRequest, provider_id: ProviderId, session_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Return the whole record for programs, which can check it as this page does."""
        session, entries = await _read(request, provider_id, session_id)
        chain = Chain(provider_id=provider_id, session_id=str(session_id), letter=session["letter"], entries=entries)
        return document(request, msgspec.json.encode(chain), headers={"Cache-Control": "no-cache"})


async def _read(request: AnyRequest, provider_id: int, session_id: UUID) -> tuple[Record, list[Entry]]:
    """Return a session and its record. Raises NotFound."""
    database = services(request).database
    session = await database.fetch_row(queries.session, provider_id, session_id)
    if session is None:
        raise NotFound
    return session, [Entry(**dict(row)) for row in await database.fetch(queries.chain, provider_id, session_id)]


async def _page(request: AnyRequest, provider_id: int, session_id: UUID) -> Response[str]:
    session, entries = await _read(request, provider_id, session_id)
    labels = await services(request).database.fetch(queries.labels, provider_id, session_id)
    verification = Verification(provider_id, str(session_id))
    verification.read(entries)
    return page(
        request,
        "appointments/calls.html",
        session=session,
        told_off=await told_off(request, session["clinic_id"]),
        entries=[
            (one, datetime.fromisoformat(one.at), _instant(one.booked_at), _instant(one.come_at)) for one in entries
        ],
        kinds=_KINDS,
        faults=verification.faults,
        last=entries[-1] if entries else None,
        zone=session["time_zone"],
        labels={row["token"]: row["label"] for row in labels},
        json_path=f"{calls_path(provider_id, session_id)}/json",
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
