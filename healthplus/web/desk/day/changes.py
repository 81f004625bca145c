"""What a day sheet's row leads to: moving, cancelling, refunding and correcting an appointment, and its history.

A ward administrator changes at once, where the appointment still is as they saw it; the front desk asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.database import Record
from healthplus.errors import NotFound, ProofDue
from healthplus.money import in_units
from healthplus.web.desk.day.histories import told_once
from healthplus.web.desk.day.sheet import seen_until
from healthplus.web.desk.office.asks import (
    KINDS,
    NOT_ASKED,
    REASON_LENGTH_MAX,
    STATES,
    possible_kinds,
)
from healthplus.web.desk.office.audit_details import Reader
from healthplus.web.desk.office.audit_texts import ACTIONS, EVENTS
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, change, read_form
from healthplus.web.desk.refused import CANNOT, WORDS
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_day, parsed_instant
from healthplus.web.pages.chart import Text
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest, services

_KINDS = ("move", "cancel", "refund", "correct")
_TIMES_SHOWN = 24
_SEARCHED = timedelta(days=14)
"""How far console.find_booking looks for free times."""
_REASONS = {"move": N_("The patient asked for it"), "cancel": N_("The patient asked for it")}
"""What is put in as the reason, so that the commonest needs no typing."""
CHANGED = {
    "move": N_("Moved"),
    "cancel": N_("Cancelled"),
    "refund": N_("Refunded"),
    "correct": N_("Corrected"),
    "paid": N_("Payment recorded"),
    "returned": N_("Recorded as given back"),
    "asked": N_("It is asked. A ward administrator confirms or refuses it."),
    "link": N_("They are texted a link. Once they sign in, they choose another time themselves"),
}
"""What the sheet says after a change."""
_WHY_NOT = {
    "asked": N_("This is asked already. A ward administrator confirms or refuses it."),
    "cancelled": N_("This appointment is cancelled, so nothing of it can be changed."),
    "begun": N_("Its time has begun, so it can be neither moved nor cancelled. Record on the day sheet who came."),
    "recorded": N_("It is recorded who came, so it can be neither moved nor cancelled."),
    "unpaid": N_("Nothing was paid online, or all is given back already."),
    "refund booked": N_(
        "A refund comes after the visit, once it is recorded who came. Before it begins, cancel it: all that was paid "
        "goes back."
    ),
    "correct booked": N_("Nobody has recorded yet who came, so there is nothing to correct."),
    "correct fulfilled": N_("It is recorded as seen, and that stays."),
}
"""Why a change cannot be made of an appointment as it is."""
_OVER = N_("Nothing was done: somebody changed this appointment meanwhile. What is shown now is right.")
_NOT_SENT = {
    "unreachable": N_("They cannot be reached by text, e-mail or on a device. Ask for it here instead."),
    "wrong_state": _OVER,
}
_NOT_CHANGED = {
    code: WORDS[code] for code in ("slot_full", "slot_held", "no_such_slot", "overlap", "same_day", "too_late")
} | {"amount": N_("There is not so much left to give back.")}


class ChangeController(Controller):
    path = "/desk/{clinic_id:int}/{day:date}/visit/{booking_id:uuid}"

    @get(**needs("see_clinic"))
    async def page(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID], do: Text = ""
    ) -> Response[str]:
        asked = {name: request.query_params.get(name, "") for name in ("from", "on")}
        form = Form({"kind": do, **asked}, language_of(request))
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
            entries=told_once(rows, reader),
            name=rows[0]["name"],
            booking_id=booking_id,
            number=number_of(booking_id),
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
        what = (row["provider_id"], booking_id, kind, wish, _seen_of(form, kind), form.given["reason"].strip())
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
        until = answer["undo_until"]
        undo = {"undo": str(row["provider_id"]), "seen": seen_until(until)} if until else {}
        return see_other(request, f"/desk/{clinic_id}/{day}", {"changed": kind, "about": str(booking_id), **undo})

    @post("/ask", **needs("ask_change"))
    async def ask(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        """Ask a ward administrator to change it; or (`kind` is `link`) have the patient do so themselves."""
        if (await form_of(request)).get("kind") == "link":
            return await _send_link(request, clinic_id, day, booking_id)
        form, row, kind, wish = await _read_change(request, clinic_id, booking_id)
        if not form.is_good:
            return await _change_page(request, clinic_id, day, booking_id, form, status=422)
        outcome = "over"
        if _seen_of(form, kind) == _part_of(row["seen"], kind):
            what = (row["provider_id"], booking_id, kind, wish, form.given["reason"].strip())
            answer = await console(request).change(queries.ask, clinic_id, *what)
            assert answer is not None
            outcome = answer["outcome"]
        if outcome != "asked":
            text = _OVER if outcome == "over" else NOT_ASKED.get(outcome, NOT_ASKED["wrong_state"])
            form.fail("kind", form.gettext(text))
            return await _change_page(request, clinic_id, day, booking_id, form, status=409)
        return see_other(request, f"/desk/{clinic_id}/{day}", {"changed": "asked", "about": str(booking_id)})


async def _send_link(request: AnyRequest, clinic_id: int, day: date, booking_id: UUID) -> Response[str]:
    """Text the patient a link by which they move the appointment."""
    row = await _find(request, clinic_id, booking_id)
    answer = await change(request, queries.send_link, clinic_id, row["provider_id"], booking_id)
    if answer["code"] == "sent":
        return see_other(request, f"/desk/{clinic_id}/{day}", {"changed": "link", "about": str(booking_id)})
    form = Form({"kind": "move"}, language_of(request))
    form.fail("kind", form.gettext(_NOT_SENT[answer["code"]]))
    return await _change_page(request, clinic_id, day, booking_id, form, status=409)


def change_notice(query: Mapping[str, str]) -> dict[str, Any]:
    """Return what a sheet says of the change that one comes from, and of whose appointment it can be taken back."""
    changed = query.get("changed", "")
    return {
        "changed": CHANGED.get(changed, ""),
        "undo": query.get("undo", ""),
        "seen": query.get("seen", ""),
        "is_told": changed not in ("paid", "returned"),
    }


async def _find(request: AnyRequest, clinic_id: int, booking_id: UUID, starts_from: datetime | None = None) -> Record:
    rows = await console(request).fetch(queries.find_booking, clinic_id, booking_id, booking_id, starts_from)
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
    elif kind == "refund" and "amount" in form.given:
        wish = _amount(form, row)
    elif kind == "correct":
        wish = {"state": form.choice("state", tuple(STATES.keys() - {"cancelled"}))}
    form.text("reason", REASON_LENGTH_MAX, required=True)
    return form, row, kind, wish


def _amount(form: Form, row: Record) -> dict[str, Any]:
    """Return how much of what was paid is to go back; whether there is so much, the database says."""
    amount_minor = form.fee("amount", row["currency"])
    if amount_minor == 0:
        form.fail("amount", form.gettext("This is needed."))
    elif amount_minor and row["seen"]["state"] == "booked" and amount_minor >= row["paid_minor"]:
        form.fail("amount", form.gettext("To give all of it back before the visit, cancel the appointment."))
    return {"amount_minor": amount_minor}


def _proposed_minor(row: Record) -> int:
    """Return how much is proposed to be given back: what the terms would, or else all of what can be; 0 is nothing."""
    left: int = row["paid_minor"]
    by_terms: int = row["by_terms_minor"]
    if row["seen"]["state"] == "booked":
        return by_terms if by_terms < left else 0
    return by_terms if 0 < by_terms < left else left


def _part_of(seen: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return what of an appointment a change of this kind is about, as staff.part_of_seen has it."""
    part = {name: seen[name] for name in ("state", "starts_at", "funding")}
    return part | ({"parts_minor": seen["parts_minor"]} if kind == "refund" and seen["parts_minor"] else {})


