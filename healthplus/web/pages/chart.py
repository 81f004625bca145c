"""The chart's page: a week of counts, a day's slots, and holding one of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from healthplus.booking.outcomes import Held, HoldRefused, Moved, MoveRefused, Refused
from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.pages.addresses import chart_path, hold_path, slug
from healthplus.web.pages.booking import booking_queries, parsed_day, parsed_instant, parsed_number, practice_location
from healthplus.web.pages.chart_view import ChartView
from healthplus.web.pages.limits import limit_of
from healthplus.web.pages.patient_chart import ChartUpdate, own_times, patient_chart
from healthplus.web.pages.person_choice import FormError, PersonChoice, chosen_person, person_choice
from healthplus.web.pages.rendering import language_of, moved, page, see_other, updates_response
from healthplus.web.pages.session import (
    Claim,
    PatientSession,
    form_of,
    idempotency_key,
    require_patient,
    session_of,
)
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import DAYS, ChartKey

Text = Annotated[str, QueryParameter(max_length=100)]


class ChartController(Controller):
    path = "/doctor/{provider_id:int}/{name:str}/{clinic_id:int}"

    @get()
    async def chart(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],
        clinic_id: ClinicId,
        day: Text = "",
        n: Text = "1",
        start: Text = "",
    ) -> Response[str] | Response[bytes]:
        chosen = parsed_instant(start)

        async def chart(request: AnyRequest) -> Response[str]:
            location = await practice_location(request, provider_id, clinic_id)
            if name != slug(location["provider"]):
                return moved(request, chart_path(provider_id, location["provider"], clinic_id))
            return await _page(request, location, _chart_key(request, location, day, n, chosen), chosen)

        if (session := session_of(request)) is not None:
            location = await practice_location(request, provider_id, clinic_id)
            key = _chart_key(request, location, day, n, chosen)
            is_own = _hold_here(session, key) is not None or bool(await own_times(request, key))
            if is_own and name == slug(location["provider"]):
                return await _page(request, location, key, chosen)
        return await shared_page(request, chart)

    @get("/news")
    async def updates(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],  # noqa: ARG002 - a part of the address
        clinic_id: ClinicId,
        day: Text = "",
        n: Text = "1",
        after: Text = "",
    ) -> Response[bytes]:
        """Answer with what a chart shows when its version is no longer `after`, or with nothing after 25 s."""
        location = await practice_location(request, provider_id, clinic_id)
        key = _chart_key(request, location, day, n, None)

        async def look() -> ChartUpdate | None:
            update = (await patient_chart(request, key)).update()
            return None if update.version == after else update

        return updates_response(request, await services(request).charts.wait_for_update(provider_id, look))

    @post()
    async def hold(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],  # noqa: ARG002 - a part of the address
        clinic_id: ClinicId,
        day: Text = "",
        n: Text = "1",
    ) -> Response[str]:
        location = await practice_location(request, provider_id, clinic_id)
        form = await form_of(request)
        start = parsed_instant(form.get("start", ""))
        key = _chart_key(request, location, day, n, start)
        if start is None:
            form_error = language_of(request).gettext("Choose a time first.")
            return await _page(request, location, key, None, form_error=form_error)
        slots_needed = key.slots_needed
        back_to = chart_path(provider_id, location["provider"], clinic_id, day=key.day, start=start, n=slots_needed)
        session = require_patient(request, back_to)
        held = _hold_here(session, key)
        if held is not None and held.row["starts_at"] == start:  # by a second click, or by going back
            return see_other(request, held.path)
        replaces = _replaced(form.get("instead_of", ""))
        try:
            person_id = await chosen_person(request, session, form) if "who" in form else None
        except FormError as error:
            who = await person_choice(request, session, form=form, error=error)
            return await _page(request, location, key, start, form_error=error.text, who=who)
        if replaces or person_id:
            held = None  # what is asked for is another hold, not a move of that one
        form_key = idempotency_key({**form, "person": str(person_id)}, "start", "instead_of", "person")
        outcome = await _take(request, session, key, held, start, form_key, person_id, replaces)
        if not isinstance(outcome, Refused):
            return see_other(request, hold_path(provider_id, outcome.booking_id))
        if outcome.code == "claimed":
            choice = {"for": "hold", "provider": provider_id, "clinic": clinic_id, "start": start.isoformat()}
            choice |= {"person": str(person_id)} if person_id else {}
            return see_other(request, "/busy", {**choice, "n": slots_needed})
        is_stale = replaces is not None and outcome.code == "not_found"
        stale = language_of(request).gettext("That appointment has changed meanwhile. Choose again.")
        return await _page(
            request, location, key, start, None if is_stale else outcome, form_error=stale if is_stale else None
        )


async def refused_hold(
    request: AnyRequest, location: Record, start: datetime, slots_needed: int, outcome: HoldRefused
) -> Response[str]:
    """Return the chart with why a start on it cannot be held, and what can be had instead."""
    key = _chart_key(request, location, "", str(slots_needed), start)
    return await _page(request, location, key, start, outcome)


async def _take(
    request: AnyRequest,
    session: PatientSession,
    key: ChartKey,
    held: Claim | None,
    start: datetime,
    form_key: str,
    person_id: UUID | None,
    instead_of: tuple[int, UUID] | None,
) -> Held | HoldRefused | Moved | MoveRefused:
    """Hold a start; or move there the patient's hold, which keeps its five minutes, unless that is over meanwhile."""
    book = services(request).book
    if held is not None:
        outcome = await book.reschedule(key.provider_id, held.id, start, session.actor, form_key)
        if not (outcome.code == "expired" or outcome.code == "wrong_state" or outcome.code == "not_found"):
            return outcome
    return await book.hold(
        key.provider_id,
        key.clinic_id,
        start,
        key.slots_needed,
        session.patient_id,
        session.actor,
        form_key,
        person_id=person_id,
        instead_of=instead_of,
    )


