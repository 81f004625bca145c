"""The parameters of SearchDoctors, as they are specified and some of our own, and how they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

from litestar.params import QueryParameter

from healthplus.country import HERE
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.errors import BadInput
from healthplus.search.find import RADIUS_KM_DEFAULT, READ_MAX, Available, Order, SearchRequest
from healthplus.text import identifier, is_postal_code, number, postal_code
from healthplus.web.api.keys import PARAMETER
from healthplus.web.api.requested_services import requested_slugs
from healthplus.web.http.ids import ID_MAX
from healthplus.web.http.instants import YEAR_MAX, checked_instant
from healthplus.web.http.paging import Page, ResultsPerPage
from healthplus.web.services import AppServices

RADIUS_KM_MAX = 500
FEE_MAX = 1_000_000
TEXT_MAX = 20_000
ORDERS = (
    "rating,asc", "rating,desc", "date,asc", "date,desc", "distance,asc", "type,date,asc", "type,date,desc",
    "date,type,asc", "date,type,desc", "price,asc", "price,desc", "experience,desc",
)  # fmt: skip
"""The brief's nine, and three of our own."""

SortingOrder: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=100,
        description="One of rating,asc rating,desc date,asc date,desc distance,asc type,date,asc type,date,desc "
        "date,type,asc date,type,desc price,asc price,desc experience,desc, in any case and with spaces; the direction "
        "holds for all that an order names. A date is the first available day. A price is that of the service or tests "
        "searched for, and then only those who offer them are listed, or else of a visit; one that only the clinic "
        "knows comes last. All of these three are compared among the 7,000 best rated of what matches (dates with a "
        "service: 300). Without an order, those of that name come first, then by rating.",
    ),
]
ProviderType: TypeAlias = Literal["doctor", "hospital", "clinic", "lab"]
_Instant: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=100,
        description="An ISO 8601 date and time, such as 2026-12-01T10:00:00+05:30 (in a URL, + is %2B); without an "
        "offset, on the city's clock. Or a date alone: from its beginning, or to its end. For a free slot that starts "
        "from start_datetime on and before end_datetime.",
    ),
]
_Fee: TypeAlias = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=FEE_MAX,
        description="Whole units of the clinic's currency, for the service or tests searched for or else a visit; "
        f"0 to {FEE_MAX}.",
    ),
]


@dataclass(frozen=True)
class SpecifiedQuery:
    """The specified parameters, except api_dev_key."""

    keyword: Annotated[
        str,
        QueryParameter(
            max_length=TEXT_MAX,
            description="Names, also in Devanagari, specialities, common words for them, symptoms, treatments, "
            "clinics, localities, several at once; and filters in words, as in: "
            f"marathi speaking dentist under 500 tomorrow. The first {READ_MAX} letters are read.",
        ),
    ] = ""
    city: Annotated[
        str, QueryParameter(max_length=TEXT_MAX, description="A city's name, old or new, or its slug from /cities.")
    ] = ""
    lat_long: Annotated[
        str | None,
        QueryParameter(
            max_length=100,
            description="Latitude, -90 to 90, a comma, longitude, -180 to 180, as in 18.5204,73.8567: those around it, "
            f"within {RADIUS_KM_DEFAULT:.0f} km unless `radius` says otherwise.",
        ),
    ] = None
    radius: Annotated[
        float | None,
        QueryParameter(
            ge=0.01,
            le=RADIUS_KM_MAX,
            description=f"Kilometres, 0.01 to {RADIUS_KM_MAX}, around lat_long, or else the middle of "
            "postal_code, or else of city.",
        ),
    ] = None
    start_datetime: _Instant = None
    end_datetime: _Instant = None
    postal_code: Annotated[
        str | None,
        QueryParameter(max_length=40, description="3 to 10 digits or letters, as in 411038; also 411 038."),
    ] = None
    includeSpellcheck: Annotated[  # noqa: N815 - as specified
        str,
        QueryParameter(
            max_length=100,
            description="yes or no, in any case: whether to say, in the header Spelling-Suggestions, what may have "
            "been meant. The list stays as it is.",
        ),
    ] = "no"
    results_per_page: ResultsPerPage = 20
    sorting_order: SortingOrder = None


