"""A till of the desk: opened with its cash, closed with a count; who manages tills opens it again."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.money import currency_digits, in_units
from healthplus.text import number
from healthplus.web.desk.day.day import cell
from healthplus.web.desk.office.asks import REASON_LENGTH_MAX
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, ask, change, read_form, with_instants
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.http.payment_words import DESK_METHODS
from healthplus.web.languages import N_
from healthplus.web.pages.rendering import document, language_of, see_other
from healthplus.web.services import AnyRequest

KINDS = {"payment": N_("Paid"), "undo": N_("Undone"), "return": N_("Given back")}
_DONE = {
    "opened": N_("Your till is open."),
    "closed": N_("The till is closed."),
    "reopened": N_("The till is open again."),
    "is_open": N_("This till is open already."),
    "till_closed": N_("This till is closed already. What is shown now is right."),
}
_OVER = N_(
    "The till was not closed: more was recorded in it meanwhile. Count again, and compare with what is shown now."
)
_NOTE = N_("Something is too much or missing: say what you know of it.")
_COLUMNS = ("time", "appointment", "doctor", "what", "method", "amount", "reference", "reason")


class TillController(Controller):
    path = "/desk/{clinic_id:int}/till"

    @get(**needs("take_payment"))
    async def own(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Show one's own till of today, or how to open it."""
        return await _till_page(request, clinic_id, await _own(request, clinic_id))

    @post("/open", **needs("take_payment"))
    async def open(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        began = form.fee("float", (await read_clinic(request, clinic_id))["currency"])
        if not form.is_good:
            return await _till_page(request, clinic_id, await _own(request, clinic_id), form)
        row = await change(request, queries.open_till, clinic_id, began)
        return see_other(request, f"/desk/{clinic_id}/till", {"done": row["code"]})

    @get("/{till_id:uuid}", **needs("take_payment"))
    async def one(self, request: AnyRequest, clinic_id: ClinicId, till_id: FromPath[UUID]) -> Response[str]:
        return await _till_page(request, clinic_id, await ask(request, queries.till, clinic_id, till_id))

    @post("/{till_id:uuid}/close", **needs("take_payment"))
    async def close(self, request: AnyRequest, clinic_id: ClinicId, till_id: FromPath[UUID]) -> Response[str]:
        """Close a till with what was counted in it, by each method."""
        form = await read_form(request)
        currency = (await read_clinic(request, clinic_id))["currency"]
        counted = {method: _counted(form, f"{method}_counted", currency) for method in DESK_METHODS}
        note = form.text("note", REASON_LENGTH_MAX)
        if form.is_good:
            row = await change(
                request, queries.close_till, clinic_id, till_id, [*counted.values()], _expected(form), note
            )
            if row["code"] in ("closed", "till_closed"):
                return see_other(request, f"/desk/{clinic_id}/till/{till_id}", {"done": row["code"]})
            text = {"note_needed": _NOTE}.get(row["code"], _OVER)
            form.fail("note", form.gettext(text))
        found = await ask(request, queries.till, clinic_id, till_id)
        differs = {method: minor - found["expected"][f"{method}_minor"] for method, minor in counted.items()}
        return await _till_page(request, clinic_id, found, form, differs)

    @post("/{till_id:uuid}/reopen", **needs("manage_tills"))
    async def reopen(self, request: AnyRequest, clinic_id: ClinicId, till_id: FromPath[UUID]) -> Response[str]:
        form = await read_form(request)
        reason = form.text("reason", REASON_LENGTH_MAX, required=True)
        if not form.is_good:
            return await _till_page(request, clinic_id, await ask(request, queries.till, clinic_id, till_id), form)
        row = await change(request, queries.reopen_till, clinic_id, till_id, reason)
        return see_other(request, f"/desk/{clinic_id}/till/{till_id}", {"done": row["code"]})

    @get("/{till_id:uuid}/csv", **needs("take_payment"))
    async def as_csv(self, request: AnyRequest, clinic_id: ClinicId, till_id: FromPath[UUID]) -> Response[bytes]:
        """Return what was recorded in a till as a table, with its float first, and each count after that."""
        found = await ask(request, queries.till, clinic_id, till_id)
        zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
        currency = found["currency"]
        file = io.StringIO()
        table = csv.writer(file)
        table.writerow([*_COLUMNS[:5], f"amount ({currency})", *_COLUMNS[6:]])
        began = f"{found['opened_at'].astimezone(zone):%H:%M}"
        table.writerow([began, "", "", "float", "cash", in_units(found["float_minor"], currency), "", ""])
        for row in found["rows"]:
            table.writerow(
                [
                    f"{row['paid_at'].astimezone(zone):%H:%M}",
                    number_of(UUID(row["booking_id"])),
                    *(cell(row[name]) for name in ("provider", "kind", "method")),
                    in_units(row["amount_minor"], currency),
                    *(cell(row[name]) for name in ("reference", "reason")),
                ]
            )
        for closing in reversed(found["closings"]):
            at = f"{closing['closed_at'].astimezone(zone):%H:%M}"
            for method in DESK_METHODS:
                for what, name in (("expected", f"{method}_minor"), ("counted", f"{method}_counted_minor")):
                    table.writerow(
                        [at, "", "", what, method, in_units(closing[name], currency), "", cell(closing["note"])]
                    )
        name = f"attachment; filename=till-{found['day']}.csv"
        return document(request, file.getvalue().encode(), "text/csv", headers={"Content-Disposition": name})


def _counted(form: Form, field: str, currency: str) -> int:
    """Return what was counted, in the smallest unit; of what a machine or an app says it may be below zero."""
    text = number(form.given.get(field, "")).replace(",", "")
    digits = currency_digits(currency)
    if re.fullmatch(rf"-?\d{{1,10}}(\.\d{{1,{digits}}})?" if digits else r"-?\d{1,10}", text, re.ASCII):
        return int(Decimal(text).scaleb(digits))
    form.fail(field, form.gettext("An amount such as 500 or 649.50.") if text else form.gettext("This is needed."))
    return 0


def _expected(form: Form) -> list[int]:
    """Return what was expected, as the form showed it: in the smallest unit, by each method."""
    parts = form.given.get("expected", "").split()
    return [int(one) for one in parts if re.fullmatch(r"-?\d{1,15}", one, re.ASCII)]


async def _own(request: AnyRequest, clinic_id: int) -> dict[str, Any] | None:
    found: dict[str, Any] | None = with_instants(await console(request).fetch_value(queries.till, clinic_id, None))
    return found


async def _till_page(
    request: AnyRequest,
    clinic_id: int,
    till: dict[str, Any] | None,
    form: Form | None = None,
    differs: dict[str, int] | None = None,
) -> Response[str]:
    session = require_staff(request)
    form = form or Form({}, language_of(request))
    return desk_page(
        request,
        "day/till.html",
        status=422 if form.errors else 200,
        clinic=await read_clinic(request, clinic_id),
        clinic_id=clinic_id,
        till=till,
        tills=await console(request).fetch(queries.open_tills, clinic_id),
        manages=session.may("manage_tills", clinic_id),
        methods=DESK_METHODS,
        kinds=KINDS,
        differs=differs or {},
        done=_DONE.get(request.query_params.get("done", "")) if request.method == "GET" else None,
        number_of=lambda booking_id: number_of(UUID(booking_id)),
        given=Typed(form.given),
        errors=Typed(form.errors),
    )
