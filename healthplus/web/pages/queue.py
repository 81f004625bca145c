"""The pages of a queue: joining it, waiting in it with a ticket, being offered a time."""

from __future__ import annotations

from datetime import date, datetime
from functools import partial
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from healthplus.booking.outcomes import AcceptRefused, AnswerRefused, JoinRefused, LeaveRefused, RefusalCode, Refused
from healthplus.database import Record
from healthplus.errors import BadInput, NotFound
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.http.instants import YEAR_MAX, YEAR_MIN
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.http.requests import is_head
from healthplus.web.languages import split_path
from healthplus.web.pages.acceptance_rate import AcceptanceRate
from healthplus.web.pages.addresses import chart_path, hold_path, queue_path, ticket_path
from healthplus.web.pages.booking import no_such_slot_text
from healthplus.web.pages.chosen_queue import ChosenQueue, NotJoined, forget_not_joined, not_joined, sign_in_to_join
from healthplus.web.pages.limits import limit_of
from healthplus.web.pages.person_choice import FormError, PersonChoice, chosen_person, person_choice
from healthplus.web.pages.queue_alternatives import queue_alternatives
from healthplus.web.pages.queue_windows import PARTS, SPANS, QueueWindow, part_of
from healthplus.web.pages.rendering import language_of, page, see_other, updates_response
from healthplus.web.pages.service_choice import ServiceChoice, field_name, field_of, service_choice
from healthplus.web.pages.session import PatientSession, form_of, idempotency_key, require_patient, session_of
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.ticket_updates import queries, ticket_update, ticket_view
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import ChartKey

Day = Annotated[date | None, QueryParameter(description="A day, as in 2026-11-27.")]
Part = Annotated[str | None, QueryParameter(description="morning, afternoon or evening.")]
Slots = Annotated[int, QueryParameter(ge=1, le=20, description="Consecutive slots, 1 to 20.")]


class JoinQueueController(Controller):
    path = "/doctor/{provider_id:int}/{slug:str}/{clinic_id:int}/line"

    @get()
    async def ask(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        clinic_id: ClinicId,
        day: Day = None,
        part: Part = None,
        n: Slots = 1,
    ) -> Response[str] | Response[bytes]:
        ask = partial(_ask, provider_id=provider_id, clinic_id=clinic_id, day=day, part=part, n=n)
        # A patient who is signed in chooses whom it is for.
        return await shared_page(request, ask) if session_of(request) is None else await ask(request)

    @post()
    async def join(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        clinic_id: ClinicId,
        day: Day = None,
        part: Part = None,
        n: Slots = 1,
    ) -> Response[str]:
        form = await form_of(request)
        queue = await _queue(request, provider_id, clinic_id)
        wanted = await service_choice(request, queue)
        if wanted.fault or wanted.lacks_tests:
            return _joined_before(request, provider_id, wanted) or _choose_again(request, queue, wanted, day)
        n = 1 if wanted.chosen else n
        form["what"] = field_of(form, "what", "part")
        window = _queue_window(request, queue, day, part, form["what"])
        anywhere = "anywhere" in form and _is_anywhere(wanted)
        back_to = queue_path(provider_id, queue["provider"], clinic_id, **window.query(n, anywhere, wanted.ids))
        chosen = ChosenQueue(
            back_to,
            provider_id,
            queue["provider"],
            clinic_id,
            anywhere,
            window.bounds(queue["time_zone"]),
            n,
            wanted.ids,
            idempotency_key(form, "what", "anywhere"),
        )
        if (session := session_of(request)) is None:
            return sign_in_to_join(request, chosen)
        try:
            person_id = await chosen_person(request, session, form)
        except FormError as error:
            who = await person_choice(request, session, form=form, error=error)
            return await _join_page(request, queue, wanted, window, n, anywhere=anywhere, who=who)
        joined = await services(request).waiting.join(
            provider_id,
            None if anywhere else clinic_id,
            chosen.bounds,
            n,
            session.patient_id,
            session.actor,
            idempotency_key({**form, "person": str(person_id)}, "what", "anywhere", "person"),
            person_id=person_id,
            service_ids=wanted.ids,
        )
        if not isinstance(joined, Refused):
            _, ticket = joined
            assert ticket is not None
            return see_other(request, ticket_path(provider_id, ticket.ticket_id))
        if joined.code == "claimed":
            return see_other(request, "/busy", chosen.instead(person_id))
        return await refused_join(request, queue, window, n, anywhere, person_id, joined)


