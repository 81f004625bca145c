"""A hold's page: its five minutes, for whom it is, paying or releasing it; and what became of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.booking.errors import HoldExpired, TooLate, WrongState
from healthplus.booking.numbers import number_of
from healthplus.booking.outcomes import Refused
from healthplus.booking.reasons import REASON_MAX, give_reason
from healthplus.database import Record
from healthplus.errors import BadInput, NotFound, PaymentDeclined, PaymentUnavailable
from healthplus.payments.gateway import Gateway
from healthplus.payments.payments import Paid
from healthplus.text import line
from healthplus.web.http.ids import ProviderId
from healthplus.web.pages.addresses import appointment_path, hold_path, ticket_path
from healthplus.web.pages.booking import ARRIVE_EARLY, booking_queries, parsed_instant
from healthplus.web.pages.cancelling import Period, periods_of
from healthplus.web.pages.chart import Text
from healthplus.web.pages.limits import limit_of
from healthplus.web.pages.notifications import note_language
from healthplus.web.pages.pay_methods import BANK_ANSWERS, pay_methods
from healthplus.web.pages.person_choice import Form, FormError, chosen_person, person_choice
from healthplus.web.pages.receipt_file import is_receipt_foreign
from healthplus.web.pages.rendering import bank_headers, language_of, page, see_other, updates_response
from healthplus.web.pages.service_choice import field_name, preparations_of
from healthplus.web.pages.session import PatientSession, form_of, idempotency_key, require_patient, site
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import ChartKey

_GOING_ON = ("reserved", "expired", "released")
"""Holds that money which is under way may still book, or has come too late for."""


class HoldController(Controller):
    path = "/doctor/{provider_id:int}/hold/{hold_id:uuid}"

    @get()
    async def hold(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], bank: Text = ""
    ) -> Response[str]:
        session = require_patient(request)
        hold = await _hold(request, session, provider_id, hold_id)
        if hold["state"] in _GOING_ON and (bank == "later" or hold["is_at_gateway"]):
            # Back from the gateway, or come again after its page was closed: this page is to know what it knows.
            await services(request).payments.look_now(provider_id, hold_id)
            hold = await _hold(request, session, provider_id, hold_id)
        return await _page(request, session, hold, bank)

    @get("/news")
    async def updates(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], after: Text = ""
    ) -> Response[bytes]:
        """Answer with the hold's state when it is no longer `after`, or with nothing after 25 s."""
        session = require_patient(request)
        app = services(request)

        async def look() -> dict[str, str] | None:
            state = await app.database.fetch_value(booking_queries.hold_state, provider_id, hold_id, session.patient_id)
            if state is None:
                raise NotFound
            return None if state == after else {"state": state}

        return updates_response(request, await app.charts.wait_for_update(provider_id, look))

    @post()
    async def pay(self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID]) -> Response[str]:
        session = require_patient(request, hold_path(provider_id, hold_id))
        hold = await _hold(request, session, provider_id, hold_id)
        form = await form_of(request)
        _ = language_of(request).gettext
        here = hold_path(provider_id, hold_id)
        if hold["state"] != "reserved" or hold["offer"]:
            return see_other(request, here)
        try:
            method = form.get("method", "")[:200] or "none"
            if hold["funding"] == "online" and method not in _gateway(request, hold).methods:
                raise FormError(_("Choose how to pay."), "method")
            await _choose_person(request, session, hold, form)
            if hold["funding"] == "clinic":
                hold = await _hold(request, session, provider_id, hold_id)
                if hold["funding"] == "online":  # for whom it is now
                    raise FormError(_("For this person it is paid online. See below why, and pay."), "pay")
            await _store_reason(request, session, hold, form)
        except FormError as error:
            # What was refused may have ended meanwhile: then its page says so.
            hold = await _hold(request, session, provider_id, hold_id)
            return await _page(request, session, hold, form=form, error=error)
        try:
            paid = await _paid(request, session, hold, form, method)
            if paid.outcome.code == "time_changed":
                hold = await _hold(request, session, provider_id, hold_id)
                raise _time_changed(request, hold)
            await _require_within_limits(request, hold, paid.outcome)
            await note_language(request, session)
        except FormError as error:
            return await _page(request, session, hold, form=form, error=error)
        except PaymentDeclined:
            return see_other(request, here, {"bank": "declined"})
        except PaymentUnavailable:
            return see_other(request, here, {"bank": "unanswered"})
        return _led_on(request, hold, paid)

    @post("/release")
    async def release(self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID]) -> Response[str]:
        session = require_patient(request, hold_path(provider_id, hold_id))
        outcome = await services(request).book.release(provider_id, hold_id, session.actor)
        if outcome.code == "not_found":
            raise NotFound
        return see_other(request, hold_path(provider_id, hold_id))


