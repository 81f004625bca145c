"""The people a patient books for: listing, adding, changing and removing them."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.accounts.persons import PERSONS_MAX
from healthplus.booking.persons import expected, remove_person
from healthplus.database import Record
from healthplus.errors import BadInput, Conflict
from healthplus.web.pages.addresses import appointment_path, hold_path, ticket_path
from healthplus.web.pages.person_choice import Form, FormError, add_person, birth_year_error, details_of
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.session import PatientSession, form_of, idempotency_key, require_patient
from healthplus.web.services import AnyRequest, services

PATH = "/people"
_ONE = "/{person_id:uuid}"


class PeopleController(Controller):
    path = PATH

    @get()
    async def list_mine(self, request: AnyRequest) -> Response[str]:
        return await _people_page(request, require_patient(request))

    @post()
    async def add(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request, PATH)
        form = await form_of(request)
        try:
            details = details_of(request, form)
            await add_person(request, session, details, idempotency_key(form, "name", "birth_year", "sex"))
        except FormError as error:
            return await _people_page(request, session, form, error)
        return see_other(request, PATH, {"done": "added"})

    @get(_ONE)
    async def read(self, request: AnyRequest, person_id: FromPath[UUID]) -> Response[str]:
        return await _person_page(request, require_patient(request), person_id)

    @post(_ONE)
    async def change(self, request: AnyRequest, person_id: FromPath[UUID]) -> Response[str]:
        session = require_patient(request, f"{PATH}/{person_id}")
        form = await form_of(request)
        persons = services(request).persons
        is_holder = (await persons.get(session.patient_id, person_id))["is_holder"]
        try:
            details = details_of(request, form, needs_year=not is_holder, is_me=is_holder)
            key = idempotency_key(form, "name", "birth_year", "sex")
            await persons.change(session.patient_id, person_id, details, key)
        except BadInput:
            return await _person_page(request, session, person_id, form, birth_year_error(request))
        except FormError as error:
            return await _person_page(request, session, person_id, form, error)
        return see_other(request, PATH, {"done": "changed"})

    @get(f"{_ONE}/remove")
    async def ask_whether_to_remove(self, request: AnyRequest, person_id: FromPath[UUID]) -> Response[str]:
        return await _remove_page(request, require_patient(request), person_id)

    @post(f"{_ONE}/remove")
    async def remove(self, request: AnyRequest, person_id: FromPath[UUID]) -> Response[str]:
        session = require_patient(request, f"{PATH}/{person_id}")
        try:
            await remove_person(services(request).database, session.patient_id, person_id)
        except Conflict as error:
            return await _remove_page(request, session, person_id, error.status)
        return see_other(request, PATH, {"done": "removed"})


async def _people_page(
    request: AnyRequest, session: PatientSession, form: Form | None = None, error: FormError | None = None
) -> Response[str]:
    done = request.query_params.get("done", "")
    people = await services(request).persons.of(session.patient_id)
    return page(
        request,
        "people/people.html",
        status=200 if error is None else 422,
        people=people,
        has_room=len(people) < PERSONS_MAX,
        most=PERSONS_MAX - 1,
        form=form or {},
        error=error,
        done=done if error is None and request.method == "GET" else "",
    )


async def _person_page(
    request: AnyRequest,
    session: PatientSession,
    person_id: UUID,
    form: Form | None = None,
    error: FormError | None = None,
) -> Response[str]:
    person = await services(request).persons.get(session.patient_id, person_id)
    shown = {"name": person["name"], "birth_year": str(person["birth_year"] or ""), "sex": person["sex"]}
    return page(
        request,
        "people/person.html",
        status=200 if error is None else 422,
        person=person,
        form=shown if form is None else form,
        error=error,
    )


async def _remove_page(
    request: AnyRequest, session: PatientSession, person_id: UUID, status: int = 200
) -> Response[str]:
    app = services(request)
    person = await app.persons.get(session.patient_id, person_id)
    return page(
        request,
        "people/remove.html",
        status=status,
        person=person,
        ahead=[(row, _path_of(row)) for row in await expected(app.database, session.patient_id, person_id)],
        refused=status != 200,
    )


def _path_of(ahead: Record) -> str:
    """Return the page of what is ahead for a person."""
    path = {"waiting": ticket_path, "reserved": hold_path}.get(ahead["state"], appointment_path)
    return path(ahead["provider_id"], ahead["id"])
