"""Shifts of a provider, week by week: a grid in which each is a link to its form; dragging one only fills that in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.web.desk.office.forms import DAY_MINUTES, Form
from healthplus.web.desk.office.frame import (
    BODY_BYTES_MAX,
    REFUSED,
    ask,
    change,
    marks_of,
    moved_and_flagged,
    moves_of,
    note_refusal,
    office_page,
    read_form,
    seen_at,
    take_over,
)
from healthplus.web.desk.office.share import share_choices, share_words
from healthplus.web.desk.office.week_grid import ROW_MINUTES, grid_of
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId, ProviderId, ShiftId
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

_TO = re.compile(r"to_([1-9]\d{0,17})", re.ASCII)
_RANGES = {"slot_minutes": (5, 480), "seats": (1, 100), "slots_max": (1, 20)}
"""From what to what minutes of a slot, patients at once and slots of an appointment may be."""
_AS_STORED = ("weekday", "slot_minutes", "seats", "slots_max", "valid_from", "release_hours")
"""What of a shift the console takes as it answers it. Its times and last day are written otherwise."""


_TYPED = ("starts", "ends", "slot_minutes", "seats", "slots_max", "valid_from", "valid_until", "release_hours")


class WeekController(Controller):
    path = "/office/{clinic_id:int}/week/{provider_id:int}"

    @get(**needs("manage_schedule"))
    async def week(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        return await _week_page(request, clinic_id, provider_id)

    @post(**needs("manage_schedule"))
    async def add(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        """Add the same shift on each weekday that is ticked."""
        form = await read_form(request)
        shift = _shift_of(form)
        await _refuse_past(request, clinic_id, form, "valid_until")
        days = form.days()
        if not days:
            form.fail("day_1", form.gettext("Tick at least one day."))
        if form.is_good:
            put = [{**shift, "weekday": day} for day in days]
            answer = await change(request, queries.change_shifts, clinic_id, provider_id, [], put, {}, None, {})
            if answer["code"] == "changed":
                return see_other(request, _path(clinic_id, provider_id), {"done": "added", "week": _week_of(form)})
            note_refusal(form, answer, request)
        return await _week_page(request, clinic_id, provider_id, form)

    @get("/shift/{shift_id:int}", **needs("manage_schedule"))
    async def shift(
        self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId, shift_id: ShiftId
    ) -> Response[str]:
        return await _shift_page(request, clinic_id, provider_id, shift_id)

    @post("/shift/{shift_id:int}", request_max_body_size=BODY_BYTES_MAX, **needs("manage_schedule"))
    async def change_shift(
        self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId, shift_id: ShiftId
    ) -> Response[str]:
        """Change a shift: all of it, or from a day on, up to which the old one goes on."""
        form = await read_form(request)
        wanted = {**_shift_of(form), "weekday": form.number("weekday", 1, 7)}
        await _refuse_past(request, clinic_id, form, "valid_until")
        since = form.day("since")
        old = await _shift(request, clinic_id, provider_id, shift_id)
        put = [{**wanted, "shift_id": shift_id}]
        if since and old and since > _first_day(old):
            _require_before_its_end(form, "since", since, old)
            if wanted["valid_to"] and wanted["valid_to"] <= since.isoformat():
                form.fail("valid_until", form.gettext("The last day is not before the first."))
            before = {**stored_shift(old), "shift_id": shift_id, "valid_to": since.isoformat()}
            put = [before, {**wanted, "valid_from": since.isoformat()}]
        return await _change(request, (clinic_id, provider_id, shift_id), form, [], put)

    @post("/shift/{shift_id:int}/end", request_max_body_size=BODY_BYTES_MAX, **needs("manage_schedule"))
    async def end_shift(
        self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId, shift_id: ShiftId
    ) -> Response[str]:
        """End a shift: at once, or after a last day."""
        form = await read_form(request)
        form.given["ends_it"] = "1"
        last_day = form.day("last_day")
        await _refuse_past(request, clinic_id, form, "last_day")
        where = (clinic_id, provider_id, shift_id)
        old = await _shift(request, *where)
        if last_day is None or old is None or last_day < _first_day(old):
            return await _change(request, where, form, [shift_id], [])
        _require_before_its_end(form, "last_day", last_day, old)
        ended = {**stored_shift(old), "shift_id": shift_id, "valid_to": (last_day + timedelta(days=1)).isoformat()}
        return await _change(request, where, form, [], [ended])

    @get("/copy", **needs("manage_schedule"))
    async def ask_copy(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        return await _copy_page(request, clinic_id, provider_id)

    @post("/copy", **needs("manage_schedule"))
    async def copy(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        """Add the shifts of a day to other days, or those of the week to other providers; what is there stays."""
        form = await read_form(request)
        clinic = await ask(request, queries.office, clinic_id)
        monday = _monday(_week_of(form), _today(request, clinic))
        week = await ask(request, queries.week, clinic_id, provider_id, monday)
        day, days = form.number("from_day", 0, 7, 0), form.days("to_day_")
        others = [int(found[1]) for found in map(_TO.fullmatch, form.given) if found]
        copied = [stored_shift(shift) for shift in week["shifts"] if day in (0, shift["weekday"])]
        targets = [(one, copied) for one in others]
        if day and days:
            own = [{**one, "weekday": to} for one in copied for to in days if to != day]
            targets = [(provider_id, own), *targets]
        if days and day == 0:
            form.fail("from_day", form.gettext("Choose which day to copy to other days."))
        elif not copied:
            form.fail("from_day", form.gettext("There are no shifts to copy."))
        elif not any(put for _, put in targets):
            form.fail("from_day", form.gettext("Choose where to copy it: days for one day, doctors for the week."))
        if not form.is_good:
            return await _copy_page(request, clinic_id, provider_id, form)
        names: dict[int, str] = {}
        for other, wanted in targets:
            there = await ask(request, queries.week, clinic_id, other, monday)
            stored = [stored_shift(shift) for shift in there["all_shifts"]]
            put = [one for one in wanted if one not in stored]
            answer = await change(request, queries.change_shifts, clinic_id, other, [], put, {}, None, {})
            if answer["code"] != "changed":
                names[other] = form.gettext(REFUSED.get(answer["code"], REFUSED["invalid"]))
        if names:
            for other, text in names.items():
                form.fail("from_day" if other == provider_id else f"to_{other}", text)
            return await _copy_page(request, clinic_id, provider_id, form)
        shown = targets[0][0]
        return see_other(request, _path(clinic_id, shown), {"done": "copied", "week": _week_of(form)})


def _path(clinic_id: int, provider_id: int) -> str:
    return f"/office/{clinic_id}/week/{provider_id}"


def _week_of(form: Form) -> str:
    return form.given.get("week", "")[:10]


def _today(request: AnyRequest, clinic: dict[str, Any]) -> date:
    return services(request).clock.now().astimezone(ZoneInfo(clinic["time_zone"])).date()


def _monday(week: str, today: date) -> date:
    """Return the Monday of the week that a page's address or a form names; of this week where that is no day."""
    try:
        day = date.fromisoformat(week)
    except ValueError:
        day = today
    if not 2000 <= day.year < 2200:
        day = today
    return day - timedelta(days=day.weekday())


