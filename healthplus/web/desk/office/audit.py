"""The audit: who saw and changed what, of a clinic or of all; one appointment's or patient's whole history; export."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from litestar import Controller, Response, get

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
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
from healthplus.web.pages.rendering import document, language_of
from healthplus.web.services import AnyRequest

_ROWS = 50
_HISTORY_ROWS = 300
EXPORT_ROWS_MAX = 50_000
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
    async def export(self, request: AnyRequest, clinic_id: ClinicId) -> Response[bytes]:
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
    async def export(self, request: AnyRequest) -> Response[bytes]:
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


async def _export(request: AnyRequest, clinic_id: int | None) -> Response[bytes]:
    require_recent_proof(request)
    search, clinic = await _search(request, clinic_id)
    if not search.form.is_good:
        return _show(  # type: ignore[return-value]  # a page instead of the file, which says what is wrong
            request,
            "audit.html",
            clinic,
            search,
            rows=[],
            next_query=None,
            is_first=True,
            export_rows_max=EXPORT_ROWS_MAX,
        )
    rows = await console(request).fetch(queries.export_audit, clinic_id, *search.args, EXPORT_ROWS_MAX)
    name = f"audit-{clinic_id}.csv" if clinic_id else "audit.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return document(request, _csv_of(rows), "text/csv", headers=headers)


def _csv_of(rows: Sequence[Record]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(row[column]) for column in _COLUMNS] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """Return a value as a cell, which a spreadsheet must not take for a formula."""
    if value is None:
        return ""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
