"""A doctor's own day: their appointments at one of their clinics, and what they record of them."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.staff.sessions import StaffSession
from healthplus.web.desk.day.acting import DONE, REFUSED, back_to, press
from healthplus.web.desk.day.day import require_near
from healthplus.web.desk.day.news import news_since
from healthplus.web.desk.day.sheet import ACTS, KEYS, STATES, Column, Sheet
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.frame import ask
from healthplus.web.desk.session import console, desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.chart import Text
from healthplus.web.pages.delays import told_off
from healthplus.web.pages.rendering import see_other
from healthplus.web.services import AnyRequest, services

_ROOT = "/desk/own"


class OwnDayController(Controller):
    path = _ROOT

    @get("/{clinic_id:int}", **needs("see_own_day"))
    async def today(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
        today = services(request).clock.now().astimezone(zone).date()
        return see_other(request, f"{_ROOT}/{clinic_id}/{today}", dict(request.query_params.items()))

    @get("/{clinic_id:int}/{day:date}", **needs("see_own_day"))
    async def day(self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date]) -> Response[str]:
        return await _page(request, clinic_id, day)

    @get("/{clinic_id:int}/{day:date}/news", **needs("see_own_day", is_use=False))
    async def news(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], after: Text = ""
    ) -> Response[Any]:
        """Return what has changed since a version, for the page's script; nothing where all is as it was."""
        return await news_since(
            after,
            _version(request, clinic_id),
            lambda version: _page(request, clinic_id, day, template="day/columns.html", version=version),
        )

    @post("/{clinic_id:int}/{day:date}", **needs("record_attendance"))
    async def record(self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date]) -> Response[str]:
        """Record what the pressed button says, of the doctor's own patients."""
        pressed = await press(request, clinic_id, _own_provider(require_staff(request)))
        if pressed.refused:
            return await _page(request, clinic_id, day, refused=REFUSED[pressed.refused], about=pressed.booking_id)
        return back_to(request, f"{_ROOT}/{clinic_id}/{day}", pressed)


def _own_provider(session: StaffSession) -> int:
    """Return which doctor somebody is. Raises NotFound where they are none, as those of other roles."""
    if session.provider_id is None:
        raise NotFound
    return session.provider_id


async def _version(request: AnyRequest, clinic_id: int) -> str:
    own = _own_provider(require_staff(request))
    version: str | None = await console(request).fetch_value(queries.own_day_version, clinic_id, own)
    if version is None:
        raise NotFound
    return version


async def _page(
    request: AnyRequest,
    clinic_id: int,
    day: date,
    *,
    refused: str = "",
    about: UUID | None = None,
    template: str = "day/own.html",
    version: str | None = None,
) -> Response[str]:
    session = require_staff(request)
    require_near(request, day)
    # Before the sheet: what changes in between is seen with the next question.
    version = version or await _version(request, clinic_id)
    clinic = await read_clinic(request, clinic_id)
    found = await ask(request, queries.own_day, clinic_id, _own_provider(session), day)
    columns = [Column(provider, found["now_at"]) for provider in found["providers"]]
    today = found["now_at"].astimezone(ZoneInfo(clinic["time_zone"])).date()
    memberships = await services(request).staff_sessions.memberships(session)
    query: dict[str, Any] = dict(request.query_params.items()) if request.method == "GET" else {}
    return desk_page(
        request,
        template,
        status=409 if refused else 200,
        clinic=clinic,
        clinic_id=clinic_id,
        base=f"{_ROOT}/{clinic_id}",
        has_order=False,
        has_table=False,
        can_overbook=False,
        callers=[],
        viewer=str(session.actor),
        keep=lambda row, card, provider: card(row, provider),
        clinics=[row for row in memberships if row["clinic_id"] and session.may("see_own_day", row["clinic_id"])],
        version=version,
        view=Sheet(
            *(day, today, found["now_at"], columns, found["walk_in_every"], 0), await told_off(request, clinic_id)
        ),
        states=STATES,
        acts=ACTS,
        keys=KEYS,
        refused=refused or REFUSED.get(query.get("refused", ""), ""),
        done=DONE.get(query.get("done", "")),
        about=str(about) if about else query.get("about", ""),
        search=query.get("q", "")[:100],
        sexes=SEXES,
    )
