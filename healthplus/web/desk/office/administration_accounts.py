"""Every account, and what each is where, as administrators see to them."""

from __future__ import annotations

import secrets
from typing import Any

from litestar import Controller, Response, get, post

from healthplus.accounts.sessions import hash_token
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.staff.accounts import LINK_PATH
from healthplus.staff.rights import Role, is_everywhere, is_of_provider
from healthplus.web.desk.office.account_forms import brought_back, name_and_log_on, put_aside
from healthplus.web.desk.office.administration_page import administration_page
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import read_form
from healthplus.web.desk.office.shown_once import ShownOnce, keep_once, take_once
from healthplus.web.desk.session import console, needs, require_recent_proof
from healthplus.web.desk.texts import ROLES
from healthplus.web.http.ids import StaffId
from healthplus.web.languages import N_
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest

_ALL = "/office/staff"
_ROWS = 50
_REFUSALS = {
    "taken": ("log_on", N_("Somebody has this log-on ID already. Choose another.")),
    "no_clinic": ("clinic", N_("There is no clinic of this number.")),
    "no_provider": ("provider", N_("Only a doctor of this clinic can be one here. Give the doctor’s number.")),
    "last": ("role", N_("This is the last administrator. Make somebody else one first.")),
}
_FIELDS = ("log_on", "name", "role", "clinic", "provider")


class AccountsController(Controller):
    path = _ALL

    @get(**needs("manage_staff"))
    async def accounts(self, request: AnyRequest) -> Response[str]:
        name, after = (request.query_params.get(one, "")[:200] for one in ("name", "after"))
        rows = await console(request).fetch(queries.accounts, name or None, after or None, _ROWS + 1)
        return administration_page(
            request,
            "accounts.html",
            "accounts",
            accounts=rows[:_ROWS],
            has_more=len(rows) > _ROWS,
            name=name,
            roles=ROLES,
        )

    @get("/new", **needs("manage_staff"))
    async def ask_new(self, request: AnyRequest) -> Response[str]:
        require_recent_proof(request)
        return _new_page(request)

    @post("/new", **needs("manage_staff"))
    async def add(self, request: AnyRequest) -> Response[str]:
        form = await read_form(request)
        require_recent_proof(request, put_aside(f"{_ALL}/new", form, *_FIELDS))
        log_on, name = name_and_log_on(form)
        role = _role(form)
        clinic_id = _number(form, "clinic") if role and not is_everywhere(role) else None
        provider_id = _number(form, "provider") if role and is_of_provider(role) else None
        if not form.is_good:
            return _new_page(request, form)
        token = secrets.token_urlsafe(32)
        row = await console(request).change(
            queries.add_account, log_on, name, role, clinic_id, provider_id, hash_token(token)
        )
        assert row is not None
        if row["refusal"] is not None:
            _refuse(form, row["refusal"])
            return _new_page(request, form)
        return _show_link(request, row["staff_id"], name, token, "added")

    @get("/{staff_id:int}", **needs("manage_staff"))
    async def account(self, request: AnyRequest, staff_id: StaffId) -> Response[str]:
        return await _account_page(request, staff_id)

    @post("/{staff_id:int}/role", **needs("manage_staff"))
    async def set_role(self, request: AnyRequest, staff_id: StaffId) -> Response[str]:
        """Have somebody be something at a clinic, or nothing any more; an administrator is one of every clinic."""
        require_recent_proof(request, f"{_ALL}/{staff_id}")
        form = await read_form(request)
        takes_it = form.given.get("role") == "none"
        role = None if takes_it else _role(form)
        at_every = is_everywhere(role) if role else takes_it and not form.given.get("clinic")
        clinic_id = None if at_every else _number(form, "clinic")
        if not form.is_good:
            return await _account_page(request, staff_id, form)
        changed, token = (staff_id, clinic_id, role), secrets.token_urlsafe(32)
        args = (*changed, hash_token(token))
        return await _done(request, staff_id, "role", queries.set_role, *args, form=form, token=token)

    @post("/{staff_id:int}/link", **needs("manage_staff"))
    async def make_link(self, request: AnyRequest, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"{_ALL}/{staff_id}")
        form, token = await read_form(request), secrets.token_urlsafe(32)
        made = (staff_id, hash_token(token), form.given.get("factors") == "1")
        row = await console(request).change(queries.make_link, *made)
        return _link_or_not_found(request, row, staff_id, form, token, "link")

    @post("/{staff_id:int}/disable", **needs("manage_staff"))
    async def disable(self, request: AnyRequest, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"{_ALL}/{staff_id}")
        return await _done(request, staff_id, "disabled", queries.disable_account, staff_id)

    @post("/{staff_id:int}/enable", **needs("manage_staff"))
    async def enable(self, request: AnyRequest, staff_id: StaffId) -> Response[str]:
        require_recent_proof(request, f"{_ALL}/{staff_id}")
        form, token = await read_form(request), secrets.token_urlsafe(32)
        row = await console(request).change(queries.enable_account, staff_id, hash_token(token))
        return _link_or_not_found(request, row, staff_id, form, token, "enabled")


async def _done(
    request: AnyRequest,
    staff_id: int,
    done: str,
    sql: str,
    *args: object,
    form: Form | None = None,
    token: str = "",
) -> Response[str]:
    row = await console(request).change(sql, *args)
    assert row is not None
    outcome = row["outcome"]
    if outcome == "not_found":
        raise NotFound
    form = form or await read_form(request)
    if outcome == "link":
        return _show_link(request, staff_id, form.given.get("name", ""), token, done)
    if outcome != "done":
        _refuse(form, outcome)
        return await _account_page(request, staff_id, form)
    return see_other(request, f"{_ALL}/{staff_id}", {"done": done})


def _link_or_not_found(
    request: AnyRequest, row: Any, staff_id: int, form: Form, token: str, done: str
) -> Response[str]:
    if row["outcome"] != "done":
        raise NotFound
    return _show_link(request, staff_id, form.given.get("name", ""), token, done)


def _show_link(request: AnyRequest, staff_id: int, whose: str, token: str, done: str) -> Response[str]:
    page = f"{_ALL}/{staff_id}"
    shown = ShownOnce(page, whose[:200], f"{site(request).url}{LINK_PATH}{token}")
    return see_other(request, page, {"done": done}, [keep_once(request, shown)])


def _role(form: Form) -> Role | None:
    chosen = form.choice("role", tuple(ROLES))
    return next((role for role in ROLES if role == chosen), None)


def _number(form: Form, field: str) -> int | None:
    """Return the number of a clinic or doctor, as their pages' addresses have it."""
    return form.id(field, form.gettext("A number, as the address of its page has it."), required=True)


def _refuse(form: Form, refusal: str) -> None:
    field, text = _REFUSALS[refusal]
    form.fail(field, form.gettext(text))


def _new_page(request: AnyRequest, form: Form | None = None) -> Response[str]:
    return administration_page(request, "account_new.html", "accounts", form or brought_back(request), roles=ROLES)


async def _account_page(request: AnyRequest, staff_id: int, form: Form | None = None) -> Response[str]:
    row = await console(request).fetch_row(queries.account, staff_id)
    if row is None:
        raise NotFound
    once, cookies = take_once(request, f"{_ALL}/{staff_id}")
    return administration_page(
        request, "account.html", "accounts", form, account=row, roles=ROLES, once=once, cookies=cookies
    )
