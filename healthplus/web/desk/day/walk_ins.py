"""Who comes without an appointment gets a token; a ward administrator books a time that is taken once more."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.console.console import queries
from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.web.desk.day.people import who_page
from healthplus.web.desk.day.sheet import seen_until
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, ask, read_form, with_instants
from healthplus.web.desk.refused import WITH_REASON, refusal
from healthplus.web.desk.session import console, desk_page, needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_instant, parsed_number
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.pages.session import idempotency_key
from healthplus.web.services import AnyRequest, services

_REASON_LENGTH_MAX = 500
_OWN = {
    **WITH_REASON,
    "same_day": N_(
        "They have an appointment with this doctor today. Find them on the day sheet, and record their arrival."
    ),
}
"""What is said of a walk-in in words of their own."""


class WalkInController(Controller):
    path = "/desk/{clinic_id:int}"

    @get("/walk-in", **needs("book"))
    async def choose(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Ask who it is, and then to which doctor they go."""
        form = Form({**request.query_params}, language_of(request))
        if _person_of(form) is None:
            return await who_page(request, clinic_id, "walk-in")
        return await _walk_in_page(request, clinic_id, form)

    @post("/walk-in", **needs("book"))
    async def take_in(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        person_id, provider_id = _person_of(form), _chosen_provider(form)
        if person_id is None:
            raise NotFound
        reason = form.text("reason", _REASON_LENGTH_MAX)
        if not form.is_good:
            return await _walk_in_page(request, clinic_id, form)
        row = await console(request).change(
            queries.walk_in,
            *(clinic_id, provider_id, person_id, await _services_of(request, clinic_id, form, provider_id)),
            *(bool(form.given.get("text")), reason, idempotency_key(form.given, "person", "provider")),
        )
        return await _answer(request, clinic_id, form, row, "provider") or await _walk_in_page(request, clinic_id, form)

    @get("/overbook", **needs("change_booking"))
    async def ask_why(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Ask for whom a time that is taken is to be booked once more, and then why."""
        form = Form({**request.query_params}, language_of(request))
        if _person_of(form) is None:
            return await who_page(request, clinic_id, "overbook")
        if parsed_instant(form.given.get("start", "")) is None or not form.given.get("provider"):
            raise NotFound
        return await _overbook_page(request, clinic_id, form)

    @post("/overbook", **needs("change_booking"))
    async def overbook(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        person_id, provider_id = _person_of(form), _chosen_provider(form)
        start = parsed_instant(form.given.get("start", ""))
        if person_id is None or start is None:
            raise NotFound
        reason = form.text("reason", _REASON_LENGTH_MAX, required=True)
        if not form.is_good:
            return await _overbook_page(request, clinic_id, form)
        row = await console(request).change(
            queries.overbook,
            *(clinic_id, provider_id, start, person_id, await _services_of(request, clinic_id, form, provider_id)),
            *(reason, idempotency_key(form.given, "person", "provider", "start")),
        )
        return await _answer(request, clinic_id, form, row, "start") or await _overbook_page(request, clinic_id, form)

    @get("/token/{token_id:uuid}", **needs("see_clinic"))
    async def token(self, request: AnyRequest, clinic_id: ClinicId, token_id: FromPath[UUID]) -> Response[str]:
        """Show the token of an appointment large, to be called out or printed: it names no patient."""
        slip = await ask(request, queries.token_slip, clinic_id, token_id)
        clinic = await read_clinic(request, clinic_id)
        return desk_page(
            request,
            "day/token.html",
            clinic=clinic,
            day=slip["starts_at"].astimezone(ZoneInfo(clinic["time_zone"])).date(),
            clinic_id=clinic_id,
            booking_id=token_id,
            slip=slip,
            seen=seen_until(slip["undo_until_at"]) if slip["undo_until_at"] else "",
            texted=request.query_params.get("texted") == "1",
        )


async def _answer(
    request: AnyRequest, clinic_id: int, form: Form, row: Record | None, field: str
) -> Response[str] | None:
    """Return where a form that was taken leads; None where it was not, which the form says then. Raises NotFound."""
    assert row is not None
    if row["code"] == "not_found":
        raise NotFound
    services(request).book.changed(_chosen_provider(form))
    zone = (await read_clinic(request, clinic_id))["time_zone"]
    if row["code"] != "booked":
        about = "reason" if row["code"] in ("too_many_ahead", "too_many_unpaid") else field
        form.fail(about, refusal(row, zone, language_of(request), _OWN if field == "provider" else None))
        return None
    if field == "start":
        day = row["starts_at"].astimezone(ZoneInfo(zone)).date()
        return see_other(request, f"/desk/{clinic_id}/{day}", {"done": "overbook", "about": str(row["booking_id"])})
    query = {"texted": "1"} if form.given.get("text") else {}
    return see_other(request, f"/desk/{clinic_id}/token/{row['booking_id']}", query)


def _person_of(form: Form) -> UUID | None:
    try:
        return UUID(form.given.get("person", ""))
    except ValueError:
        return None


def _chosen_provider(form: Form) -> int:
    """Return the doctor of a form. Raises NotFound."""
    return parsed_number(form.given.get("provider", ""))


async def _services_of(request: AnyRequest, clinic_id: int, form: Form, provider_id: int) -> list[int] | None:
    """Return what they come for: the service of the form, if it is this doctor's; at a laboratory a test; or None."""
    chosen = form.given.get("service", "")
    if chosen and form.given.get("service_of") == str(provider_id):
        return [parsed_number(chosen)]
    found = await _choices(request, clinic_id, None, provider_id)
    if found["provider_id"] != provider_id:
        raise NotFound
    return found["service_ids"] or None


async def _choices(
    request: AnyRequest, clinic_id: int, person_id: UUID | None, provider_id: int | None
) -> dict[str, Any]:
    return await ask(request, queries.booking_choices, clinic_id, person_id, provider_id, None, None)


async def _walk_in_page(request: AnyRequest, clinic_id: int, form: Form) -> Response[str]:
    values = await _values(request, clinic_id, form)
    doctors = with_instants(await console(request).fetch_value(queries.walk_in_doctors, clinic_id))
    # Of those whom they can see the one chosen, or whom the same member of the staff booked last; else the first.
    open_ids = [one["provider_id"] for one in doctors if one["free_at"] or one["tokens_left"]]
    wanted = values["chosen"] if values["chosen"] in open_ids else next(iter(open_ids), None)
    return desk_page(request, "day/walk_in.html", **values, doctors=doctors, wanted=wanted)


async def _overbook_page(request: AnyRequest, clinic_id: int, form: Form) -> Response[str]:
    values = await _values(request, clinic_id, form)
    name = next((one["name"] for one in values["found"]["providers"] if one["provider_id"] == values["chosen"]), None)
    if name is None:
        raise NotFound
    start = parsed_instant(form.given.get("start", ""))
    return desk_page(request, "day/overbook.html", **values, start=start, provider=name, wanted=values["chosen"])


async def _values(request: AnyRequest, clinic_id: int, form: Form) -> dict[str, Any]:
    """Return what both pages show: who it is, what was typed, what is wrong with it, and what the doctor offers."""
    provider_id = parsed_number(form.given["provider"]) if form.given.get("provider") else None
    found = await _choices(request, clinic_id, _person_of(form), provider_id)
    form.given["key"] = secrets.token_urlsafe(16)
    return {
        "status": 409 if form.errors else 200,
        "clinic": await read_clinic(request, clinic_id),
        "clinic_id": clinic_id,
        "found": found,
        "person": found["person"],
        "chosen": found["provider_id"],
        "given": Typed(form.given),
        "errors": Typed(form.errors),
        "sexes": SEXES,
        "this_year": services(request).clock.now().year,
    }
