"""How many walk-ins and overbooked a session may have, and when one of the line of tokens is called."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, change, marks_of, office_page, read_form, take_over
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest

_FIELDS = {"walk_in_every": (1, 100), "walk_in_cap": (0, 100), "overbook_cap": (0, 100)}
"""What is set, from and to what number."""


class WalkInRulesController(Controller):
    path = "/office/{clinic_id:int}/walk-ins"

    @get(**needs("manage_schedule"))
    async def rules(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _rules_page(request, clinic_id)

    @post(**needs("manage_schedule"))
    async def set_rules(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        values = [form.number(field, *limits) for field, limits in _FIELDS.items()]
        if not form.is_good:
            return await _rules_page(request, clinic_id, form)
        version = form.given.get("version", "")
        answer = await change(request, queries.put_desk_rules, clinic_id, *values, version)
        if answer["code"] == "stale":
            return await _rules_page(request, clinic_id, form, answer)
        return see_other(request, f"/office/{clinic_id}/walk-ins", {"done": "saved"})


async def _rules_page(
    request: AnyRequest, clinic_id: int, form: Form | None = None, answer: dict[str, Any] | None = None
) -> Response[str]:
    rules = await ask(request, queries.desk_rules, clinic_id)
    stored = {field: str(rules[field]) for field in _FIELDS}
    changed: list[str] = []
    if form is None:
        form = Form({**stored, "marks": marks_of(stored)}, language_of(request))
    elif answer:
        changed = take_over(form, stored)
    clinic = await read_clinic(request, clinic_id)
    return office_page(
        request, "walk_ins.html", clinic_id, "walk_ins", form,
        clinic=clinic, rules=rules, answer=answer, stored=stored, changed=changed, zone=clinic["time_zone"],
    )  # fmt: skip
