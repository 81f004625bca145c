"""SearchDoctors, and a city's providers as it shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Controller, Response, get
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency, Provide
from litestar.params import PathParameter

from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.money import in_units
from healthplus.search.find import SearchRequest, city_named
from healthplus.search.instead import find_or_instead
from healthplus.search.spelling import did_you_mean
from healthplus.search.urgent import Urgent, urgent_need
from healthplus.web.api.doctor_models import Doctor, DoctorsAndSpellcheck, DoctorService, UrgentNeed
from healthplus.web.api.doctor_parameters import (
    KNOWN,
    MoreQuery,
    SortingOrder,
    SpecifiedQuery,
    is_yes,
    search_request,
)
from healthplus.web.api.keys import needs_key
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.api.urls import provider_url, slots_url
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.http.paging import ResultsPerPage, limit_and_offset, page_and_links
from healthplus.web.http.requests import first_header
from healthplus.web.services import AnyRequest, services

_NAME_MAX = 100
"""How much of a name that is not known is repeated."""
_LIST_BYTES_MAX = 2_000
"""Of a header's list: all headers of an answer together must be what any proxy passes on."""

_CALL = ResponseHeader(
    name="Urgent-Call",
    documentation_only=True,
    description="Where the keyword tells of what cannot wait for an appointment, such as chest pain or a wish to die, "
    "also misspelt: the numbers to call, in order. Say so above the results.",
)


_INSTEAD = ResponseHeader(
    name="Showing-Instead",
    documentation_only=True,
    description="Where nobody is found exactly: the keyword or city that was searched for instead, percent-encoded "
    "as in a URL, such as keyword=dentist&city=pune; an empty city is any. Say so above the results.",
)
_SPELLING = ResponseHeader(
    name="Spelling-Suggestions",
    documentation_only=True,
    description="With includeSpellcheck=yes: likely spellings of the keyword, likeliest first, percent-encoded, with "
    "commas between; left out where there are none.",
)
_APPLIED = ResponseHeader(
    name="Preference-Applied",
    documentation_only=True,
    description="`return=envelope`: the answer is an object with the list in `doctors`. Deprecated, and gone with 0.2.",
)
_WARNINGS = ResponseHeader(
    name="Search-Warnings",
    documentation_only=True,
    description="What was not understood, as a list of structured fields (RFC 9651): `unknown-parameter` and "
    '`unknown-city`, each with its `name`, percent-encoded, as in unknown-parameter;name="ciy". Nothing was searched '
    "for by an unknown parameter, and nobody is in an unknown city: see Showing-Instead.",
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
        response_headers=[_CALL, _INSTEAD, _SPELLING, _APPLIED, _WARNINGS],
        **needs_key("search"),
    )
    async def search_doctors(
        self, request: AnyRequest, specified: NamedDependency[SpecifiedQuery], more: NamedDependency[MoreQuery]
    ) -> Response[list[Doctor] | DoctorsAndSpellcheck]:
        """Find doctors, hospitals, clinics and labs; a list, whose `Link` header leads to its other pages."""
        search = await search_request(services(request), specified, more)
        wants_spelling = is_yes("includeSpellcheck", specified.includeSpellcheck)
        doctors, headers = await _page(request, search, more.page, specified.results_per_page)
        database = services(request).database
        urgent = await urgent_need(database, specified.keyword)
        if urgent.kind:
            headers[_CALL.name] = ", ".join(urgent.numbers)
        unknown = [("unknown-parameter", name) for name in request.query_params if name not in KNOWN]
        # Those who are found as asked are in a city that is known: it is not looked up again.
        is_found = bool(doctors) and _INSTEAD.name not in headers
        looks = search.city and (wants_spelling or not is_found)
        city = await city_named(database, search.city) if looks else None
        if looks and city is None:
            unknown.append(("unknown-city", search.city[:_NAME_MAX]))
        if unknown:
            headers[_WARNINGS.name] = _listed([f'{kind};name="{quote(name[:_NAME_MAX])}"' for kind, name in unknown])
        if not wants_spelling:
            return JsonAnswer(doctors, headers=headers)
        meant = await did_you_mean(database, search.keyword, city["city_id"] if city else None)
        headers["Vary"] = "Authorization, Prefer"
        if meant:
            headers[_SPELLING.name] = _listed([quote(text) for text in meant])
        if not _prefers_envelope(request):
            return JsonAnswer(doctors, headers=headers)
        headers[_APPLIED.name] = "return=envelope"
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
        search = await search_request(services(request), specified, more)
        doctors, headers = await _page(request, search, more.page, results_per_page)
        return JsonAnswer(doctors, headers=headers)


def _listed(parts: Sequence[str]) -> str:
    """Return the first of the parts, as many as a header has room for."""
    ends = accumulate(len(part) + len(", ") for part in parts)
    return ", ".join(part for part, end in zip(parts, ends, strict=True) if end <= _LIST_BYTES_MAX)


def _prefers_envelope(request: AnyRequest) -> bool:
    asked = first_header(request.scope, "Prefer") or ""
    return "return=envelope" in [one.strip().lower() for one in asked.split(",")]


async def _page(
    request: AnyRequest, search: SearchRequest, page: int, count: int
) -> tuple[list[Doctor], dict[str, str]]:
    limit, offset = limit_and_offset(page, count)
    found = await find_or_instead(services(request).database, search, offset, limit)
    rows, headers = page_and_links(request, page, count, found.rows)
    if found.request != search:
        instead = {name: getattr(found.request, name) for name in ("keyword", "city")}
        changed = {name: text for name, text in instead.items() if text != getattr(search, name)}
        headers[_INSTEAD.name] = urlencode(changed, quote_via=quote)
    return [_doctor(row) for row in rows], headers


def _urgent_need(urgent: Urgent) -> UrgentNeed | None:
    return UrgentNeed(urgent.kind, list(urgent.numbers)) if urgent.kind else None


def _names(row: Record) -> tuple[str, str, str]:
    """Return given names, name of the family and title: of a person of whom only the whole name is known, its parts."""
    given, family, title = row["given_name"] or "", row["family_name"] or "", row["salutation"] or ""
    if given or family or row["type"] != "doctor":
        return given or row["name"], family, title
    found = re.fullmatch(r"(?:(Dr|Prof|Doctor|डॉ)(?=[\s.]|$)\.?\s*)?(.*?)", row["name"].strip(), re.IGNORECASE)
    assert found is not None
    words = re.sub(r"\.(?=\w)", ". ", found[2]).split()  # initials stand close: K.V.Rao
    if not words:
        return row["name"], "", title
    return " ".join(words[:-1] or words), words[-1] if words[1:] else "", title or (found[1] or "").capitalize()


def _doctor(row: Record) -> Doctor:
    provider_id, clinic_id, service = row["provider_id"], row["clinic_id"], row["service"]
    fname, sname, title = _names(row)
    name = f"{fname} {sname}".strip()
    day = row["first_free_on"]
    return Doctor(
        id=provider_id,
        fname=fname,
        sname=sname,
        sal_name=title,
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
