"""The day sheet: who comes to a clinic on a day, and where they stand; what the desk records of them."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.web.desk.day.acting import DONE, REFUSED, is_for_own_page, own_page, press
from healthplus.web.desk.day.changes import change_notice
from healthplus.web.desk.day.phone_queue import read_callers
from healthplus.web.desk.day.sheet import ACTS, KEYS, STATES, Column, Sheet
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.frame import ask
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.booking import parsed_number
from healthplus.web.pages.chart import Text
from healthplus.web.pages.delays import told_off
from healthplus.web.pages.rendering import document, see_other
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest, services

_DAYS_MAX = timedelta(days=3660)


class DayController(Controller):
    path = "/desk/{clinic_id:int}"

    @get("/day", **needs("see_clinic"))
    async def today(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
        return see_other(request, f"/desk/{clinic_id}/{services(request).clock.now().astimezone(zone).date()}")

    @get("/{day:date}", **needs("see_clinic"))
    async def day(self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date]) -> Response[str]:
        return await _day_page(request, clinic_id, day)

    @get("/{day:date}/news", **needs("see_clinic", is_use=False))
    async def news(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], after: Text = ""
    ) -> Response[Any]:
        """Return what has changed since a version, for the page's script; nothing where all is as it was."""
        services(request).desks.see(clinic_id)
        version = await console(request).fetch_value(queries.day_version, clinic_id)
        if version == after:
            return Response(b"", status_code=204, headers={"Cache-Control": "no-store"})
        return await _day_page(request, clinic_id, day, template="day/columns.html", version=version)

    @get("/{day:date}/csv", **needs("see_clinic"))
    async def as_csv(self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date]) -> Response[bytes]:
        """Return the day as a table, for the hour when there is no network."""
        sheet = await _sheet(request, clinic_id, day)
        zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
        file = io.StringIO()
        table = csv.writer(file)
        table.writerow(["doctor", "time", "token", "name", "year of birth", "sex", "state", "number", "reason"])
        for column in sheet.columns:
            for row in column.rows:
                visit = row.visit
                table.writerow(
                    [
                        *(
                            column.provider["name"],
                            f"{row.starts_at.astimezone(zone):%H:%M}",
                            visit.get("token_label") or "",
                        ),
                        *(_cell(visit.get(name)) for name in ("name", "birth_year", "sex")),
                        *(STATES[row.state], number_of(UUID(visit["booking_id"])) if visit else ""),
                        _cell(visit.get("reason")),
                    ]
                )
        name = f"attachment; filename=day-{day}.csv"
        return document(request, file.getvalue().encode(), "text/csv", headers={"Content-Disposition": name})

    @post("/{day:date}", **needs("record_attendance"))
    async def record(self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date]) -> Response[str]:
        """Record what the pressed button says, `do`: an act and the booking that it is about."""
        provider_id = parsed_number((await form_of(request)).get("provider", ""))
        pressed = await press(request, clinic_id, provider_id)
        if is_for_own_page(request, clinic_id):
            return own_page(request, clinic_id, pressed)
        if pressed.refused:
            return await _day_page(request, clinic_id, day, refused=REFUSED[pressed.refused], about=pressed.booking_id)
        return see_other(request, f"/desk/{clinic_id}/{day}", {"done": pressed.act, "about": str(pressed.booking_id)})


def _cell(value: object) -> str:
    """Return a value for a table; what a spreadsheet would take for a formula is made text."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def require_near(request: AnyRequest, day: date) -> None:
    """Raise NotFound for a day that is years away."""
    if abs(day - services(request).clock.now().date()) > _DAYS_MAX:
        raise NotFound


async def _sheet(request: AnyRequest, clinic_id: int, day: date) -> Sheet:
    """Return a day of a clinic. Raises NotFound for one that is years away."""
    require_near(request, day)
    zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
    found = await ask(request, queries.day_sheet, clinic_id, day)
    columns = [Column(provider, found["now_at"]) for provider in found["providers"]]
    today = found["now_at"].astimezone(zone).date()
    return Sheet(
        *(day, today, found["now_at"], columns, found["walk_in_every"], found["overbook_cap"]),
        await told_off(request, clinic_id),
    )


async def _day_page(
    request: AnyRequest,
    clinic_id: int,
    day: date,
    *,
    refused: str = "",
    about: UUID | None = None,
    template: str = "day/day.html",
    version: str | None = None,
) -> Response[str]:
    # Before the sheet: what changes in between is seen with the next question.
    version = version or await console(request).fetch_value(queries.day_version, clinic_id)
    query: dict[str, Any] = dict(request.query_params.items()) if request.method == "GET" else {}
    view = await _sheet(request, clinic_id, day)
    return desk_page(
        request,
        template,
        status=409 if refused else 200,
        clinic=await read_clinic(request, clinic_id),
        clinic_id=clinic_id,
        base=f"/desk/{clinic_id}",
        has_order=True,
        has_table=True,
        version=version,
        view=view,
        can_overbook=view.overbook_cap > 0 and require_staff(request).may("change_booking", clinic_id),
        callers=(await read_callers(request, clinic_id))["callers"],
        states=STATES,
        acts=ACTS,
        keys=KEYS,
        refused=refused,
        done=DONE.get(query.get("done", "")),
        about=str(about) if about else query.get("about", ""),
        search=query.get("q", "")[:100],
        **change_notice(query),
        sexes=SEXES,
    )
