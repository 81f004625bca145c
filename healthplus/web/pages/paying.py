"""Paying online for an appointment whose fee was to be paid at the clinic."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.terms import terms_of
from healthplus.database import Record
from healthplus.errors import BadInput, NotFound, PaymentDeclined, PaymentUnavailable
from healthplus.payments.payments import PaidOnline
from healthplus.web.http.ids import ProviderId
from healthplus.web.pages.addresses import appointment_path
from healthplus.web.pages.appointments import own_appointment, queries
from healthplus.web.pages.cancelling import Period, periods_of
from healthplus.web.pages.chart import Text
from healthplus.web.pages.pay_methods import BANK_ANSWERS, is_payable_online, online_methods
from healthplus.web.pages.person_choice import FormError
from healthplus.web.pages.rendering import bank_headers, language_of, page, see_other
from healthplus.web.pages.session import PatientSession, form_of, require_patient, site
from healthplus.web.services import AnyRequest, services


class PayingController(Controller):
    path = "/appointments/{provider_id:int}/{booking_id:uuid}/pay"

    @get()
    async def choose_how(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID], bank: Text = ""
    ) -> Response[str]:
        """Show how it can be paid; once it is, or where it cannot be online, the appointment."""
        _, appointment = await own_appointment(request, provider_id, booking_id)
        if is_payable_online(request, appointment) and (bank == "later" or appointment["is_at_gateway"]):
            # Back from the gateway, or come again after its page was closed: this page is to know what it knows.
            await services(request).payments.look_now(provider_id, booking_id)
            _, appointment = await own_appointment(request, provider_id, booking_id)
        return await _pay_page(request, appointment, bank)

    @post()
    async def pay(self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]) -> Response[str]:
        session, appointment = await own_appointment(request, provider_id, booking_id)
        form = await form_of(request)
        here = appointment_path(provider_id, booking_id, "/pay")
        try:
            paid = await _paid(request, session, appointment, form)
        except FormError as error:
            return await _pay_page(request, appointment, form=form, error=error)
        except PaymentDeclined:
            return see_other(request, here, {"bank": "declined"})
        except PaymentUnavailable:
            return see_other(request, here, {"bank": "unanswered"})
        if paid.code == "pending":
            return await _led_on(request, appointment, paid)
        if paid.code == "not_payable":
            session, appointment = await own_appointment(request, provider_id, booking_id)
            if is_payable_online(request, appointment):  # it costs something else by now
                changed = FormError(
                    language_of(request).gettext("The fee has just changed. Check it, then pay."), "pay"
                )
                return await _pay_page(request, appointment, form=form, error=changed)
        return see_other(request, here.removesuffix("/pay"), {"paid": "1" if paid.code == "paid" else "0"})


async def _paid(request: AnyRequest, session: PatientSession, appointment: Record, form: dict[str, str]) -> PaidOnline:
    """Pay as the form says. Raises FormError where it cannot be so, and as Payments.pay_online."""
    _ = language_of(request).gettext
    provider_id, booking_id = appointment["provider_id"], appointment["booking_id"]
    method = form.get("method", "")[:200]
    if method not in {one.name for one in online_methods(request, appointment)}:
        raise FormError(_("Choose how to pay."), "method")
    here = language_of(request).url(appointment_path(provider_id, booking_id, "/pay"))
    try:
        paid = await services(request).payments.pay_online(
            provider_id,
            booking_id,
            method,
            session.actor,
            _shown_minor(form),
            f"{site(request).url}{here}?bank=later",
        )
    except BadInput:
        raise FormError(
            _("The payment company cannot take this amount. Pay at the clinic instead."), "method"
        ) from None
    if paid.code == "not_found":
        raise NotFound
    return paid


def _shown_minor(form: dict[str, str]) -> int:
    """Return what the page said that it costs; -1 where it said nothing that can be read."""
    shown = form.get("shown", "")
    return int(shown) if shown.isascii() and shown.isdecimal() and len(shown) <= 9 else -1


async def _pay_page(
    request: AnyRequest,
    appointment: Record,
    bank: str = "",
    *,
    form: dict[str, str] | None = None,
    error: FormError | None = None,
) -> Response[str]:
    provider_id, booking_id = appointment["provider_id"], appointment["booking_id"]
    if not is_payable_online(request, appointment):
        is_back = {"paid": "1"} if bank == "later" and appointment["funding"] == "online" else {}
        return see_other(request, appointment_path(provider_id, booking_id), is_back)
    return page(
        request,
        "appointments/pay_online.html",
        status=200 if error is None else 422,
        headers=bank_headers(request),
        **await _shown(request, appointment),
        bank=bank if bank in BANK_ANSWERS else "",
        form=form or {},
        error=error,
        methods=online_methods(request, appointment),
        periods=await _periods(request, appointment),
    )


async def _led_on(request: AnyRequest, appointment: Record, paid: PaidOnline) -> Response[str]:
    """Lead to the gateway's page: where that wants a form, by a page."""
    headers = bank_headers(request)
    if paid.url and not paid.fields:
        return see_other(request, "", headers=headers | {"Location": paid.url})
    return page(
        request,
        "appointments/going_on.html",
        headers=headers,
        **await _shown(request, appointment),
        paid=paid,
        path_here=appointment_path(appointment["provider_id"], appointment["booking_id"]),
    )


async def _shown(request: AnyRequest, appointment: Record) -> dict[str, Any]:
    """Return what both pages show of an appointment; `hold` is the same as the pages of holds show it."""
    chosen = await services(request).known_services.of(appointment["service_ids"])
    return {"appointment": appointment, "chosen": chosen, "hold": {**appointment, "funding": "online"}}


async def _periods(request: AnyRequest, appointment: Record) -> list[Period]:
    """Return what would go back on cancelling, once it is paid; nothing where it cannot be cancelled any more."""
    if appointment["state"] != "booked" or appointment["begun"]:
        return []
    which = appointment["provider_id"], appointment["booking_id"], require_patient(request).patient_id
    row = await services(request).database.fetch_row(queries.terms_online, *which)
    assert row is not None
    return periods_of(terms_of(row), appointment)