async def _ask(
    request: AnyRequest, *, provider_id: int, clinic_id: int, day: date | None, part: str | None, n: int
) -> Response[str]:
    """Return the page that asks whether to join a queue, and for what."""
    queue = await _queue(request, provider_id, clinic_id)
    wanted = await service_choice(request, queue)
    if wanted.fault or wanted.lacks_tests:
        return _choose_again(request, queue, wanted, day)
    n = 1 if wanted.chosen else n
    window = _queue_window(request, queue, day, part, request.query_params.get("what", "part"))
    anywhere = "anywhere" in request.query_params
    slots = (await services(request).charts.chart(_chart_key(queue, window, n, wanted.ids))).slots
    session = session_of(request)
    tried = not_joined(request, session, split_path(f"{request.url.path}?{request.url.query}")[1])
    if tried is None:
        window = window.with_part_among(
            {part_of(row["starts_at"], queue["time_zone"]) for row in slots if row["state"] == "held"}
        )
    begins, ends = window.bounds(queue["time_zone"])
    free = sum(row["fits"] and row["state"] == "free" and begins <= row["starts_at"] < ends for row in slots)
    who = await person_choice(request, session) if session is not None else None
    refused = None if tried is None else tried.refused
    return await _join_page(
        request, queue, wanted, window, n, anywhere=anywhere, who=who, refused=refused, free=free, tried=tried
    )


def _is_anywhere(wanted: ServiceChoice) -> bool:
    """Return whether what is wanted can be had at each of the provider's clinics."""
    return all(one.clinic_id is None for one in wanted.chosen)


def _joined_before(request: AnyRequest, provider_id: int, wanted: ServiceChoice) -> Response[str] | None:
    """Lead to what the patient has for services closed since, as at a second click; None: there is nothing."""
    session = session_of(request)
    if session is None or session.claim is None or not wanted.fault:
        return None
    claim = session.claim
    return see_other(request, claim.path) if claim.is_of(provider_id, wanted.asked_ids) else None


def _choose_again(request: AnyRequest, queue: Record, wanted: ServiceChoice, day: date | None) -> Response[str]:
    """Lead to the chart, which says what can be chosen instead of what an address asks for."""
    where = queue["provider_id"], queue["provider"], queue["clinic_id"]
    return see_other(request, chart_path(*where, services=wanted.address_ids, day=day))


async def refused_join(
    request: AnyRequest,
    location: Record,
    window: QueueWindow,
    n: int,
    anywhere: bool,
    person_id: UUID | None,
    refused: JoinRefused,
) -> Response[str]:
    """Return the page of a queue with why it cannot be joined. Raises what no page of ours brings about."""
    queue = await _queue(request, location["provider_id"], location["clinic_id"])
    wanted = await service_choice(request, queue)
    if wanted.fault:  # since the location was read
        return _choose_again(request, queue, wanted, window.day)
    who = await person_choice(request, require_patient(request), person_id)
    return await _join_page(request, queue, wanted, window, n, anywhere=anywhere, who=who, refused=refused)


class TurnController(Controller):
    """Where notices of an offer or a call lead: their links name no provider."""

    path = "/turn"

    @get()
    async def follow(self, request: AnyRequest) -> Response[str]:
        """Lead to what the patient waits for or is offered; to how it ended when that is over."""
        session = require_patient(request)
        if session.claim is not None:
            return see_other(request, session.claim.path)
        last = await services(request).database.fetch_row(queries.last_ticket, session.patient_id)
        return see_other(
            request, "/appointments" if last is None else ticket_path(last["provider_id"], last["ticket_id"])
        )


class TicketController(Controller):
    path = "/doctor/{provider_id:int}/wait/{ticket_id:uuid}"

    @get()
    async def show(self, request: AnyRequest, provider_id: ProviderId, ticket_id: FromPath[UUID]) -> Response[str]:
        return await _ticket_page(request, provider_id, ticket_id, require_patient(request))

    @post()
    async def act(self, request: AnyRequest, provider_id: ProviderId, ticket_id: FromPath[UUID]) -> Response[str]:
        form = await form_of(request)
        path = ticket_path(provider_id, ticket_id)
        session = require_patient(request, path)
        book = services(request).book
        refused: AcceptRefused | AnswerRefused | LeaveRefused
        key = idempotency_key(form, "action")
        if (action := form.get("action")) in ("take", "answer"):
            take = book.accept if action == "take" else book.answer
            accepted = await take(provider_id, ticket_id, session.actor, key)
            if accepted.code == "answered":
                return see_other(request, path)
            if accepted.state == "accepted":  # by this form, or by another before it
                assert accepted.booking_id is not None
                return see_other(request, hold_path(provider_id, accepted.booking_id))
            assert accepted.code != "accepted"
            refused = accepted
        elif action == "leave":
            left = await book.leave_queue(provider_id, ticket_id, session.actor, key)
            if left.code == "left":
                return see_other(request, path)
            refused = left
        else:
            raise BadInput("action: take, answer or leave.")
        if refused.code == "not_found":
            raise NotFound
        return await _ticket_page(request, provider_id, ticket_id, session, refused=refused)

    @get("/news")
    async def updates(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        ticket_id: FromPath[UUID],
        after: Annotated[str | None, QueryParameter(max_length=64)] = None,
        seen: Annotated[bool, QueryParameter(description="Whether the page is visible.")] = True,
        bar: Annotated[bool, QueryParameter(description="Whether the page is another than the ticket's.")] = False,
    ) -> Response[bytes]:
        """Answer the page's script when its version is no longer `after`, or with the version alone after 25 s."""
        waiting = services(request).waiting
        if (session := session_of(request)) is None:
            return updates_response(request, {"over": True}, status=401)
        if after is None:
            ticket = await waiting.look(
                provider_id, ticket_id, session.patient_id, is_present=not is_head(request), seen=seen
            )
        else:
            ticket = await waiting.poll(provider_id, ticket_id, session.patient_id, after, seen=seen)
        if ticket is None:
            raise NotFound
        update = await ticket_update(request, session, provider_id, ticket, after, bar=bar)
        if waiting.draining:
            update["reconnect"] = True
        return updates_response(request, update)


