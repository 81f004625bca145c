"""Which kind of file has these columns and, where none does, what its columns probably are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from healthplus.country import HERE
from healthplus.errors import BadInput
from healthplus.imports import cells
from healthplus.imports.formats import (
    HOSPITALS,
    HOSPITALS_WITHOUT_ADDRESS,
    POSTAL_CODES,
    PROVIDERS,
    PROVIDERS_BY_NAME,
    Format,
    Kind,
)
from healthplus.imports.places import AT_HOME
from healthplus.imports.records import RecordFile

_SAMPLE_ROWS = 200
_ALIKE_MIN = 0.8
"""The share of a column's cells that must read as something for the column to be taken for it."""
_FILLED_MIN = 3

# What others call our columns, without spaces and signs; the first that a file has is taken.
_OTHER_NAMES: dict[str, str] = {
    "name": "name hospitalname nameofhospital nameofthehospital facilityname nameoffacility institutionname "
    "organisationname "
    "organizationname practicename providername doctorname nameofdoctor nameofthedoctor fullname drname "
    "nameofestablishment "
    "establishmentname nameoftheinstitution hospital doctor title",
    "district": "district districtname city cityname town addrcity cityordistrict place",
    "city": "city cityname town addrcity citytown municipality district districtname",
    "state": "state statename addrstate province stateut region county",
    "address": "address addressline address1 addressline1 street addrfull fulladdress hospitaladdress "
    "locationaddress location addrstreet addressfirstline",
    "clinic_address": "clinicaddress address addressline address1 addressline1 street addrfull fulladdress location "
    "addrstreet",
    "pincode": "pincode pin postalcode postcode zip zipcode addrpostcode",
    "postal_code": "postalcode postcode pincode pin zip zipcode addrpostcode",
    "latitude": "latitude lat y ycoordinate locationlatitude",
    "longitude": "longitude long lon lng x xcoordinate locationlongitude",
    "phone": "phone phonenumber telephone telephonenumber mobile mobilenumber contact contactnumber contactno phoneno "
    "mobileno contactphone landline telephoneno",
    "email": "email emailid emailaddress mail contactemail hospitalprimaryemailid",
    "specialities": "specialities speciality specialties specialty specialization specialisation specializations "
    "healthcarespeciality department departments discipline",
    "provider_identifier": "provideridentifier providerid doctorid id code practitionerid registrationid",
    "clinic_identifier": "clinicidentifier clinicid hospitalid facilityid locationid practiceid",
    "clinic_name": "clinicname clinic hospitalname hospital facilityname practicename nameofhospital workplace",
    "type": "type providertype facilitytype amenity healthcare category",
    "gender": "gender sex",
    "qualifications": "qualifications qualification degree degrees education",
    "registration": "registration registrationnumber registrationno regno registrationno",
    "council": "council medicalcouncil registrationcouncil",
    "since": "since practisingsince practicingsince established yearofestablishment establishmentyear experiencesince",
    "languages": "languages language languagesspoken",
    "fee_rupees": "feerupees fee fees consultationfee consultationfees charges consultationcharges",
    "shifts": "shifts timings timing hours openinghours workinghours opdtimings availability schedule",
}  # fmt: skip
_NAMES = {ours: tuple(names.split()) for ours, names in _OTHER_NAMES.items()}
_OF_DOCTORS = frozenset(
    {"specialities", "qualifications", "registration", "gender", "fee_rupees", "shifts", "given_name"}
)


