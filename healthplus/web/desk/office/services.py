"""What a clinic's providers offer there, and what is kept of a fee when a patient cancels."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.directory.fees import amount_text
from healthplus.directory.ladder import Step, ladder_text, parse_ladder
from healthplus.directory.preparation import PREPARATION_MAX
from healthplus.directory.service_text import BUFFER_MINUTES_MAX, LENGTH_MINUTES_MAX, NAME_MAX, Service, check_service
from healthplus.directory.weekdays import has_day, in_bits
from healthplus.errors import BadInput, NotFound
from healthplus.names import service_slug
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, change, office_page, read_form
from healthplus.web.desk.office.question import is_sure, question_page
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId, ServiceId
from healthplus.web.languages import N_
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest

_STEPS_SHOWN = 5
_NOT_PUT = {
    "stale": N_("Someone closed or changed this service meanwhile. Saving again puts yours in the place of theirs."),
    "elsewhere": N_("It has this name at the doctor’s other clinics, too. Keep the name, or add another service."),
}


class ServicesController(Controller):
    path = "/office/{clinic_id:int}"

    @get("/services", **needs("manage_schedule"))
    async def services(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _services_page(request, clinic_id)

    @post("/services", **needs("manage_schedule"))
    async def put(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Add a service, or put it in the place of one that is changed or has its name; what is booked stays."""
        form = await read_form(request)
        known = await ask(request, queries.services, clinic_id)
        provider = form.choice("provider", {str(one["provider_id"]): "" for one in known["providers"]})
        service = _service_of(form, known["currency"])
        former = form.id("change", form.gettext(_NOT_PUT["stale"]))
        if service is None or not form.is_good:
            return await _services_page(request, clinic_id, form)
        row = msgspec.structs.asdict(service) | {"service_type": service_slug(service.name)}
        answer = await change(request, queries.put_service, clinic_id, int(provider), row, former)
        if answer["code"] in _NOT_PUT:
            form.fail("name", form.gettext(_NOT_PUT[answer["code"]]))
            if answer["code"] == "stale":
                form.given["change"] = ""
            return await _services_page(request, clinic_id, form)
        return see_other(request, f"/office/{clinic_id}/services", {"done": answer["code"]})

    @post("/services/{service_id:int}/close", **needs("manage_schedule"))
    async def close(self, request: AnyRequest, clinic_id: ClinicId, service_id: ServiceId) -> Response[str]:
        form = await read_form(request)
        if not is_sure(form):
            known = await ask(request, queries.services, clinic_id)
            open_ones = {one["service_id"]: one for one in known["services"] if one["closed_at"] is None}
            if service_id not in open_ones or not open_ones[service_id]["may_close"]:
                raise NotFound
            return _ask_to_close(request, form, clinic_id, open_ones[service_id])
        await change(request, queries.close_service, clinic_id, service_id)
        return see_other(request, f"/office/{clinic_id}/services", {"done": "closed"})

    @get("/terms", **needs("manage_schedule"))
    async def terms(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _terms_page(request, clinic_id)

    @post("/terms", **needs("manage_schedule"))
    async def set_terms(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        known = await ask(request, queries.services, clinic_id)
        slug = form.choice("service", {"": "", **{one["slug"]: "" for one in known["services"]}})
        steps = _steps_of(form, known["currency"])
        if not form.is_good:
            return await _terms_page(request, clinic_id, form)
        columns = [[step.hours_before for step in steps], [step.kept_percent for step in steps]]
        amounts = [step.kept_minor for step in steps]
        await change(request, queries.set_terms, clinic_id, slug or None, *columns, amounts)
        return see_other(request, f"/office/{clinic_id}/terms", {"done": "saved"})


def _ask_to_close(request: AnyRequest, form: Form, clinic_id: int, service: dict[str, Any]) -> Response[str]:
    asked = form.gettext("Close %(name)s?") % {"name": f"{service['name']}, {service['provider']}"}
    says = form.gettext(
        "It can no longer be booked. What is booked stays. It cannot be opened again, only added as new."
    )
    return question_page(request, form, f"/office/{clinic_id}/services", asked, says, form.gettext("Close the service"))


def _service_of(form: Form, currency: str) -> Service | None:
    name = form.name("name", NAME_MAX, required=True)
    fee_minor, funding = form.fee_and_funding(currency)
    is_test = form.given.get("kind") == "test"
    length_minutes = form.number("length_minutes", 0 if is_test else 1, LENGTH_MINUTES_MAX, 0 if is_test else None)
    buffer_minutes = form.number("buffer_minutes", 0, BUFFER_MINUTES_MAX, 0)
    days = form.days()
    if not days:
        form.fail("day_1", form.gettext("Tick at least one day."))
    preparation = form.text("preparation", PREPARATION_MAX)
    if set("=;") & set(name):
        form.fail("name", form.gettext("A name has no = or ;"))
    if buffer_minutes and length_minutes == 0:
        form.fail("buffer_minutes", form.gettext("What takes no time of its own has none after it either."))
    if not form.is_good or fee_minor is None or length_minutes is None or buffer_minutes is None:
        return None
    service = Service(
        name=name,
        is_test=is_test,
        fee_minor=fee_minor,
        length_minutes=length_minutes,
        funding=funding or None,
        buffer_minutes=buffer_minutes,
        weekdays=in_bits(days),
        allows_more_a_day=bool(form.given.get("more_a_day")),
        # A form that adds a service did not show what is known of one of the same name.
        preparation=preparation if preparation or form.given.get("change") else None,
    )
    return check_service(service, currency)


def _steps_of(form: Form, currency: str) -> tuple[Step, ...]:
    """Return the steps of a ladder, those with hours, in whatever order they were typed."""
    unit = form.choice("unit", ("percent", "amount"), "percent")
    parts = []
    for row in range(1, _STEPS_SHOWN + 1):
        if not form.given.get(f"hours_{row}", "").strip():
            if form.given.get(f"kept_{row}", "").strip():
                form.fail(f"hours_{row}", form.gettext("This is needed."))
            continue
        hours = form.number(f"hours_{row}", 1, 8784)
        kept = form.number(f"kept_{row}", 0, 100) if unit == "percent" else form.fee(f"kept_{row}", currency)
        if hours is not None and kept is not None:
            parts.append((hours, f"{kept}%" if unit == "percent" else amount_text(kept, currency)))
    if not parts or not form.is_good:
        return ()
    try:
        return parse_ladder(", ".join(f"{hours}h:{kept}" for hours, kept in sorted(parts, reverse=True)), currency)
    except BadInput:
        text = form.gettext("The closer the appointment, the more is kept, and each number of hours stands once.")
        form.fail("hours_1", text)
    return ()


async def _services_page(request: AnyRequest, clinic_id: int, form: Form | None = None) -> Response[str]:
    clinic = await ask(request, queries.services, clinic_id)
    if form is None:
        form = Form(_given_for(clinic, request.query_params), language_of(request))
    return office_page(
        request, "services.html", clinic_id, "services", form, clinic=clinic, has_day=has_day,
        length_minutes_max=LENGTH_MINUTES_MAX, buffer_minutes_max=BUFFER_MINUTES_MAX, preparation_max=PREPARATION_MAX,
    )  # fmt: skip


def _given_for(clinic: dict[str, Any], query: Any) -> dict[str, str]:
    """Return what the form begins with: a service that is to be changed, or nothing."""
    given = {"provider": str(query.get("provider", ""))[:20]}
    for one in clinic["services"]:
        if str(one["service_id"]) == query.get("change") and one["closed_at"] is None:
            given = {
                "provider": str(one["provider_id"]), "name": one["name"],
                "kind": "test" if one["is_test"] else "appointment",
                "fee": amount_text(one["fee_minor"], one["currency"]), "length_minutes": str(one["length_minutes"]),
                "buffer_minutes": str(one["buffer_minutes"] or ""), "funding": one["funding"],
                "more_a_day": "1" if one["allows_more_a_day"] else "", "change": str(one["service_id"]),
                "preparation": one["preparation"] or "",
            }  # fmt: skip
            return given | {f"day_{day}": "1" for day in range(1, 8) if has_day(one["weekdays"], day)}
    return given | {f"day_{day}": "1" for day in range(1, 8)}


async def _terms_page(request: AnyRequest, clinic_id: int, form: Form | None = None) -> Response[str]:
    clinic = await ask(request, queries.services, clinic_id)
    ladders = {}
    for one in clinic["terms"]:
        steps = [Step(*step) for step in zip(one["hours"], one["percents"], one["amounts_minor"], strict=True)]
        ladders[one["slug"] or ""] = (one["name"], steps)
    kinds = {one["slug"]: one["name"] for one in clinic["services"] if one["closed_at"] is None}
    if form is None:
        chosen = request.query_params.get("service", "")[:200]
        form = Form(_ladder_given(chosen, ladders.get(chosen, ("", []))[1], clinic["currency"]), language_of(request))
    return office_page(
        request, "terms.html", clinic_id, "terms", form, clinic=clinic, ladders=ladders, kinds=kinds,
        rows=range(1, _STEPS_SHOWN + 1), ladder_text=ladder_text,
    )  # fmt: skip


def _ladder_given(slug: str, steps: list[Step], currency: str) -> dict[str, str]:
    given = {"service": slug, "unit": "percent"}
    for row, step in enumerate(steps[:_STEPS_SHOWN], start=1):
        given[f"hours_{row}"] = str(step.hours_before)
        if step.kept_minor is None:
            given[f"kept_{row}"] = str(step.kept_percent)
        else:
            given |= {"unit": "amount", f"kept_{row}": amount_text(step.kept_minor, currency)}
    return given
