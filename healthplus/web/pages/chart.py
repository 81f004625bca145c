"""The chart's page: what one books, a week of counts, a day's slots, and holding one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from healthplus.booking.outcomes import Held, HoldRefused, Moved, MoveRefused, Refused
from healthplus.database import Record
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.errors import NotFound
from healthplus.money import currency_digits
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.pages.addresses import chart_path, hold_path, slug
from healthplus.web.pages.booking import booking_queries, parsed_instant, parsed_number, practice_location
from healthplus.web.pages.chart_request import hold_here, requested_chart
from healthplus.web.pages.chart_view import ChartView, others_path
from healthplus.web.pages.chosen_time import claimed_instead, sign_in_to_hold
from healthplus.web.pages.limits import limit_of
from healthplus.web.pages.opening import week
from healthplus.web.pages.patient_chart import ChartUpdate, own_times, patient_chart
from healthplus.web.pages.person_choice import Form, FormError, PersonChoice, chosen_person, person_choice
from healthplus.web.pages.rendering import language_of, moved, page, see_other, updates_response
from healthplus.web.pages.service_choice import ServiceChoice, field_of, preparations_of
from healthplus.web.pages.session import Claim, PatientSession, form_of, idempotency_key, session_of
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.ticket_updates import WatchedTicket, changed_ticket
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import ChartKey

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
            return await _page(request, location, *await requested_chart(request, location, day, n, chosen), chosen)

        if (session := session_of(request)) is not None:
            location = await practice_location(request, provider_id, clinic_id)
            key, choice = await requested_chart(request, location, day, n, chosen)
            is_own = hold_here(session, key) is not None or bool(await own_times(request, key))
            if is_own and name == slug(location["provider"]):
                return await _page(request, location, key, choice, chosen)
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
        """Answer with what a chart shows when its version is no longer `after`, or with nothing after 25 s.

        With the ticket that the page's bar is about in `waits`, also with its `turn` when that has changed.
        """
        location = await practice_location(request, provider_id, clinic_id)
        key, _ = await requested_chart(request, location, day, n, None)
        ticket = WatchedTicket.of(request.query_params.get("waits", ""))

        async def look() -> ChartUpdate | dict[str, object] | None:
            if ticket and (changed := await changed_ticket(request, ticket)):
                return {"turn": changed}
            update = (await patient_chart(request, key)).update()
            return None if update.version == after else update

        others = [ticket.provider_id] if ticket else []
        return updates_response(request, await services(request).charts.wait_for_update(provider_id, look, *others))

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
        form["start"] = field_of(form, "start")
        start = parsed_instant(form["start"])
        key, choice = await requested_chart(request, location, day, n, start)
        if start is None or choice.lacks_tests or choice.fault:
            not_chosen = None if choice.lacks_tests else language_of(request).gettext("Choose a time first.")
            return await _page(request, location, key, choice, start, form_error=choice.fault or not_chosen)
        back_to = chart_path(
            provider_id,
            location["provider"],
            clinic_id,
            services=key.service_ids,
            day=key.day,
            start=start,
            n=key.slots_needed,
        )
        if (session := session_of(request)) is None:
            return sign_in_to_hold(request, key, start, back_to, idempotency_key(form, "start"))
        return await _hold(request, session, location, key, choice, start, form)


async def _hold(
    request: AnyRequest,
    session: PatientSession,
    location: Record,
    key: ChartKey,
    choice: ServiceChoice,
    start: datetime,
    form: Form,
) -> Response[str]:
    held = hold_here(session, key)
    if held is not None and held.row["starts_at"] == start:  # by a second click, or by going back
        return see_other(request, held.path)
    replaces = _replaced(form.get("instead_of", ""))
    try:
        person_id = await chosen_person(request, session, form) if "who" in form else None
    except FormError as error:
        who = await person_choice(request, session, form=form, error=error)
        return await _page(request, location, key, choice, start, form_error=error.text, who=who)
    if replaces or person_id:
        held = None  # what is asked for is another hold, not a move of that one
    form_key = idempotency_key({**form, "person": str(person_id)}, "start", "instead_of", "person")
    outcome = await _take(request, session, key, held, start, form_key, person_id, replaces)
    if not isinstance(outcome, Refused):
        return see_other(request, hold_path(key.provider_id, outcome.booking_id))
    if outcome.code == "claimed":
        return see_other(request, "/busy", claimed_instead(key, start, person_id))
    return await refused_hold(request, location, start, key.slots_needed, outcome, is_instead=replaces is not None)


async def refused_hold(
    request: AnyRequest,
    location: Record,
    start: datetime,
    slots_needed: int,
    outcome: HoldRefused | MoveRefused,
    *,
    is_instead: bool = False,
) -> Response[str]:
    """Return the chart with why a start on it cannot be held, and what can be had instead.

    `is_instead`: it was to replace an appointment.
    """
    if outcome.reason in ("service_closed", "no_such_service"):  # since the location was read
        location = await practice_location(request, location["provider_id"], location["clinic_id"])
    key, choice = await requested_chart(request, location, "", str(slots_needed), start)
    if is_instead and outcome.code == "not_found":
        stale = language_of(request).gettext("That appointment has just changed. Choose again.")
        return await _page(request, location, key, choice, start, form_error=stale)
    return await _page(request, location, key, choice, start, outcome)


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
        service_ids=key.service_ids,
    )


def _replaced(text: str) -> tuple[int, UUID] | None:
    """Return the appointment that a form is to replace, as Limit.replaces names it; None where it names none."""
    provider_id, _, booking_id = text.partition("/")
    try:
        return (parsed_number(provider_id), UUID(booking_id)) if text else None
    except ValueError:
        raise NotFound from None


async def _page(
    request: AnyRequest,
    location: Record,
    key: ChartKey,
    choice: ServiceChoice,
    start: datetime | None,
    outcome: HoldRefused | MoveRefused | None = None,
    form_error: str | None = None,
    who: PersonChoice | None = None,
) -> Response[str]:
    if choice.tests and (choice.lacks_tests or (outcome is None and "tests" in request.query_params)):
        return await _tests_page(request, location, key, choice, start, form_error)
    app = services(request)
    now = app.clock.now()
    chart = await patient_chart(request, key)
    is_away = not chart.cells and await app.database.fetch_value(
        booking_queries.is_on_leave, key.provider_id, key.clinic_id, *key.bounds(key.day)
    )
    session = session_of(request)
    can_move = hold_here(session, key) is not None
    limit = await limit_of(request, outcome, key.zone)
    if limit is not None and limit.appointment is not None and limit.is_of_one_person and session and not can_move:
        who = (await person_choice(request, session)).without(limit.appointment["person_id"])
    view = ChartView(
        location=location,
        key=key,
        choice=choice,
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
    preparations = await preparations_of(request, choice.chosen) if choice.chosen else []
    return page(request, "chart/chart.html", status=view.status, view=view, preparations=preparations)


async def _tests_page(
    request: AnyRequest,
    location: Record,
    key: ChartKey,
    choice: ServiceChoice,
    start: datetime | None,
    form_error: str | None,
) -> Response[str]:
    """Return the page on which tests are chosen, before their times are shown."""
    is_sent = "times" in request.query_params or request.method == "POST"
    error = form_error or choice.fault
    if error is None and is_sent and not choice.chosen:
        error = language_of(request).gettext("Choose at least one test first.")
    hours = await services(request).database.fetch_value(
        booking_queries.opening_times, location["clinic_id"], location["time_zone"]
    )
    return page(
        request,
        "chart/tests.html",
        status=409 if form_error else 422 if request.method == "POST" else 200,
        location=location,
        others=others_path(location),
        week=week(hours, location["time_zone"]),
        choice=choice,
        preparations=await services(request).known_services.preparations(one.service_id for one in choice.tests),
        action=chart_path(key.provider_id, location["provider"], key.clinic_id),
        day=request.query_params.get("day", "") and key.day,
        start=start,
        error=error,
        most=SERVICES_MAX,
        digits=currency_digits(choice.tests[0].currency),
    )
