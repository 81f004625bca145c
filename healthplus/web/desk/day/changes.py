"""What a day sheet's row leads to: moving, cancelling, refunding and correcting an appointment, and its history.

A ward administrator changes at once, where the appointment still is as they saw it; the front desk asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.database import Record
from healthplus.errors import NotFound, ProofDue
from healthplus.web.desk.office.asks import (
    KINDS,
    NOT_ASKED,
    REASON_LENGTH_MAX,
    STATES,
    possible_kinds,
)
from healthplus.web.desk.office.audit_details import Reader, details_of
from healthplus.web.desk.office.audit_texts import ACTIONS, EVENTS
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, read_form
from healthplus.web.desk.refused import CANNOT, WORDS
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_instant
from healthplus.web.pages.chart import Text
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

_KINDS = ("move", "cancel", "refund", "correct")
_TIMES_SHOWN = 60
_REASONS = {"move": N_("The patient asked for it"), "cancel": N_("The patient asked for it")}
"""What is put in as the reason, so that the commonest needs no typing."""
CHANGED = {
    "move": N_("Moved"),
    "cancel": N_("Cancelled"),
    "refund": N_("Refunded"),
    "correct": N_("Corrected"),
    "asked": N_("It is asked. A ward administrator confirms or refuses it."),
}
"""What the sheet says after a change."""
_OVER = N_("Nothing was done: somebody changed this appointment meanwhile. What is shown now is right.")
_NOT_CHANGED = {
    code: WORDS[code] for code in ("slot_full", "slot_held", "no_such_slot", "overlap", "same_day", "too_late")
}


class ChangeController(Controller):
    path = "/desk/{clinic_id:int}/{day:date}/visit/{booking_id:uuid}"

    @get(**needs("see_clinic"))
    async def page(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID], do: Text = ""
    ) -> Response[str]:
        form = Form({"kind": do}, language_of(request))
        return await _change_page(request, clinic_id, day, booking_id, form)

    @get("/history", **needs("see_clinic"))
    async def history(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Show who did what with an appointment, when and why."""
        clinic = await read_clinic(request, clinic_id)
        rows = await console(request).fetch(queries.booking_history, clinic_id, booking_id)
        if not rows:
            raise NotFound
        reader = Reader(language_of(request), clinic["time_zone"], clinic["currency"])
        return desk_page(
            request,
            "day/history.html",
            clinic=clinic,
            clinic_id=clinic_id,
            day=day,
            rows=rows,
            booking_id=booking_id,
            number=number_of(booking_id),
            details_of=lambda row: details_of(row, reader),
            actions=ACTIONS,
            events=EVENTS,
        )

    @post("/change", **needs("change_booking"))
    async def change(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Change an appointment at once."""
        form, row, kind, wish = await _read_change(request, clinic_id, booking_id)
        if not form.is_good:
            return await _change_page(request, clinic_id, day, booking_id, form, status=422)
        what = (row["provider_id"], booking_id, kind, wish, _seen_of(form), form.given["reason"].strip())
        try:
            answer = await console(request).change(queries.change_booking, clinic_id, *what)
        except ProofDue:
            raise ProofDue(back_to=f"/desk/{clinic_id}/{day}/visit/{booking_id}?do={kind}") from None
        assert answer is not None
        if answer["outcome"] == "not_found":
            raise NotFound
        services(request).book.changed(row["provider_id"])
        if answer["outcome"] != "done":
            text = _OVER if answer["outcome"] == "over" else _NOT_CHANGED.get(answer["outcome"], CANNOT)
            form.fail("kind", form.gettext(text))
            return await _change_page(request, clinic_id, day, booking_id, form, status=409)
        undo = {"undo": str(row["provider_id"])} if answer["undo_until"] else {}
        return see_other(request, f"/desk/{clinic_id}/{day}", {"changed": kind, "about": str(booking_id), **undo})

    @post("/ask", **needs("ask_change"))
    async def ask(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Ask a ward administrator to change it."""
        form, row, kind, wish = await _read_change(request, clinic_id, booking_id)
        if not form.is_good:
            return await _change_page(request, clinic_id, day, booking_id, form, status=422)
        outcome = "over"
        if _seen_of(form) == _part_of(row["seen"]):
            what = (row["provider_id"], booking_id, kind, wish, form.given["reason"].strip())
            answer = await console(request).change(queries.ask, clinic_id, *what)
            assert answer is not None
            outcome = answer["outcome"]
        if outcome != "asked":
            text = _OVER if outcome == "over" else NOT_ASKED.get(outcome, NOT_ASKED["wrong_state"])
            form.fail("kind", form.gettext(text))
            return await _change_page(request, clinic_id, day, booking_id, form, status=409)
        return see_other(request, f"/desk/{clinic_id}/{day}", {"changed": "asked", "about": str(booking_id)})


def change_notice(query: Mapping[str, str]) -> dict[str, Any]:
    """Return what a sheet says of the change that one comes from, and of whose appointment it can be taken back."""
    return {"changed": CHANGED.get(query.get("changed", ""), ""), "undo": query.get("undo", "")}


async def _find(request: AnyRequest, clinic_id: int, booking_id: UUID) -> Record:
    rows = await console(request).fetch(queries.find_booking, clinic_id, booking_id, booking_id)
    if not rows:
        raise NotFound
    return rows[0]


async def _read_change(
    request: AnyRequest, clinic_id: int, booking_id: UUID
) -> tuple[Form, Record, str, dict[str, Any]]:
    """Return a form, the appointment that it is about, what is to be done, and to what it is changed."""
    form = await read_form(request)
    row = await _find(request, clinic_id, booking_id)
    kind = form.choice("kind", _KINDS)
    wish: dict[str, Any] = {}
    if kind == "move":
        start = parsed_instant(form.given.get("start", ""))
        if start is None:
            form.fail("start", form.gettext("Choose a time."))
        else:
            wish = {"starts_at": start.timestamp()}
    elif kind == "correct":
        wish = {"state": form.choice("state", tuple(STATES.keys() - {"cancelled"}))}
    form.text("reason", REASON_LENGTH_MAX, required=True)
    return form, row, kind, wish


def _part_of(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an appointment a change is about, as staff.part_of_seen has it."""
    return {name: seen[name] for name in ("state", "starts_at", "funding")}


def _seen_of(form: Form) -> dict[str, Any]:
    """Return what the sender saw of an appointment, or something that none is."""
    state, _, rest = form.given.get("seen", "").partition(" ")
    starts, _, funding = rest.partition(" ")
    try:
        starts_at = float(starts)
    except ValueError:
        starts_at = 0.0
    return {"state": state, "starts_at": starts_at if abs(starts_at) < 1e11 else 0.0, "funding": funding}


async def _change_page(
    request: AnyRequest, clinic_id: int, day: date, booking_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    row = await _find(request, clinic_id, booking_id)
    session = require_staff(request)
    does = session.may("change_booking", clinic_id)
    can = [kind for kind in possible_kinds(row) if kind in _KINDS]
    kind = form.given.get("kind", "")
    if kind not in can:
        kind = can[0] if can else ""
    form.given.setdefault("reason", form.gettext(_REASONS[kind]) if kind in _REASONS else "")
    seen = _part_of(row["seen"])
    return desk_page(
        request,
        "day/change.html",
        status=status,
        clinic=await read_clinic(request, clinic_id),
        clinic_id=clinic_id,
        day=day,
        row=row,
        number=number_of(booking_id),
        can=can if does or session.may("ask_change", clinic_id) else [],
        kind=kind,
        does=does,
        seen=f"{seen['state']} {seen['starts_at']!r} {seen['funding']}",
        starts=row["free_starts"][:_TIMES_SHOWN],
        kinds=KINDS,
        states=STATES,
        given=Typed(form.given),
        errors=Typed(form.errors),
    )
