"""For whom: the fields of a person in forms, and the choice of one where a time is held or a queue is joined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

from healthplus.accounts.patients import NAME_LENGTH_MAX
from healthplus.accounts.persons import PERSONS_MAX, SEXES, PersonDetails, Sex
from healthplus.database import Record
from healthplus.errors import BadInput, TooManyPersons
from healthplus.text import checked_name, number
from healthplus.web.pages.limits import Limit
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.session import PatientSession, idempotency_key
from healthplus.web.services import AnyRequest, services

Form: TypeAlias = dict[str, str]

_ME, _OTHER = "me", "other"
_YEAR_LENGTH = 4
_AGE_MAX = 120
"""accounts.is_birth_year has it, too, and decides."""


class FormError(Exception):
    """What is wrong with a form, in the reader's language, the id of the field to mend, and what is in the way."""

    def __init__(self, text: str, field: str, limit: Limit | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.field = field
        self.limit = limit


@dataclass(frozen=True)
class PersonChoice:
    """The persons to choose from, and how the form stands: `chosen` is the value of the radio button that is on.

    The holder of the account has the value "me", somebody who is to be added "other", and everybody else their id.
    """

    persons: list[Record]
    chosen: str
    form: Form
    has_room: bool
    error: FormError | None = None

    @property
    def needs_name(self) -> bool:
        """Return whether the holder can be chosen, and has no name yet."""
        return any(person["is_holder"] and not person["name"] for person in self.persons)

    def without(self, person_id: UUID | None) -> PersonChoice:
        """Return the choice of everybody else; None: of all but the holder."""
        others = [row for row in self.persons if row["person_id"] != person_id and (person_id or not row["is_holder"])]
        return replace(self, persons=others, chosen=_value(others[0]) if others else _OTHER)

    def value(self, person: Record) -> str:
        return _value(person)


def details_of(
    request: AnyRequest, form: Form, name_field: str = "name", *, needs_year: bool = True, is_me: bool = False
) -> PersonDetails:
    """Return a person as a form describes them. Raises FormError."""
    try:
        name = checked_name(form.get(name_field, ""), NAME_LENGTH_MAX)
    except BadInput:
        raise name_error(request, name_field, is_me=is_me) from None
    year = number(form.get("birth_year", ""))
    if (year or needs_year) and not (year.isascii() and year.isdecimal() and len(year) == _YEAR_LENGTH):
        raise birth_year_error(request)
    sex: Sex = next((one for one in SEXES if one == form.get("sex")), "unknown")
    return PersonDetails(name, int(year) if year else None, sex)


def name_error(request: AnyRequest, field: str, *, is_me: bool) -> FormError:
    """Return what is said where there is no name: in the words of the field's label."""
    _ = language_of(request).gettext
    return FormError(_("Enter your name.") if is_me else _("Enter the patient’s name."), field)


def birth_year_error(request: AnyRequest) -> FormError:
    """Return what is said of a year in which nobody who lives was born."""
    said = language_of(request).gettext("Write the year of birth in four digits, from %(first)d to %(last)d.")
    this_year = services(request).clock.now().year
    return FormError(said % {"first": this_year - _AGE_MAX, "last": this_year}, "birth_year")


async def person_choice(
    request: AnyRequest,
    session: PatientSession,
    person_id: UUID | None = None,
    form: Form | None = None,
    error: FormError | None = None,
) -> PersonChoice:
    """Return the choice as it is to be shown: as a form was sent, else with `person_id` chosen, else the holder."""
    persons = await services(request).persons.of(session.patient_id)
    values = {row["person_id"]: _value(row) for row in persons}
    sent = (form or {}).get("who")
    is_possible = sent == _OTHER or sent in values.values()
    chosen = sent if sent is not None and is_possible else values.get(person_id, _ME)
    return PersonChoice(persons, chosen, form or {}, len(persons) < PERSONS_MAX, error)


async def chosen_person(request: AnyRequest, session: PatientSession, form: Form, *, needs_name: bool = False) -> UUID:
    """Return the person whom a form names, who is added to the account where they are new to it.

    The holder gets the name that the form has for them; `needs_name`: they must have one. Raises FormError.
    """
    app, language = services(request), language_of(request)
    persons = await app.persons.of(session.patient_id)
    whom = form.get("who", _ME)
    if whom == _OTHER:
        details = details_of(request, form, "other")
        key = idempotency_key(form, "other", "birth_year", "sex")
        added = await add_person(request, session, details, key)
        return UUID(str(added["person_id"]))
    for person in persons:
        if whom in (_value(person), str(person["person_id"])):
            if person["is_holder"] and ((needs_name and not person["name"]) or form.get("name", "").strip()):
                await _name_holder(request, session, form)
            return UUID(str(person["person_id"]))
    raise FormError(language.gettext("Choose who the appointment is for."), "who")


async def add_person(request: AnyRequest, session: PatientSession, details: PersonDetails, key: str) -> Record:
    """Add a person to the account of the patient who asks. Raises FormError."""
    language = language_of(request)
    try:
        return await services(request).persons.add(session.patient_id, details, key)
    except TooManyPersons:
        said = language.gettext("You already book for %(number)d people. Remove one of them first.")
        raise FormError(said % {"number": PERSONS_MAX}, "who") from None
    except BadInput:
        raise birth_year_error(request) from None


async def _name_holder(request: AnyRequest, session: PatientSession, form: Form) -> None:
    try:
        await services(request).patients.change(
            session.patient_id, {"name": form.get("name", "")}, idempotency_key(form, "name")
        )
    except BadInput:
        raise name_error(request, "name", is_me=True) from None


def _value(person: Record) -> str:
    return _ME if person["is_holder"] else str(person["person_id"])
