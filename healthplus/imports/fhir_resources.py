"""The parts of FHIR R4's resources that a directory is made of; what else they have is left out."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Reference(msgspec.Struct):
    """A pointer to another resource: `Practitioner/12`, or the address that a Bundle gives it."""

    reference: str = ""


class Identifier(msgspec.Struct):
    """What another system calls it."""

    system: str = ""
    value: str = ""


class Coding(msgspec.Struct):
    """A code and what it is called."""

    code: str = ""
    display: str = ""


class Concept(msgspec.Struct):
    """A concept, as a text or codes."""

    text: str = ""
    coding: list[Coding] = []

    def __str__(self) -> str:
        return self.text or next((one.display or one.code for one in self.coding if one.display or one.code), "")


class HumanName(msgspec.Struct):
    """A name of a person."""

    use: str = ""
    text: str = ""
    family: str = ""
    given: list[str] = []
    prefix: list[str] = []

    def __str__(self) -> str:
        return self.text or " ".join([*self.prefix, *self.given, self.family])


class ContactPoint(msgspec.Struct):
    """A phone number, an address of e-mail, or something else."""

    system: str = ""
    value: str = ""


class Address(msgspec.Struct):
    """A postal address."""

    text: str = ""
    line: list[str] = []
    city: str = ""
    district: str = ""
    state: str = ""
    postal_code: str = msgspec.field(default="", name="postalCode")

    @property
    def street(self) -> str:
        """Return what stands before the city."""
        return ", ".join(self.line) or self.text


class Position(msgspec.Struct):
    """A position in degrees."""

    latitude: float
    longitude: float


class AvailableTime(msgspec.Struct, rename="camel"):
    """When somebody works, on some days of the week."""

    days_of_week: list[str] = []
    all_day: bool = False
    available_start_time: str = ""
    available_end_time: str = ""

    def __str__(self) -> str:
        """Return it as shift_cells.py reads it."""
        times = "00:00-24:00" if self.all_day else f"{self.available_start_time[:5]}-{self.available_end_time[:5]}"
        return f"{','.join(self.days_of_week)} {times}".strip()


class Qualification(msgspec.Struct):
    """A degree or registration."""

    code: Concept = msgspec.field(default_factory=Concept)


class Resource(msgspec.Struct, rename="camel", kw_only=True):
    """What all of them have."""

    resource_type: str
    id: str = ""
    identifier: list[Identifier] = []
    active: bool = True
    telecom: list[ContactPoint] = []

    @property
    def key(self) -> str:
        """Return by what the next import recognises it: another system's identifier or, without one, its own id."""
        known = next((one for one in self.identifier if one.value), None)
        if known is None:
            return f"{self.resource_type}/{self.id}"
        return f"{known.system}|{known.value}" if known.system else known.value

    def reached_by(self, system: str) -> str:
        """Return the first number or address of this kind."""
        return next((one.value for one in self.telecom if one.system == system), "")


class HealthcareService(Resource, kw_only=True):
    """What an organization offers at locations."""

    name: str = ""
    provided_by: Reference | None = None
    location: list[Reference] = []
    type: list[Concept] = []
    specialty: list[Concept] = []


class Location(Resource, kw_only=True):
    """A place."""

    name: str = ""
    status: str = "active"
    address: Address | None = None
    position: Position | None = None
    type: list[Concept] = []
    part_of: Reference | None = None
    managing_organization: Reference | None = None


class Organization(Resource, kw_only=True):
    """A hospital, a practice, or a part of one."""

    name: str = ""
    address: list[Address] = []
    type: list[Concept] = []
    part_of: Reference | None = None


class Practitioner(Resource, kw_only=True):
    """A person who treats patients."""

    name: list[HumanName] = []
    gender: str = ""
    qualification: list[Qualification] = []
    communication: list[Concept] = []


class PractitionerRole(Resource, kw_only=True):
    """Who works where, and when."""

    practitioner: Reference | None = None
    organization: Reference | None = None
    location: list[Reference] = []
    specialty: list[Concept] = []
    available_time: list[AvailableTime] = []


TYPES: dict[str, type[Resource]] = {
    one.__name__: one for one in (HealthcareService, Location, Organization, Practitioner, PractitionerRole)
}


def texts(concepts: Iterable[Concept]) -> str:
    """Return what concepts are called, as a list of a cell."""
    return "; ".join(dict.fromkeys(filter(None, map(str, concepts))))