async def _ticket_page(
    request: AnyRequest,
    provider_id: int,
    ticket_id: UUID,
    session: PatientSession,
    refused: AcceptRefused | AnswerRefused | LeaveRefused | None = None,
) -> Response[str]:
    ticket = await services(request).waiting.look(
        provider_id, ticket_id, session.patient_id, is_present=not is_head(request)
    )
    if ticket is None:
        raise NotFound
    return page(
        request,
        "queue/ticket.html",
        status=200 if refused is None else error_for_refusal(refused).status,
        view=await ticket_view(request, provider_id, ticket),
        refused=refused,
        limit=await limit_of(request, refused),
        is_offer_over=refused is not None and refused.code == "offer_over",
        refreshes="still" not in request.query_params,
    )


async def _queue(request: AnyRequest, provider_id: int, clinic_id: int) -> Record:
    row = await services(request).database.fetch_row(queries.queue, provider_id, clinic_id)
    if row is None:
        raise NotFound
    return row


def _queue_window(request: AnyRequest, queue: Record, day: date | None, part: str | None, span: str) -> QueueWindow:
    """Return the window of an address; by default today, and the part of the day it is now. Raises BadInput."""
    now, zone = services(request).clock.now(), queue["time_zone"]
    window = QueueWindow(day or now.astimezone(ZoneInfo(zone)).date(), part or part_of(now, zone), span)
    if window.part not in PARTS:
        raise BadInput(f"part: {', '.join(PARTS)}.")
    if window.span not in SPANS:
        raise BadInput(f"what: {', '.join(SPANS)}.")
    if not YEAR_MIN <= window.day.year <= YEAR_MAX:
        raise BadInput(f"day: the year must be between {YEAR_MIN} and {YEAR_MAX}.")
    return window


def _chart_key(queue: Record, window: QueueWindow, n: int, service_ids: tuple[int, ...]) -> ChartKey:
    where = queue["provider_id"], queue["clinic_id"]
    return ChartKey(*where, window.day, window.day, n, queue["time_zone"], service_ids)


async def _join_page(  # noqa: PLR0913
    request: AnyRequest,
    queue: Record,
    wanted: ServiceChoice,
    window: QueueWindow,
    n: int,
    *,
    anywhere: bool,
    who: PersonChoice | None,
    refused: Refused[RefusalCode] | None = None,
    free: int = 0,
    tried: NotJoined | None = None,
) -> Response[str]:
    is_full = refused is not None and refused.code == "slot_full"
    limit = await limit_of(request, refused, queue["time_zone"])
    if not (refused is None or is_full or limit or refused.code == "no_such_slot"):
        raise error_for_refusal(refused)
    provider_id, provider, clinic_id = queue["provider_id"], queue["provider"], queue["clinic_id"]

    def chart(day: date, start: datetime | None = None) -> str:
        return chart_path(provider_id, provider, clinic_id, services=wanted.ids, day=day, start=start, n=n)

    zone = ZoneInfo(queue["time_zone"])
    alternatives = refused.alternatives or [] if refused is not None else []
    return page(
        request,
        "queue/join.html",
        status=_status(refused, who) if tried is None else 200,
        cookies=forget_not_joined(request),
        queue=queue,
        action=queue_path(provider_id, provider, clinic_id, service=wanted.ids, day=window.day, part=window.part, n=n),
        chosen=wanted.chosen,
        can_be_anywhere=queue["clinics"] > 1 and _is_anywhere(wanted),
        window=window,
        span_field=field_name("what", wanted.ids),
        choices=[(span, window._replace(span=span).text(language_of(request))) for span in SPANS],
        n=n,
        anywhere=anywhere,
        who=who,
        acceptance_rate=AcceptanceRate.of(queue["position"], queue),
        free=free,
        chart=chart(window.day),
        refused=refused,
        has_tried=tried is not None,
        limit=limit,
        is_full=is_full,
        why=_why_not(request, refused),
        instead=await queue_alternatives(request, queue, _chart_key(queue, window, n, wanted.ids)),
        alternatives=[(at, chart(at.astimezone(zone).date(), at)) for at in alternatives],
    )


def _why_not(request: AnyRequest, refused: Refused[RefusalCode] | None) -> str | None:
    """Return why services can never be had then; None for any other refusal."""
    reason = refused.reason if refused is not None else None
    return no_such_slot_text(language_of(request), reason) if reason in ("too_long", "not_that_day") else None


def _status(refused: Refused[RefusalCode] | None, who: PersonChoice | None) -> int:
    if refused is not None:
        return error_for_refusal(refused).status
    return 200 if who is None or who.error is None else 422