def _shift_of(form: Form) -> dict[str, Any]:
    """Return a shift as a form gives it, as the console's functions take it, without its weekday."""
    starts, ends = form.clock("starts"), form.clock("ends")
    slot_minutes = form.number("slot_minutes", *_RANGES["slot_minutes"])
    valid_from, valid_until = form.day("valid_from"), form.day("valid_until")
    if ends == 0:
        ends = DAY_MINUTES
    if starts is not None and ends is not None and ends <= starts:
        text = form.gettext("It ends after it starts. Past midnight, add two shifts: one to 00:00, one from 00:00 on.")
        form.fail("ends", text)
    elif None not in (starts, ends, slot_minutes) and ends - starts < slot_minutes:  # type: ignore[operator]
        form.fail("slot_minutes", form.gettext("The shift is shorter than one slot."))
    if valid_from and valid_until and valid_until < valid_from:
        form.fail("valid_until", form.gettext("The last day is not before the first."))
    return {
        "starts": _clock(starts or 0),
        "ends": _clock(ends or 0),
        "slot_minutes": slot_minutes,
        "seats": form.number("seats", *_RANGES["seats"], 1),
        "slots_max": form.number("slots_max", *_RANGES["slots_max"], 1),
        "release_hours": form.number("release_hours", 0, 720) if form.given.get("release_hours") else None,
        "valid_from": valid_from.isoformat() if valid_from else None,
        "valid_to": (valid_until + timedelta(days=1)).isoformat() if valid_until else None,
    }


