"""SearchDoctors: the parameters, orders and keys as they are specified, and some of our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from litestar import Controller, Response, get
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency, Provide
from litestar.params import PathParameter, QueryParameter

from healthplus.database import Record
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.errors import BadInput, NotFound
from healthplus.money import in_units
from healthplus.search.find import RADIUS_KM_DEFAULT, Available, Order, SearchRequest, city_named, find
from healthplus.search.spelling import did_you_mean
from healthplus.search.urgent import Urgent, urgent_need
from healthplus.text import number, postal_code
from healthplus.web.api.doctor_models import Doctor, DoctorsAndSpellcheck, DoctorService, UrgentNeed
from healthplus.web.api.keys import needs_key
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.api.requested_services import requested_slugs
from healthplus.web.api.urls import provider_url, slots_url
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.http.ids import ID_MAX
from healthplus.web.http.instants import checked_instant
from healthplus.web.http.paging import Page, ResultsPerPage, limit_and_offset, page_and_links
from healthplus.web.services import AnyRequest, AppServices, services

RADIUS_KM_MAX = 500
FEE_MAX = 1_000_000
TEXT_MAX = 20_000

SortingOrder: TypeAlias = Annotated[
    Literal[
        "rating,asc", "rating,desc", "date,asc", "date,desc", "distance,asc",
        "type,date,asc", "type,date,desc", "date,type,asc", "date,type,desc", "price,asc", "price,desc",
        "experience,desc",
    ] | None,
    QueryParameter(
        description="One of rating,asc rating,desc date,asc date,desc distance,asc type,date,asc type,date,desc "
        "date,type,asc date,type,desc price,asc price,desc experience,desc; the direction holds for all that an order "
        "names. A date is the first available day. A price is that of the service or tests searched for, and then only "
        "those who offer them are listed, or else of a visit; one that only the clinic knows comes last. All of these "
        "three are compared among the 7,000 best rated of what matches (dates with a service: 300). Without an order, "
        "those of that name come first, then by rating."
    ),
]  # fmt: skip
ProviderType: TypeAlias = Literal["doctor", "hospital", "clinic", "lab"]
_Instant: TypeAlias = Annotated[
    datetime | None,
    QueryParameter(
        description="An ISO 8601 date and time, such as 2026-12-01T10:00:00+05:30 (in a URL, + is %2B); without an "
        "offset, on the city's clock. For a free slot that starts from start_datetime on and before end_datetime."
    ),
]
_Fee: TypeAlias = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=FEE_MAX,
        description="Whole rupees for the service or tests searched for, or else a visit; or whole units of the "
        f"clinic's currency if another; 0 to {FEE_MAX}.",
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
            "marathi speaking dentist under 500 tomorrow.",
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
        Literal["yes", "no"], QueryParameter(description="yes or no: whether to answer what may have been meant, too.")
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


_CALL = ResponseHeader(
    name="Urgent-Call",
    documentation_only=True,
    description="Where the keyword tells of what cannot wait for an appointment, such as chest pain or a wish to die, "
    "also misspelt: the numbers to call in India, in order. Say so above the results.",
)


class DoctorsController(Controller):
    path = "/doctors"
    tags = ("Search",)
    dependencies = {  # noqa: RUF012 - as the framework has it
        "specified": Provide(SpecifiedQuery, sync_to_thread=False),
        "more": Provide(MoreQuery, sync_to_thread=False),
    }

    @get(
        operation_id="SearchDoctors",
        responses={status: PROBLEMS[status] for status in (400, 422, 503)},
        response_headers=[_CALL],
        **needs_key("search"),
    )
    async def search_doctors(
        self, request: AnyRequest, specified: NamedDependency[SpecifiedQuery], more: NamedDependency[MoreQuery]
    ) -> Response[list[Doctor] | DoctorsAndSpellcheck]:
        """Find doctors, hospitals, clinics and labs; a list, whose `Link` header leads to its other pages."""
        search = await _search_request(services(request), specified, more)
        doctors, headers = await _page(request, search, more.page, specified.results_per_page)
        database = services(request).database
        urgent = await urgent_need(database, specified.keyword)
        if urgent.kind:
            headers[_CALL.name] = ", ".join(urgent.numbers)
        if specified.includeSpellcheck == "no":
            return JsonAnswer(doctors, headers=headers)
        city = await city_named(database, search.city) if search.city else None
        meant = await did_you_mean(database, specified.keyword, city["city_id"] if city else None)
        return JsonAnswer(DoctorsAndSpellcheck(doctors, meant, _urgent_need(urgent)), headers=headers)


class CityProvidersController(Controller):
    path = "/cities/{slug:str}/providers"
    tags = ("Directory",)
    dependencies = {"more": Provide(MoreQuery, sync_to_thread=False)}  # noqa: RUF012

    @get(responses={status: PROBLEMS[status] for status in (400, 404, 422, 503)})
    async def city_providers(
        self,
        request: AnyRequest,
        slug: Annotated[str, PathParameter(description="From /cities.")],
        more: NamedDependency[MoreQuery],
        results_per_page: ResultsPerPage = 20,
        sorting_order: SortingOrder = None,
    ) -> Response[list[Doctor]]:
        """Show a city's doctors, hospitals, clinics and labs, as SearchDoctors does."""
        specified = SpecifiedQuery(city=slug, results_per_page=results_per_page, sorting_order=sorting_order)
        if await city_named(services(request).database, slug) is None:
            raise NotFound("There is no such city; see /api/v1/cities for those there are.")
        search = await _search_request(services(request), specified, more)
        doctors, headers = await _page(request, search, more.page, results_per_page)
        return JsonAnswer(doctors, headers=headers)


