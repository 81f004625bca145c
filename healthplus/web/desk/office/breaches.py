"""The record of breaches of personal data: what is known, who must be told by when, who was told when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.text import identifier
from healthplus.web.desk.office.administration_page import administration_page
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import read_form
from healthplus.web.desk.session import console, needs
from healthplus.web.http.ids import BreachId
from healthplus.web.languages import HOME_ZONE, N_, Language
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

_PATH = "/office/breaches"
_TEXT_LENGTH_MAX = 4000
_PEOPLE_MAX = 2_000_000_000
_HOUR = timedelta(hours=1)

DUTIES = {
    "board_told": (
        N_("Data Protection Board: first notice"),
        N_("What happened, when and where, how far it goes, and what may come of it"),
    ),
    "people_told": (
        N_("Those concerned"),
        N_("What happened, what may come of it, what is done, what they can do, and whom they can ask"),
    ),
    "board_reported": (
        N_("Data Protection Board: detailed report"),
        N_("Causes, measures, who did it as far as is known, and who was told"),
    ),
}
"""Who must be told; the last within 72 hours from when it was known, the others without delay."""
_REFUSALS = {
    "not_yet": N_("This is still to come. Say when they were told."),
    "too_early": N_("The breach was not known yet then."),
    "open": N_("Not everybody who must be told was. Note that first."),
}


class Duty(NamedTuple):
    """Whom to tell, and when they were; else how many hours are left, below 0 once it is late. None: without delay."""

    kind: str
    whom: str
    what: str
    told_at: datetime | None
    hours_left: int | None


def duties_of(row: Record, now: datetime) -> list[Duty]:
    """Return who must be told of a breach, a row of console.breaches."""
    hours_left = (row["report_due_at"] - now) // _HOUR
    told = (row["board_told_at"], row["people_told_at"], row["board_reported_at"])
    return [
        Duty(kind, whom, what, at, hours_left if kind == "board_reported" else None)
        for (kind, (whom, what)), at in zip(DUTIES.items(), told, strict=True)
    ]


class BreachesController(Controller):
    path = _PATH

    @get(**needs("manage_breaches"))
    async def breaches(self, request: AnyRequest) -> Response[str]:
        now = services(request).clock.now()
        rows = await console(request).fetch(queries.breaches)
        return administration_page(
            request,
            "breaches.html",
            "breaches",
            breaches=[(row, duties_of(row, now)) for row in rows],
            time_left=time_left,
            zone=HOME_ZONE,
        )

    @get("/new", **needs("manage_breaches"))
    async def ask_new(self, request: AnyRequest) -> Response[str]:
        return _new_page(request, Form({"known": _local(services(request).clock.now())}, language_of(request)))

    @post("/new", **needs("manage_breaches"))
    async def note(self, request: AnyRequest) -> Response[str]:
        form = await read_form(request)
        known_at, described = _local_instant(form, "known"), _described(form)
        if form.is_good:
            row = await console(request).change(queries.note_breach, known_at, *described)
            assert row is not None
            if row["breach_id"] is not None:
                return see_other(request, f"{_PATH}/{row['breach_id']}", {"done": "noted"})
            form.fail("known", form.gettext("This is still to come. Say since when it is known."))
        return _new_page(request, form)

    @get("/{breach_id:int}", **needs("manage_breaches"))
    async def breach(self, request: AnyRequest, breach_id: BreachId) -> Response[str]:
        return await _breach_page(request, breach_id)

    @post("/{breach_id:int}", **needs("manage_breaches"))
    async def add(self, request: AnyRequest, breach_id: BreachId) -> Response[str]:
        form = await read_form(request)
        kind = form.choice("kind", ("described", *DUTIES, "closed"))
        entry: tuple[datetime | None, str, str, int | None, str]
        if kind == "described":
            entry = (None, *_described(form))
        else:
            told_at = None if kind == "closed" else _local_instant(form, "told")
            entry = (told_at, form.text("happened", _TEXT_LENGTH_MAX, required=True, lines=True), "", None, "")
        if not form.is_good:
            return await _breach_page(request, breach_id, form)
        row = await console(request).change(queries.add_to_breach, breach_id, kind, *entry)
        assert row is not None
        if row["outcome"] == "not_found":
            raise NotFound
        if row["outcome"] != "done":
            form.fail("told" if kind in DUTIES else "kind", form.gettext(_REFUSALS[row["outcome"]]))
            return await _breach_page(request, breach_id, form)
        return see_other(request, f"{_PATH}/{breach_id}", {"done": "added"})


def _described(form: Form) -> tuple[str, str, int | None, str]:
    """Return what is known of a breach: what happened, to which data, how many people it concerns, what was done."""
    happened = form.text("happened", _TEXT_LENGTH_MAX, required=True, lines=True)
    data = form.text("data", _TEXT_LENGTH_MAX, required=True, lines=True)
    people = form.number("people", 0, _PEOPLE_MAX) if form.given.get("people", "").strip() else None
    return happened, data, people, form.text("measures", _TEXT_LENGTH_MAX, lines=True)


def _local_instant(form: Form, field: str) -> datetime | None:
    """Return a day and time of India's, as the browser's field for it sends them."""
    try:
        found = datetime.fromisoformat(identifier(form.given.get(field, "")).replace(" ", "T"))
    except ValueError:
        found = datetime.min  # noqa: DTZ901 - a year that is refused
    if found.tzinfo is None and 2000 <= found.year < 2200:
        return found.replace(tzinfo=ZoneInfo(HOME_ZONE))
    form.fail(field, form.gettext("A day and time, such as 2026-12-24 09:30."))
    return None


def _local(at: datetime) -> str:
    return at.astimezone(ZoneInfo(HOME_ZONE)).strftime("%Y-%m-%dT%H:%M")


def time_left(language: Language, hours: int) -> str:
    """Return how long there is until something is due, or since when it is late, in words."""
    if hours < 0:
        late = -hours - 1  # whole hours, as what is left is counted
        if late == 0:
            return language.gettext("less than an hour late")
        return language.ngettext("%(count)s hour late", "%(count)s hours late", late) % {"count": late}
    if hours == 0:
        return language.gettext("less than an hour left")
    return language.ngettext("%(count)s hour left", "%(count)s hours left", hours) % {"count": hours}


def _new_page(request: AnyRequest, form: Form) -> Response[str]:
    return administration_page(request, "breach_new.html", "breaches", form)


async def _breach_page(request: AnyRequest, breach_id: int, form: Form | None = None) -> Response[str]:
    now = services(request).clock.now()
    known = {row["breach_id"]: row for row in await console(request).fetch(queries.breaches)}
    if breach_id not in known:
        raise NotFound
    entries = await console(request).fetch(queries.breach_entries, breach_id)
    latest = next(row for row in entries if row["kind"] == "described")
    if form is None:
        kept = {name: latest[name] for name in ("happened", "data", "measures")}
        people = {} if latest["people"] is None else {"people": str(latest["people"])}
        form = Form({**kept, **people, "told": _local(now)}, language_of(request))
    return administration_page(
        request,
        "breach.html",
        "breaches",
        form,
        breach=known[breach_id],
        duties=duties_of(known[breach_id], now),
        all_duties=DUTIES,
        entries=entries,
        latest=latest,
        time_left=time_left,
        zone=HOME_ZONE,
    )
