"""Callers who wait in a queue: who they are, what the desk does for them, and how one joins."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.accounts.phone_numbers import written
from healthplus.booking.book import CLIENT_MARGIN
from healthplus.console.console import queries
from healthplus.database import Range
from healthplus.errors import NotFound
from healthplus.web.desk.day.news import day_version, news_since
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import DAY_MINUTES, Form
from healthplus.web.desk.office.frame import Document, Typed, ask, change, read_form
from healthplus.web.desk.refused import refusal
from healthplus.web.desk.session import desk_page, needs
from healthplus.web.http.ids import ID_MAX, ClinicId
from healthplus.web.languages import N_, Language
from healthplus.web.pages.booking import parsed_number
from healthplus.web.pages.chart import Text
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.pages.session import form_of, idempotency_key
from healthplus.web.services import AnyRequest, services

ACTS = ("call", "book", "let_go")
SERVED = {
    "accepted": N_("The time is held for five minutes. Call now."),
    "answered": N_("It is theirs unless somebody before them answers, too. You are shown when to call."),
    "booked": N_("Booked"),
    "released": N_("The time went to the next in the queue."),
    "left": N_("They are out of the queue."),
    "waiting": N_("They are in the queue, and are called when it is their turn."),
    "offered": N_("A time is free for them at once: it is below."),
}
_NOT_JOINED = {
    "slot_full": N_("All is booked then, and nothing can come free. Choose another time or doctor."),
    "no_such_slot": N_("The doctor has no such times then. Choose another time or doctor."),
}
"""What a time that is full means to who would wait for it."""
_WANTED = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)


async def read_callers(request: AnyRequest, clinic_id: int, person_id: UUID | None = None) -> dict[str, Any]:
    """Return a clinic's callers in queues, and a person who is to join one; note that its desk is connected."""
    services(request).desks.see(clinic_id)
    found = await ask(request, queries.phone_queue, clinic_id, person_id)
    for one in found["callers"]:
        one["phone_text"] = written(one["phone"]) if one["phone"] else ""
        if one["deadline_at"]:
            one["deadline_at"] -= CLIENT_MARGIN
    return found