async def _page(
    request: AnyRequest, search: SearchRequest, page: int, count: int
) -> tuple[list[Doctor], dict[str, str]]:
    limit, offset = limit_and_offset(page, count)
    found = await find(services(request).database, search, offset, limit)
    rows, headers = page_and_links(request, page, count, found)
    return [_doctor(row) for row in rows], headers


async def _search_request(app: AppServices, specified: SpecifiedQuery, more: MoreQuery) -> SearchRequest:
    latitude, longitude = (None, None) if specified.lat_long is None else _position(specified.lat_long)
    if more.fee_min is not None and more.fee_max is not None and more.fee_min > more.fee_max:
        raise BadInput("fee_max: must not be less than fee_min.")
    return SearchRequest(
        keyword=specified.keyword,
        city=specified.city,
        latitude=latitude,
        longitude=longitude,
        radius_km=specified.radius,
        postal_code=None if specified.postal_code is None else _postal_code(specified.postal_code),
        starts_from=specified.start_datetime and _in_reach("start_datetime", specified.start_datetime),
        starts_before=specified.end_datetime and _in_reach("end_datetime", specified.end_datetime),
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
        order=Order.BEST if specified.sorting_order is None else Order(specified.sorting_order.replace(",", "_")),
    )


def _urgent_need(urgent: Urgent) -> UrgentNeed | None:
    return UrgentNeed(urgent.kind, list(urgent.numbers)) if urgent.kind else None


def _in_reach(name: str, instant: datetime) -> datetime:
    # Without an offset, it is read on the city's clock later on.
    checked_instant(name, instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    return instant


def _postal_code(text: str) -> str:
    code = postal_code(text).replace(" ", "")
    if not re.fullmatch("[0-9A-Za-z]{3,10}", code):
        raise BadInput("postal_code: 3 to 10 digits or letters, as in 411038.")
    return code


def _position(lat_long: str) -> tuple[float, float]:
    numbers = re.fullmatch(r"(-?\d{1,3}(?:\.\d{1,20})?),(-?\d{1,3}(?:\.\d{1,20})?)", number(lat_long), re.ASCII)
    if numbers is not None:
        latitude, longitude = float(numbers[1]), float(numbers[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return latitude, longitude
    raise BadInput("lat_long: latitude, -90 to 90, a comma, longitude, -180 to 180, as in 18.5204,73.8567.")


def _doctor(row: Record) -> Doctor:
    provider_id, clinic_id, service = row["provider_id"], row["clinic_id"], row["service"]
    name = f"{row['given_name']} {row['family_name']}".strip() or row["name"]
    day = row["first_free_on"]
    return Doctor(
        id=provider_id,
        fname=row["given_name"] or row["name"],
        sname=row["family_name"],
        sal_name=row["salutation"],
        spec_name=", ".join(row["specialities"]),
        bio=row["bio"],
        img_url=row["image_url"],
        max_bok_day=row["max_booking_days"],
        city_name=row["city_name"],
        email=row["email"] or "",
        tel=row["phone"] or "",
        ful_name=name,
        full_name=name,
        first_avl_day=day and f"{day.isoformat()}T00:00:00",
        type=row["type"],
        specialities=row["specialities"],
        clinic_id=clinic_id,
        clinic_name=row["clinic_name"],
        address=row["address"],
        postal_code=row["postal_code"],
        lat_long=None if row["latitude"] is None else f"{row['latitude']},{row['longitude']}",
        distance_km=row["distance_m"] and round(row["distance_m"] / 1000, 3),
        rating=row["rating"] and round(row["rating"], 1),
        rating_count=row["rating_count"],
        fee=float(in_units(row["fee_minor"], row["currency"])),
        fee_minor=row["fee_minor"],
        currency=row["currency"],
        funding=row["funding"],
        gender=row["gender"],
        languages=row["languages"],
        practising_since=row["practising_since"],
        qualifications=row["qualifications"] or None,
        photo=row["photo"],
        accepts_new_patients=row["accepts_new_patients"],
        url=provider_url(provider_id),
        slots_url=slots_url(provider_id, clinic_id, service["service_ids"] if service else ()),
        service=service and _service(service),
    )


def _service(offered: dict[str, Any]) -> DoctorService:
    service_ids = offered["service_ids"]
    return DoctorService(
        service_id=service_ids[0] if len(service_ids) == 1 else None,
        service_ids=service_ids,
        name=", ".join(offered["names"]),
        fee=float(in_units(offered["fee_minor"], offered["currency"])),
        fee_minor=offered["fee_minor"],
        currency=offered["currency"],
        funding=offered["funding"],
        is_fee_known=offered["is_fee_known"],
        length_minutes=offered["length_minutes"],
    )
