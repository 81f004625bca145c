"""A patient's own appointments: ahead and past, moved and cancelled, their calendar file and rating."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter
from markupsafe import Markup

from healthplus.booking.numbers import number_of
from healthplus.booking.outcomes import CancelRefused, MoveRefused
from healthplus.database import Record, load
from healthplus.directory.known_services import Service
from healthplus.errors import BadInput, NotFound, NotFulfilled
from healthplus.reviews.ratings import TEXT_MAX, rate
from healthplus.till.upi import qr_svg, upi_link
from healthplus.web.http.ids import ProviderId
from healthplus.web.http.paging import PAGE_MAX, limit_and_offset
from healthplus.web.http.payment_words import DESK_METHODS
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.languages import Language
from healthplus.web.pages import appointment_calendar
from healthplus.web.pages.addresses import appointment_path
from healthplus.web.pages.booking import ARRIVE_EARLY, parsed_day, parsed_instant
from healthplus.web.pages.cancelling import Period, periods_of
from healthplus.web.pages.delays import delay_of
from healthplus.web.pages.limits import limit_of
from healthplus.web.pages.moving import move_month_page, move_page
from healthplus.web.pages.pay_methods import is_payable_online
from healthplus.web.pages.receipt_file import is_receipt_foreign
from healthplus.web.pages.rendering import document, language_of, page, see_other
from healthplus.web.pages.searches import page_number
from healthplus.web.pages.service_choice import preparations_of
from healthplus.web.pages.session import PatientSession, form_of, idempotency_key, require_patient, site
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("appointments.sql"))

_PAST_A_PAGE = 20
_STARS_MAX = 5

Day = Annotated[str, QueryParameter(max_length=40)]

_ONE = "/{provider_id:int}/{booking_id:uuid}"


class AppointmentsController(Controller):
    path = "/appointments"

    @get()
    async def list_mine(self, request: AnyRequest) -> Response[str]:
        patient_id = require_patient(request).patient_id
        number = page_number(request.query_params.get("page"))
        database = services(request).database
        past = await database.fetch(queries.past, patient_id, *limit_and_offset(number, _PAST_A_PAGE))
        is_first = number == 1
        ahead = await database.fetch(queries.ahead, patient_id) if is_first else []
        known = services(request).known_services
        found = await known.find({one for row in (*ahead, *past) for one in row["service_ids"] or ()})
        return page(
            request,
            "appointments/list.html",
            ahead=ahead,
            chosen={row["booking_id"]: [found[one] for one in row["service_ids"] or ()] for row in (*ahead, *past)},
            delays={row["booking_id"]: await delay_of(request, row) for row in ahead},
            lost=await database.fetch(queries.lost, patient_id) if is_first else [],
            past=past[:_PAST_A_PAGE],
            number=number,
            has_more=len(past) > _PAST_A_PAGE and number < PAGE_MAX,
        )

    @get(_ONE)
    async def read(self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]) -> Response[str]:
        _, appointment = await own_appointment(request, provider_id, booking_id)
        return await _appointment_page(request, appointment)

    @post(_ONE)
    async def rate(self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]) -> Response[str]:
        session, appointment = await own_appointment(request, provider_id, booking_id)
        language = language_of(request)
        form = await form_of(request)
        stars, text = form.get("stars", ""), form.get("text")
        if stars not in map(str, range(1, _STARS_MAX + 1)):
            return await _appointment_page(
                request, appointment, 422, language.gettext("Choose from 1 to 5 stars."), "stars-5", text
            )
        try:
            await rate(services(request).database, provider_id, booking_id, session.patient_id, int(stars), text)
        except BadInput:
            said = language.gettext("Write at most %(most)d letters.") % {"most": TEXT_MAX}
            return await _appointment_page(request, appointment, 422, said, "review-text", text)
        except NotFulfilled as error:
            said = language.gettext("You can rate it once the clinic has confirmed that you came.")
            return await _appointment_page(request, appointment, error.status, said, written=text)
        return see_other(request, appointment_path(provider_id, booking_id))

    @get(f"{_ONE}/cancel")
    async def ask_whether_to_cancel(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]
    ) -> Response[str]:
        _, appointment = await own_appointment(request, provider_id, booking_id)
        return await _cancel_page(request, appointment)

    @post(f"{_ONE}/cancel")
    async def cancel(self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]) -> Response[str]:
        session, _ = await own_appointment(request, provider_id, booking_id)
        key = idempotency_key(await form_of(request))
        outcome = await services(request).book.cancel(provider_id, booking_id, session.actor, key)
        if outcome.code == "cancelled" or outcome.state == "cancelled":  # by this form, or by another before it
            return see_other(request, appointment_path(provider_id, booking_id))
        error = _not_changed(outcome, language_of(request))
        _, appointment = await own_appointment(request, provider_id, booking_id)
        return await _cancel_page(request, appointment, 409, error)

    @get(f"{_ONE}/move")
    async def choose_another_time(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        booking_id: FromPath[UUID],
        day: Day = "",
        start: Day = "",
        month: Day = "",
    ) -> Response[str]:
        """Show when an appointment could be instead, on a day or in a month.

        `start`: a time that is chosen already, if it is still free.
        """
        _, appointment = await own_appointment(request, provider_id, booking_id)
        chosen = parsed_instant(start)
        if (first := parsed_day(f"{month}-01")) is not None:
            return await move_month_page(request, appointment, first)
        if chosen is None:
            return await move_page(request, appointment, parsed_day(day))
        if chosen == appointment["starts_at"] and not appointment["needs_rebooking"]:  # taken, and tapped again
            return see_other(request, appointment_path(provider_id, booking_id))
        chosen_day = chosen.astimezone(ZoneInfo(appointment["time_zone"])).date()
        return await move_page(request, appointment, chosen_day, chosen=chosen)

    @post(f"{_ONE}/move")
    async def move(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID], day: Day = ""
    ) -> Response[str]:
        session, appointment = await own_appointment(request, provider_id, booking_id)
        language = language_of(request)
        form = await form_of(request)
        start = parsed_instant(form.get("start", ""))
        if start is None:
            return await move_page(
                request, appointment, parsed_day(day), 422, language.gettext("Choose one of the times.")
            )
        moved_to = appointment_path(provider_id, booking_id, "?moved=1")
        if start == appointment["starts_at"] and not appointment["needs_rebooking"]:  # by a second click, or going back
            return see_other(request, moved_to)
        app = services(request)
        was_told = any(one["booking_id"] == booking_id for one in await app.earlier.of(session.patient_id))
        outcome = await app.book.reschedule(
            provider_id, booking_id, start, session.actor, idempotency_key(form, "start")
        )
        if outcome.code == "moved":
            return see_other(request, f"{moved_to}&told=off" if was_told else moved_to)
        limit = await limit_of(request, outcome, appointment["time_zone"])
        error = limit.text if limit else _not_moved(outcome, appointment, start, language)
        _, appointment = await own_appointment(request, provider_id, booking_id)
        chosen_day = start.astimezone(ZoneInfo(appointment["time_zone"])).date()
        return await move_page(request, appointment, chosen_day, 409, error, start, limit)

    @get(f"{_ONE}/visit.ics")
    async def calendar_file(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]
    ) -> Response[bytes]:
        _, appointment = await own_appointment(request, provider_id, booking_id)
        language = language_of(request)
        url = site(request).url + language.url(appointment_path(provider_id, booking_id))
        return document(
            request,
            appointment_calendar.calendar_of(
                appointment, await preparations_of(request, await _chosen(request, appointment)), url, language
            ),
            appointment_calendar.MEDIA_TYPE,
            headers={
                "Cache-Control": "private, no-cache",
                # Phones then offer to add it to the calendar rather than to keep a file.
                "Content-Disposition": 'inline; filename="appointment.ics"',
            },
        )


async def own_appointment(request: AnyRequest, provider_id: int, booking_id: UUID) -> tuple[PatientSession, Record]:
    """Return the session and its patient's appointment. Raises Unauthenticated, and NotFound also for another's."""
    # Neither a form nor a file is a page to come back to.
    is_page = request.method == "GET" and not request.url.path.endswith((".ics", ".pdf"))
    session = require_patient(request, None if is_page else appointment_path(provider_id, booking_id))
    appointment = await services(request).database.fetch_row(
        queries.appointment, provider_id, booking_id, session.patient_id
    )
    if appointment is None:
        raise NotFound
    return session, appointment


async def _appointment_page(
    request: AnyRequest,
    appointment: Record,
    status: int = 200,
    error: str | None = None,
    field: str = "",
    written: str | None = None,
) -> Response[str]:
    chosen = await _chosen(request, appointment)
    delay = await delay_of(request, appointment)
    is_online = is_payable_online(request, appointment)
    number, database = number_of(appointment["booking_id"]), services(request).database
    link = (
        upi_link(appointment["upi_id"], appointment["clinic"], appointment["owed_minor"], number)
        if appointment["upi_id"] and appointment["owed_minor"] and not is_online
        else ""
    )
    return page(
        request,
        "appointments/appointment.html",
        status=status,
        appointment=appointment,
        chosen=chosen,
        delay=delay,
        preparations=await preparations_of(request, chosen),
        number=number,
        desk_payments=await database.fetch(queries.desk_payments, appointment["provider_id"], appointment["booking_id"])
        if appointment["funding"] == "clinic"
        else [],
        desk_methods=DESK_METHODS,
        is_payable_online=is_online,
        paid_said=request.query_params.get("paid", ""),
        pay_link=link,
        pay_qr=Markup(qr_svg(link)) if link else "",  # noqa: S704 - made of squares alone
        is_receipt_foreign=await is_receipt_foreign(request, appointment),
        error=error,
        field=field,
        earlier=await _earlier(request, appointment),
        arrive_at=delay.come_at if delay else appointment["starts_at"] - ARRIVE_EARLY,
        phone=require_patient(request).phone,
        has_moved="moved" in request.query_params and appointment["changes"] > 0,
        is_told_no_more="told" in request.query_params,
        periods=await _periods(request, appointment),
        stars_max=_STARS_MAX,
        review_text=appointment["review"] or "" if written is None else written,
    )


async def _earlier(request: AnyRequest, appointment: Record) -> Record | None:
    """Return how things stand with earlier times; None where there can be none, as when it begins soon."""
    if appointment["state"] != "booked" or appointment["begun"] or appointment["needs_rebooking"]:
        return None
    which = appointment["provider_id"], appointment["booking_id"], require_patient(request).patient_id
    return await services(request).earlier.state(*which)


async def _chosen(request: AnyRequest, appointment: Record) -> list[Service]:
    """Return the services that an appointment is for."""
    return await services(request).known_services.of(appointment["service_ids"])


async def _cancel_page(
    request: AnyRequest, appointment: Record, status: int = 200, error: str | None = None
) -> Response[str]:
    return page(
        request,
        "appointments/cancel.html",
        status=status,
        appointment=appointment,
        chosen=await _chosen(request, appointment),
        periods=await _periods(request, appointment),
        error=error,
    )


async def _periods(request: AnyRequest, appointment: Record) -> list[Period]:
    """Return what goes back if the patient cancels, from now until it begins; nothing where that cannot be any more."""
    if appointment["state"] != "booked" or appointment["begun"]:
        return []
    which = appointment["provider_id"], appointment["booking_id"], require_patient(request).patient_id
    terms = await services(request).book.terms(*which)
    assert terms is not None
    return periods_of(terms, appointment)


def _not_changed(outcome: CancelRefused | MoveRefused, language: Language) -> str:
    """Return why an appointment was neither moved nor cancelled. Raises what no form of ours brings about."""
    match outcome.code:
        case "too_late":
            return language.gettext("The appointment has begun. To change it, call the clinic.")
        case "wrong_state":
            return language.gettext("The appointment has just changed. Here is how it stands now.")
        case _:
            raise error_for_refusal(outcome)


def _not_moved(outcome: MoveRefused, appointment: Record, start: datetime, language: Language) -> str:
    clock = language.clock(start, appointment["time_zone"])
    match outcome.code:
        case "slot_full":
            said = language.gettext("Someone just booked %(time)s. Your appointment is unchanged; choose another time.")
        case "slot_held":
            said = language.gettext(
                "Someone else is holding %(time)s just now. Your appointment is unchanged; choose another time, or try "
                "again in some minutes."
            )
        case "no_such_slot":
            said = language.gettext(
                "%(time)s can no longer be booked. Your appointment is unchanged; choose another time."
            )
        case _:
            return _not_changed(outcome, language)
    return said % {"time": clock}
