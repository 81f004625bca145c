"""The documents that show the directory. Times of day are the city's; weekdays are ISO 8601's, Monday is 1."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from healthplus.web.api.amounts import AmountMinor, Currency, Fee, Paise, Price, in_paise

Photo: TypeAlias = Annotated[
    str,
    Meta(description="A picture's name: at `/photo/{photo}-96.webp`, `-320.webp` and `-640.webp`, as a square."),
]


class Position(Struct):
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


class City(Struct):
    """`slug` is its name in URLs."""

    slug: str
    name: str
    state: str
    time_zone: str
    position: Position | None


class ProviderCounts(Struct):
    """How many there are, by type."""

    doctor: int
    hospital: int
    clinic: int
    lab: int


class CountedCity(City):
    """A city, and how many providers of each type it has; one who works at two of its clinics counts once."""

    providers: ProviderCounts


class Cities(Struct):
    """Cities that have providers, by name. Counts may be half a minute old."""

    cities: list[CountedCity]


class Named(Struct):
    """`slug` is the name in URLs."""

    slug: str
    name: str


class CountedName(Named):
    """`providers`: how many have or offer it."""

    providers: int


class Specialities(Struct):
    """All specialities, by name. Counts may be half a minute old."""

    specialities: list[CountedName]


class LabTests(Struct):
    """All laboratory tests, by name. Counts may be half a minute old."""

    lab_tests: list[CountedName]


class PricedLabTest(Price):
    """A test, and what it costs at one provider. A price of 0 with funding `clinic` is unknown."""

    slug: str
    name: str
    funding: str


class ClinicLabTest(PricedLabTest):
    """A test that a provider at a clinic offers."""

    provider_id: int


class OfferedService(Fee):
    """What a provider offers at one clinic, or (`clinic_id` null) at each of theirs, on these weekdays.

    A change of its price or length gives it another `id`: what was held or booked before keeps the old one. Of tests,
    several go into one visit; their `length_minutes` are what each adds to it. A fee of 0 with funding `clinic` is
    unknown.
    """

    id: int
    slug: str
    name: str
    is_test: bool
    clinic_id: int | None
    funding: str
    length_minutes: int
    weekdays: list[int]


class Hours(Struct):
    """From `start` to `end`, both HH:MM; a day ends at 24:00."""

    weekday: int
    start: str
    end: str


class ShiftHours(Hours):
    """Hours of one provider, in slots of so many minutes."""

    slot_minutes: int


class Place(Struct):
    """Where a clinic is."""

    id: int
    name: str
    address: str
    postal_code: str | None
    phone: str | None
    position: Position | None
    city: City
    facilities: Annotated[list[str], Meta(description="Such as `Wheelchair access`, as the clinic says it.")]
    pictures: list[Photo]
    picture_texts: Annotated[list[str], Meta(description="What each shows; `` where nobody has said.")]


class ClinicProvider(Fee):
    """A provider at a clinic; `rating` is the mean of 1 to 5 stars. A fee of 0 with funding `clinic` is unknown."""

    id: int
    type: str
    name: str
    specialities: list[Named]
    rating: float | None
    rating_count: int
    accepts_new_patients: bool
    funding: str
    qualifications: str | None
    photo: Photo | None
    languages: list[str]
    practising_since: int | None


class Clinic(Place):
    """A clinic. It is open when anyone works there: `opening_times` in a usual week, `open_now` with leave."""

    opening_times: list[Hours]
    open_now: bool
    lab_tests: list[ClinicLabTest]
    page: int
    results_per_page: int
    providers: list[ClinicProvider]


class Workplace(Place):
    """A clinic where a provider works: `opening_times` in a usual week, and the next three starts free for anyone.

    `service_ids`: which of the provider's services can be booked there.
    """

    fee_minor: AmountMinor
    currency: Currency
    funding: str
    opening_times: list[ShiftHours]
    next_free: list[datetime]
    service_ids: list[int]
    slots_url: str
    fee_paise: Paise = None

    def __post_init__(self) -> None:
        self.fee_paise = in_paise(self.fee_minor, self.currency)


class Provider(Struct):
    """A provider. `rating` is the mean of 1 to 5 stars; `max_booking_days`: how far ahead they can be booked.

    `registration` is their number with the `council`; a place practises since it is there.
    """

    id: int
    type: str
    name: str
    salutation: str | None
    given_name: str | None
    family_name: str | None
    gender: str | None
    specialities: list[Named]
    languages: list[str]
    qualifications: str | None
    registration: str | None
    council: str | None
    training: str | None
    photo: Photo | None
    bio: str | None
    image_url: str | None
    email: str | None
    phone: str | None
    practising_since: int | None
    experience_years: int | None
    accepts_new_patients: bool
    max_booking_days: int
    rating: float | None
    rating_count: int
    lab_tests: list[PricedLabTest]
    services: list[OfferedService]
    clinics: list[Workplace]


class LabTestProvider(Price):
    """A provider of a test: its price, and the clinics of the city where it is done.

    A price of 0 with funding `clinic` is unknown.
    """

    id: int
    type: str
    name: str
    funding: str
    rating: float | None
    rating_count: int
    clinics: list[Place]


class LabTestProviders(Struct):
    """The providers of a test in a city, cheapest first."""

    lab_test: Named
    page: int
    results_per_page: int
    providers: list[LabTestProvider]