async def _paid(request: AnyRequest, session: PatientSession, hold: Record, form: Form, method: str) -> Paid:
    """Pay as the form says. Raises FormError where the gateway has no such amount, and as Payments.pay."""
    provider_id, hold_id = hold["provider_id"], hold["booking_id"]
    language = language_of(request)
    try:
        return await services(request).payments.pay(
            provider_id,
            hold_id,
            method,
            session.actor,
            idempotency_key(form, "method"),
            f"{site(request).url}{language.url(hold_path(provider_id, hold_id))}?bank=later",
            shown_at=_shown_time(request, hold, form),
        )
    except BadInput:
        said = language.gettext("The payment company cannot take this amount. Call the clinic.")
        raise FormError(said, "method") from None


async def _hold(request: AnyRequest, session: PatientSession, provider_id: int, hold_id: UUID) -> Record:
    row = await services(request).database.fetch_row(booking_queries.hold, provider_id, hold_id, session.patient_id)
    if row is None:
        raise NotFound
    return row


def _shown_time(request: AnyRequest, hold: Record, form: Form) -> datetime | None:
    """Return the time that the page showed, None where it sent none. Raises FormError for what is no time."""
    if "shown" not in form:
        return None
    if (shown_at := parsed_instant(form["shown"])) is None:
        raise _time_changed(request, hold)
    return shown_at


def _time_changed(request: AnyRequest, hold: Record) -> FormError:
    """Return what is said where the page showed another time than the hold has now: another window has moved it."""
    language = language_of(request)
    said = language.gettext("You changed the time in another window: it is now %(when)s. Check it, then book.")
    when = hold["starts_at"], hold["time_zone"]
    return FormError(said % {"when": f"{language.long_date(*when)}, {language.clock(*when)}"}, "pay")


async def _choose_person(request: AnyRequest, session: PatientSession, hold: Record, form: Form) -> None:
    """Store for whom the appointment is to be. Raises FormError where the form names nobody, or this is refused."""
    person_id = await chosen_person(request, session, form, needs_name=True)
    if person_id != hold["person_id"]:  # else it would lock the book and wake all who look, for nothing
        book = services(request).book
        outcome = await book.choose_person(hold["provider_id"], hold["booking_id"], person_id, session.actor)
        if isinstance(outcome, Refused):
            await _require_within_limits(request, hold, outcome)
            raise FormError(language_of(request).gettext("Choose again who the appointment is for."), "who")


async def _store_reason(request: AnyRequest, session: PatientSession, hold: Record, form: Form) -> None:
    """Store why the patient comes, for the clinic. Raises FormError where it is too long or cannot be read."""
    reason = line(form.get("reason", hold["reason"] or ""))
    if reason == (hold["reason"] or ""):
        return
    where = hold["provider_id"], hold["booking_id"]
    try:
        await give_reason(services(request).database, *where, session.patient_id, reason)
    except BadInput:
        said = language_of(request).gettext("Write the reason in at most %(number)d letters.")
        raise FormError(said % {"number": REASON_MAX}, "reason") from None
    except (HoldExpired, TooLate, WrongState):
        pass  # the hold has ended; paying, the next step, says so


async def _require_within_limits(request: AnyRequest, hold: Record, outcome: object) -> None:
    """Raise FormError where a verb refused because of what the patient has or did."""
    if isinstance(outcome, Refused) and (limit := await limit_of(request, outcome, hold["time_zone"])):
        raise FormError(limit.text, "who", limit)