def _reads(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def is_one(text: str) -> bool:
        try:
            read(text)
        except BadInput:
            return False
        return True

    return is_one


def _degrees_between(least: float, most: float) -> Callable[[str], bool]:
    def is_one(text: str) -> bool:
        return "." in text and _reads(cells.degrees)(text) and least <= cells.degrees(text) <= most

    return is_one


# Where a column's name says nothing, its values may: in this order, the surest first.
_BY_VALUES: dict[str, Callable[[str], bool]] = {
    "email": _reads(cells.e_mail),
    "pincode": _reads(AT_HOME.postal_code),
    "postal_code": _reads(AT_HOME.postal_code),
    "latitude": _degrees_between(AT_HOME.box[0], AT_HOME.box[1]),
    "longitude": _degrees_between(AT_HOME.box[2], AT_HOME.box[3]),
    "phone": _reads(lambda said: cells.phones(said, HERE.code)),
    "gender": lambda said: _reads(cells.gender)(said) and len(said) > 1,
    "type": _reads(cells.provider_type),
}


class Proposal(NamedTuple):
    """What a file's columns probably are: ours by theirs; `missing` are those that it must have besides."""

    kind: Kind
    columns: Mapping[str, str]
    missing: tuple[str, ...]


class ColumnsUnknown(BadInput):
    """The columns of a file are not known; `proposal` says what they probably are."""

    def __init__(self, detail: str, proposal: Proposal) -> None:
        super().__init__(detail)
        self.proposal = proposal


def known_names() -> frozenset[str]:
    """Return all names of columns by which a header is recognised."""
    ours = itertools.chain.from_iterable(one.columns for one in (HOSPITALS, PROVIDERS, POSTAL_CODES))
    return frozenset(ours) | frozenset(_NAMES) | frozenset(itertools.chain.from_iterable(_NAMES.values()))


def recognise(file: RecordFile, kind: Kind | None) -> Format[Any]:
    """Return the kind of file that has these columns; raises ColumnsUnknown where none has.

    Without a `kind`, nothing is taken for a list of postal codes, nor recognised by names alone.
    """
    columns = set(file.columns)
    looks = PROVIDERS if any(column.startswith(("provider_", "clinic_")) for column in columns) else HOSPITALS
    fitting: dict[Kind | None, tuple[Format[Any], ...]] = {
        None: (looks,),
        "fhir": (PROVIDERS,),
        "hospitals": (HOSPITALS,) if "address" in columns else (HOSPITALS_WITHOUT_ADDRESS,),
        "providers": (PROVIDERS, PROVIDERS_BY_NAME),
        "postal-codes": (POSTAL_CODES,),
    }
    for one in fitting[kind]:
        if columns.issuperset(one.required):
            return one
    proposal = _propose(file, kind)
    wanted = fitting[kind][-1]
    missing = [column for column in wanted.required if column not in columns]
    detail = (
        f"this looks like a {wanted.name}, but these columns are missing: {', '.join(missing)} "
        f"(found: {', '.join(filter(None, file.columns))})"
    )
    if columns.issuperset(POSTAL_CODES.required) and kind is None:
        detail += ". If it lists postal codes, say --kind postal-codes"
    raise ColumnsUnknown(detail, proposal)


def _propose(file: RecordFile, kind: Kind | None) -> Proposal:
    by_name = {column: re.sub(r"[\W_]", "", column) for column in file.columns if column}
    if kind is None:
        doctors = _by_names(by_name, tuple(_OF_DOCTORS)).values()
        kind = "providers" if doctors or any("doctor" in name for name in by_name.values()) else "hospitals"
    formats: dict[Kind, Format[Any]] = {"hospitals": HOSPITALS_WITHOUT_ADDRESS, "postal-codes": POSTAL_CODES}
    wanted = formats.get(kind, PROVIDERS_BY_NAME)
    ours = ("address", *wanted.columns) if kind == "hospitals" else wanted.columns
    found = _by_names(by_name, ours)
    unnamed = [column for column in by_name if column not in found]
    values: dict[str, list[str]] = {column: [] for column in unnamed}
    for record in itertools.islice(file.records(), _SAMPLE_ROWS):
        for column in unnamed:
            if said := record.cells.get(column):
                values[column].append(said)
    for our in (one for one in _BY_VALUES if one in ours and one not in found.values()):
        likely = next(
            (column for column in unnamed if column not in found and _alike(values[column], _BY_VALUES[our])), None
        )
        if likely:
            found[likely] = our
    missing = tuple(column for column in wanted.required if column not in found.values())
    return Proposal(kind, {column: found[column] for column in file.columns if column in found}, missing)


def _by_names(theirs: Mapping[str, str], ours: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for our in ours:
        exact = next((column for column in theirs if column == our), None)
        by_name = {name: column for column, name in reversed(list(theirs.items())) if column not in found}
        other = next((by_name[name] for name in _NAMES.get(our, ()) if name in by_name), None)
        if column := exact or other:
            found.setdefault(column, our)
    return found


def _alike(values: Sequence[str], is_one: Callable[[str], bool]) -> bool:
    return len(values) >= _FILLED_MIN and sum(map(is_one, values)) >= _ALIKE_MIN * len(values)
