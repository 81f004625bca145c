"""The kinds of file that can be imported, and what one row of each says."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from healthplus import text
from healthplus.country import HERE
from healthplus.directory.fees import require_funding
from healthplus.directory.gstin import checked_gstin
from healthplus.directory.preparation import checked_preparation
from healthplus.directory.reminder_hours import parse_reminder_hours
from healthplus.directory.service_text import Service, parse_services
from healthplus.errors import BadInput
from healthplus.imports import cells
from healthplus.imports.entries import Clinic, Entry, PostalCode, Provider
from healthplus.imports.places import ABROAD, AT_HOME, position, required_position
from healthplus.imports.records import Record
from healthplus.imports.row_cells import RowCells
from healthplus.imports.shift_cells import canonical_shifts
from healthplus.imports.shown_names import mixed_case
from healthplus.imports.specialities import read_specialities
from healthplus.money import INR, checked_currency, unit_name
from healthplus.names import service_slug
from healthplus.schedule.shift_text import Shift, parse_shifts

Kind: TypeAlias = Literal["hospitals", "providers", "postal-codes", "fhir"]

_FACILITIES_MAX = 20
_FACILITY_LENGTH_MAX = 60
_PICTURES_MAX = 6
_T = TypeVar("_T")


class Format(NamedTuple, Generic[_T]):
    """A kind of file: its columns, those that it must have, and how a row is read.

    Without identifiers, rows of one hospital are duplicates whatever their case and punctuation.
    """

    name: str
    kind: Kind
    required: tuple[str, ...]
    optional: tuple[str, ...]
    entry: Callable[[int, RowCells], _T]
    has_identifiers: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns that are read."""
        return self.required + self.optional


def read_row(kind: Format[_T], record: Record, *, strict_cells: bool = False) -> _T:
    """Check a row and return its entry; raises BadInput with the reason when it is to be rejected."""
    if record.problem:
        raise BadInput(record.problem)
    row = RowCells(record.cells, strict=strict_cells)
    is_open = row.optional("status", cells.is_open)
    entry = kind.entry(record.line, row)
    if isinstance(entry, Entry) and (row.emptied or is_open is not None):
        entry = msgspec.structs.replace(entry, emptied=tuple(row.emptied), is_open=is_open)
    return entry


def _name(said: str) -> str:
    return cells.name(text.name(said))


def _identifier(said: str) -> str:
    cells.require_digits(said)
    plain = text.identifier(said)
    # What Excel makes of an identifier that is a number is undone, too.
    return cells.word(plain.partition(".")[0] if re.fullmatch(r"\d+\.0", plain) else plain)


def _place(said: str) -> str:
    shown = mixed_case(_name(said), is_place=True)
    return shown.title() if shown.islower() else shown


def _shown_and_written(name: str) -> tuple[str, str | None]:
    shown = mixed_case(name)
    return shown, None if shown == name else name


def _phone(row: RowCells, column: str, region: str) -> str | None:
    numbers = row.optional(column, lambda said: cells.phones(text.phone(said), region))
    if numbers and len(numbers) > 1:
        row.note(f"{column}: the first of several numbers is kept")
    return numbers[0] if numbers else None


def _specialities(row: RowCells) -> tuple[str, ...]:
    return row.optional("specialities", lambda said: read_specialities(text.name(said))) or ()