def stored_shift(shift: dict[str, Any]) -> dict[str, Any]:
    """Return a shift that is stored, as the console's functions take it."""
    until = shift["valid_until"]
    return {
        **{name: shift[name] for name in _AS_STORED},
        "starts": _clock(shift["starts"]),
        "ends": _clock(shift["ends"]),
        "valid_to": (date.fromisoformat(until) + timedelta(days=1)).isoformat() if until else None,
    }


async def _refuse_past(request: AnyRequest, clinic_id: int, form: Form, field: str) -> None:
    """Have a form say so where a last day is past: the shift would be in no week, without a word."""
    last = form.day(field)
    if last is not None and last < _today(request, await ask(request, queries.office, clinic_id)):
        form.fail(
            field, form.gettext("This day is past. Choose a later one; to end a shift now, leave its last day empty.")
        )


def _first_day(shift: dict[str, Any]) -> date:
    return date.fromisoformat(shift["valid_from"]) if shift["valid_from"] else date.min


def _require_before_its_end(form: Form, field: str, day: date, shift: dict[str, Any]) -> None:
    """Have a form say so where a shift is over by a day."""
    if shift["valid_until"] and day.isoformat() > shift["valid_until"]:
        form.fail(field, form.gettext("The shift is over by then."))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _typed_clock(minutes: int) -> str:
    """Return a time of day as fields for one have it, in which the end of a day is 00:00."""
    return _clock(minutes % DAY_MINUTES)


async def _shift(request: AnyRequest, clinic_id: int, provider_id: int, shift_id: int) -> dict[str, Any] | None:
    """Return a shift; None where there is none, as another may have ended it."""
    week = await ask(request, queries.week, clinic_id, provider_id, services(request).clock.now().date())
    for shift in week["all_shifts"]:
        if shift["shift_id"] == shift_id:
            return {**shift, "provider": week["name"]}
    return None


async def _change(
    request: AnyRequest, where: tuple[int, int, int], form: Form, remove: list[int], put: list[dict[str, Any]]
) -> Response[str]:
    """Change a shift as it was shown, over what the sender was shown to be in the way."""
    clinic_id, provider_id, shift_id = where
    if not form.is_good:
        return await _shift_page(request, *where, form=form)
    was = {str(shift_id): form.given.get("was", "")[:64]}
    moves = moves_of(form)
    change_it = (clinic_id, provider_id, remove, put, was, seen_at(form), moves)
    answer = await change(request, queries.change_shifts, *change_it)
    if answer["code"] == "changed":
        done = {"done": "ended" if form.given.get("ends_it") else "changed", "week": _week_of(form)}
        return see_other(request, _path(clinic_id, provider_id), {**done, **moved_and_flagged(answer)})
    note_refusal(form, answer, request)
    return await _shift_page(request, *where, form=form, answer=answer)


