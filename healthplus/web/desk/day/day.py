"""The day sheet: who comes to a clinic on a day, and where they stand; what the desk records of them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, MediaType, Response, get, post
from litestar.params import FromPath
from litestar.utils.scope.state import ScopeState
from markupsafe import Markup

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.csv_cells import cell
from healthplus.errors import NotFound
from healthplus.money import in_units
from healthplus.web.desk.day.acting import DONE, REFUSED, back_to, is_for_own_page, own_page, press
from healthplus.web.desk.day.changes import change_notice
from healthplus.web.desk.day.phone_queue import read_callers
from healthplus.web.desk.day.sheet import ACTS, KEYS, STATES, Column, Row, Sheet
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.frame import ask
from healthplus.web.desk.session import desk_page, needs, require_staff
from healthplus.web.http.encodings import takes_gzip
from healthplus.web.http.ids import ClinicId
from healthplus.web.kept_days import Found, News
from healthplus.web.pages.booking import parsed_number
from healthplus.web.pages.chart import Text
from healthplus.web.pages.delays import told_off
from healthplus.web.pages.rendering import document, language_of, see_other
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest, services

_DAYS_MAX = timedelta(days=3660)
_GZIP_LEVEL = 6
_COLUMNS = (
    *("doctor", "time", "end", "token", "name", "year of birth", "sex", "end of the phone number"),
    *("state", "number", "services", "reason"),
)


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
        """Return a day once it is not as in a version any more, for the page's script; nothing after 25 s."""

        async def look() -> Found | None:
            services(request).desks.see(clinic_id)
            found = await _found(request, clinic_id, day, after, at_once=False)
            return found if "sheet" in found else None

        services(request).desks.see(clinic_id)
        found = await _found(request, clinic_id, day, after, at_once=False)
        if "sheet" not in found and (watched := found["provider_ids"]):
            found = await services(request).days.wait_for_update(watched[0], look, *watched[1:]) or found
        if "sheet" not in found:
            return document(request, b"", status=204)
        return await _news(request, clinic_id, day, found)

    @get("/{day:date}/csv", **needs("see_clinic"))
    async def as_csv(self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date]) -> Response[bytes]:
        """Return the day as a table, for the hour when there is no network."""
        sheet: Sheet = (await _found(request, clinic_id, day))["sheet"]
        clinic = await read_clinic(request, clinic_id)
        zone = ZoneInfo(clinic["time_zone"])
        file = io.StringIO()
        table = csv.writer(file)
        table.writerow([*_COLUMNS, f"to pay ({clinic['currency']})"])
        for column in sheet.columns:
            for row in column.rows:
                for starts_at in row.starts or (row.starts_at,):
                    table.writerow(_cells(column.provider["name"], row, starts_at, zone, clinic["currency"]))
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
        return back_to(request, f"/desk/{clinic_id}/{day}", pressed)


def _cells(doctor: str, row: Row, starts_at: datetime, zone: ZoneInfo, currency: str) -> list[str]:
    """Return a time of the day as a row of the table."""
    visit = row.visit
    to_pay = visit.get("to_pay_minor")
    return [
        cell(doctor),
        f"{starts_at.astimezone(zone):%H:%M}",
        f"{visit['ends_at'].astimezone(zone):%H:%M}" if visit else "",
        *(cell(visit.get(name)) for name in ("token_label", "name", "birth_year", "sex", "phone_end")),
        STATES[row.state],
        number_of(UUID(visit["booking_id"])) if visit else "",
        *(cell(visit.get(name)) for name in ("services", "reason")),
        str(in_units(to_pay, currency)) if to_pay else "",
    ]


def require_near(request: AnyRequest, day: date) -> None:
    """Raise NotFound for a day that is years away."""
    if abs(day - services(request).clock.now().date()) > _DAYS_MAX:
        raise NotFound


async def _found(request: AnyRequest, clinic_id: int, day: date, after: str = "", *, at_once: bool = True) -> Found:
    """Return what is known of a clinic's day, with its `sheet` unless it is as in the version `after`.

    `at_once`: as KeptDays.sheet has it. Raises NotFound for a day that is years away.
    """
    require_near(request, day)

    async def ask_database(kept: str | None) -> Found:
        found = await ask(request, queries.day_sheet, clinic_id, day, after or None, kept)
        if found["providers"] is not None:
            zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
            columns = [Column(provider, found["now_at"]) for provider in found["providers"]]
            today = found["now_at"].astimezone(zone).date()
            found["sheet"] = Sheet(
                *(day, today, found["now_at"], columns, found["walk_in_every"], found["overbook_cap"]),
                await told_off(request, clinic_id),
            )
        return found

    return await services(request).days.sheet(clinic_id, day, ask_database, at_once=at_once)


async def _news(request: AnyRequest, clinic_id: int, day: date, found: Found) -> Response[Any]:
    """Return what has changed, made once for all to whom the same is shown; callers are shown to each by themselves."""
    sheet: Sheet = found["sheet"]
    callers = (await read_callers(request, clinic_id))["callers"]
    key = (*await _seen_by(request, clinic_id), *sheet.undoable_by(str(require_staff(request).actor)))
    news = found["news"].get(key)
    if callers or news is None:
        page = await _day_page(request, clinic_id, day, template="day/columns.html", found=found, callers=callers)
        if callers:
            return page
        body = page.content.encode()
        news = found["news"][key] = News(dict(page.headers), body, gzip.compress(body, _GZIP_LEVEL, mtime=0))
    is_gzipped = takes_gzip(request)
    headers = {**news.headers, "Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if is_gzipped else {})}
    ScopeState.from_scope(request.scope).is_cached = True  # so that Litestar does not compress it
    return Response(news.gzipped if is_gzipped else news.body, media_type=MediaType.HTML, headers=headers)


async def _seen_by(request: AnyRequest, clinic_id: int) -> tuple[object, ...]:
    """Return what texts of a sheet hang on besides the sheet: the language, the clinic, and what somebody is there."""
    role = require_staff(request).role_for("see_clinic", clinic_id)
    return language_of(request).code, clinic_id, *await read_clinic(request, clinic_id), role


async def _day_page(
    request: AnyRequest,
    clinic_id: int,
    day: date,
    *,
    refused: str = "",
    about: UUID | None = None,
    template: str = "day/day.html",
    found: Found | None = None,
    callers: list[dict[str, Any]] | None = None,
) -> Response[str]:
    found = found or await _found(request, clinic_id, day)
    if callers is None:
        callers = (await read_callers(request, clinic_id))["callers"]
    viewer = str(require_staff(request).actor)
    view: Sheet = found["sheet"]
    can_overbook = view.overbook_cap > 0 and require_staff(request).may("change_booking", clinic_id)
    seen_by = (*await _seen_by(request, clinic_id), can_overbook)

    def keep(row: Row, card: Callable[[Row, dict[str, Any]], Markup], provider: dict[str, Any]) -> Markup:
        key = (*seen_by, day, provider["provider_id"], provider["name"], *row.acts(viewer), *row.says)
        return services(request).days.row(key, lambda: card(row, provider))

    query: dict[str, Any] = dict(request.query_params.items()) if request.method == "GET" else {}
    return desk_page(
        request,
        template,
        status=409 if refused else 200,
        clinic=await read_clinic(request, clinic_id),
        clinic_id=clinic_id,
        base=f"/desk/{clinic_id}",
        has_order=True,
        has_table=True,
        version=found["version"],
        view=view,
        can_overbook=can_overbook,
        callers=callers,
        viewer=viewer,
        keep=keep,
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