def _hospital_entry(line: int, row: RowCells, *, has_address: bool = True) -> Entry:
    name, district, state = (row.required(column, _name) for column in ("name", "district", "state"))
    address = row.required("address", lambda said: cells.line(text.line(said))) if has_address else ""
    # Without PIN code and coordinates: those get corrected, and the hospital is still the same.
    content = "|".join(_normalised(said) for said in (name, address, district, state))
    identifier = f"nhd:{hashlib.sha256(content.encode()).hexdigest()[:24]}"
    pincode, at = row.optional("pincode", AT_HOME.postal_code), position(row, AT_HOME)
    for what, value, columns in (("pincode", pincode, ("pincode",)), ("coordinates", at, ("latitude", "longitude"))):
        if value is None and not row.says_any(columns):
            row.note(f"no {what}")
    shown, written = _shown_and_written(name)
    clinic = Clinic(
        identifier,
        _place(district),
        _place(state),
        shown,
        address.strip(" ,;-"),  # what is left where an export joined parts of which some were empty
        pincode,
        at and at[0],
        at and at[1],
        written_name=written,
    )
    provider = Provider(
        identifier=identifier,
        type="hospital",
        name=shown,
        written_name=written,
        phone=_phone(row, "phone", HERE.code),
        email=row.optional("email", lambda said: cells.e_mail(text.identifier(said))),
    )
    return Entry(line, clinic, provider, specialities=_specialities(row), gaps=tuple(row.notes))


def _provider_entry(line: int, row: RowCells, *, by_name: bool = False) -> Entry:
    named_currency, amounts_count = _currency(row)
    currency = named_currency or HERE.currency
    rules = AT_HOME if currency == HERE.currency else ABROAD
    provider_type = row.required("type", cells.provider_type)
    shown, written = _shown_and_written(row.required("name", _name))
    city, state = row.required("city", _place), row.required("state", _place)
    clinic_said = row.optional("clinic_name", _name) if by_name and provider_type != "doctor" else None
    clinic_shown, clinic_written = (
        (shown, written) if by_name and provider_type != "doctor" and clinic_said is None
        else _shown_and_written(clinic_said or row.required("clinic_name", _name))
    )  # fmt: skip
    registration = row.optional("registration", cells.text_up_to(60))
    if by_name:
        made = _made("clinic", clinic_shown, city, state)
        clinic_identifier = row.optional("clinic_identifier", _identifier) or made
        made = _made("provider", shown, registration or "", clinic_identifier)
        identifier = row.optional("provider_identifier", _identifier) or made
    else:
        clinic_identifier = row.required("clinic_identifier", _identifier)
        identifier = row.required("provider_identifier", _identifier)
    at = position(row, rules)
    clinic = Clinic(
        clinic_identifier,
        city,
        state,
        clinic_shown,
        row.optional("clinic_address", lambda said: cells.line(text.line(said))),
        row.optional("postal_code", rules.postal_code),
        at and at[0],
        at and at[1],
        _phone(row, "clinic_phone", HERE.code),
        named_currency,
        row.optional("pictures", _pictures),
        row.optional("reminders", parse_reminder_hours),
        row.optional("gstin", checked_gstin),
        row.optional("facilities", _facilities),
        clinic_written,
    )
    provider = Provider(
        identifier=identifier,
        type=provider_type,
        name=shown,
        written_name=written,
        registration=registration,
        phone=_phone(row, "phone", HERE.code),
        **_profile(row),
    )
    fee_minor, funding = _price(row, currency, named_currency) if amounts_count else (None, None)
    tests, services = _offered(row, currency) if amounts_count else ((), ())
    shifts = row.optional("shifts", lambda said: _shifts(row, text.line(said))) or ()
    specialities = _specialities(row)
    return Entry(
        line, clinic, provider, fee_minor, funding, specialities, shifts, tests, services, currency, tuple(row.notes)
    )


def _profile(row: RowCells) -> dict[str, Any]:
    """Return what a row says of a provider besides names, identifiers and numbers."""
    names = ("salutation", "given_name", "family_name")
    return {
        **{column: row.optional(column, lambda said: cells.word(text.name(said))) for column in names},
        **{column: row.optional(column, cells.word) for column in ("qualifications", "council", "training")},
        "gender": row.optional("gender", cells.gender),
        "bio": _either(row, "about", cells.text_up_to(1000), "bio", cells.text_up_to(5000)),
        "image_url": row.optional("image_url", _image_url),
        "photo": row.optional("photo", _photo),
        "email": row.optional("email", lambda said: cells.e_mail(text.identifier(said))),
        "languages": row.optional("languages", lambda said: cells.items(cells.line(said), ";|,")) or None,
        "practising_since": _either(row, "since", _year, "practising_since", _year),
        "accepts_new_patients": row.optional("accepts_new_patients", cells.yes_or_no),
        "max_booking_days": row.optional(
            "max_booking_days", lambda said: cells.whole_number(0, 366)(text.number(said))
        ),
    }


