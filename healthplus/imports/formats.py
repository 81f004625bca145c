"""Define the kinds of file that can be imported, and read one row of each."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from healthplus.country import HERE
from healthplus.directory.fees import checked_fee, require_funding
from healthplus.directory.gstin import checked_gstin
from healthplus.directory.preparation import checked_preparation
from healthplus.directory.reminder_hours import parse_reminder_hours
from healthplus.directory.service_text import Service, parse_services
from healthplus.errors import BadInput
from healthplus.imports.csv_records import Record
from healthplus.money import INR, checked_currency, unit_name
from healthplus.names import service_slug
from healthplus.schedule.shift_text import Shift, parse_shifts

_Word: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Services: TypeAlias = Annotated[str, msgspec.Meta(max_length=100_000)]
_Line: TypeAlias = Annotated[str, msgspec.Meta(max_length=500)]
_Latitude: TypeAlias = Annotated[float, msgspec.Meta(ge=-90, le=90)]
_Longitude: TypeAlias = Annotated[float, msgspec.Meta(ge=-180, le=180)]
_Year: TypeAlias = Annotated[int, msgspec.Meta(ge=1900, le=2200)]
_Pincode: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{5}$")]
# What lies outside of the country was not located but mistyped.
_OwnLatitude: TypeAlias = Annotated[float, msgspec.Meta(ge=HERE.box[0], le=HERE.box[1])]
_OwnLongitude: TypeAlias = Annotated[float, msgspec.Meta(ge=HERE.box[2], le=HERE.box[3])]
_FACILITIES_MAX = 20
_FACILITY_LENGTH_MAX = 60
_PICTURES_MAX = 6
_T = TypeVar("_T")

# In words what a pattern says.
_EXPECTED = {
    "pincode": "expected six digits, the first not 0",
    "email": "expected something like name@example.com",
    "image_url": "expected an address that starts with https:// or http://",
    "photo": "expected an address that starts with https://",
}


class Clinic(msgspec.Struct, frozen=True):
    """A clinic. None leaves what is stored as it is; no `pictures` removes them."""

    identifier: str
    city: str
    state: str
    name: str
    address: str | None
    postal_code: str | None
    latitude: float | None
    longitude: float | None
    phone: str | None = None
    currency: str | None = None
    pictures: tuple[str, ...] | None = None
    reminder_hours: list[int] | None = None
    gstin: str | None = None
    facilities: tuple[str, ...] | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A person or resource that can be booked. None leaves what is stored as it is; "" removes the photo."""

    identifier: str
    type: str
    name: str
    salutation: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    gender: str | None = None
    qualifications: str | None = None
    registration: str | None = None
    council: str | None = None
    training: str | None = None
    bio: str | None = None
    image_url: str | None = None
    photo: str | None = None
    email: str | None = None
    phone: str | None = None
    languages: tuple[str, ...] | None = None
    practising_since: int | None = None
    accepts_new_patients: bool | None = None
    max_booking_days: int | None = None


class Entry(msgspec.Struct, frozen=True):
    """One row: a provider at a clinic. `gaps` are faults that were tolerated.

    `tests` are offered at all clinics of the provider, `services` at this one. Amounts are in `currency`, also where
    the row names none for the clinic.
    """

    line: int
    clinic: Clinic
    provider: Provider
    fee_minor: int | None = None
    funding: str | None = None
    specialities: tuple[str, ...] = ()
    shifts: tuple[Shift, ...] = ()
    tests: tuple[Service, ...] = ()
    services: tuple[Service, ...] = ()
    currency: str = HERE.currency
    gaps: tuple[str, ...] = ()


class PostalCode(msgspec.Struct, frozen=True):
    """The middle of a postal code's area."""

    line: int
    postal_code: str
    latitude: float
    longitude: float


class Format(NamedTuple, Generic[_T]):
    """A kind of file. Without identifiers, rows of one hospital are duplicates whatever their case and punctuation."""

    name: str
    row: type[_HospitalRow] | type[_ProviderRow] | type[_PostalCodeRow]
    entry: Callable[[int, Any], _T]
    has_identifiers: bool


class _HospitalRow(msgspec.Struct):
    name: _Word
    address: _Line
    state: _Word
    district: _Word
    pincode: _Pincode | None = None
    latitude: _OwnLatitude | None = None
    longitude: _OwnLongitude | None = None


