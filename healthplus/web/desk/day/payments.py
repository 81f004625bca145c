"""What is paid for an appointment at the desk: recorded, given back, and asked for by a text."""

from __future__ import annotations

import secrets
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath
from markupsafe import Markup

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.errors import NotFound, ProofDue
from healthplus.money import in_units
from healthplus.till.upi import qr_svg, upi_link
from healthplus.web.desk.day.sheet import seen_until
from healthplus.web.desk.office.asks import REASON_LENGTH_MAX, STATES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, ask, change, read_form
from healthplus.web.desk.session import desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.http.payment_words import DESK_METHODS
from healthplus.web.languages import N_
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.pages.session import idempotency_key
from healthplus.web.services import AnyRequest, services

_REFERENCE_LENGTH_MAX = 60
_NOT_DONE = {
    "not_payable": N_(
        "Nothing was recorded: nothing is to be paid at the clinic for this appointment. What is shown now is right."
    ),
    "over": N_("Nothing was recorded: somebody recorded a payment meanwhile. What is shown now is right."),
    "other_request": N_("This form was sent before with something else in it. Look at it and send it again."),
    "no_till": N_("Say how much cash is in your till, which opens it for today."),
    "till_closed": N_(
        "Nothing was recorded: your till of today is closed. A ward administrator can open it again, in the office."
    ),
    "too_large": N_("Nothing was recorded: this is more than can be recorded for one appointment."),
    "more_than_owed": N_("This is more than is owed. If it is right, tick that it is, and send it again."),
    "too_much": N_("Nothing was recorded: this is more than is left of that payment."),
}
_FIELDS = {"more_than_owed": "amount", "too_large": "amount", "too_much": "amount", "no_till": "float"}
_LINK = {
    "sent": N_("The text is on its way. The page that it leads to says how they pay from their phone."),
    "sent_before": N_("This was sent within the last hour already."),
    "not_payable": N_(
        "Nothing is owed, or it cannot be paid from a phone: the clinic takes nothing online and has no UPI id set."
    ),
    "unreachable": N_("They cannot be reached by any message. Show them the QR code instead."),
}


