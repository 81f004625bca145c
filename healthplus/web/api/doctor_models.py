"""What SearchDoctors answers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from healthplus.web.api.amounts import AmountMinor, Currency
from healthplus.web.api.directory_models import Photo


class DoctorService(Struct):
    """What one books there of the service or tests that a search names, each at its lowest price; these add up.

    `service_id` is that of the one service, or null for several; `length_minutes` of a test is what it adds to a visit.
    Unless `is_fee_known`, the clinic says what one of them costs, and `fee` is what the others do.
    """

    service_id: int | None
    service_ids: list[int]
    name: str
    fee: float
    fee_minor: AmountMinor
    currency: Currency
    funding: str
    is_fee_known: bool
    length_minutes: int


class Doctor(Struct):
    """A provider, at the clinic that fits best. The first fourteen keys are as specified; full_name is ful_name again.

    `first_avl_day` is the first day with a free slot (within the requested time) on the city's clock, or null; where
    there is a `service`, with time for it. `service` is null where the search names none, or it is not offered there.
    `url` leads to the provider's document, `slots_url` to its slots.
    `fee` is in whole units of `currency`, such as rupees, with their fractions.
    """

    id: int
    fname: str
    sname: str
    sal_name: str
    spec_name: str
    bio: str
    img_url: str
    max_bok_day: int
    city_name: str
    email: str
    tel: str
    ful_name: str
    full_name: str
    first_avl_day: str | None
    type: str
    specialities: list[str]
    clinic_id: int
    clinic_name: str
    address: str
    postal_code: str | None
    lat_long: str | None
    distance_km: float | None
    rating: float | None
    rating_count: int
    fee: float
    fee_minor: AmountMinor
    currency: Currency
    funding: str
    gender: str | None
    languages: list[str]
    practising_since: int | None
    qualifications: str | None
    photo: Photo | None
    accepts_new_patients: bool
    url: str
    slots_url: str
    service: DoctorService | None


class UrgentNeed(Struct):
    """What cannot wait: of the body, the mind, violence, or a child in need; and whom to call, in order."""

    kind: Literal["body", "mind", "violence", "child"]
    call: list[str]


class DoctorsAndSpellcheck(Struct):
    """The answer to includeSpellcheck=yes: who was found, and likely spellings of the keyword, likeliest first.

    `urgent` is set where the keyword tells of what cannot wait; say above the results whom to call.
    """

    doctors: list[Doctor]
    did_you_mean: list[str]
    urgent: UrgentNeed | None
