"""Receipts of queues: what a queue did while a ticket waited in it, for everyone to see and to check."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from healthplus.errors import NotFound
from healthplus.waiting.receipts import Chain, Entry, Verification
from healthplus.web.http.ids import ID_MAX, ProviderId
from healthplus.web.languages import HOME_ZONE, N_, Language
from healthplus.web.pages.addresses import queue_receipt_path
from healthplus.web.pages.booking import parsed_number
from healthplus.web.pages.queue_windows import window_text
from healthplus.web.pages.rendering import document, language_of, page
from healthplus.web.pages.session import site
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.ticket_updates import queries
from healthplus.web.services import AnyRequest, services

ENTRIES_CHECKED_MAX = 2000
"""Entries that the page checks; the command checks all."""
_ENTRIES_SHOWN = 100
_ENTRIES_A_PAGE = 1000

_ENDS = {"released": N_("%(time)s was given back afterwards"), "expired": N_("%(time)s ran out afterwards")}
"""What became of a time that was taken and is not booked, by the state of its booking."""
_KINDS = {
    "joined": N_("joined the queue"),
    "offered": N_("was offered a time"),
    "called": N_("was asked, with others, whether to take a time"),
    "answered": N_("said yes to the time"),
    "outrun": N_("did not get it, as someone ahead took it; still waiting"),
    "accepted": N_("took a time"),
    "lapsed": N_("did not take the time; its turn is used"),
    "missed": N_("did not see the offer; passed over until back"),
    "withdrawn": N_("lost the offer, as the time was no longer available; still waiting"),
    "passed_over": N_("was away; passed over until back"),
    "resumed": N_("came back"),
    "withheld": N_("had several times kept together for it, or freed again"),
    "left": N_("left the queue"),
    "timed_out": N_("had waited an hour"),
    "full": N_("could no longer get a time"),
    "walk_in": N_("A walk-in got a token beside the queue, as no time was free"),
    "overbooked": N_("The clinic booked a taken time once more, for a reason that its audit has"),
}


class QueueReceiptController(Controller):
    path = "/doctor/{provider_id:int}/queue"

    @get("/{ticket:str}")
    async def show(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        ticket: FromPath[str],
        after: Annotated[int, QueryParameter(ge=0, le=ID_MAX, description="The last entry seen.")] = 0,
    ) -> Response[bytes]:
        number = parsed_number(ticket.removesuffix(".json"))
        if ticket.endswith(".json") or _prefers_json(request):
            return await _chain(request, provider_id, number, after)
        return await shared_page(request, lambda unsent: _receipt(unsent, provider_id, number))


def _prefers_json(request: AnyRequest) -> bool:
    return request.accept.best_match(["text/html", "application/json"], default="text/html") == "application/json"


async def _entries(request: AnyRequest, provider_id: int, after: int, limit: int, until: int) -> list[Entry]:
    rows = await services(request).database.fetch(queries.chain, provider_id, after, limit, until)
    return [Entry(**dict(zip(Entry.__struct_fields__, row, strict=True))) for row in rows]


async def _receipt(request: AnyRequest, provider_id: int, number: int) -> Response[str]:
    row = await services(request).database.fetch_row(queries.receipt, provider_id, number, HOME_ZONE)
    if row is None:
        raise NotFound
    before = row["first"] - 1
    entries = await _entries(request, provider_id, before, ENTRIES_CHECKED_MAX, row["until"])
    verification = Verification(provider_id, row["previous"], before, ticket=number)
    verification.read(entries)
    language, zone = language_of(request), row["time_zone"]
    shown = [one for one in entries if one.ticket == number or one.entry > entries[-1].entry - _ENTRIES_SHOWN]
    ended = _ENDS.get(row["taken_state"])
    return page(
        request,
        "queue/receipt.html",
        number=number,
        row=row,
        zone=zone,
        shown=[ShownEntry.of(entry, language, zone) for entry in shown],
        ended=ended and language.gettext(ended) % {"time": language.clock(row["taken_from"], zone)},
        first=entries[0],
        last=entries[-1],
        is_cut=entries[-1].entry < row["until"],
        faults=verification.faults,
        provider_id=provider_id,
        address=f"{site(request).url}{queue_receipt_path(provider_id, number)}",
    )


async def _chain(request: AnyRequest, provider_id: int, number: int, after: int) -> Response[bytes]:
    head = await services(request).database.fetch_row(queries.chain_head, provider_id, number, after)
    if head is None or not head["has_ticket"]:
        raise NotFound
    entries = await _entries(request, provider_id, after, _ENTRIES_A_PAGE, head["last"])
    is_all = not entries or entries[-1].entry >= head["last"]
    chain = Chain(
        provider_id=provider_id,
        ticket=number,
        after=after,
        previous=head["previous"],
        entries=entries,
        last=head["last"],
        head=head["head"],
        next=None if is_all else f"{queue_receipt_path(provider_id, number)}.json?after={entries[-1].entry}",
    )
    return document(request, msgspec.json.encode(chain), headers={"Cache-Control": "no-cache", "Vary": "Accept"})


class ShownEntry(msgspec.Struct, frozen=True):
    """An entry in the reader's language."""

    entry: Entry
    at: str
    what: str
    when: str | None

    @classmethod
    def of(cls, entry: Entry, language: Language, zone: str) -> ShownEntry:
        at = language.time(datetime.fromisoformat(entry.at), zone, seconds=True)
        when = None
        if entry.from_ is not None and entry.kind == "joined":
            when = window_text(language, *entry.run, zone)
        elif entry.from_ is not None:
            when = language.moment(entry.run[0], zone)
        # A kind that is not known here was not written by the verbs; show it as it stands.
        return cls(entry, at, language.gettext(_KINDS[entry.kind]) if entry.kind in _KINDS else entry.kind, when)