class _ProviderRow(msgspec.Struct, kw_only=True):
    provider_identifier: _Word
    type: Literal["doctor", "hospital", "clinic", "lab"]
    name: _Word
    salutation: _Word | None = None
    given_name: _Word | None = None
    family_name: _Word | None = None
    gender: Literal["female", "male", "other"] | None = None
    qualifications: _Word | None = None
    registration: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    council: _Word | None = None
    training: _Word | None = None
    bio: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    about: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    image_url: Annotated[str, msgspec.Meta(pattern="^https?://", max_length=500)] | None = None
    photo: Annotated[str, msgspec.Meta(pattern=r"^(https://\S+)?$", max_length=500)] | None = None
    email: Annotated[str, msgspec.Meta(pattern="^[^@ ]+@[^@ ]+$", max_length=254)] | None = None
    phone: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    languages: _Line | None = None
    practising_since: _Year | None = None
    since: _Year | None = None
    accepts_new_patients: bool | None = None
    max_booking_days: Annotated[int, msgspec.Meta(ge=0, le=366)] | None = None
    specialities: _Line = ""
    clinic_identifier: _Word
    clinic_name: _Word
    clinic_address: _Line | None = None
    clinic_phone: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    pictures: Annotated[str, msgspec.Meta(max_length=4000)] | None = None
    city: _Word
    state: _Word
    postal_code: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    latitude: _Latitude | None = None
    longitude: _Longitude | None = None
    reminders: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    gstin: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    facilities: _Line | None = None
    currency: str | None = None
    fee: Decimal | None = None
    fee_rupees: Decimal | None = None
    funding: Literal["online", "clinic", "free"] | None = None
    shifts: Annotated[str, msgspec.Meta(max_length=5000)] = ""
    tests: _Services = ""
    services: _Services = ""
    preparation: Annotated[str, msgspec.Meta(max_length=100_000)] = ""


class _PostalCodeRow(msgspec.Struct):
    pincode: _Pincode
    latitude: _OwnLatitude
    longitude: _OwnLongitude


def lists_postal_codes(columns: Sequence[str]) -> bool:
    """Return whether a file with this header lists postal codes, and not clinics that have one."""
    return set(POSTAL_CODES.row.__struct_fields__) <= set(columns) and not {"name", "address"} & set(columns)


def recognise(columns: Sequence[str]) -> Format[Entry]:
    """Return the kind of file that has this header; raises BadInput, naming the columns that are missing."""
    fitting = PROVIDERS if any(column.startswith(("provider_", "clinic_")) for column in columns) else HOSPITALS
    # Columns of the hospital directory may hold nothing, but a file without them is some other file.
    fields = msgspec.structs.fields(fitting.row)
    missing = [f.name for f in fields if (f.required or fitting is HOSPITALS) and f.name not in columns]
    if missing:
        raise BadInput(
            f"this looks like the {fitting.name}, but these columns are missing: {', '.join(missing)} "
            f"(found: {', '.join(columns)})"
        )
    return fitting