class PhoneQueueController(Controller):
    path = "/desk/{clinic_id:int}/queue"

    @get(**needs("see_clinic"))
    async def show(
        self, request: AnyRequest, clinic_id: ClinicId, person: Text = "", provider: Text = "", day: Text = ""
    ) -> Response[str]:
        """Show who waits, and (`person`) have somebody join, for a doctor and a day that may be chosen before."""
        given = {"person": person, "what": provider, "day": day}
        return await _queue_page(request, clinic_id, Form(given, language_of(request)))

    @get("/news", **needs("see_clinic", is_use=False))
    async def news(self, request: AnyRequest, clinic_id: ClinicId, after: Text = "") -> Response[Any]:
        """Return what has changed since a version, for the page's script; nothing where all is as it was."""
        services(request).desks.see(clinic_id)
        form = Form({}, language_of(request))
        return await news_since(
            after,
            day_version(request, clinic_id),
            lambda version: _queue_page(request, clinic_id, form, template="day/callers.html", version=version),
        )

    @post(**needs("book"))
    async def join(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Have a person of the clinic join the queue for a doctor, within a day or a part of it."""
        form = await read_form(request)
        zone = (await read_clinic(request, clinic_id))["time_zone"]
        window = _window(form, ZoneInfo(zone), services(request).clock.now())
        wanted = _WANTED.fullmatch(form.given.get("what", ""))
        ids = [int(one) for one in wanted.groups() if one] if wanted else []
        if not ids or max(ids) > ID_MAX:
            form.fail("what", form.gettext("Choose a doctor."))
        if window is not None and form.is_good:
            key = idempotency_key(form.given, "person", "what", "day", "from", "to")
            service_id = ids[1] if len(ids) > 1 else None
            answer = await change(
                request, queries.join_by_phone, clinic_id, ids[0], _person(form), window, service_id, key
            )
            if answer["ticket_id"]:
                services(request).book.changed(ids[0])
                return see_other(request, f"/desk/{clinic_id}/queue", {"done": answer["code"]})
            form.fail("what", refusal(answer, zone, language_of(request), _NOT_JOINED))
        return await _queue_page(request, clinic_id, form)

    @post("/{ticket_id:uuid}", **needs("book"))
    async def serve(self, request: AnyRequest, clinic_id: ClinicId, ticket_id: FromPath[UUID]) -> Response[str]:
        """Do for a caller what the pressed button says, `do`: one of ACTS."""
        form = await form_of(request)
        provider_id = parsed_number(form.get("provider", ""))
        act = form.get("do", "")
        if act not in ACTS:
            raise NotFound
        key = idempotency_key({**form, "ticket": str(ticket_id)}, "do", "ticket")
        seen = form.get("seen") or None
        answer = await change(request, queries.serve_caller, clinic_id, provider_id, ticket_id, act, key, seen)
        services(request).book.changed(provider_id)
        if answer["code"] in SERVED:
            back = form.get("back", "") if re.fullmatch(r"\d{4}-\d\d-\d\d", form.get("back", ""), re.ASCII) else "queue"
            about = {"about": answer["booking_id"]} if answer["code"] == "booked" else {}
            return see_other(request, f"/desk/{clinic_id}/{back}", {"done": answer["code"], **about})
        language = language_of(request)
        refused = refusal(answer, (await read_clinic(request, clinic_id))["time_zone"], language)
        return await _queue_page(request, clinic_id, Form({}, language), refused=refused)


def _person(form: Form) -> UUID | None:
    try:
        return UUID(form.given.get("person", ""))
    except ValueError:
        return None


def _window(form: Form, zone: ZoneInfo, now: datetime) -> Range[datetime] | None:
    """Return from when until when a time may be: of the rest of a day, or of what is typed of it; None for nonsense."""
    day = form.day("day", required=True)
    minutes = [
        form.clock(field) if form.given.get(field, "").strip() else default
        for field, default in (("from", 0), ("to", DAY_MINUTES))
    ]
    if day is None or minutes[0] is None or minutes[1] is None:
        return None
    starts, ends = (_instant(day, at, zone) for at in minutes if at is not None)
    if max(starts, now) >= ends:
        form.fail("to", form.gettext("This is over, or ends before it begins. Choose a later time."))
        return None
    return Range(starts, ends)


def _instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    midnight, rest = divmod(minutes, DAY_MINUTES)
    wall = time(rest // 60, rest % 60)
    return datetime.combine(day + timedelta(days=midnight), wall, zone).astimezone(UTC)


async def _queue_page(
    request: AnyRequest,
    clinic_id: int,
    form: Form,
    *,
    refused: str = "",
    template: str = "day/queue.html",
    version: str | None = None,
) -> Response[str]:
    # Before the callers: what changes in between is seen with the next question.
    version = version or await day_version(request, clinic_id)
    clinic = await read_clinic(request, clinic_id)
    found = await read_callers(request, clinic_id, _person(form))
    if form.given.get("person") and found["person"] is None:
        raise NotFound
    today = found["now_at"].astimezone(ZoneInfo(clinic["time_zone"])).date()
    done = request.query_params.get("done", "") if request.method == "GET" else ""
    return desk_page(
        request,
        template,
        status=409 if refused else 422 if form.errors else 200,
        clinic=clinic,
        clinic_id=clinic_id,
        version=version,
        callers=found["callers"],
        person=found["person"],
        choices=_choices(found["providers"] or [], language_of(request)),
        now_at=found["now_at"],
        given=Typed({"day": str(today)} | {name: value for name, value in form.given.items() if value}),
        errors=Typed(form.errors),
        refused=refused,
        done=SERVED.get(done, ""),
    )


def _choices(providers: list[Document], language: Language) -> list[tuple[str, str]]:
    """Return what can be waited for: each doctor, and each of their services."""
    found = []
    for one in providers:
        found.append((str(one["provider_id"]), one["name"]))
        for service in one["services"]:
            name = language.known_name("service", service["name"])
            found.append((f"{one['provider_id']}-{service['service_id']}", f"{one['name']}: {name}"))
    return found
