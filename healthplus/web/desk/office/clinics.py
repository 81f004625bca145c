"""The clinics of an office: which one sees to, what a clinic says of itself, adding, closing and opening one."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from healthplus.database import Range
from healthplus.directory.gstin import checked_gstin
from healthplus.errors import BadInput
from healthplus.names import slug
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import (
    Typed,
    ask,
    change,
    note_refusal,
    office_page,
    queries,
    read_form,
    seen_at,
)
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

_ROWS_SHOWN = 50
_FIELDS = ("name", "address", "postal_code", "phone", "gstin", "latitude", "longitude", "lead_minutes")


class OfficesController(Controller):
    path = "/office"

    @get(**needs("manage_schedule"))
    async def clinics(self, request: AnyRequest) -> Response[str]:
        """Show the clinics that one sees to; administrators, who see to all, look for one by its name."""
        session = require_staff(request)
        is_administrator = session.may("manage_staff")
        name = request.query_params.get("name", "")[:200]
        rows: list[Any] = []
        if not is_administrator:
            memberships = await services(request).staff_sessions.memberships(session)
            rows = [row for row in memberships if session.may("manage_schedule", row["clinic_id"])]
        return desk_page(
            request, "office/clinics.html", clinics=rows, is_administrator=is_administrator, name=name, tab=""
        )

    @get("/find", **needs("manage_staff"))
    async def find(self, request: AnyRequest) -> Response[str]:
        name = request.query_params.get("name", "")[:200]
        rows = await console(request).fetch(queries.clinics_named, name)
        return desk_page(request, "office/clinics.html", clinics=rows, is_administrator=True, name=name, tab="")

    @get("/new", **needs("manage_staff"))
    async def ask_new(self, request: AnyRequest) -> Response[str]:
        return _new_page(request, None)

    @post("/new", **needs("manage_staff"))
    async def add(self, request: AnyRequest) -> Response[str]:
        form = await read_form(request)
        clinic = _clinic_of(form, is_new=True)
        if not form.is_good:
            return _new_page(request, form)
        row = await console(request).change(queries.add_clinic, clinic)
        assert row is not None
        return see_other(request, f"/office/{row['answer']}", {"done": "added"})


class ClinicController(Controller):
    path = "/office/{clinic_id:int}"

    @get(**needs("manage_schedule"))
    async def overview(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return office_page(
            request, "overview.html", clinic_id, "providers", clinic=await ask(request, queries.office, clinic_id)
        )

    @get("/clinic", **needs("manage_schedule"))
    async def profile(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _profile_page(request, clinic_id)

    @post("/clinic", **needs("manage_schedule"))
    async def change_profile(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        clinic = _clinic_of(form, is_new=False)
        if not form.is_good:
            return await _profile_page(request, clinic_id, form)
        version = form.given.get("version", "")
        answer = await change(request, queries.put_clinic, clinic_id, clinic, version)
        if answer["code"] == "other":
            return await _profile_page(request, clinic_id, form, answer=answer)
        return see_other(request, f"/office/{clinic_id}/clinic", {"done": "saved"})

    @post("/close", **needs("manage_schedule"))
    async def close(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Close all providers at the clinic, then it, once the sender was shown which bookings are in the way."""
        form, now = await read_form(request), services(request).clock.now()
        seen = seen_at(form)
        always = Range(now, now.replace(year=now.year + 10, day=1))
        blocked = await ask(request, queries.in_the_way_of_holiday, clinic_id, always, _ROWS_SHOWN)
        if seen is None and blocked["in_the_way"]:
            return await _profile_page(request, clinic_id, form, answer=blocked)
        clinic = await ask(request, queries.office, clinic_id)
        for provider in clinic["providers"]:
            if provider["closed_at"] is None:
                closes = (clinic_id, provider["provider_id"], now, seen)
                answer = await change(request, queries.set_provider_closed, *closes)
                if answer["code"] == "conflict":
                    note_refusal(form, answer, request)
                    blocked = await ask(request, queries.in_the_way_of_holiday, clinic_id, always, _ROWS_SHOWN)
                    return await _profile_page(request, clinic_id, form, answer=blocked)
        await change(request, queries.set_clinic_closed, clinic_id, now)
        return see_other(request, f"/office/{clinic_id}/clinic", {"done": "closed"})

    @post("/open", **needs("manage_schedule"))
    async def open(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Open the clinic again, with the providers that were closed with it."""
        clinic = await ask(request, queries.office, clinic_id)
        await change(request, queries.set_clinic_closed, clinic_id, None)
        for provider in clinic["providers"]:
            if provider["closed_at"] is not None and provider["closed_at"] == clinic["closed_at"]:
                opens = (clinic_id, provider["provider_id"], None, None)
                await change(request, queries.set_provider_closed, *opens)
        return see_other(request, f"/office/{clinic_id}/clinic", {"done": "open"})


def _clinic_of(form: Form, *, is_new: bool) -> dict[str, Any]:
    """Return a clinic as a form gives it; a new one's city comes with it, and stays."""
    latitude, longitude = form.degrees("latitude", 90), form.degrees("longitude", 180)
    if (latitude is None) != (longitude is None):
        form.fail("latitude", form.gettext("Both latitude and longitude, or neither."))
    clinic: dict[str, Any] = {
        "name": form.text("name", 200, required=True),
        "address": form.text("address", 500, required=True),
        "postal_code": form.text("postal_code", 20),
        "phone": form.text("phone", 40),
        "gstin": _gstin(form),
        "latitude": latitude,
        "longitude": longitude,
        "lead_minutes": form.number("lead_minutes", 7, 1440, 10),
    }
    if is_new:
        city, state = form.text("city", 100, required=True), form.text("state", 100, required=True)
        clinic |= {"city": city, "state": state, "city_slug": slug(city)}
    return clinic


def _gstin(form: Form) -> str:
    text = form.text("gstin", 30)
    try:
        return checked_gstin(text) if text else ""
    except BadInput:
        form.fail("gstin", form.gettext("15 letters and digits, such as 27AAPFU0939F1ZV; one of these is mistyped."))
    return ""


def _new_page(request: AnyRequest, form: Form | None) -> Response[str]:
    return desk_page(
        request,
        "office/clinic_new.html",
        status=422 if form else 200,
        given=Typed(form.given if form else {}),
        errors=Typed(form.errors if form else {}),
        answer=None,
        tab="",
    )


async def _profile_page(
    request: AnyRequest, clinic_id: int, form: Form | None = None, answer: dict[str, Any] | None = None
) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    stored = {name: str(clinic[name] or "") for name in _FIELDS}
    if form is None:
        form = Form(stored, language_of(request))
    elif "name" not in form.given:  # of closing
        form.given = {**stored, **form.given}
    return office_page(
        request,
        "clinic.html",
        clinic_id,
        "clinic",
        form,
        clinic=clinic,
        answer=answer,
        zone=clinic["time_zone"],
    )
