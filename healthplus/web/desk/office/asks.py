"""What the front desk asks to have changed, and how a ward administrator answers it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.database import Record
from healthplus.errors import NotFound, ProofDue
from healthplus.web.desk.office.audit_search import booking_range
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, office_page, read_form
from healthplus.web.desk.session import console, desk_page, needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_instant
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

KINDS = {
    "move": N_("Move it to another time"),
    "cancel": N_("Cancel it, and give all back that was paid"),
    "refund": N_("Give money back"),
    "correct": N_("Correct who came"),
    "edit_patient": N_("Correct the patient’s name, year of birth or sex"),
}
STATES = {
    "booked": N_("Booked"),
    "cancelled": N_("Cancelled"),
    "arrived": N_("Arrived"),
    "fulfilled": N_("Seen"),
    "no_show": N_("Did not come"),
}
SEXES = {"female": N_("Female"), "male": N_("Male"), "other": N_("Other"), "unknown": N_("Not said")}
REASON_LENGTH_MAX = 500
_SECONDS_MAX = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
NOT_ASKED = {
    "asked_before": N_("This was asked already, and nobody has answered yet."),
    "wrong_state": N_("This cannot be done with the appointment as it is now. Look again."),
}
_NOT_DONE = {
    "slot_full": N_("This time was taken meanwhile. Refuse it, and have the desk ask for another."),
    "slot_held": N_("Somebody holds this time just now. Try again in a few minutes, or refuse it."),
    "overlap": N_("The patient has another appointment then."),
    "same_day": N_("The patient has an appointment with this doctor on that day."),
    "too_late": N_("The appointment has begun."),
    "birth_year": N_("This year of birth cannot be: it is to come, or over 120 years ago."),
}
_CANNOT = N_("This cannot be done as it is now. Look at the appointment, or refuse it.")


class AskController(Controller):
    path = "/desk/{clinic_id:int}/ask"

    @get(**needs("ask_change"))
    async def find(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Show the appointments of a number, and what can be asked of each."""
        form = Form(dict(request.query_params.items()), language_of(request))
        return await _ask_page(request, clinic_id, form)

    @post(**needs("ask_change"))
    async def ask(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = await read_form(request)
        kind = form.choice("kind", tuple(KINDS))
        wish = _wish(form, kind, services(request).clock.now().year)
        reason = form.text("reason", REASON_LENGTH_MAX, required=True)
        booking_from, booking_to = booking_range(form, "number")
        if form.is_good and booking_from is not None:
            found = await _found(request, clinic_id, booking_from, booking_to)
            row = next((one for one in found if str(one["booking_id"]) == form.given.get("booking")), None)
            if row is not None and kind == "edit_patient":
                wish = _differing(wish, row["seen"])
            if row is not None and kind == "edit_patient" and not wish:
                form.fail("name", form.gettext("This is what is recorded already. Change what is wrong."))
            elif row is not None:
                outcome = await _send(request, clinic_id, row, kind, wish, reason)
                if outcome == "asked":
                    return see_other(request, f"/desk/{clinic_id}/ask", {"done": "asked"})
                form.fail("kind", form.gettext(NOT_ASKED.get(outcome, NOT_ASKED["wrong_state"])))
            else:
                form.fail("number", form.gettext("No appointment at this clinic has this number."))
        return await _ask_page(request, clinic_id, form)


class AsksController(Controller):
    path = "/office/{clinic_id:int}/asks"

    @get(**needs("change_booking"))
    async def asks(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _asks_page(request, clinic_id)

    @post("/{ask_id:uuid}/confirm", **needs("change_booking"))
    async def confirm(self, request: AnyRequest, clinic_id: ClinicId, ask_id: FromPath[UUID]) -> Response[str]:
        """Confirm what was asked: it is done at once, by the right of who confirms it."""
        return await _answer(request, clinic_id, ask_id, confirms=True)

    @post("/{ask_id:uuid}/refuse", **needs("change_booking"))
    async def refuse(self, request: AnyRequest, clinic_id: ClinicId, ask_id: FromPath[UUID]) -> Response[str]:
        return await _answer(request, clinic_id, ask_id, confirms=False)


async def _answer(request: AnyRequest, clinic_id: int, ask_id: UUID, *, confirms: bool) -> Response[str]:
    try:
        row = await console(request).change(queries.answer_ask, clinic_id, ask_id, confirms)
    except ProofDue:
        raise ProofDue(back_to=f"/office/{clinic_id}/asks") from None
    assert row is not None
    outcome = row["outcome"]
    if outcome == "not_found":
        raise NotFound
    if row["provider_id"] is not None:
        services(request).book.changed(row["provider_id"])  # charts show it, and the queue goes on
    if outcome in ("done", "refused", "over", "answered"):
        return see_other(request, f"/office/{clinic_id}/asks", {"done": outcome})
    form = await read_form(request)
    form.fail(f"ask-{ask_id}", form.gettext(_NOT_DONE.get(outcome, _CANNOT)))
    return await _asks_page(request, clinic_id, form)


async def _found(request: AnyRequest, clinic_id: int, first: UUID, last: UUID | None) -> list[Record]:
    """Return the appointments of a number, each with the times from now on to which it can be moved."""
    now = services(request).clock.now()
    return await console(request).fetch(queries.find_booking, clinic_id, first, last, now)


def _wish(form: Form, kind: str, this_year: int) -> dict[str, Any]:
    """Return what an appointment is to be changed to."""
    match kind:
        case "move":
            start = parsed_instant(form.given.get("start", ""))
            if start is None:
                form.fail("start", form.gettext("Choose a time."))
            return {"starts_at": start.timestamp()} if start else {}
        case "correct":
            return {"state": form.choice("state", tuple(STATES.keys() - {"cancelled"}))}
        case "edit_patient":
            return {
                "name": form.name("name", 200) or None,
                "birth_year": form.number("birth_year", 1900, this_year)
                if form.given.get("birth_year", "").strip()
                else None,
                "sex": form.choice("sex", ("", *SEXES)) or None,
            }
    return {}


def _differing(wish: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """Return what a wish changes of a patient, so that who confirms it changes nothing that nobody meant."""
    return {field: value for field, value in wish.items() if value is not None and value != seen[field]}


async def _send(request: AnyRequest, clinic_id: int, row: Record, kind: str, wish: dict[str, Any], reason: str) -> str:
    what = (row["provider_id"], row["booking_id"], kind, wish, reason)
    answer = await console(request).change(queries.ask, clinic_id, *what)
    assert answer is not None
    outcome: str = answer["outcome"]
    return outcome


async def _ask_page(request: AnyRequest, clinic_id: int, form: Form) -> Response[str]:
    clinic = await read_clinic(request, clinic_id)
    booking_from, booking_to = booking_range(form, "number")
    rows: list[Record] = []
    if booking_from is not None:
        rows = await _found(request, clinic_id, booking_from, booking_to)
    if booking_from is not None and not rows:
        form.fail("number", form.gettext("No appointment at this clinic has this number."))
    if len(rows) == 1 and "kind" not in form.given:
        seen = rows[0]["seen"]
        form.given.update({field: str(seen[field] or "") for field in ("name", "birth_year", "sex")})
    return desk_page(
        request,
        "ask.html",
        status=422 if form.errors else 200,
        clinic=clinic,
        clinic_id=clinic_id,
        bookings=rows,
        given=Typed(form.given),
        errors=Typed(form.errors),
        kinds=KINDS,
        states=STATES,
        sexes=SEXES,
        possible=possible_kinds,
        number_of=number_of,
        done=request.query_params.get("done", "") if request.method == "GET" else "",
    )


def possible_kinds(row: Record, *, in_parts: bool = False) -> list[str]:
    """Return what can be asked of an appointment as it is; the database decides. `in_parts`: a part can go back."""
    state = row["seen"]["state"]
    ahead = state == "booked" and not row["has_begun"]
    can = {
        "move": ahead,
        "cancel": ahead,
        "refund": (in_parts and row["part_max_minor"] > 0)
        or (state in ("arrived", "fulfilled", "no_show") and row["paid_minor"] > 0),
        "correct": state in ("arrived", "no_show"),
        "edit_patient": True,
    }
    return [kind for kind in KINDS if can[kind] and kind not in row["open_kinds"]]


async def _asks_page(request: AnyRequest, clinic_id: int, form: Form | None = None) -> Response[str]:
    rows = await console(request).fetch(queries.asks, clinic_id)
    return office_page(
        request,
        "asks.html",
        clinic_id,
        "asks",
        form,
        clinic=await read_clinic(request, clinic_id),
        open_asks=[row for row in rows if row["state"] == "open"],
        answered=[row for row in rows if row["state"] != "open"],
        kinds=KINDS,
        states=STATES,
        sexes=SEXES,
        number_of=number_of,
        instant=_from_seconds,
        is_sound=_is_sound,
    )


def _is_sound(row: Record) -> bool:
    """Return whether a wish is one of its kind: one that is none must not keep the others from being shown."""
    wish = row["wish"]
    if not isinstance(wish, dict):
        return False
    match row["kind"]:
        case "move":
            at = wish.get("starts_at")
            return isinstance(at, int | float) and 0 <= at < _SECONDS_MAX
        case "correct":
            return wish.get("state") in STATES
        case "refund":
            return isinstance(wish.get("amount_minor") or 0, int)
        case "edit_patient":
            return isinstance(wish.get("name", ""), str) and wish.get("sex") in (None, *SEXES)
    return True


def _from_seconds(seconds: float) -> datetime:
    """Return the instant that a document has in seconds."""
    return datetime.fromtimestamp(seconds, UTC)
