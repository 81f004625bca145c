"""The audit: who saw and changed what, of a clinic or of all; one appointment's or patient's whole history; export."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get
from litestar.response import Stream

from healthplus.booking.numbers import number_of
from healthplus.console.console import Console, queries
from healthplus.csv_cells import cell
from healthplus.database import Record
from healthplus.web.desk.office.administration_page import administration_page
from healthplus.web.desk.office.audit_details import Reader, details_of
from healthplus.web.desk.office.audit_search import AuditSearch
from healthplus.web.desk.office.audit_texts import ACTIONS, EVENTS
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import office_page
from healthplus.web.desk.session import console, needs, require_recent_proof
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import language_of, streamed
from healthplus.web.services import AnyRequest

_ROWS = 50
_HISTORY_ROWS = 300
EXPORT_ROWS_MAX = 50_000
_EXPORT_PAGE = 1000
_EXPORT_SECONDS_MAX = 300
"""As long as the proof that it needs counts (staff.proof_time)."""
_COLUMNS = (
    *("entry_id", "at", "actor", "actor_log_on", "session_id", "address", "action", "is_refused", "detail"),
    *("staff_id", "about_log_on", "clinic_id", "patient_id", "provider_id", "booking_id"),
)
"""What FHIR's AuditEvent is made of: recorded, agent, network, action, outcome, entity."""


class ClinicAuditController(Controller):
    path = "/office/{clinic_id:int}/audit"

    @get(**needs("see_audit"))
    async def page(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _audit_page(request, clinic_id)

    @get("/history", **needs("see_audit"))
    async def history(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _history_page(request, clinic_id)

    @get("/export", **needs("see_audit"))
    async def export(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str] | Stream:
        return await _export(request, clinic_id)


class AuditController(Controller):
    path = "/office/audit"

    @get(**needs("see_audit"))
    async def page(self, request: AnyRequest) -> Response[str]:
        return await _audit_page(request, None)

    @get("/history", **needs("see_audit"))
    async def history(self, request: AnyRequest) -> Response[str]:
        return await _history_page(request, None)

    @get("/export", **needs("see_audit"))
    async def export(self, request: AnyRequest) -> Response[str] | Stream:
        return await _export(request, None)


async def _search(request: AnyRequest, clinic_id: int | None) -> tuple[AuditSearch, Record | None]:
    clinic = None if clinic_id is None else await read_clinic(request, clinic_id)
    form = Form(dict(request.query_params.items()), language_of(request))
    return AuditSearch(form, clinic["time_zone"] if clinic else HOME_ZONE), clinic


async def _audit_page(request: AnyRequest, clinic_id: int | None) -> Response[str]:
    search, clinic = await _search(request, clinic_id)
    rows: list[Record] = []
    if search.form.is_good:
        rows = await console(request).fetch(queries.audit, clinic_id, *search.args, *search.before, _ROWS + 1)
    return _show(
        request,
        "audit.html",
        clinic,
        search,
        rows=rows[:_ROWS],
        next_query=search.after(rows[_ROWS - 1]) if len(rows) > _ROWS else None,
        is_first=search.before[0] is None,
        export_rows_max=EXPORT_ROWS_MAX,
    )


async def _history_page(request: AnyRequest, clinic_id: int | None) -> Response[str]:
    search, clinic = await _search(request, clinic_id)
    if search.patient_id is None and search.booking_from is None:
        search.form.fail("booking", search.form.gettext("Say of which appointment or patient."))
    rows: list[Record] = []
    if search.form.is_good:
        # Of one or the other: an appointment's number says more.
        patient_id = None if search.booking_from is not None else search.patient_id
        whose = (patient_id, search.booking_from, search.booking_to)
        rows = await console(request).fetch(queries.history, clinic_id, *whose, _HISTORY_ROWS)
    return _show(request, "history.html", clinic, search, rows=rows, rows_max=_HISTORY_ROWS)


def _show(
    request: AnyRequest, template: str, clinic: Record | None, search: AuditSearch, **values: Any
) -> Response[str]:
    zone = clinic["time_zone"] if clinic else HOME_ZONE
    reader = Reader(language_of(request), zone, clinic["currency"] if clinic else None)
    values |= {
        "search": search,
        "details_of": lambda row: details_of(row, reader),
        "actions": ACTIONS,
        "events": EVENTS,
        "zone": zone,
        "number_of": number_of,
    }
    if clinic is None:
        return administration_page(request, template, "audit", search.form, clinic=None, **values)
    return office_page(request, template, clinic["clinic_id"], "audit", search.form, clinic=clinic, **values)


async def _export(request: AnyRequest, clinic_id: int | None) -> Response[str] | Stream:
    session = require_recent_proof(request)
    search, clinic = await _search(request, clinic_id)
    if search.form.is_good and not _exports.begin(session.session_id):
        search.form.fail("who", search.form.gettext("You have an export under way here. Wait until it has ended."))
    if not search.form.is_good:
        return _show(
            request,
            "audit.html",
            clinic,
            search,
            rows=[],
            next_query=None,
            is_first=True,
            export_rows_max=EXPORT_ROWS_MAX,
        )
    take = _Pages(console(request), (clinic_id, *search.args))
    try:
        first = await take.after(None)  # what is refused, is refused before anything is sent
    except BaseException:
        _exports.end(session.session_id)
        raise
    name = f"audit-{clinic_id}.csv" if clinic_id else "audit.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return streamed(request, _csv_of(take, first, session.session_id), "text/csv", headers=headers)


class _Exports:
    """The sessions that take an export from this process: one at a time each, as all clinics share the connections."""

    def __init__(self) -> None:
        self._since: dict[UUID, float] = {}

    def begin(self, session_id: UUID) -> bool:
        """Return whether a session may begin one. One that nobody reads ends by itself, with the proof it needs."""
        now = time.monotonic()
        self._since = {one: since for one, since in self._since.items() if now - since < _EXPORT_SECONDS_MAX}
        if session_id in self._since:
            return False
        self._since[session_id] = now
        return True

    def end(self, session_id: UUID) -> None:
        self._since.pop(session_id, None)


_exports = _Exports()


class _Pages:
    """The pages of an export, each by itself: between them others have the connection, and the process."""

    def __init__(self, console: Console, args: tuple[object, ...]) -> None:
        self._console = console
        self._args = args

    async def after(self, row: Record | None) -> list[Record]:
        """Return the rows after one; the first ones for None."""
        mark = (row["at"], row["entry_id"]) if row is not None else (None, None)
        return await self._console.fetch(queries.export_audit, *self._args, *mark, _EXPORT_PAGE)


async def _csv_of(pages: _Pages, rows: list[Record], session_id: UUID) -> AsyncIterator[bytes]:
    try:
        yield _lines([_COLUMNS])
        for left in range(EXPORT_ROWS_MAX, 0, -_EXPORT_PAGE):
            yield _lines([cell(row[column]) for column in _COLUMNS] for row in rows[:left])
            if len(rows) < _EXPORT_PAGE or left <= _EXPORT_PAGE:
                return
            rows = await pages.after(rows[-1])
    finally:
        _exports.end(session_id)


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
