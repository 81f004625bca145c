"""What rows of files say: providers at clinics, or where postal codes are."""

from __future__ import annotations

import msgspec

from healthplus.country import HERE
from healthplus.directory.service_text import Service
from healthplus.schedule.shift_text import Shift


class Clinic(msgspec.Struct, frozen=True):
    """A clinic. None leaves what is stored as it is; no `pictures` removes them.

    `written_name` is the name as the file has it, where it is shown otherwise.
    """

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
    written_name: str | None = None


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
    written_name: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """One row: a provider at a clinic. `gaps` are faults that were tolerated.

    `tests` are offered at all clinics of the provider, `services` at this one. Amounts are in `currency`, also where
    the row names none for the clinic. `emptied` are columns of which the row says that there is nothing; `is_open`
    whether they can be booked there, if it says so.
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
    emptied: tuple[str, ...] = ()
    is_open: bool | None = None

    @property
    def post(self) -> tuple[str, str]:
        """Return the identifiers of the provider and the clinic."""
        return self.provider.identifier, self.clinic.identifier


class PostalCode(msgspec.Struct, frozen=True):
    """The middle of a postal code's area."""

    line: int
    postal_code: str
    latitude: float
    longitude: float
