"""Read a Bundle, or NDJSON, of FHIR R4's resources as rows of a provider list: who can be booked where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from babel import Locale, UnknownLocaleError

from healthplus.errors import BadInput
from healthplus.imports.fhir_resources import (
    TYPES,
    Concept,
    HealthcareService,
    HumanName,
    Location,
    Organization,
    Practitioner,
    PractitionerRole,
    Reference,
    Resource,
    texts,
)
from healthplus.imports.records import Row

_COLUMNS = (
    "provider_identifier", "type", "name", "salutation", "given_name", "family_name", "gender", "qualifications",
    "languages", "email", "phone", "specialities", "clinic_identifier", "clinic_name", "clinic_address", "clinic_phone",
    "city", "state", "postal_code", "latitude", "longitude", "shifts",
)  # fmt: skip
HEADER = Row(0, _COLUMNS)
_PARTS_MAX = 10
"""How many places a place may be a part of."""
_R = TypeVar("_R", bound=Resource)


def is_json(start: bytes) -> bool:
    """Return whether a file that starts so has JSON in it."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


class FhirRows:
    """The rows of a file. Their lines are those of NDJSON or, in a Bundle, the numbers of its entries."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        """Read the file; raises BadInput when it is neither."""
        self._lines: dict[int, int] = {}  # by the id() of a resource
        self._resources: list[Resource] = []
        self._by_reference: dict[str, Resource] = {}
        self._problems: list[Row] = []
        for line, address, raw in _raw_resources(path.read_bytes()):
            self._add(line, address, raw)
        self._locations: dict[str, list[Location]] = defaultdict(list)
        for location in self._all(Location):
            if location.part_of is None and (manager := self._found(location.managing_organization, Organization)):
                self._locations[manager.key].append(location)
        if not self._resources and not self._problems:
            raise BadInput(f"{path} has no {', '.join(TYPES)} of FHIR R4")

    def rows(self) -> Iterator[Row]:
        """Yield a row for each role of a practitioner and each place of an organization."""
        yield from self._problems
        employed: set[str] = set()
        for role in self._all(PractitionerRole):
            yield from self._rows_of_role(role, employed)
        for practitioner in self._all(Practitioner):
            if practitioner.key not in employed:
                yield self._refused(practitioner, "no PractitionerRole says where")
        yield from self._rows_of_places()

    def _add(self, line: int, address: str, raw: Any) -> None:
        if isinstance(raw, Exception):
            self._problems.append(Row(line, (), f"not readable as JSON: {raw}"))
            return
        kind = raw.get("resourceType") if isinstance(raw, dict) else None
        if not isinstance(kind, str) or kind not in TYPES:
            return
        try:
            resource = msgspec.convert(raw, TYPES[kind])
        except msgspec.ValidationError as error:
            self._problems.append(Row(line, (), f"{kind} is not as FHIR R4 has it: {error}"))
            return
        self._resources.append(resource)
        self._lines[id(resource)] = line
        for name in (address, f"{kind}/{resource.id}"):
            if name:
                self._by_reference.setdefault(name, resource)

    def _all(self, kind: type[_R]) -> Iterator[_R]:
        return (one for one in self._resources if isinstance(one, kind))

    def _found(self, reference: Reference | None, kind: type[_R]) -> _R | None:
        """Return the resource that a reference names: as it stands, or by its type and id at the end."""
        name = (reference.reference if reference else "").partition("/_history")[0]
        resource = self._by_reference.get(name) or self._by_reference.get("/".join(name.split("/")[-2:]))
        return resource if isinstance(resource, kind) else None

    def _all_found(self, references: Iterable[Reference], kind: type[_R]) -> list[_R]:
        return [found for one in references if (found := self._found(one, kind))]

    def _refused(self, resource: Resource, reason: str) -> Row:
        return Row(self._lines[id(resource)], (), f"{resource.resource_type} {resource.id[:60]}: {reason}")

    def _rows_of_role(self, role: PractitionerRole, employed: set[str]) -> Iterator[Row]:
        practitioner = self._found(role.practitioner, Practitioner)
        if practitioner is None:
            yield self._refused(role, "its practitioner is not in the file")
            return
        employed.add(practitioner.key)
        organization = self._found(role.organization, Organization)
        places: list[Location | Organization] = [*self._all_found(role.location, Location)]
        if not places and organization:
            places = [*self._places_of(organization)] or [organization]
        if not (role.active and practitioner.active):
            yield self._refused(role, "it is not active")
        elif not places:
            yield self._refused(role, "its location is not in the file")
        else:
            facts = _person(practitioner) | {"specialities": texts(role.specialty)}
            shifts = "; ".join(map(str, role.available_time))
            for place in places:
                yield self._row(role, facts | {"shifts": shifts}, place)

    def _rows_of_places(self) -> Iterator[Row]:
        yield from self._rows_of_organizations()
        for location in self._all(Location):
            if self._found(location.managing_organization, Organization) is None and location.part_of is None:
                if location.status == "active":
                    yield self._row(location, _place_as_provider(location, ""), location)
                else:
                    yield self._refused(location, "it is not active")

    def _rows_of_organizations(self) -> Iterator[Row]:
        offered: dict[str, list[Concept]] = defaultdict(list)
        at: dict[str, dict[str, Location]] = defaultdict(dict)
        for service in self._all(HealthcareService):
            organization = self._found(service.provided_by, Organization)
            if organization is None:
                yield from self._rows_of_service(service)
                continue
            offered[organization.key] += service.specialty
            at[organization.key] |= {place.key: place for place in self._all_found(service.location, Location)}
        for organization in self._all(Organization):
            places = {place.key: place for place in self._places_of(organization)} | at[organization.key]
            facts = _place_as_provider(organization, texts(offered[organization.key]))
            if not organization.active:
                yield self._refused(organization, "it is not active")
            elif places or organization.address:
                for place in places.values() or (organization,):
                    yield self._row(organization, facts, place)
            elif organization.part_of is None:
                yield self._refused(organization, "it has no address, and no Location")

    def _rows_of_service(self, service: HealthcareService) -> Iterator[Row]:
        places = self._all_found(service.location, Location)
        if not places:
            yield self._refused(service, "neither its organization nor its location is in the file")
        for place in places:
            yield self._row(service, _place_as_provider(service, texts(service.specialty)), place)

    def _places_of(self, organization: Organization) -> Iterator[Location]:
        for location in self._locations.get(organization.key, ()):
            if location.status == "active":
                yield location

    def _row(self, of: Resource, provider: dict[str, str], place: Location | Organization) -> Row:
        cells = provider | self._place(place)
        return Row(self._lines[id(of)], [cells.get(column, "") for column in _COLUMNS])

    def _place(self, place: Location | Organization) -> dict[str, str]:
        """Return the cells of a place; what a room does not say, the building says that it is a part of."""
        cells = {"clinic_identifier": place.key, "clinic_name": place.name, "clinic_phone": place.reached_by("phone")}
        wider: Location | Organization | None = place
        for _ in range(_PARTS_MAX):
            if wider is None:
                break
            cells = {column: value for column, value in _located(wider).items() if value} | {
                column: value for column, value in cells.items() if value
            }
            above = self._found(wider.part_of, type(wider))
            manager = wider.managing_organization if isinstance(wider, Location) else None
            wider = above or self._found(manager, Organization)
        return cells


def _located(place: Location | Organization) -> dict[str, str]:
    address = place.address if isinstance(place, Location) else next(iter(place.address), None)
    cells = {"clinic_name": place.name}
    if address:
        cells |= {
            "clinic_address": address.street,
            "city": address.city or address.district,
            "state": address.state,
            "postal_code": address.postal_code,
        }
    if isinstance(place, Location) and place.position:
        cells |= {"latitude": repr(place.position.latitude), "longitude": repr(place.position.longitude)}
    return cells


def _person(practitioner: Practitioner) -> dict[str, str]:
    order = {"official": 0, "usual": 1, "": 2}
    name = min(practitioner.name, key=lambda one: order.get(one.use, 3), default=HumanName())
    return {
        "provider_identifier": practitioner.key,
        "type": "doctor",
        "name": str(name),
        "salutation": " ".join(name.prefix),
        "given_name": " ".join(name.given),
        "family_name": name.family,
        "gender": "" if practitioner.gender == "unknown" else practitioner.gender,
        "qualifications": ", ".join(filter(None, (str(one.code) for one in practitioner.qualification))),
        "languages": "; ".join(map(_language, practitioner.communication)),
        "email": practitioner.reached_by("email"),
        "phone": practitioner.reached_by("phone"),
    }


def _place_as_provider(place: Location | Organization | HealthcareService, specialities: str) -> dict[str, str]:
    said = f"{place.name} {texts(place.type)}".lower()
    is_lab = any(word in said for word in ("laborator", "patholog", "diagnostic"))
    return {
        "provider_identifier": place.key,
        "type": "hospital" if "hospital" in said else "lab" if is_lab else "clinic",
        "name": place.name,
        "email": place.reached_by("email"),
        "phone": place.reached_by("phone"),
        "specialities": specialities,
    }


def _language(concept: Concept) -> str:
    said = str(concept)
    try:
        return Locale.parse(said, sep="-").get_language_name("en") or said
    except (ValueError, UnknownLocaleError):
        return said


def _raw_resources(content: bytes) -> Iterator[tuple[int, str, Any]]:
    """Yield each resource with its line and, in a Bundle, its address; what is no JSON has a problem later."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        whole = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield from _lines_of(content)
        return
    entries = whole.get("entry", [whole]) if isinstance(whole, dict) else whole
    for number, entry in enumerate(entries if isinstance(entries, list) else (), start=1):
        if isinstance(entry, dict) and "resource" in entry:
            address = entry.get("fullUrl")
            yield number, address if isinstance(address, str) else "", entry["resource"]
        else:
            yield number, "", entry


def _lines_of(content: bytes) -> Iterator[tuple[int, str, Any]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield number, "", msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if number == 1:
                raise BadInput(f"neither a Bundle nor NDJSON of FHIR: {error}") from None
            yield number, "", error