async def _page(
    request: AnyRequest,
    session: PatientSession,
    hold: Record,
    bank: str = "",
    *,
    form: Form | None = None,
    error: FormError | None = None,
) -> Response[str]:
    provider_id, hold_id = hold["provider_id"], hold["booking_id"]
    chosen = await services(request).known_services.of(hold["service_ids"])
    preparations = await preparations_of(request, chosen)
    replaced = await _replaced(request, session, hold)
    if hold["state"] == "reserved":
        if hold["offer"]:
            return see_other(request, ticket_path(provider_id, hold["ticket_id"]))
        return page(
            request,
            "hold/hold.html",
            status=200 if error is None else 422,
            headers=bank_headers(request),
            hold=hold,
            chosen=chosen,
            preparations=preparations,
            until=hold["deadline"] - CLIENT_MARGIN,
            bank=bank if bank in BANK_ANSWERS else "",
            form=form or {},
            who=await person_choice(request, session, hold["person_id"], form),
            error=error,
            methods=pay_methods(_gateway(request, hold)) if hold["funding"] == "online" else (),
            periods=await _periods(request, hold),
            replaced=replaced,
            replaced_kept=await _kept_of_replaced(request, session, hold) if replaced else 0,
            path_here=hold_path(provider_id, hold_id),
            is_unanswered=await _is_unanswered(request, hold),
        )
    if hold["state"] in ("expired", "released"):
        return await _lost_page(request, hold)
    return page(
        request,
        "hold/booked.html",
        hold=hold,
        chosen=chosen,
        preparations=preparations,
        periods=await _periods(request, hold),
        appointment=appointment_path(provider_id, hold_id),
        number=number_of(hold_id),
        is_receipt_foreign=await is_receipt_foreign(request, hold),
        arrive_at=hold["starts_at"] - ARRIVE_EARLY,
        earlier=await services(request).earlier.state(provider_id, hold_id, session.patient_id),
        replaced=replaced,
    )


def _led_on(request: AnyRequest, hold: Record, paid: Paid) -> Response[str]:
    """Lead to the hold's page, or to the gateway's where the patient pays there: where that wants a form, by a page."""
    here = hold_path(hold["provider_id"], hold["booking_id"])
    headers = bank_headers(request)
    if not paid.url or not paid.fields:
        # The bank's page is not ours, so its address has no language.
        return see_other(request, here, headers=headers | ({"Location": paid.url} if paid.url else {}))
    return page(
        request,
        "hold/going_on.html",
        headers=headers,
        hold=hold,
        paid=paid,
        path_here=here,
        until=hold["deadline"] - CLIENT_MARGIN,
    )


def _gateway(request: AnyRequest, hold: Record) -> Gateway:
    return services(request).payments.gateways.of(hold["account"])


async def _periods(request: AnyRequest, hold: Record) -> list[Period]:
    """Return what goes back if the visit is cancelled, once it is paid online; nothing where it is not."""
    if hold["funding"] != "online":
        return []
    terms = await services(request).book.terms(hold["provider_id"], hold["booking_id"], hold["patient_id"])
    assert terms is not None
    return periods_of(terms, hold)


async def _is_unanswered(request: AnyRequest, hold: Record) -> bool:
    """Return whether money was requested for a hold, and nobody knows yet whether the bank took any."""
    return bool(await services(request).payments.unanswered([(hold["provider_id"], hold["booking_id"])]))


async def _kept_of_replaced(request: AnyRequest, session: PatientSession, hold: Record) -> int:
    """Return how much is kept of the visit that a hold replaces, as it is cancelled by booking this one now."""
    old = hold["instead_of_provider_id"], hold["instead_of_id"]
    terms = await services(request).book.terms(*old, session.patient_id)
    return terms.kept_minor if terms else 0


async def _replaced(request: AnyRequest, session: PatientSession, hold: Record) -> Record | None:
    """Return the visit that a hold replaces once it is booked; None where there is none, or it has begun."""
    if hold["instead_of_id"] is None:
        return None
    old = hold["instead_of_provider_id"], hold["instead_of_id"]
    return await services(request).database.fetch_row(booking_queries.replaced, *old, session.patient_id)


async def _lost_page(request: AnyRequest, hold: Record) -> Response[str]:
    app = services(request)
    provider_id, hold_id = hold["provider_id"], hold["booking_id"]
    instead = await app.payments.booked_instead(provider_id, hold_id)
    is_withdrawn = hold["state"] == "released" and await app.database.fetch_value(
        booking_queries.was_withdrawn, provider_id, hold_id
    )
    day = hold["starts_at"].astimezone(ZoneInfo(hold["time_zone"])).date()
    where = provider_id, hold["clinic_id"]
    key = ChartKey(*where, day, day, hold["slots_needed"], hold["time_zone"], tuple(hold["service_ids"] or ()))
    chart = await app.charts.chart(key)
    free = [row["starts_at"] for row in chart.slots if row["fits"] and row["state"] == "free"]
    return page(
        request,
        "hold/lost.html",
        hold=hold,
        instead=appointment_path(provider_id, instead) if instead else None,
        is_unanswered=await _is_unanswered(request, hold),
        is_withdrawn=is_withdrawn,
        is_free=hold["starts_at"] in free,
        others=len(free),
        start_field=field_name("start", hold["service_ids"]),
        day=day,
    )
