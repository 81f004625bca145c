"""Phone bookings: for whom, with which doctor, for what, and when; one press books."""

from __future__ import annotations

import secrets
from datetime import datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.web.desk.day.people import kept_of, wanted_day, who_page
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, ask
from healthplus.web.desk.refused import WITH_REASON, refusal
from healthplus.web.desk.session import console, desk_page, needs
from healthplus.web.http.ids import ID_MAX, ClinicId
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_instant, parsed_number
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.pages.session import form_of, idempotency_key
from healthplus.web.services import AnyRequest, services

_SERVICES_MAX = 50
_REASON_LENGTH_MAX = 500
_NOT_TOGETHER = N_("Only tests can be done together. Choose one, and book each of the others as its own appointment.")
_NOT_OFFERED = N_("That is not offered here. Choose again.")


class BookController(Controller):
    path = "/desk/{clinic_id:int}/book"

    @get(**needs("book"))
    async def choose(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Ask who it is, and then with whom and when."""
        if not request.query_params.get("person"):
            return await who_page(request, clinic_id, "book")
        return await _times_page(
            request, clinic_id, Form({**request.query_params}, language_of(request)), _asked(request)
        )

    @post(**needs("book"))
    async def book(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = Form(await form_of(request), language_of(request))
        service_ids = _ids(form.given.get("services", "").split(","))
        provider_id = parsed_number(form.given.get("provider", ""))
        person_id = _person(form.given.get("person", ""))
        start = parsed_instant(form.given.get("start", ""))
        reason = form.text("reason", _REASON_LENGTH_MAX)
        if start is None:
            form.fail("start", form.gettext(N_("Choose a time.")))
        if start is None or form.errors:
            return await _times_page(request, clinic_id, form, service_ids)
        key = idempotency_key(form.given, "person", "provider", "start", "services")
        row = await console(request).change(
            queries.book, clinic_id, provider_id, person_id, start, service_ids or None, reason, key
        )
        assert row is not None
        if row["code"] == "not_found":
            raise NotFound
        clinic = await read_clinic(request, clinic_id)
        if row["code"] != "booked":
            form.fail("start", refusal(row, clinic["time_zone"], language_of(request), WITH_REASON))
            return await _times_page(request, clinic_id, form, service_ids, refused=row["code"])
        services(request).book.changed(provider_id)
        day = row["starts_at"].astimezone(ZoneInfo(clinic["time_zone"])).date()
        return see_other(request, f"/desk/{clinic_id}/{day}", {"done": "book", "about": str(row["booking_id"])})


async def _times_page(
    request: AnyRequest, clinic_id: int, form: Form, service_ids: list[int], refused: str = ""
) -> Response[str]:
    """Return the page with doctors, services and the next free times: after a refusal those around what was wanted."""
    given = form.given
    clinic = await read_clinic(request, clinic_id)
    provider_id = parsed_number(given["provider"]) if given.get("provider") else None
    zone = ZoneInfo(clinic["time_zone"])
    day = wanted_day(given)
    wanted = parsed_instant(given.get("start", ""))
    if refused or day is None:
        after = parsed_instant(given.get("from" if refused else "start", ""))
    else:
        after = datetime.combine(day, _clock(given.get("clock", "")), zone)
    person_id = _person(given.get("person", ""))
    view = await ask(request, queries.booking_choices, clinic_id, person_id, provider_id, service_ids or None, after)
    say = form.gettext
    if view["fault"]:
        form.fail("service", say(_NOT_TOGETHER if view["fault"] == "not_together" else _NOT_OFFERED))
    here = {"person": str(person_id), "provider": str(view["provider_id"] or "")}
    chosen = [("service", str(one)) for one in view["service_ids"] or []]
    later = view["starts"][-1] + timedelta(seconds=1) if view["starts"] else None
    return desk_page(
        request,
        "day/book.html",
        status=409 if refused else 422 if form.errors else 200,
        clinic=clinic,
        clinic_id=clinic_id,
        view=view,
        given=Typed(given),
        errors=Typed(form.errors),
        asks_why=refused in WITH_REASON or bool(given.get("reason")),
        key=secrets.token_urlsafe(16),
        sexes=SEXES,
        this_year=services(request).clock.now().year,
        wanted=wanted,
        looked_at=day or (wanted.astimezone(zone).date() if wanted else None),
        again=urlencode(kept_of(given)),
        later=urlencode([*here.items(), *chosen, ("start", later.isoformat())]) if later else "",
    )


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return time()


def _person(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None


def _asked(request: AnyRequest) -> list[int]:
    return _ids(request.query_params.getall("service", []))


def _ids(texts: list[str]) -> list[int]:
    """Return the ids of services, each once; what is none is left out."""
    numbers = (int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) <= len(str(ID_MAX)))
    return list(dict.fromkeys(number for number in numbers if 1 <= number <= ID_MAX))[:_SERVICES_MAX]
