"""Leave of a provider, and holidays of all of a clinic: added over what is in the way, and taken back."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.console.console import queries
from healthplus.database import Range
from healthplus.errors import NotFound
from healthplus.web.desk.office.forms import DAY_MINUTES, Form
from healthplus.web.desk.office.frame import (
    BODY_BYTES_MAX,
    ask,
    change,
    moved_and_flagged,
    moves_of,
    note_refusal,
    office_page,
    read_form,
    seen_at,
)
from healthplus.web.desk.office.over_all import at_once, change_all
from healthplus.web.desk.session import console, needs
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

EVERYBODY = "all"
_DAYS_MAX = 731
"""Search keeps each day on which a provider is away: some 2 ms a day."""
_HOLIDAYS = UUID("6f9d1a0e-6d0b-4c59-9a53-2f0f6f1f9a11")
"""The space of ids of holidays: each is made of the form it came by, so that sending that again goes on with it."""


class LeaveController(Controller):
    path = "/office/{clinic_id:int}"

    @get("/leave", **needs("manage_schedule"))
    async def leaves(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _leave_page(request, clinic_id)

    @post("/leave", request_max_body_size=BODY_BYTES_MAX, **needs("manage_schedule"))
    async def add(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Add a leave or a holiday; what is in the way is shown first, with a choice for each."""
        form = await read_form(request)
        clinic = await ask(request, queries.office, clinic_id)
        who = form.choice("who", {EVERYBODY: "", **{str(one["provider_id"]): "" for one in clinic["providers"]}})
        during = _during(form, clinic["time_zone"], services(request).clock.now())
        reason = form.text("reason", 200)
        if during is None or not form.is_good:
            return await _leave_page(request, clinic_id, form)
        if who == EVERYBODY:
            return await _add_holiday(request, clinic, form, during, reason)
        leave = (clinic_id, int(who), during, reason, None, seen_at(form), moves_of(form))
        answer = await change(request, queries.add_leave, *leave)
        if answer["code"] == "changed":
            return see_other(request, f"/office/{clinic_id}/leave", {"done": "added", **moved_and_flagged(answer)})
        note_refusal(form, answer, request, "from_day")
        return await _leave_page(request, clinic_id, form, answer)

    @post("/leave/{provider_id:int}/{leave_id:uuid}/remove", **needs("manage_schedule"))
    async def remove(
        self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId, leave_id: FromPath[UUID]
    ) -> Response[str]:
        answer = await change(request, queries.remove_leave, clinic_id, provider_id, leave_id)
        stands = {"stands": answer["stands"]} if answer["stands"] else {}
        return see_other(request, f"/office/{clinic_id}/leave", {"done": "removed", **stands})

    @post("/holiday/{holiday_id:uuid}/remove", **needs("manage_schedule"))
    async def remove_holiday(
        self, request: AnyRequest, clinic_id: ClinicId, holiday_id: FromPath[UUID]
    ) -> Response[str]:
        """Take a holiday back, of every provider."""
        rows = await console(request).fetch(queries.holiday, clinic_id, holiday_id)
        if not rows:
            raise NotFound
        answers = await at_once(
            request,
            [change(request, queries.remove_leave, clinic_id, row["provider_id"], row["leave_id"]) for row in rows],
        )
        stands = sum(answer["stands"] for answer in answers)
        counts = {"stands": stands} if stands else {}
        return see_other(request, f"/office/{clinic_id}/leave", {"done": "removed", **counts})


async def _add_holiday(
    request: AnyRequest, clinic: dict[str, Any], form: Form, during: Range[datetime], reason: str
) -> Response[str]:
    clinic_id = clinic["clinic_id"]
    holiday_id = uuid5(_HOLIDAYS, f"{clinic_id} {form.given.get('key', '')} {during.lower} {during.upper}")

    async def add(provider_id: int, seen: datetime | None, moves: dict[str, str]) -> dict[str, Any]:
        leave = (clinic_id, provider_id, during, reason, holiday_id, seen, moves)
        return await change(request, queries.add_leave, *leave)

    blocked, counts = await change_all(request, clinic, form, during, add, "from_day")
    if blocked is not None:
        return await _leave_page(request, clinic_id, form, blocked)
    return see_other(request, f"/office/{clinic_id}/leave", {"done": "added", **counts})


def _during(form: Form, zone: str, now: datetime) -> Range[datetime] | None:
    """Return from when to when: whole days, or between two times of day."""
    first, last = form.day("from_day", required=True), form.day("to_day")
    starts = form.clock("from_time") if form.given.get("from_time") else 0
    ends = form.clock("to_time") if form.given.get("to_time") else DAY_MINUTES
    if first is None or starts is None or ends is None or not form.is_good:
        return None
    field = "to_day" if last else "from_day"
    last = last or first
    starts_at, ends_at = at_clock(first, starts, zone), at_clock(last, ends, zone)
    if ends_at <= starts_at:
        form.fail(field, form.gettext("It ends after it starts."))
    elif ends_at <= now:
        form.fail(field, form.gettext("This is over already."))
    elif (last - first).days > _DAYS_MAX:
        form.fail(field, form.gettext("This is too long; at most two years. For good: end the shifts, or close."))
    return Range(starts_at, ends_at)


def at_clock(day: date, minutes: int, zone: str) -> datetime:
    """Return when the clocks of a zone show so many minutes after midnight on a day."""
    at = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - what clocks show
    return at.replace(tzinfo=ZoneInfo(zone))


async def _leave_page(
    request: AnyRequest, clinic_id: int, form: Form | None = None, answer: dict[str, Any] | None = None
) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    if form is None:
        form = Form({"who": request.query_params.get("who", "")[:20]}, language_of(request))
        form.given["from_day"] = request.query_params.get("day", "")[:10]
    shown = answer if answer and answer.get("in_the_way") else None
    return office_page(
        request, "leave.html", clinic_id, "leave", form, clinic=clinic, answer=shown, zone=clinic["time_zone"]
    )
