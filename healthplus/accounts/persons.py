"""The persons of an account: whom its patient books for. How many there may be is decided in functions/persons.sql."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args
from uuid import UUID

import msgspec

from healthplus.accounts.idempotency import is_new_request
from healthplus.accounts.patients import NAME_LENGTH_MAX
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import queries
from healthplus.database import Database, Record
from healthplus.errors import BadInput, NotFound, TooManyPersons
from healthplus.text import checked_name

Sex: TypeAlias = Literal["female", "male", "other", "unknown"]
"""FHIR's AdministrativeGender."""
SEXES: tuple[Sex, ...] = get_args(Sex)
PERSONS_MAX = 6
"""As accounts.persons_max has it, which decides."""


class PersonDetails(msgspec.Struct, frozen=True):
    """What is known of a person, or what of it is to change (None: it stays). Raises BadInput for no name."""

    name: str | None = None
    birth_year: int | None = None
    sex: Sex | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            msgspec.structs.force_setattr(self, "name", checked_name(self.name, NAME_LENGTH_MAX))


class Persons:
    """Lists, adds and changes the persons of an account; booking.persons removes them."""

    def __init__(self, database: Database, secret: Secret) -> None:
        self._database = database
        self._secret = secret

    async def of(self, patient_id: int) -> list[Record]:
        """Return an account's persons: person_id, name, birth_year, sex, is_holder; the holder first."""
        return await self._database.fetch(queries.persons, patient_id)

    async def get(self, patient_id: int, person_id: UUID) -> Record:
        """Return one person of an account. Raises NotFound, also for a person of another account."""
        found = [row for row in await self.of(patient_id) if row["person_id"] == person_id]
        if not found:
            raise NotFound
        return found[0]

    async def add(self, patient_id: int, details: PersonDetails, key: str) -> Record:
        """Add a person; return them, also for a repeat. Raises BadInput, TooManyPersons, KeyReused and NotFound."""
        assert details.name is not None
        request = repr(details)
        # From the key, so that a repeat finds whom the first request added; nobody else can guess it.
        person_id = UUID(bytes=self._secret.mac("person", str(patient_id), key, request)[:16], version=4)
        args = (person_id, details.name, details.birth_year, details.sex or "unknown")
        async with self._database.transaction() as transaction:
            if await is_new_request(transaction, self._secret, patient_id, "add_person", key, request):
                _require(await transaction.fetch_value(queries.add_person, patient_id, *args))
        return await self.get(patient_id, person_id)

    async def change(self, patient_id: int, person_id: UUID, details: PersonDetails, key: str) -> Record:
        """Change a person; return how they are now. Raises BadInput, KeyReused and NotFound.

        What is booked for them keeps the name under which it was booked.
        """
        request = f"{person_id} {details!r}"
        args = (person_id, details.name, details.birth_year, details.sex)
        async with self._database.transaction() as transaction:
            if await is_new_request(transaction, self._secret, patient_id, "change_person", key, request):
                _require(await transaction.fetch_value(queries.change_person, patient_id, *args))
        return await self.get(patient_id, person_id)


def _require(outcome: str) -> None:
    """Raise what a function of functions/persons.sql refused."""
    match outcome:
        case "full":
            raise TooManyPersons
        case "birth_year":
            raise BadInput("birth_year: it cannot be in the future, or over 120 years ago.")
        case "not_found":
            raise NotFound
