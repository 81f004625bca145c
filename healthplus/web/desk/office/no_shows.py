"""What a clinic does where somebody often does not come: after so many times they pay online only, for a while."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, change, office_page, read_form
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest

TIMES_MAX, MONTHS_MAX = 20, 24


class NoShowsController(Controller):
    path = "/office/{clinic_id:int}/no-shows"

    @get(**needs("manage_schedule"))
    async def rule(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _rule_page(request, clinic_id)

    @post(**needs("manage_schedule"))
    async def set_rule(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        times, months = form.number("times", 0, TIMES_MAX), form.number("months", 1, MONTHS_MAX)
        if not form.is_good:
            return await _rule_page(request, clinic_id, form)
        version = form.given.get("version", "")
        answer = await change(request, queries.set_no_show_rule, clinic_id, times or None, months, version)
        if answer["code"] == "stale":
            return await _rule_page(request, clinic_id, form, answer)
        return see_other(request, f"/office/{clinic_id}/no-shows", {"done": "saved"})


async def _rule_page(
    request: AnyRequest, clinic_id: int, form: Form | None = None, answer: dict[str, Any] | None = None
) -> Response[str]:
    rule = await ask(request, queries.no_show_rule, clinic_id)
    form = form or Form({"times": str(rule["times"] or 0), "months": str(rule["months"])}, language_of(request))
    clinic = await read_clinic(request, clinic_id)
    return office_page(
        request, "no_shows.html", clinic_id, "terms", form,
        rule=rule, answer=answer, clinic=clinic, zone=clinic["time_zone"], times_max=TIMES_MAX, months_max=MONTHS_MAX,
    )  # fmt: skip
