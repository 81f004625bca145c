"""Browsing the directory: no sign-in is needed, and everybody gets the same answer."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

import msgspec
from litestar import Controller, Response, get
from litestar.params import PathParameter, QueryParameter

from healthplus.database import Record
from healthplus.search.browse import CachedCount
from healthplus.web.api.directory_models import (
    Cities,
    Clinic,
    CountedCity,
    CountedName,
    LabTestProvider,
    LabTestProviders,
    LabTests,
    Named,
    Provider,
    Specialities,
)
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.api.urls import slots_url
from healthplus.web.http.etags import NOT_MODIFIED, IfNoneMatch, etag_response
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.http.paging import Page, ResultsPerPage, limit_and_offset, page_and_links
from healthplus.web.services import AnyRequest, services

# Counts lag anyway. The documents of providers and clinics are revalidated each time, to show changes at once.
_LIST, _PAGE = "public, max-age=10", "public, no-cache"

_PROBLEMS = {status: PROBLEMS[status] for status in (400, 404, 503)}
_SLUG = "^[a-z0-9]+(-[a-z0-9]+)*$"
LabTestSlug: TypeAlias = Annotated[str, PathParameter(pattern=_SLUG, max_length=300)]
CitySlug: TypeAlias = Annotated[str, QueryParameter(pattern=_SLUG, max_length=300, description="As in GET /cities.")]

_T = TypeVar("_T")


class DirectoryController(Controller):
    tags = ("Directory",)

    @get("/cities", responses={**NOT_MODIFIED, 503: PROBLEMS[503]})
    async def cities(self, request: AnyRequest, if_none_match: IfNoneMatch = None) -> Response[Cities]:
        """List the cities that have providers."""
        return etag_response(Cities(await _all(services(request).browse.cities, CountedCity)), if_none_match, _LIST)

    @get("/specialities", responses={**NOT_MODIFIED, 503: PROBLEMS[503]})
    async def specialities(self, request: AnyRequest, if_none_match: IfNoneMatch = None) -> Response[Specialities]:
        """List the specialities."""
        found = await _all(services(request).browse.specialities, CountedName)
        return etag_response(Specialities(found), if_none_match, _LIST)

    @get("/lab-tests", responses={**NOT_MODIFIED, 503: PROBLEMS[503]})
    async def lab_tests(self, request: AnyRequest, if_none_match: IfNoneMatch = None) -> Response[LabTests]:
        """List the tests that laboratories offer."""
        return etag_response(
            LabTests(await _all(services(request).browse.lab_tests, CountedName)), if_none_match, _LIST
        )

    @get("/lab-tests/{slug:str}/providers", responses={**NOT_MODIFIED, **_PROBLEMS, 422: PROBLEMS[422]})
    async def lab_test_providers(
        self,
        request: AnyRequest,
        slug: LabTestSlug,
        city: CitySlug,
        page: Page = 1,
        results_per_page: ResultsPerPage = 30,
        if_none_match: IfNoneMatch = None,
    ) -> Response[LabTestProviders]:
        """List the providers of a test in a city, cheapest first; the Link header leads to the other pages."""
        lab_test, found = await services(request).browse.lab_test_providers(
            slug, city, *limit_and_offset(page, results_per_page)
        )
        providers, links = page_and_links(request, page, results_per_page, found)
        shown = LabTestProviders(
            Named(lab_test["slug"], lab_test["name"]),
            page,
            results_per_page,
            msgspec.convert(providers, list[LabTestProvider]),
        )
        return etag_response(shown, if_none_match, _PAGE, links)

    @get("/clinics/{clinic_id:int}", responses={**NOT_MODIFIED, **_PROBLEMS})
    async def clinic(
        self,
        request: AnyRequest,
        clinic_id: ClinicId,
        page: Page = 1,
        results_per_page: ResultsPerPage = 30,
        if_none_match: IfNoneMatch = None,
    ) -> Response[Clinic]:
        """Show a clinic and a page of its providers, itself first; the Link header leads to the other pages."""
        found, providers = await services(request).browse.clinic(clinic_id, *limit_and_offset(page, results_per_page))
        shown, links = page_and_links(request, page, results_per_page, providers)
        paging = {"page": page, "results_per_page": results_per_page, "providers": shown}
        return etag_response(msgspec.convert(found | paging, Clinic), if_none_match, _PAGE, links)

    @get("/providers/{provider_id:int}", responses={**NOT_MODIFIED, **_PROBLEMS})
    async def provider(
        self, request: AnyRequest, provider_id: ProviderId, if_none_match: IfNoneMatch = None
    ) -> Response[Provider]:
        """Show a provider: who they are, and where, when and for how much they can be seen."""
        found = await services(request).browse.provider(provider_id)
        for clinic in found["clinics"]:
            clinic["slots_url"] = slots_url(provider_id, clinic["id"])
        return etag_response(msgspec.convert(found, Provider), if_none_match, _PAGE)


async def _all(counted: CachedCount[list[Record]], kind: type[_T]) -> list[_T]:
    return [msgspec.convert(dict(row), kind) for row in await counted.get()]