async def _week_page(request: AnyRequest, clinic_id: int, provider_id: int, form: Form | None = None) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    today = _today(request, clinic)
    monday = _monday(_week_of(form) if form else request.query_params.get("week", ""), today)
    week = await ask(request, queries.week, clinic_id, provider_id, monday)
    grid = grid_of(week, monday, clinic["time_zone"])
    given = {**_dragged(request), "week": monday.isoformat()} if form is None else form.given
    shown = form or Form(given, language_of(request))
    return office_page(
        request,
        "week.html",
        clinic_id,
        "providers",
        shown,
        clinic=clinic,
        week=week,
        grid=grid,
        monday=monday,
        today=today,
        ranges=_RANGES,
        shares=share_choices(language_of(request), shown.given.get("release_hours", "")),
        share_words=share_words,
        row_minutes=ROW_MINUTES,
        week_before=monday - timedelta(days=7),
        week_after=monday + timedelta(days=7),
        zone=clinic["time_zone"],
    )


def _dragged(request: AnyRequest) -> dict[str, str]:
    """Return what dragging over the grid fills in, or a link to add again what another ended."""
    names = ("weekday", *_TYPED, *(f"day_{day}" for day in range(1, 8)))
    found = {name: request.query_params[name][:10] for name in names if name in request.query_params}
    return {name: "00:00" if value == "24:00" else value for name, value in found.items()}


def _filled_in(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters with which the form of new shifts has what was typed for one."""
    typed = {name: given[name][:10] for name in _TYPED if given.get(name)}
    return {"week": given.get("week", "")[:10], f"day_{given.get('weekday', '1')[:1]}": "1", **typed}


async def _shift_page(
    request: AnyRequest,
    clinic_id: int,
    provider_id: int,
    shift_id: int,
    form: Form | None = None,
    answer: dict[str, Any] | None = None,
) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    shift = await _shift(request, clinic_id, provider_id, shift_id)
    if shift is None and answer is None:
        raise NotFound
    stored: dict[str, str] = {}
    changed: list[str] = []
    if shift is not None:
        stored = {
            **{name: "" if shift[name] is None else str(shift[name]) for name in (*_AS_STORED, "valid_until")},
            "starts": _clock(shift["starts"]),
            "ends": _typed_clock(shift["ends"]),
            "was": shift["digest"],
        }
    if form is None:
        dragged = _dragged(request)
        week = {"week": request.query_params.get("week", "")[:10]}
        filled = {**stored, **dragged, **week, "marks": marks_of(stored), "is_dragged": "1" if dragged else ""}
        form = Form(filled, language_of(request))
    elif answer and answer["code"] == "stale":
        changed = take_over(form, stored)
        form.given["was"] = stored.get("was", "")
    elif form.given.get("ends_it"):
        form.given = {**stored, "marks": marks_of(stored), **form.given}
    return office_page(
        request,
        "shift.html",
        clinic_id,
        "providers",
        form,
        clinic=clinic,
        shift=shift,
        stored=stored,
        changed=changed,
        again=urlencode(_filled_in(form.given)),
        provider_id=provider_id,
        ranges=_RANGES,
        shares=share_choices(language_of(request), form.given.get("release_hours", "")),
        share_words=share_words,
        answer=answer,
        zone=clinic["time_zone"],
    )


async def _copy_page(request: AnyRequest, clinic_id: int, provider_id: int, form: Form | None = None) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    asked = _week_of(form) if form else request.query_params.get("week", "")
    monday = _monday(asked, _today(request, clinic))
    week = await ask(request, queries.week, clinic_id, provider_id, monday)
    form = form or Form({"week": monday.isoformat()}, language_of(request))
    others = [one for one in clinic["providers"] if one["provider_id"] != provider_id and one["closed_at"] is None]
    return office_page(
        request, "copy.html", clinic_id, "providers", form, clinic=clinic, week=week, others=others, monday=monday
    )
