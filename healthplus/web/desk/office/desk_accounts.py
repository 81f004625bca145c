"""The accounts of a clinic's front desk, as its ward administrator sees to them."""

from __future__ import annotations

import secrets

from litestar import Controller, Response, get, post

from healthplus.accounts.sessions import hash_token
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.staff.accounts import LINK_PATH
from healthplus.web.desk.office.account_forms import brought_back, name_and_log_on, put_aside
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import office_page, read_form
from healthplus.web.desk.office.shown_once import ShownOnce, keep_once, take_once
from healthplus.web.desk.session import console, needs, require_recent_proof
from healthplus.web.desk.texts import ROLES
from healthplus.web.http.ids import ClinicId, StaffId
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest


class DeskAccountsController(Controller):
    path = "/office/{clinic_id:int}/staff"

    @get(**needs("manage_desk_accounts"))
    async def accounts(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _page(request, clinic_id)

    @get("/new", **needs("manage_desk_accounts"))
    async def ask_new(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        require_recent_proof(request)
        return await _new_page(request, clinic_id)

    @post("/new", **needs("manage_desk_accounts"))
    async def add(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        require_recent_proof(request, put_aside(f"/office/{clinic_id}/staff/new", form, "log_on", "name"))
        log_on, name = name_and_log_on(form)
        if not form.is_good:
            return await _new_page(request, clinic_id, form)
        token = secrets.token_urlsafe(32)
        row = await console(request).change(queries.add_to_desk, clinic_id, log_on, name, hash_token(token))
        assert row is not None
        if row["staff_id"] is None:
            form.fail("log_on", form.gettext("Somebody has this log-on ID already. Choose another."))
            return await _new_page(request, clinic_id, form)
        return _show_link(request, clinic_id, name, token, "added")

    @post("/{staff_id:int}/link", **needs("manage_desk_accounts"))
    async def make_link(self, request: AnyRequest, clinic_id: ClinicId, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"/office/{clinic_id}/staff")
        form, token = await read_form(request), secrets.token_urlsafe(32)
        made = (clinic_id, staff_id, hash_token(token), form.given.get("factors") == "1")
        await _change(request, queries.link_for_desk, *made)
        return _show_link(request, clinic_id, form.given.get("name", ""), token, "link")

    @post("/{staff_id:int}/disable", **needs("manage_desk_accounts"))
    async def disable(self, request: AnyRequest, clinic_id: ClinicId, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"/office/{clinic_id}/staff")
        await _change(request, queries.disable_desk_account, clinic_id, staff_id)
        return see_other(request, f"/office/{clinic_id}/staff", {"done": "disabled"})

    @post("/{staff_id:int}/enable", **needs("manage_desk_accounts"))
    async def enable(self, request: AnyRequest, clinic_id: ClinicId, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"/office/{clinic_id}/staff")
        form, token = await read_form(request), secrets.token_urlsafe(32)
        await _change(request, queries.enable_desk_account, clinic_id, staff_id, hash_token(token))
        return _show_link(request, clinic_id, form.given.get("name", ""), token, "enabled")

    @post("/{staff_id:int}/remove", **needs("manage_desk_accounts"))
    async def remove(self, request: AnyRequest, clinic_id: ClinicId, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"/office/{clinic_id}/staff")
        await _change(request, queries.remove_from_desk, clinic_id, staff_id)
        return see_other(request, f"/office/{clinic_id}/staff", {"done": "removed"})


async def _change(request: AnyRequest, sql: str, *args: object) -> None:
    row = await console(request).change(sql, *args)
    assert row is not None
    if row["outcome"] != "done":
        raise NotFound


def _show_link(request: AnyRequest, clinic_id: int, whose: str, token: str, done: str) -> Response[str]:
    page = f"/office/{clinic_id}/staff"
    shown = ShownOnce(page, whose[:200], f"{site(request).url}{LINK_PATH}{token}")
    return see_other(request, page, {"done": done}, [keep_once(request, shown)])


async def _page(request: AnyRequest, clinic_id: int) -> Response[str]:
    once, cookies = take_once(request, f"/office/{clinic_id}/staff")
    return office_page(
        request,
        "staff.html",
        clinic_id,
        "staff",
        clinic=await read_clinic(request, clinic_id),
        accounts=await console(request).fetch(queries.clinic_accounts, clinic_id),
        roles=ROLES,
        once=once,
        cookies=cookies,
    )


async def _new_page(request: AnyRequest, clinic_id: int, form: Form | None = None) -> Response[str]:
    return office_page(
        request,
        "staff_new.html",
        clinic_id,
        "staff",
        form or brought_back(request),
        clinic=await read_clinic(request, clinic_id),
    )