def _seen_of(form: Form, kind: str) -> dict[str, Any]:
    """Return what the sender saw of an appointment, or something that none is."""
    state, starts, funding, parts, *_ = [*form.given.get("seen", "").split(" "), "", "", "", ""]
    try:
        starts_at = float(starts)
    except ValueError:
        starts_at = 0.0
    is_amount = parts.isascii() and parts.isdecimal() and len(parts) <= 10
    seen = {"state": state, "starts_at": starts_at if abs(starts_at) < 1e11 else 0.0, "funding": funding}
    return _part_of({**seen, "parts_minor": int(parts) if is_amount else 0}, kind)


def _why_not(row: Record, kind: str) -> str:
    """Return why a change is not possible."""
    state = row["seen"]["state"]
    if kind in row["open_kinds"]:
        return _WHY_NOT["asked"]
    if state == "cancelled":
        return _WHY_NOT[state]
    if kind == "refund":
        return _WHY_NOT["refund booked" if row["paid_minor"] > 0 else "unpaid"]
    if kind == "correct":
        return _WHY_NOT[f"correct {state}"]
    return _WHY_NOT["begun" if state == "booked" else "recorded"]


def _starts_from(form: Form, zone: str) -> datetime | None:
    """Return from when on free times are to be shown; None: from the appointment's own time on."""
    on = parsed_day(form.given.get("on", ""))
    if on is not None and 2000 <= on.year < 2200:
        return datetime.combine(on, time(), ZoneInfo(zone))
    return parsed_instant(form.given.get("from", ""))


async def _change_page(
    request: AnyRequest, clinic_id: int, day: date, booking_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    clinic = await read_clinic(request, clinic_id)
    row = await _find(request, clinic_id, booking_id, _starts_from(form, clinic["time_zone"]))
    session = require_staff(request)
    does = session.may("change_booking", clinic_id)
    may = does or session.may("ask_change", clinic_id)
    can = [kind for kind in possible_kinds(row, in_parts=True) if kind in _KINDS] if may else []
    asked = form.given.get("kind", "")
    kind = asked if asked in _KINDS else can[0] if can else ""
    starts = row["free_starts"][:_TIMES_SHOWN]
    is_told_at_once = not row["has_begun"] and row["starts_at"] < row["soon_until"]
    later = starts[-1] + timedelta(seconds=1) if starts else row["starts_from"] + _SEARCHED
    form.given.setdefault("reason", form.gettext(_REASONS[kind]) if kind in _REASONS else "")
    seen = row["seen"]
    if proposed := _proposed_minor(row):
        form.given.setdefault("amount", f"{in_units(proposed, row['currency']).normalize():f}")
    return desk_page(
        request,
        "day/change.html",
        status=status,
        clinic=clinic,
        clinic_id=clinic_id,
        day=day,
        row=row,
        number=number_of(booking_id),
        can=can,
        kind=kind,
        is_asked=asked == kind,
        why_not=_why_not(row, kind) if may and kind and kind not in can else "",
        does=does,
        seen=f"{seen['state']} {seen['starts_at']!r} {seen['funding']} {seen['parts_minor']}",
        starts=starts,
        is_told_at_once=is_told_at_once,
        is_one_soon=any(start < row["soon_until"] for start in starts),
        today=services(request).clock.now().astimezone(ZoneInfo(clinic["time_zone"])).date(),
        later=later.isoformat(),
        kinds=KINDS,
        states=STATES,
        given=Typed(form.given),
        errors=Typed(form.errors),
    )
