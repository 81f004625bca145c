from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get

from healthplus.reviews.reviews import REVIEWS_A_PAGE, reviews_of
from healthplus.search.vocabulary import sendable
from healthplus.text import line
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.http.paging import limit_and_offset
from healthplus.web.pages import first_step
from healthplus.web.pages.addresses import about_path, chart_path, clinic_path, provider_path
from healthplus.web.pages.booking import booking_queries, parsed_day
from healthplus.web.pages.conditions import conditions_of
from healthplus.web.pages.find import request_path
from healthplus.web.pages.free_times import FreeTimes, Location, by_day, next_times, queries
from healthplus.web.pages.kinds_of_tests import SEARCHED_FROM, by_kind, named_like
from healthplus.web.pages.opening import has_emergency, opening, week
from healthplus.web.pages.plot import plot
from healthplus.web.pages.rendering import language_of, moved, page, policy_of_map, see_other
from healthplus.web.pages.searches import page_number
from healthplus.web.pages.service_choice import laboratories
from healthplus.web.pages.session import site
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.sooner import free_sooner
from healthplus.web.pages.whereabouts import whereabouts
from healthplus.web.services import AnyRequest, services

_PROVIDERS = 20
_FILTERED_FROM = 6
"""From how many providers at a clinic on, those of one speciality can be chosen."""
_SLUG_LENGTH_MAX = 200
_TEST_LENGTH_MAX = 100
_STARS = (5, 4, 3, 2, 1)


class DirectoryController(Controller):
    @get(["/doctor/{provider_id:int}", "/doctor/{provider_id:int}/{slug:str}"])
    async def provider(self, request: AnyRequest, provider_id: ProviderId) -> Response[bytes]:
        return await shared_page(request, lambda unsent: _provider(unsent, provider_id))

    @get(["/clinic/{clinic_id:int}", "/clinic/{clinic_id:int}/{slug:str}"])
    async def clinic(self, request: AnyRequest, clinic_id: ClinicId) -> Response[bytes]:
        return await shared_page(request, lambda unsent: _clinic(unsent, clinic_id))


async def _provider(request: AnyRequest, provider_id: int) -> Response[str]:
    """Show a provider; with one clinic, redirect to the chart, or with `about` to the clinic that they are."""
    app = services(request)
    found = await app.browse.provider(provider_id, is_spread=True)
    path = provider_path(provider_id, found["name"])
    if request_path(request) != path:
        return moved(request, path)
    clinics = found["clinics"]
    if len(clinics) == 1 and "about" not in request.query_params:
        day = parsed_day(request.query_params.get("day", ""))
        return see_other(request, chart_path(provider_id, found["name"], clinics[0]["id"], day=day))
    if len(clinics) == 1 and await app.browse.own_provider(clinics[0]["id"]) == provider_id:
        rest = urlencode([one for one in request.query_params.multi_items() if one[0] != "about"])
        own_path = clinic_path(clinics[0]["id"], clinics[0]["name"])
        return see_other(request, f"{own_path}?{rest}" if rest else own_path)
    about = about_path(provider_id, found["name"])
    reviews = await _reviews(request, provider_id, about)
    if reviews is None:
        return see_other(request, about)
    await _complete(request, found)
    step = first_step.of_provider(found, clinics)
    closing = None if clinics else await app.database.fetch_row(queries.closing, None, provider_id)
    at = step.free.clinic if step.free else clinics[0] if clinics else None
    return page(
        request,
        "directory/provider.html",
        one=found,
        step=step,
        closing=closing,
        at=at,
        today=at and _today(request, at["city"]),
        sooner=await free_sooner(request, found, at, step.free and step.free.start) if at else [],
        conditions=conditions_of([one["slug"] for one in found["specialities"]], language_of(request))
        if found["type"] == "doctor"
        else [],
        **reviews,
        **_tests(request, found["lab_tests"]),
        **_map(request, clinics),
    )


async def _reviews(request: AnyRequest, provider_id: int, path: str) -> dict[str, Any] | None:
    """Return what patients say of a provider, on the page with this path; None beyond the last page of it."""
    database = services(request).database
    number = page_number(request.query_params.get("reviews"))
    found = await reviews_of(database, provider_id, *limit_and_offset(number, REVIEWS_A_PAGE))
    if not found and number > 1:
        return None
    stars = {row["stars"]: row["ratings"] for row in await database.fetch(queries.stars, provider_id)}
    return {
        "reviews": found[:REVIEWS_A_PAGE],
        "reviews_number": number,
        "has_more_reviews": len(found) > REVIEWS_A_PAGE,
        "reviews_path": path,
        "stars": [(count, stars.get(count, 0)) for count in _STARS] if stars else [],
    }