class PaymentController(Controller):
    path = "/desk/{clinic_id:int}/{day:date}/visit/{booking_id:uuid}"

    @get("/pay", **needs("take_payment"))
    async def page(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        asked = {name: request.query_params.get(name, "")[:60] for name in ("amount", "give", "link")}
        return await _pay_page(request, clinic_id, day, booking_id, Form(asked, language_of(request)))

    @post("/pay", **needs("take_payment"))
    async def record(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Record that a fee, or a part of it, was paid; where no till is open, with the cash that it begins with."""
        form, provider_id, amounts = await _read(request, clinic_id, booking_id)
        if form.is_good:
            row = await change(
                request, queries.record_payment, clinic_id, provider_id, booking_id, form.given["method"],
                amounts["amount"], form.given["reference"], amounts["float"], amounts["seen"],
                bool(form.given.get("sure")), idempotency_key(form.given, "method", "amount", "reference"),
            )  # fmt: skip
            if row["code"] == "recorded":
                return await _recorded(request, clinic_id, day, booking_id, "paid")
            _say_why_not(form, row["code"])
        return await _pay_page(request, clinic_id, day, booking_id, form)

    @post("/return", **needs("take_payment"))
    async def give_back(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Record that money was given back, of one of the payments."""
        form, provider_id, amounts = await _read(request, clinic_id, booking_id)
        payment_id = _id_of(form.given.get("give", ""))
        reason = form.text("reason", REASON_LENGTH_MAX, required=True)
        if payment_id is None:
            raise NotFound
        if form.is_good:
            try:
                row = await change(
                    request, queries.return_payment, clinic_id, provider_id, booking_id, payment_id,
                    form.given["method"], amounts["amount"], form.given["reference"], reason, amounts["float"],
                    amounts["seen"], idempotency_key(form.given, "method", "amount", "reference", "reason", "give"),
                )  # fmt: skip
            except ProofDue:
                back_to = f"/desk/{clinic_id}/{day}/visit/{booking_id}/pay?give={payment_id}"
                raise ProofDue(back_to=back_to) from None
            if row["code"] == "returned":
                return await _recorded(request, clinic_id, day, booking_id, "returned")
            _say_why_not(form, row["code"])
        return await _pay_page(request, clinic_id, day, booking_id, form)

    @post("/pay-link", **needs("take_payment"))
    async def send_link(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Text the patient where they can pay from their phone."""
        found = await ask(request, queries.desk_payments, clinic_id, booking_id)
        row = await change(
            request, queries.send_pay_link, clinic_id, found["provider_id"], booking_id,
            _online(request, found),
        )  # fmt: skip
        return see_other(request, f"/desk/{clinic_id}/{day}/visit/{booking_id}/pay", {"link": row["code"]})


async def _read(request: AnyRequest, clinic_id: int, booking_id: UUID) -> tuple[Form, int, dict[str, int | None]]:
    """Return a form, the provider, and its amounts in the smallest unit: `float` is None where a till was open."""
    form = await read_form(request)
    clinic = await read_clinic(request, clinic_id)
    form.choice("method", DESK_METHODS)
    amount = form.fee("amount", clinic["currency"])
    if amount == 0:
        form.fail("amount", form.gettext("An amount such as 500 or 649.50."))
    form.given["reference"] = form.text("reference", _REFERENCE_LENGTH_MAX)
    began = form.fee("float", clinic["currency"]) if "float" in form.given else None
    seen = form.given.get("seen", "")
    seen_minor = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) <= 9 else -1
    found = await ask(request, queries.desk_payments, clinic_id, booking_id)
    return form, found["provider_id"], {"amount": amount, "float": began, "seen": seen_minor}


async def _recorded(request: AnyRequest, clinic_id: int, day: date, booking_id: UUID, what: str) -> Response[str]:
    """Lead back to the day, which offers to undo what was recorded."""
    found = await ask(request, queries.desk_payments, clinic_id, booking_id)
    services(request).book.changed(found["provider_id"])
    until = found["payments"][-1]["undo_until_at"]
    undo = {"undo": str(found["provider_id"]), "seen": seen_until(until)} if until else {}
    return see_other(request, f"/desk/{clinic_id}/{day}", {"changed": what, "about": str(booking_id), **undo})


def _online(request: AnyRequest, found: dict[str, Any]) -> bool:
    """Return whether the patient can pay online what is to be paid at the clinic."""
    return found["is_payable_online"] and bool(services(request).payments.gateways.of(found["account"]).methods)


def _say_why_not(form: Form, code: str) -> None:
    form.fail(_FIELDS.get(code, "seen"), form.gettext(_NOT_DONE[code]))
    if code == "more_than_owed":
        form.given["is_too_much"] = "1"
    elif code in ("over", "other_request"):
        form.given.pop("seen", None)
        form.given.pop("key", None)


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _pay_page(request: AnyRequest, clinic_id: int, day: date, booking_id: UUID, form: Form) -> Response[str]:
    clinic = await read_clinic(request, clinic_id)
    currency = clinic["currency"]
    found = await ask(request, queries.desk_payments, clinic_id, booking_id)
    given_back = next(
        (one for one in found["payments"] if one["payment_id"] == form.given.get("give") and one["left_minor"]), None
    )
    if form.given.get("give") and given_back is None and not form.errors:
        raise NotFound
    proposed = given_back["left_minor"] if given_back else found["owed_minor"]
    if not form.given.get("amount") and "amount" not in form.errors and proposed:
        form.given["amount"] = str(in_units(proposed, currency))
    form.given.setdefault("method", "cash")
    form.given.setdefault("seen", str(found["paid_minor"]))
    form.given.setdefault("key", secrets.token_urlsafe(16))
    number = number_of(booking_id)
    shown = Form({"amount": form.given.get("amount", "")}, language_of(request))
    amount = shown.fee("amount", currency)
    link = (
        upi_link(found["upi_id"], clinic["name"], amount, number)
        if found["upi_id"] and amount and not given_back
        else ""
    )
    status = 422 if form.errors.keys() - {"seen"} else 409 if form.errors else 200
    values: dict[str, Any] = {
        "clinic": clinic,
        "clinic_id": clinic_id,
        "day": day,
        "booking_id": booking_id,
        "found": found,
        "takes_online": _online(request, found),
        "give": given_back,
        "number": number,
        "qr": Markup(qr_svg(link)) if link else "",  # noqa: S704 - made of squares alone
        "qr_minor": amount,
        "methods": DESK_METHODS,
        "states": STATES,
        "link_said": _LINK.get(form.given.get("link", "")),
        "seen_until": seen_until,
        "viewer": str(require_staff(request).actor),
    }
    return desk_page(
        request, "day/pay.html", status=status, given=Typed(form.given), errors=Typed(form.errors), **values
    )