def _year(said: str) -> int:
    return cells.year(text.number(said))


def _made(kind: str, *names: str) -> str:
    content = "|".join(map(_normalised, names))
    return f"{kind}:{hashlib.sha256(content.encode()).hexdigest()[:24]}"


def _either(
    row: RowCells, name: str, read: Callable[[str], _T], other: str, read_other: Callable[[str], _T]
) -> _T | None:
    """Return what a row says under one of two names for the same."""
    value, same = row.optional(name, read), row.optional(other, read_other)
    if value is not None and same is not None and value != same:
        raise BadInput(f"{name} and {other} are the same: give one of them")
    return same if value is None else value


def _facilities(said: str) -> tuple[str, ...]:
    names = cells.items(cells.line(said))
    if len(names) > _FACILITIES_MAX:
        raise BadInput(f"facilities: {len(names)}, and a clinic has at most {_FACILITIES_MAX}")
    if wrong := [name for name in names if len(name) > _FACILITY_LENGTH_MAX]:
        raise BadInput(f"facilities {wrong[0][:60]!r}: expected at most {_FACILITY_LENGTH_MAX} characters each")
    return names


def _image_url(said: str) -> str:
    if not re.fullmatch("https?://.{1,490}", said):
        raise BadInput("expected an address that starts with https:// or http://")
    return said


def _photo(said: str) -> str:
    if said and not re.fullmatch(r"https://\S{1,490}", said):
        raise BadInput("expected an address that starts with https://")
    return said


def _pictures(said: str) -> tuple[str, ...]:
    addresses = tuple(dict.fromkeys(re.split(r"[\s|]+", said.strip(" |")))) if said.strip(" |") else ()
    if wrong := [address for address in addresses if not re.fullmatch(r"https://\S{1,490}", address)]:
        raise BadInput(f"pictures {wrong[0][:60]!r}: expected an address that starts with https://")
    if len(addresses) > _PICTURES_MAX:
        raise BadInput(f"pictures: {len(addresses)}, and a clinic has at most {_PICTURES_MAX}")
    return addresses


def _currency(row: RowCells) -> tuple[str | None, bool]:
    """Return the currency that a row names, and whether its amounts can be read: not in one that is unknown."""
    before = len(row.notes)
    named = row.optional("currency", checked_currency)
    return named, len(row.notes) == before


def _price(row: RowCells, currency: str, named_currency: str | None) -> tuple[int | None, str | None]:
    name = "fee" if row.says_any(("fee",)) else "fee_rupees"
    funding = row.optional("funding", cells.funding)
    if not row.says_any((name,)) and funding is None:
        return None, None

    def read() -> tuple[int, str]:
        if name == "fee" and named_currency is None:
            raise BadInput("fee: say in which currency; fee_rupees needs none")
        if row.says_any(("fee_rupees",)) and (name == "fee" or currency != INR):
            raise BadInput(f"fee_rupees: give fee instead, in {unit_name(currency)}")
        fee_minor = row.cell(name, lambda said: cells.fee(text.identifier(said), currency)) or 0
        paid = funding or ("online" if fee_minor else "free")
        require_funding(fee_minor, paid, currency)
        return fee_minor, paid

    return row.part(name, read) or (None, None)


def _shifts(row: RowCells, said: str) -> tuple[Shift, ...]:
    canonical, assumed = canonical_shifts(cells.text_up_to(5000)(said))
    shifts = parse_shifts(canonical)
    for one in assumed:
        row.note(f"shifts: {one}")
    return shifts


