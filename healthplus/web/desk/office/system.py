"""What administrators see to besides: every clinic, programs' keys, errors, and the age of back-ups."""

from __future__ import annotations

from datetime import timedelta

from litestar import Controller, Response, get, post

from healthplus import text as typed
from healthplus.accounts.keys import PER_DAY, PER_MINUTE, SCOPES, new_key
from healthplus.accounts.sessions import hash_token
from healthplus.backup.state import backup_state
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.monitoring.reporter import queries as monitoring_queries
from healthplus.web.desk.office.account_forms import brought_back, put_aside
from healthplus.web.desk.office.administration_page import administration_page
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import read_form
from healthplus.web.desk.office.question import is_sure, question_page
from healthplus.web.desk.office.shown_once import ShownOnce, keep_once, take_once
from healthplus.web.desk.session import again, console, needs, require_recent_proof
from healthplus.web.http.ids import KeyId
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

_PATH = "/office/system"
_CLINICS = 50
_ERROR_DAYS = 7
_ERRORS = 100
_QUOTA_MAX = 999_999
_FIELDS = ("name", "per_minute", "per_day", "expires_days", *(f"scope_{scope}" for scope in SCOPES))


class SystemController(Controller):
    path = _PATH

    @get(**needs("see_operations"))
    async def system(self, request: AnyRequest) -> Response[str]:
        """Show whether all is well, and the faults of the last days: kinds and places, nothing that people typed."""
        await console(request).fetch_value(queries.see_system)
        app = services(request)
        errors = await app.database.fetch(monitoring_queries.errors, _ERROR_DAYS)
        return administration_page(
            request,
            "system.html",
            "system",
            backup=await backup_state(app.database, request.app.state.settings),
            errors_shown=errors[:_ERRORS],
            error_days=_ERROR_DAYS,
            more_errors=max(0, len(errors) - _ERRORS),
            zone=HOME_ZONE,
        )

    @get("/clinics", **needs("see_operations"))
    async def clinics(self, request: AnyRequest) -> Response[str]:
        name = typed.name(request.query_params.get("name", ""))[:200]
        after = request.query_params.get("after", "")[:200]
        after_id = Form(dict(request.query_params.items()), language_of(request)).id("after_id", "")
        rows = await console(request).fetch(queries.clinics, name or None, after or None, after_id or 0, _CLINICS + 1)
        return administration_page(
            request,
            "administration_clinics.html",
            "clinics",
            clinics=rows[:_CLINICS],
            has_more=len(rows) > _CLINICS,
            name=name,
        )

    @get("/keys", **needs("manage_keys"))
    async def keys(self, request: AnyRequest) -> Response[str]:
        once, cookies = take_once(request, f"{_PATH}/keys")
        keys = await console(request).fetch(queries.developer_keys)
        return administration_page(request, "keys.html", "keys", keys=keys, once=once, cookies=cookies, zone=HOME_ZONE)

    @get("/keys/new", **needs("manage_keys"))
    async def ask_key(self, request: AnyRequest) -> Response[str]:
        require_recent_proof(request)
        form = brought_back(request)
        form.given = {"per_minute": str(PER_MINUTE), "per_day": str(PER_DAY), "scope_search": "1", **form.given}
        return _key_page(request, form)

    @post("/keys/new", **needs("manage_keys"))
    async def add_key(self, request: AnyRequest) -> Response[str]:
        form = await read_form(request)
        require_recent_proof(request, put_aside(f"{_PATH}/keys/new", form, *_FIELDS))
        name = form.name("name", 200, required=True)
        scopes = [scope for scope in SCOPES if form.given.get(f"scope_{scope}")]
        if not scopes:
            form.fail("scope_search", form.gettext("Choose what the key is for."))
        quotas = form.number("per_minute", 1, _QUOTA_MAX), form.number("per_day", 1, _QUOTA_MAX)
        per_minute, per_day = quotas
        if per_minute is not None and per_day is not None and per_day < per_minute:
            form.fail("per_day", form.gettext("A day has at least as many as a minute."))
        days = form.number("expires_days", 1, 3660) if form.given.get("expires_days", "").strip() else None
        if not form.is_good:
            return _key_page(request, form)
        key = new_key()
        expires_in = None if days is None else timedelta(days=days)
        await console(request).change(queries.add_key, name, hash_token(key), scopes, *quotas, expires_in)
        shown = ShownOnce(f"{_PATH}/keys", name, key)
        return see_other(request, f"{_PATH}/keys", {"done": "added"}, [keep_once(request, shown)])

    @post("/keys/{key_id:int}/revoke", **needs("manage_keys"))
    async def revoke_key(self, request: AnyRequest, key_id: KeyId) -> Response[str]:
        require_recent_proof(request, again(f"{_PATH}/keys"))
        form = await read_form(request)
        if not is_sure(form):
            keys = {row["key_id"]: row for row in await console(request).fetch(queries.developer_keys)}
            if key_id not in keys or keys[key_id]["revoked_at"]:
                raise NotFound
            asked = form.gettext("Revoke the key of %(name)s?") % {"name": keys[key_id]["name"]}
            says = form.gettext("Programs with it are refused at once, and for good. They need a new key.")
            return question_page(request, form, f"{_PATH}/keys", asked, says, form.gettext("Revoke the key"))
        row = await console(request).change(queries.revoke_key, key_id)
        assert row is not None
        if row["name"] is None:
            raise NotFound
        return see_other(request, f"{_PATH}/keys", {"done": "revoked"})


def _key_page(request: AnyRequest, form: Form) -> Response[str]:
    return administration_page(request, "key_new.html", "keys", form, scopes=SCOPES)
