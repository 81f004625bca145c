"""Who is it? The desk finds whom its clinic knows, or adds somebody: the first step of what it does for a caller."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Controller, Response, get, post

from healthplus import text as typed
from healthplus.accounts.consent import CURRENT, require_consent
from healthplus.accounts.phone_numbers import is_mobile, phone_number, written
from healthplus.booking.numbers import ids_of
from healthplus.console.console import queries
from healthplus.errors import BadInput, NotFound, PhoneRefused
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed, ask, read_form
from healthplus.web.desk.session import console, desk_page, needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_day
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

STEPS = {
    "": N_("Patients"),
    "book": N_("Phone booking"),
    "walk-in": N_("Walk-in"),
    "overbook": N_("Book a time that is taken"),
}
"""What somebody is looked for, by the page below the clinic's that comes next, which gets `person`: its title."""
KEPT = ("provider", "start", "day")
"""What that page is also told, from field to field."""
_NUMBER = re.compile(r"(?=.*(\d|-))(hp[\s-]*)?[0-9a-z]{4}[\s-]?[0-9a-z]{4}", re.IGNORECASE)
_PHONE = re.compile(r"[+\d\s().\-/]+")
_TOKEN = re.compile(r"([a-z]{1,2})-?(\d{1,4})", re.ASCII | re.IGNORECASE)
"""As everybody says it: A-047."""
_TEXT_LENGTH_MAX = 100
_NO_NUMBER = N_("This is no whole phone number. Type all of it, with the country code if it is a foreign one.")


@dataclass
class LookedFor:
    """What somebody typed to find a person, and whom that means: `phone` is a whole number, in E.164."""

    text: str
    phone: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    is_account: bool = False
    is_all: bool = True

    @property
    def written_phone(self) -> str:
        return written(self.phone) if self.phone else ""


class PeopleController(Controller):
    path = "/desk/{clinic_id:int}/people"

    @get(**needs("see_clinic"))
    async def find(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await who_page(request, clinic_id, request.query_params.get("to", ""))

    @post(**needs("add_patient"))
    async def add(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        """Add a person to the account of a number, and go on with what they were looked for."""
        form = await read_form(request)
        to = form.given.get("to", "")
        if to not in STEPS:
            raise NotFound
        person_id = await _add(request, clinic_id, form)
        if person_id is None:
            return await who_page(request, clinic_id, to, form)
        if not to:
            return see_other(request, f"/desk/{clinic_id}/people", {"q": form.given["phone"], "done": "added"})
        return see_other(request, f"/desk/{clinic_id}/{to}", {"person": str(person_id), **kept_of(form.given)})


async def who_page(request: AnyRequest, clinic_id: int, to: str, form: Form | None = None) -> Response[str]:
    """Return the page that asks who it is, or says who fits what was typed; `form`: of somebody new, with errors."""
    if to not in STEPS:
        raise NotFound
    is_new = form is not None
    form = form or Form({**request.query_params}, language_of(request))
    looked_for = await _look(request, clinic_id, form, form.given.get("phone" if is_new else "q", ""))
    clinic = await read_clinic(request, clinic_id)
    return desk_page(
        request,
        "day/who.html",
        status=422 if form.errors else 200,
        clinic=clinic,
        clinic_id=clinic_id,
        to=to,
        title=STEPS[to],
        who=looked_for,
        kept=kept_of(form.given),
        link=urlencode(kept_of(form.given)),
        is_new=is_new,
        given=Typed({**form.given, "q": looked_for.text}),
        errors=Typed(form.errors),
        sexes=SEXES,
        consent=CURRENT,
        done=request.query_params.get("done", "") if request.method == "GET" else "",
        this_year=services(request).clock.now().year,
    )


def kept_of(given: Any) -> dict[str, str]:
    """Return what a page is to hand on."""
    return {name: given[name][:40] for name in KEPT if given.get(name) and (name != "day" or wanted_day(given))}


def wanted_day(given: Any) -> date | None:
    """Return the day that somebody looks at; None where they did not say one."""
    day = parsed_day(given.get("day", ""))
    return day if day and 2000 <= day.year < 2200 else None


async def _look(request: AnyRequest, clinic_id: int, form: Form, text: str) -> LookedFor:
    """Return whom a text means: the whole of a number or its end, a token, an appointment's number, or a name."""
    found = LookedFor(typed.name(text)[:_TEXT_LENGTH_MAX])
    wanted: dict[str, Any] = dict.fromkeys(("text", "letter", "digits", "phone", "first", "last"))
    digits = typed.number(found.text)
    if not found.text:
        return found
    if re.fullmatch(r"\d{1,6}", digits, re.ASCII):
        wanted["digits"] = digits
    elif token := _TOKEN.fullmatch(digits):
        wanted["letter"], wanted["digits"] = token[1].upper(), token[2]
    elif _PHONE.fullmatch(found.text):
        try:
            found.phone = wanted["phone"] = _whole_number(request, found.text)
        except PhoneRefused:
            form.fail("q", form.gettext(_NO_NUMBER))
            return found
    else:
        wanted["text"] = found.text
        if _NUMBER.fullmatch(found.text):
            with contextlib.suppress(BadInput):
                wanted["first"], wanted["last"] = ids_of(found.text)
    answer = await ask(request, queries.find_people, clinic_id, *wanted.values())
    found.rows, found.is_account, found.is_all = answer["rows"], answer["is_account"], answer["is_all"]
    return found


async def _add(request: AnyRequest, clinic_id: int, form: Form) -> UUID | None:
    """Add who is in a form; None where something is wrong with it, which the form says then."""
    say = form.gettext
    phone = ""
    try:
        phone = _whole_number(request, form.given.get("phone", ""))
    except PhoneRefused:
        form.fail("q", say(_NO_NUMBER))
    name = form.name("name", 200, required=True)
    sex = form.choice("sex", ("", *SEXES)) or "unknown"
    born = _birth_year(form, services(request).clock.now())
    if not form.given.get("consent"):
        form.fail("consent", say(N_("Read it to them, and tick it once they agree: without it nothing is kept.")))
    if form.errors:
        return None
    require_consent(form.given["consent"])
    row = await console(request).change(
        queries.add_person,
        *(clinic_id, phone, is_mobile(phone), services(request).secret.mac("phone", phone), name),
        *(born, sex, CURRENT.purpose, CURRENT.version),
    )
    assert row is not None
    if row["outcome"] == "full":
        form.fail("name", say(N_("Six people have this number already. Take another number, or book for one of them.")))
    elif row["outcome"] == "birth_year":
        form.fail("born", say(N_("This year of birth cannot be: it is to come, or over 120 years ago.")))
    person_id: UUID | None = row["person_id"] if not form.errors else None
    return person_id


def _whole_number(request: AnyRequest, text: str) -> str:
    """Return a number in E.164; of a landline, too, at which somebody can be called. Raises PhoneRefused."""
    settings = request.app.state.settings
    return phone_number(text, settings.phone_region, mobile=False, demo=settings.is_demo)


def _birth_year(form: Form, now: datetime) -> int | None:
    """Return the year of birth from what was typed, an age or the year; None where nothing was."""
    text = typed.number(form.given.get("born", ""))
    if not text:
        return None
    if re.fullmatch(r"\d{1,4}", text, re.ASCII):
        number = int(text)
        year = now.year - number if number <= 120 else number
        if now.year - 120 <= year <= now.year:
            return year
    form.fail("born", form.gettext(N_("An age in years, such as 42, or a year of birth, such as 1984.")))
    return None