def _offered(row: RowCells, currency: str) -> tuple[tuple[Service, ...], ...]:
    """Return a row's tests and its services."""
    offered = [
        row.optional(column, partial(_services, column, currency=currency)) or () for column in ("tests", "services")
    ]
    said = row.optional("preparation", cells.text_up_to(100_000))
    return tuple((said and row.part("preparation", lambda: _prepared(offered, said))) or offered)


def _services(column: str, said: str, currency: str) -> tuple[Service, ...]:
    try:
        services = parse_services(cells.text_up_to(100_000)(said), currency, is_test=column == "tests")
    except BadInput as problem:
        raise BadInput(f"{column}: {problem}") from None
    seen: set[str] = set()
    for service in services:
        if service_slug(service.name) in seen:
            raise BadInput(f"{column}: {service.name!r} is there twice")
        seen.add(service_slug(service.name))
    return services


def _prepared(offered: Sequence[tuple[Service, ...]], said: str) -> list[tuple[Service, ...]]:
    """Return a row's tests and services, each with what is to be done before it, out of `NAME=TEXT; NAME=TEXT`."""
    before: dict[str, str] = {}
    for part in cells.items(said, ";"):
        name, equals, what = part.partition("=")
        try:
            if not (equals and name.strip()):
                raise BadInput("expected a name and a text, such as 'Lipid Profile=Do not eat for 10 hours before.'")
            if service_slug(name) in before:
                raise BadInput("this name is there twice")
            before[service_slug(name)] = checked_preparation(what)
        except BadInput as problem:
            raise BadInput(f"preparation {part[:60]!r}: {problem}") from None
    if unknown := before.keys() - {service_slug(one.name) for services in offered for one in services}:
        raise BadInput(f"preparation: {min(unknown)!r} is none of the tests and services of this row")
    return [
        tuple(msgspec.structs.replace(one, preparation=before.get(service_slug(one.name))) for one in services)
        for services in offered
    ]


def _normalised(said: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", said).casefold()))


def _postal_code(line: int, row: RowCells) -> PostalCode:
    return PostalCode(line, row.required("pincode", AT_HOME.postal_code), *required_position(row, AT_HOME))


_PROFILE_COLUMNS = (
    "salutation", "given_name", "family_name", "gender", "qualifications", "registration", "council", "training",
    "bio", "about", "image_url", "photo", "email", "phone", "languages", "practising_since", "since",
    "accepts_new_patients", "max_booking_days", "specialities", "clinic_address", "clinic_phone", "pictures",
    "postal_code", "latitude", "longitude", "reminders", "gstin", "facilities", "currency", "fee", "fee_rupees",
    "funding", "shifts", "tests", "services", "preparation", "status",
)  # fmt: skip

HOSPITALS = Format(
    "hospital directory",
    "hospitals",
    ("name", "address", "state", "district"),
    ("pincode", "latitude", "longitude", "phone", "email", "specialities", "status"),
    _hospital_entry,
    has_identifiers=False,
)
HOSPITALS_WITHOUT_ADDRESS = HOSPITALS._replace(
    required=("name", "state", "district"), entry=partial(_hospital_entry, has_address=False)
)
"""Of one name in one district, only the first counts, which only who imports them can know to be right."""
PROVIDERS = Format(
    "provider list",
    "providers",
    ("provider_identifier", "type", "name", "clinic_identifier", "clinic_name", "city", "state"),
    _PROFILE_COLUMNS,
    _provider_entry,
    has_identifiers=True,
)
PROVIDERS_BY_NAME = Format(
    "provider list without identifiers",
    "providers",
    ("type", "name", "city", "state"),
    ("provider_identifier", "clinic_identifier", "clinic_name", *_PROFILE_COLUMNS),
    partial(_provider_entry, by_name=True),
    has_identifiers=False,
)
"""Providers and clinics are recognised by their names and cities, which only who imports them can know to be enough."""
POSTAL_CODES = Format(
    "list of postal codes",
    "postal-codes",
    ("pincode", "latitude", "longitude"),
    (),
    _postal_code,
    has_identifiers=True,
)