def _replaced(text: str) -> tuple[int, UUID] | None:
    """Return the appointment that a form is to replace, as Limit.replaces names it; None where it names none."""
    provider_id, _, booking_id = text.partition("/")
    try:
        return (parsed_number(provider_id), UUID(booking_id)) if text else None
    except ValueError:
        raise NotFound from None


def _chart_key(request: AnyRequest, location: Record, day: str, n: str, start: datetime | None) -> ChartKey:
    """Read from an address which chart is to be shown; what makes no sense there is as if it were not there."""
    zone = ZoneInfo(location["time_zone"])
    today = services(request).clock.now().astimezone(zone).date()
    last = today + timedelta(days=location["max_booking_days"])
    shown = parsed_day(day) or (start.astimezone(zone).date() if start else today)
    shown = min(max(shown, today), last)
    slots_needed = min(max(int(n) if n.isdecimal() and len(n) < 3 else 1, 1), location["slots_max"])
    first = today + timedelta(days=(shown - today).days // DAYS * DAYS)
    return ChartKey(location["provider_id"], location["clinic_id"], shown, first, slots_needed, location["time_zone"])


def _hold_here(session: PatientSession | None, key: ChartKey) -> Claim | None:
    """Return the patient's live hold if it can be moved to another time of this chart, with its five minutes."""
    if session is None or session.claim is None or session.claim.kind != "hold":
        return None
    claim = session.claim
    here = (claim.provider_id, claim.row["clinic_id"], claim.row["slots_needed"])
    return claim if here == (key.provider_id, key.clinic_id, key.slots_needed) else None


async def _page(
    request: AnyRequest,
    location: Record,
    key: ChartKey,
    start: datetime | None,
    outcome: HoldRefused | MoveRefused | None = None,
    form_error: str | None = None,
    who: PersonChoice | None = None,
) -> Response[str]:
    app = services(request)
    now = app.clock.now()
    chart = await patient_chart(request, key)
    is_away = not chart.cells and await app.database.fetch_value(
        booking_queries.is_on_leave, key.provider_id, key.clinic_id, *key.bounds(key.day)
    )
    session = session_of(request)
    can_move = _hold_here(session, key) is not None
    limit = await limit_of(request, outcome, key.zone)
    if limit is not None and limit.appointment is not None and limit.is_of_one_person and session and not can_move:
        who = (await person_choice(request, session)).without(limit.appointment["person_id"])
    view = ChartView(
        location=location,
        key=key,
        chart=chart,
        language=language_of(request),
        now=now,
        start=start,
        outcome=outcome,
        form_error=form_error,
        can_move=can_move,
        is_away=is_away,
        limit=limit,
        who=who,
    )
    return page(request, "chart/chart.html", status=view.status, view=view)
