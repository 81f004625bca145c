"""The clinics of an office: which one sees to, what a clinic says of itself, adding, closing and opening one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.database import Range
from healthplus.directory.gstin import checked_gstin
from healthplus.errors import BadInput, Forbidden
from healthplus.names import slug
from healthplus.text import comparable, postal_code
from healthplus.till.upi import checked_upi_id
from healthplus.web.desk.office.clinic_page import clinic_page
from healthplus.web.desk.office.closing import end_shifts, last_day_of
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import BODY_BYTES_MAX, Typed, ask, change, office_page, read_form
from healthplus.web.desk.office.leave import at_clock
from healthplus.web.desk.office.over_all import at_once, change_all
from healthplus.web.desk.office.question import is_sure, question_page
from healthplus.web.desk.office.tabs import first_page, has_office
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.booking import parsed_instant
from healthplus.web.pages.home import known_names
from healthplus.web.pages.rendering import see_other
from healthplus.web.services import AnyRequest, services

_SAME_NAME_MAX = 50
_POSTAL_CODE = r"(?=.*\d)[A-Za-z\d]{2,6}([ -]?[A-Za-z\d]{2,4})?"
"""Also as other countries write them."""


class OfficesController(Controller):
    path = "/office"

    @get(**needs("logged_in"))
    async def clinics(self, request: AnyRequest) -> Response[str]:
        """Show the clinics that one sees to; who sees to all goes on to where clinics are looked for by name."""
        session = require_staff(request)
        if (first := first_page(session, None)) is not None:
            return see_other(request, first)
        if not has_office(session):
            raise Forbidden
        memberships = await services(request).staff_sessions.memberships(session)
        pages = [(row["clinic"], first_page(session, row["clinic_id"])) for row in memberships]
        return desk_page(request, "office/clinics.html", pages=[one for one in pages if one[1]], tab="")

    @get("/new", **needs("manage_clinics"))
    async def ask_new(self, request: AnyRequest) -> Response[str]:
        return _new_page(request, None)

    @post("/new", **needs("manage_clinics"))
    async def add(self, request: AnyRequest) -> Response[str]:
        form = await read_form(request)
        clinic = _clinic_from_form(form, is_new=True)
        if not form.is_good:
            return _new_page(request, form)
        if not is_sure(form) and (doubt := await _doubt_of(request, form, clinic)):
            return question_page(
                request, form, "/office/new", form.gettext("Is this right?"), doubt, form.gettext("Add the clinic")
            )
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
        return await clinic_page(request, clinic_id)

    @post("/clinic", **needs("manage_schedule"))
    async def change_profile(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        clinic = _clinic_from_form(form, is_new=False)
        if not form.is_good:
            return await clinic_page(request, clinic_id, form)
        version = form.given.get("version", "")
        answer = await change(request, queries.put_clinic, clinic_id, clinic, version)
        if answer["code"] == "stale":
            return await clinic_page(request, clinic_id, form, answer=answer)
        return see_other(request, f"/office/{clinic_id}/clinic", {"done": "saved"})

    @post("/close", request_max_body_size=BODY_BYTES_MAX, **needs("manage_schedule"))
    async def close(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Close all providers at the clinic, then it, once the sender was shown which bookings are in the way.

        After a last day: their shifts end with it, and what is in the way can be moved to days before.
        """
        form, now = await read_form(request), services(request).clock.now()
        clinic = await ask(request, queries.office, clinic_id)
        last = last_day_of(form, clinic["time_zone"], now)
        if not form.is_good:
            return await clinic_page(request, clinic_id, form)
        begins_at = now if last is None else at_clock(last + timedelta(days=1), 0, clinic["time_zone"])
        closes_at = _closing_since(form, now)

        async def close_one(provider_id: int, seen: datetime | None, moves: dict[str, str]) -> dict[str, Any]:
            if last is not None:
                return await end_shifts(request, clinic_id, provider_id, last, seen, moves)
            return await change(request, queries.set_provider_closed, clinic_id, provider_id, closes_at, seen)

        during = Range(begins_at, begins_at + timedelta(days=3660))
        blocked, counts = await change_all(request, clinic, form, during, close_one, "last_day")
        if blocked is not None:
            return await clinic_page(request, clinic_id, form, answer=blocked)
        if last is not None:
            return see_other(request, f"/office/{clinic_id}", {"done": "ends", **counts})
        answer = await change(request, queries.set_clinic_closed, clinic_id, closes_at)
        if answer["code"] == "open":
            form.fail("last_day", form.gettext("Meanwhile somebody opened a doctor here. Close the clinic again."))
            return await clinic_page(request, clinic_id, form)
        return see_other(request, f"/office/{clinic_id}/clinic", {"done": "closed", **counts})

    @post("/open", **needs("manage_schedule"))
    async def open(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Open the clinic again, with the providers that were closed with it; what was flagged stands where it can."""
        clinic = await ask(request, queries.office, clinic_id)
        await change(request, queries.set_clinic_closed, clinic_id, None)
        answers = await at_once(
            request,
            [
                change(request, queries.set_provider_closed, clinic_id, provider["provider_id"], None, None)
                for provider in clinic["providers"]
                if provider["closed_at"] is not None and provider["closed_at"] == clinic["closed_at"]
            ],
        )
        stands = sum(answer["stands"] for answer in answers)
        return see_other(request, f"/office/{clinic_id}/clinic", {"done": "open", "stands": stands or ""})


async def _doubt_of(request: AnyRequest, form: Form, clinic: dict[str, Any]) -> str:
    """Return what is to be looked at again before a clinic is added: it may be there, or its city mistyped."""
    rows = await console(request).fetch(queries.clinics, clinic["name"], None, 0, _SAME_NAME_MAX)
    city, name = comparable(clinic["city"]), comparable(clinic["name"])
    if any(comparable(row["name"]) == name and comparable(row["city"]) == city for row in rows):
        return form.gettext("There is a clinic of this name in %(city)s already.") % {"city": clinic["city"]}
    cities, _ = await known_names(request)
    if clinic["city_slug"] not in {one["slug"] for one in cities}:
        place = {"city": clinic["city"], "state": clinic["state"]}
        return form.gettext("No clinic in %(city)s, %(state)s can be booked yet. Is the city spelt right?") % place
    return ""


def _closing_since(form: Form, now: datetime) -> datetime:
    """Return since when all of a clinic is closed, also what was closed before the form came again; that keeps it."""
    began = parsed_instant(form.given.get("closing", ""))
    if began is None or not now - timedelta(hours=1) <= began <= now:
        began = now
    form.given["closing"] = began.isoformat()
    return began


def _clinic_from_form(form: Form, *, is_new: bool) -> dict[str, Any]:
    """Return a clinic as a form gives it; a new one's city comes with it, and stays."""
    latitude, longitude = form.degrees("latitude", 90), form.degrees("longitude", 180)
    if (latitude is None) != (longitude is None):
        form.fail("latitude", form.gettext("Both latitude and longitude, or neither."))
    clinic: dict[str, Any] = {
        "name": form.name("name", 200, required=True),
        "address": form.text("address", 500, required=True),
        "postal_code": form.written(
            "postal_code", 20, _POSTAL_CODE, form.gettext("A PIN code, such as 411004."), postal_code
        ),
        "phone": form.phone("phone"),
        "gstin": _gstin(form),
        "upi_id": _upi_id(form),
        "latitude": latitude,
        "longitude": longitude,
        "facilities": form.names("facilities", 20),
        "lead_minutes": form.number("lead_minutes", 7, 1440, 10),
    }
    if is_new:
        city, state = form.name("city", 100, required=True), form.name("state", 100, required=True)
        clinic |= {"city": city, "state": state, "city_slug": slug(city)}
    return clinic


def _gstin(form: Form) -> str:
    text = form.text("gstin", 30)
    try:
        return checked_gstin(text) if text else ""
    except BadInput:
        form.fail("gstin", form.gettext("15 letters and digits, such as 27AAPFU0939F1ZV; one of these is mistyped."))
    return ""


def _upi_id(form: Form) -> str:
    text = form.text("upi_id", 130)
    try:
        return checked_upi_id(text) if text else ""
    except BadInput:
        form.fail("upi_id", form.gettext("A name, @ and a bank, such as clinic@okaxis."))
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