def read_row(kind: Format[_T], record: Record) -> _T:
    """Check a row and return its entry; raises BadInput with the reason when it is to be rejected."""
    if record.problem:
        raise BadInput(record.problem)
    try:
        row = msgspec.convert(record.cells, kind.row, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(_reason(str(error), record.cells)) from error
    if (row.latitude is None) != (row.longitude is None):
        raise BadInput("latitude and longitude come together or not at all")
    return kind.entry(record.line, row)


def _reason(error: str, cells: dict[str, str]) -> str:
    if missing := re.search(r"missing required field `(\w+)`", error):
        return f"{missing[1]} is missing"
    if at := re.fullmatch(r"(.*) - at `\$\.(\w+)`", error):
        expected = _EXPECTED.get(at[2]) if "regex" in at[1] else None
        return f"{at[2]} {cells[at[2]][:60]!r}: {expected or at[1][0].lower() + at[1][1:]}"
    return error


def _hospital_entry(line: int, row: _HospitalRow) -> Entry:
    # Without PIN code and coordinates: those get corrected, and the hospital is still the same.
    content = "|".join(_normalised(text) for text in (row.name, row.address, row.district, row.state))
    identifier = f"nhd:{hashlib.sha256(content.encode()).hexdigest()[:24]}"
    address = row.address.strip(" ,;-")  # what is left where an export joined parts of which some were empty
    clinic = Clinic(identifier, row.district, row.state, row.name, address, row.pincode, row.latitude, row.longitude)
    gaps = tuple(
        f"no {what}" for what, value in (("pincode", row.pincode), ("coordinates", row.latitude)) if value is None
    )
    return Entry(line, clinic, Provider(identifier=identifier, type="hospital", name=row.name), gaps=gaps)


def _provider_entry(line: int, row: _ProviderRow) -> Entry:
    currency = HERE.currency if row.currency is None else checked_currency(row.currency)
    clinic = Clinic(
        row.clinic_identifier,
        row.city,
        row.state,
        row.clinic_name,
        row.clinic_address,
        row.postal_code,
        row.latitude,
        row.longitude,
        row.clinic_phone,
        row.currency,
        _pictures(row.pictures),
        _reminder_hours(row.reminders),
        None if row.gstin is None else checked_gstin(row.gstin),
        _facilities(row.facilities),
    )
    other = ("identifier", "languages", "bio", "practising_since")
    provider = Provider(
        identifier=row.provider_identifier,
        languages=_list(row.languages or "") or None,
        bio=_either(row, "about", "bio"),
        practising_since=_either(row, "since", "practising_since"),
        **{name: getattr(row, name) for name in Provider.__struct_fields__ if name not in other},
    )
    fee_minor, funding = _price(row, currency)
    offered = _services("tests", row.tests, currency), _services("services", row.services, currency)
    tests, services = _prepared(offered, row.preparation)
    return Entry(
        line,
        clinic,
        provider,
        fee_minor,
        funding,
        _list(row.specialities),
        parse_shifts(row.shifts),
        tests,
        services,
        currency,
    )


def _either(row: _ProviderRow, name: str, other: str) -> Any:
    """Return what a row says under one of two names for the same."""
    value, same = getattr(row, name), getattr(row, other)
    if None not in (value, same) and value != same:
        raise BadInput(f"{name} and {other} are the same: give one of them")
    return same if value is None else value


def _facilities(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = _list(text)
    if len(names) > _FACILITIES_MAX:
        raise BadInput(f"facilities: {len(names)}, and a clinic has at most {_FACILITIES_MAX}")
    if wrong := [name for name in names if len(name) > _FACILITY_LENGTH_MAX]:
        raise BadInput(f"facilities {wrong[0][:60]!r}: expected at most {_FACILITY_LENGTH_MAX} characters each")
    return names


def _pictures(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    addresses = tuple(dict.fromkeys(re.split(r"[\s|]+", text.strip(" |")))) if text.strip(" |") else ()
    if wrong := [address for address in addresses if not re.fullmatch(r"https://\S{1,490}", address)]:
        raise BadInput(f"pictures {wrong[0][:60]!r}: {_EXPECTED['photo']}")
    if len(addresses) > _PICTURES_MAX:
        raise BadInput(f"pictures: {len(addresses)}, and a clinic has at most {_PICTURES_MAX}")
    return addresses


def _price(row: _ProviderRow, currency: str) -> tuple[int | None, str | None]:
    if row.fee is not None and row.currency is None:
        raise BadInput("fee: say in which currency; fee_rupees needs none")
    if row.fee_rupees is not None and (row.fee is not None or currency != INR):
        raise BadInput(f"fee_rupees: give fee instead, in {unit_name(currency)}")
    name, given = ("fee_rupees", row.fee_rupees) if row.fee is None else ("fee", row.fee)
    if given is None and row.funding is None:
        return None, None
    try:
        fee_minor = checked_fee(given or Decimal(0), currency)
    except BadInput as problem:
        raise BadInput(f"{name} {problem}") from None
    funding = row.funding or ("online" if fee_minor else "free")
    require_funding(fee_minor, funding, currency)
    return fee_minor, funding


def _reminder_hours(text: str | None) -> list[int] | None:
    try:
        return None if text is None else parse_reminder_hours(text)
    except BadInput as problem:
        raise BadInput(f"reminders: {problem}") from None


def _services(column: str, text: str, currency: str) -> tuple[Service, ...]:
    try:
        services = parse_services(text, currency, is_test=column == "tests")
    except BadInput as problem:
        raise BadInput(f"{column}: {problem}") from None
    seen: set[str] = set()
    for service in services:
        if service_slug(service.name) in seen:
            raise BadInput(f"{column}: {service.name!r} is there twice")
        seen.add(service_slug(service.name))
    return services


def _prepared(offered: tuple[tuple[Service, ...], ...], text: str) -> list[tuple[Service, ...]]:
    """Return a row's tests and services, each with what is to be done before it, out of `NAME=TEXT; NAME=TEXT`."""
    before: dict[str, str] = {}
    for part in _list(text):
        name, equals, said = part.partition("=")
        try:
            if not (equals and name.strip()):
                raise BadInput("expected a name and a text, such as 'Lipid Profile=Do not eat for 10 hours before.'")
            if service_slug(name) in before:
                raise BadInput("this name is there twice")
            before[service_slug(name)] = checked_preparation(said)
        except BadInput as problem:
            raise BadInput(f"preparation {part[:60]!r}: {problem}") from None
    if unknown := before.keys() - {service_slug(one.name) for services in offered for one in services}:
        raise BadInput(f"preparation: {min(unknown)!r} is none of the tests and services of this row")
    return [
        tuple(msgspec.structs.replace(one, preparation=before.get(service_slug(one.name))) for one in services)
        for services in offered
    ]


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for part in text.split(";") if (item := part.strip())))


def _normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


HOSPITALS = Format("hospital directory", _HospitalRow, _hospital_entry, has_identifiers=False)
PROVIDERS = Format("provider list", _ProviderRow, _provider_entry, has_identifiers=True)
POSTAL_CODES = Format(
    "list of postal codes",
    _PostalCodeRow,
    lambda line, row: PostalCode(line, row.pincode, row.latitude, row.longitude),
    has_identifiers=True,
)
