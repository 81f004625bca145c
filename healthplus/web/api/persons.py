"""The persons of a patient's account: whom they book for."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from healthplus.accounts.persons import PersonDetails, Sex
from healthplus.booking.persons import expected, remove_person
from healthplus.database import Record
from healthplus.errors import BadInput, PersonStillBooked
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS
from healthplus.web.api.urls import booking_url, person_url, wait_url
from healthplus.web.http.actor import require_patient
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.services import AnyRequest, services

_CHANGE_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 404, 409, 422, 503)}

Name = Annotated[str, Meta(max_length=1000)]
BirthYear = Annotated[int, Meta(ge=1, le=9999, description="In four digits; this year, or up to 120 years before it.")]


class Person(Struct):
    """One whom I book for. The holder is the patient whose account it is; their name is the account's.

    `sex` is FHIR's AdministrativeGender; `birth_year` is null where nobody has said it.
    """

    id: UUID
    url: str
    name: str
    birth_year: int | None
    sex: Sex
    is_holder: bool


class NewPerson(Struct, forbid_unknown_fields=True):
    """A person to add."""

    name: Name
    birth_year: BirthYear
    sex: Sex = "unknown"


class PersonChange(Struct, forbid_unknown_fields=True):
    """What to change of a person; what is left away stays."""

    name: Name | None = None
    birth_year: BirthYear | None = None
    sex: Sex | None = None


class PersonsController(Controller):
    path = "/me/persons"
    tags = ("Me",)
    security = ({"token": []},)

    @get(responses={status: PROBLEMS[status] for status in (401, 503)})
    async def list_persons(self, request: AnyRequest) -> list[Person]:
        """List whom I book for: me first, then up to five others."""
        patient_id = await require_patient(request)
        return [_person(row) for row in await services(request).persons.of(patient_id)]

    @get("/{person_id:uuid}", responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, person_id: FromPath[UUID]) -> Person:
        """Read one of those whom I book for."""
        patient_id = await require_patient(request)
        return _person(await services(request).persons.get(patient_id, person_id))

    @post(responses=_CHANGE_PROBLEMS)
    async def add(
        self, request: AnyRequest, data: JSONBody[NewPerson], idempotency_key: IdempotencyKey
    ) -> Response[Person]:
        """Add somebody whom I book for, as a child or a parent; 409 where there are six of us already."""
        patient_id = await require_patient(request)
        details = PersonDetails(data.name, data.birth_year, data.sex)
        shown = _person(await services(request).persons.add(patient_id, details, idempotency_key))
        return JsonAnswer(shown, headers={"Location": shown.url})

    @patch("/{person_id:uuid}", responses=_CHANGE_PROBLEMS)
    async def change(
        self,
        request: AnyRequest,
        person_id: FromPath[UUID],
        data: JSONBody[PersonChange],
        idempotency_key: IdempotencyKey,
    ) -> Person:
        """Change name, year of birth or sex. Appointments keep the name under which they were booked."""
        patient_id = await require_patient(request)
        details = PersonDetails(data.name, data.birth_year, data.sex)
        if details == PersonDetails():
            raise BadInput("Say what to change: `name`, `birth_year`, `sex` or several.")
        return _person(await services(request).persons.change(patient_id, person_id, details, idempotency_key))

    @delete("/{person_id:uuid}", responses=_CHANGE_PROBLEMS)
    async def remove(
        self,
        request: AnyRequest,
        person_id: FromPath[UUID],
        idempotency_key: IdempotencyKey,  # noqa: ARG002
    ) -> None:
        """Remove a person: 409 while something is booked, held or waited for, for them. A repeat is answered 404."""
        patient_id = await require_patient(request)
        try:
            await remove_person(services(request).database, patient_id, person_id)
        except PersonStillBooked as error:
            rows = await expected(services(request).database, patient_id, person_id)
            error.members["appointments"] = [_url_of(row) for row in rows]
            raise


def _url_of(ahead: Record) -> str:
    if ahead["state"] == "waiting":
        return wait_url(ahead["provider_id"], ahead["id"])
    return booking_url(ahead["provider_id"], ahead["id"], ahead["state"])


def _person(row: Record) -> Person:
    person_id = row["person_id"]
    return Person(person_id, person_url(person_id), row["name"], row["birth_year"], row["sex"], row["is_holder"])