async def _complete(request: AnyRequest, found: dict[str, Any]) -> None:
    """Add to a provider's document what its page says of each clinic and test there."""
    app, clinics = services(request), found["clinics"]
    now, ids = app.clock.now(), [one["id"] for one in clinics]
    visits = {one["id"]: one for one in found["services"] if not one["is_test"]}
    labs = await laboratories(app.database, [(found["id"], one) for one in ids if found["type"] == "lab"])
    rows = await app.database.fetch(booking_queries.away_until, found["id"], ids, now)
    away = {row["clinic_id"]: row["until"] for row in rows}
    preparations = await app.known_services.preparations([one["id"] for one in found["services"]])
    for clinic in clinics:
        time_zone = clinic["city"]["time_zone"]
        clinic["services"] = [one for service_id, one in visits.items() if service_id in clinic["service_ids"]]
        clinic["is_laboratory"] = (found["id"], clinic["id"]) in labs
        free = FreeTimes([datetime.fromisoformat(one) for one in clinic["next_free"]], clinic["that_day"])
        clinic["days"] = by_day(free, time_zone)
        clinic["week"] = week(clinic["opening_times"], time_zone)
        clinic["opening"] = opening(clinic["opening_times"], now, time_zone)
        clinic["away_until"] = away.get(clinic["id"])
        clinic["has_emergency"] = has_emergency(clinic["facilities"])
        clinic["whereabouts"] = whereabouts(clinic, language_of(request))
    for test in found["lab_tests"]:
        at = next((one["id"] for one in clinics if test["service_id"] in one["service_ids"]), None)
        test["path"] = at and chart_path(found["id"], found["name"], at, services=[test["service_id"]])
        test["preparation"] = preparations.get(test["service_id"])
    for visit in visits.values():
        visit["preparation"] = preparations.get(visit["id"])


async def _clinic(request: AnyRequest, clinic_id: int) -> Response[str]:
    app = services(request)
    number = page_number(request.query_params.get("page"))
    slug = request.query_params.get("speciality", "")[:_SLUG_LENGTH_MAX]
    speciality = sendable(slug) or None
    clinic, providers = await app.browse.clinic(clinic_id, *limit_and_offset(number, _PROVIDERS), speciality)
    path = clinic_path(clinic_id, clinic["name"])
    if request_path(request) != path:
        return moved(request, path)
    if not providers and (number > 1 or speciality):
        return see_other(request, path)
    own = await _own(request, clinic_id, path)
    if own is None:
        return see_other(request, path)
    now, time_zone = app.clock.now(), clinic["city"]["time_zone"]
    clinic["whereabouts"] = whereabouts(clinic, language_of(request))
    shown = providers[:_PROVIDERS]
    labs = await laboratories(app.database, [(one["id"], clinic_id) for one in shown if one["type"] == "lab"])
    times = await next_times(app.database, [Location(one["id"], clinic_id) for one in shown])
    for one in shown:
        one["days"] = by_day(times[one["id"], clinic_id], time_zone)
        one["is_laboratory"] = (one["id"], clinic_id) in labs
    names: dict[int, str] = {one["id"]: one["name"] for one in shown}
    preparations = await app.known_services.preparations([one["service_id"] for one in clinic["lab_tests"]])
    for test in clinic["lab_tests"]:
        name = names.get(test["provider_id"]) or clinic["name"]
        test["path"] = chart_path(test["provider_id"], name, clinic_id, services=[test["service_id"]])
        test["preparation"] = preparations.get(test["service_id"])
    return page(
        request,
        "directory/clinic.html",
        clinic=clinic,
        providers=shown,
        step=first_step.of_clinic(clinic, shown),
        closing=None if shown else await app.database.fetch_row(queries.closing, clinic_id, None),
        speciality=speciality,
        specialities=await app.browse.clinic_specialities(clinic_id)
        if speciality or number > 1 or len(providers) >= _FILTERED_FROM
        else [],
        opening=opening(clinic["opening_times"], now, time_zone),
        week=week(clinic["opening_times"], time_zone),
        today=_today(request, clinic["city"]),
        has_emergency=has_emergency(clinic["facilities"]),
        number=number,
        has_more=len(providers) > _PROVIDERS,
        **own,
        **_tests(request, clinic["lab_tests"]),
        **_map(request, [clinic]),
    )


async def _own(request: AnyRequest, clinic_id: int, path: str) -> dict[str, Any] | None:
    """Return what a clinic's page says of the provider that it is; None beyond the last page of their reviews."""
    app = services(request)
    provider_id = await app.browse.own_provider(clinic_id)
    if provider_id is None:
        return {"itself": None}
    found = await app.browse.provider(provider_id, is_spread=True)
    await _complete(request, found)
    reviews, step = await _reviews(request, provider_id, path), first_step.of_provider(found, found["clinics"])
    if reviews is None:
        return None
    sooner = await free_sooner(request, found, found["clinics"][0], step.free and step.free.start)
    return {"itself": found, "conditions": [], "sooner": sooner, **reviews}


def _tests(request: AnyRequest, tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tests of a page in groups: all, or those that are called as the address says."""
    language = language_of(request)
    text = line(request.query_params.get("test", "")[:_TEST_LENGTH_MAX])
    found = named_like(tests, text, language) if text else tests
    return {
        "tests": by_kind(found, language),
        "tests_count": len(tests),
        "test_sought": text,
        "is_searched": len(tests) >= SEARCHED_FROM,
    }


def _today(request: AnyRequest, city: Mapping[str, Any]) -> date:
    return services(request).clock.now().astimezone(ZoneInfo(city["time_zone"])).date()


def _map(request: AnyRequest, clinics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the drawing of where clinics are, with the middle of their city, and the headers of a page with it."""
    positions = [_position(one) for one in clinics]
    middles = {_position(one["city"]) for one in clinics}
    middle = middles.pop() if len(middles) == 1 and len(clinics) > 1 else None
    drawing = plot(positions, site(request).map_tiles, centre=middle, is_centre_shown=True)
    return {"plot": drawing, "headers": policy_of_map(request)}


def _position(place: Mapping[str, Any]) -> tuple[float, float] | None:
    return (at["latitude"], at["longitude"]) if (at := place["position"]) else None