@dataclass(frozen=True)
class MoreQuery:
    """The parameters of our own."""

    page: Page = 1
    speciality: Annotated[
        list[str] | None,
        QueryParameter(max_items=30, description="Slugs from /specialities; may be repeated, for any of several."),
    ] = None
    service: Annotated[
        str | None,
        QueryParameter(
            max_length=100,
            description="What is to be done, by a slug of a provider's services, as in root-canal-treatment, or the "
            "id of one: those who offer it.",
        ),
    ] = None
    tests: Annotated[
        list[str] | None,
        QueryParameter(
            max_items=SERVICES_MAX,
            description="Laboratory tests, by slugs of /lab-tests or ids of a provider's services; may be repeated: "
            "those who offer all of them.",
        ),
    ] = None
    type: Annotated[
        list[ProviderType] | None,
        QueryParameter(
            max_items=4, description="doctor, hospital, clinic or lab; may be repeated, for any of several."
        ),
    ] = None
    clinic_id: Annotated[int | None, QueryParameter(ge=1, le=ID_MAX, description="A clinic's id.")] = None
    fee_min: _Fee = None
    fee_max: _Fee = None
    experience_min: Annotated[
        int | None, QueryParameter(ge=0, le=80, description="Whole years of practice, 0 to 80.")
    ] = None
    rating_min: Annotated[float | None, QueryParameter(ge=1, le=5, description="A mean of 1 to 5.")] = None
    language: Annotated[
        str | None,
        QueryParameter(max_length=50, description="The English name of a language they speak, as in Marathi."),
    ] = None
    gender: Annotated[
        Literal["female", "male", "other"] | None, QueryParameter(description="female, male or other.")
    ] = None
    available: Annotated[
        Available | None,
        QueryParameter(
            description="today, tomorrow, week (today and the six days after) or weekend (the next Saturday and "
            "Sunday): with a free slot then."
        ),
    ] = None
    accepts_new_patients: Annotated[bool | None, QueryParameter(description="true or false.")] = None


KNOWN = {one.name for kind in (SpecifiedQuery, MoreQuery) for one in fields(kind)} | {PARAMETER}
"""The names of all parameters of SearchDoctors."""


async def search_request(app: AppServices, specified: SpecifiedQuery, more: MoreQuery) -> SearchRequest:
    """Return the search that the parameters ask for. Raises BadInput, which names the parameter."""
    latitude, longitude = (None, None) if specified.lat_long is None else _position(specified.lat_long)
    if more.fee_min is not None and more.fee_max is not None and more.fee_min > more.fee_max:
        raise BadInput("fee_max: must not be less than fee_min.")
    return SearchRequest(
        keyword=specified.keyword[:READ_MAX],
        city=specified.city[:READ_MAX],
        latitude=latitude,
        longitude=longitude,
        radius_km=specified.radius,
        postal_code=None if specified.postal_code is None else _postal_code(specified.postal_code),
        starts_from=_instant("start_datetime", specified.start_datetime),
        starts_before=_instant("end_datetime", specified.end_datetime, is_end=True),
        available=more.available,
        specialities=more.speciality or (),
        services=await requested_slugs(app, [*([more.service] if more.service else []), *(more.tests or ())]),
        types=more.type or (),
        clinic_id=more.clinic_id,
        fee_min=more.fee_min,
        fee_max=more.fee_max,
        experience_years_min=more.experience_min,
        rating_min=more.rating_min,
        gender=more.gender,
        language=more.language,
        accepts_new_patients=more.accepts_new_patients,
        order=_order(specified.sorting_order),
    )


def is_yes(name: str, text: str) -> bool:
    """Return whether a parameter says yes and not no, in any case. Raises BadInput."""
    said = number(text).lower()
    if said not in ("yes", "no"):
        raise BadInput(f"{name}: say yes or no.")
    return said == "yes"


def _order(text: str | None) -> Order:
    if text is None:
        return Order.BEST
    wanted = number(text).lower()
    if wanted not in ORDERS:
        raise BadInput(f"sorting_order: one of {' '.join(ORDERS)}.")
    return Order(wanted.replace(",", "_"))


def _instant(name: str, text: str | None, *, is_end: bool = False) -> datetime | None:
    """Return the instant that a text says; of a date alone its beginning, or, at the end of a window, its end."""
    if text is None:
        return None
    plain = re.sub(r" (\d\d:?\d\d)$", r"+\1", identifier(text))  # a plus sign is a space in a URL
    try:
        instant = datetime.fromisoformat(plain)
    except ValueError:
        raise BadInput(
            f"{name}: a date as in 2026-12-01, or a date and time as in 2026-12-01T10:00:00+05:30 (in a URL, + is %2B)."
        ) from None
    if is_end and _is_date(plain) and instant.year < YEAR_MAX:
        instant += timedelta(days=1)
    # Without an offset, it is read on the city's clock later on.
    checked_instant(name, instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    return instant


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _postal_code(text: str) -> str:
    code = postal_code(text)
    if not is_postal_code(code):
        code = code.replace(" ", "")  # another country's
    if not re.fullmatch("[0-9A-Za-z ]{3,10}", code):
        raise BadInput(f"postal_code: 3 to 10 digits or letters, as in {HERE.postal_code.example}.")
    return code


def _position(lat_long: str) -> tuple[float, float]:
    numbers = re.fullmatch(r"(-?\d{1,3}(?:\.\d{1,20})?),(-?\d{1,3}(?:\.\d{1,20})?)", number(lat_long), re.ASCII)
    if numbers is not None:
        latitude, longitude = float(numbers[1]), float(numbers[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return latitude, longitude
    raise BadInput("lat_long: latitude, -90 to 90, a comma, longitude, -180 to 180, as in 18.5204,73.8567.")
