"""The pages of a search's results."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK
from msgspec import structs

from healthplus.database import Database, Record
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.errors import NotFound
from healthplus.money import INR
from healthplus.search.find import (
    RADIUS_KM_DEFAULT,
    TIME_ZONE_DEFAULT,
    SearchCriteria,
    city_named,
    count_matching,
    find_matching,
    of_types,
    seen_first,
    service_types,
)
from healthplus.search.keyword import parse_keyword
from healthplus.search.urgent import urgent_need
from healthplus.search.vocabulary import first_specialities, normal_words, sendable, urgent_phrase
from healthplus.web.http.paging import PAGE_MAX, limit_and_offset
from healthplus.web.languages import Language
from healthplus.web.pages.addresses import results_path
from healthplus.web.pages.corrections import meanings, unknown_place
from healthplus.web.pages.filters import choices, filter_text, quick_filters
from healthplus.web.pages.free_times import Day, FreeTimes, Location, by_day, next_times, queries
from healthplus.web.pages.home import known_names, popular_needs
from healthplus.web.pages.needs import heading, with_gender
from healthplus.web.pages.other_searches import COUNT_MAX, FREE_COUNT_MAX, criteria_of, other_searches
from healthplus.web.pages.rendering import language_of, moved, page, policy_of_map, see_other
from healthplus.web.pages.result_map import contents_of_city, result_map
from healthplus.web.pages.searches import TYPES, Filters, Search, city_to_remember, page_number, remembered_city, typed
from healthplus.web.pages.service_choice import laboratories
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.specialities import by_name
from healthplus.web.services import AnyRequest, services

_CARDS = 10
_SLUGS_LENGTH_MAX = 2000
_CITY_KEEP_SECONDS = 60.0
"""How long it is known which city a text names: that changes rarely."""
_KINDS = {"doctor": "doctor", "lab": "lab"}
"""Of pins: the types of providers that a map tells apart from clinics and hospitals."""
_FEW_RESULTS = 3
"""With so many results or fewer, a keyword may be misspelt."""


class Card(NamedTuple):
    """One result: its row of the query `find`, the next free times, and whether only tests can be booked there."""

    row: Record
    days: list[Day]
    is_laboratory: bool


class Found(NamedTuple):
    """A page of results; `total` are all of them, up to one more than `total_max`. Distances are from the `centre`."""

    rows: list[Record]
    total: int
    total_max: int
    has_more: bool
    is_place_known: bool
    centre: tuple[float, float] | None = None


class FindController(Controller):
    @get("/find")
    async def find(self, request: AnyRequest) -> Response[bytes]:
        answer = await shared_page(request, _find)
        if answer.status_code == HTTP_200_OK and (slug := await _named_city(request)):
            answer.cookies.extend(city_to_remember(request, slug))
        return answer

    @get(["/in/{city:str}", "/in/{city:str}/{need:str}", "/in/{city:str}/{need:str}/{locality:str}"])
    async def in_city(self, request: AnyRequest, city: FromPath[str]) -> Response[bytes]:
        answer = await shared_page(request, lambda unsent: _in_city(unsent, city))
        if answer.status_code == HTTP_200_OK:
            answer.cookies.extend(city_to_remember(request, city))
        return answer


async def _find(request: AnyRequest) -> Response[str]:
    search = await _search_of_form(request)
    # A position is rounded: it stays in the address.
    if search.path().startswith("/in/") or search.filters.near not in ("", request.query_params.get("near")):
        return see_other(request, search.path(page_number(request.query_params.get("page"))))
    return await _results(request, search)


async def _in_city(request: AnyRequest, city: str) -> Response[str]:
    need, locality = (request.path_params.get(name, "") for name in ("need", "locality"))
    database = services(request).database
    known = await city_named(database, city)
    if known is None:
        raise NotFound
    filters = Filters.read(request.query_params, _today(request, known))
    speciality = None
    if need in TYPES:
        filters = structs.replace(filters, type=need)
    elif need:
        speciality = await database.fetch_row(queries.speciality, sendable(need), None)
    place = typed(locality.replace("-", " ")).title()
    chosen = await _services(request)
    search = Search(
        speciality=speciality, services=chosen, city=known, place=place, filters=structs.replace(filters, near="")
    )
    if need and not speciality and need not in TYPES:
        return see_other(request, structs.replace(search, need=typed(need.replace("-", " "))).path())
    if (path := search.path().partition("?")[0]) != request_path(request):
        return moved(request, path)
    return await _results(request, search)


def request_path(request: AnyRequest) -> str:
    """Return the path of this page in English."""
    return request.url.path.removeprefix(language_of(request).prefix)


async def _search_of_form(request: AnyRequest) -> Search:
    """Return the search of a form; its place may name a city or its part, its need a speciality, service or type."""
    database, language = services(request).database, language_of(request)
    need, place = (typed(request.query_params.get(name)) for name in ("need", "place"))
    city = await _city(request, place) if place else None
    if city:
        place = ""
    elif "," in place:
        locality, _, last = (part.strip() for part in place.rpartition(","))
        if city := await _city(request, last):
            place = locality
    filters = Filters.read(request.query_params, _today(request, city))
    if place or city:
        filters = structs.replace(
            filters, near="", **({} if Search(place=place, city=city).postal_code else {"within": 0})
        )
    need, filters = with_gender(need, filters)
    own = language.own_name("speciality", need)
    speciality = None
    chosen = await _services(request)
    named = typed(Search(services=chosen).service_names(language))
    if chosen and need == named and all(one["is_offered"] for one in chosen):
        need = ""
    elif need:
        chosen = ()
    if need in TYPES:
        need, filters = "", structs.replace(filters, type=need)
    elif need:
        phrase = " ".join(await normal_words(database, own))
        speciality = await database.fetch_row(queries.speciality, sendable(own), phrase)
        if speciality is None and (service := await _service_named(database, language, need)):
            need, chosen = "", (service,)
    return Search(
        need="" if speciality else need,
        speciality=speciality,
        services=chosen,
        city=city,
        place=place,
        filters=filters,
    )


async def _services(request: AnyRequest) -> tuple[Record, ...]:
    """Return the services that an address names by slug; of those that do not go together, the first."""
    slugs = request.query_params.get("service", "")[:_SLUGS_LENGTH_MAX].split(",")[:SERVICES_MAX]
    known = await service_types(services(request).database, slugs) if slugs != [""] else []
    return tuple(known if all(one["is_test"] for one in known) else known[:1])


async def _service_named(database: Database, language: Language, need: str) -> Record | None:
    """Return the type of service of this name or slug, unless the words mean others, too."""
    own = language.own_name("service", need)
    phrase = " ".join(await normal_words(database, own))
    if own != need:
        return await database.fetch_row(queries.service, sendable(own), phrase)
    named = await database.fetch_row(queries.service, sendable(need), phrase)
    meant = (await parse_keyword(database, need, None)).service_groups if named else ()
    return named if named and {one for group in meant for one in group} <= {named["service_type_id"]} else None


async def _city(request: AnyRequest, text: str) -> Record | None:
    """Return the city of this name; of several, the one whose results the form was on."""
    database, language = services(request).database, language_of(request)
    here = typed(request.query_params.get("city"))
    known = await city_named(database, here) if here else None
    if known and language.known_name("city", known["name"]).casefold() == text.casefold():
        return known
    return await city_named(database, language.own_name("city", text))


async def _named_city(request: AnyRequest) -> str:
    """Return the slug of the city that a form's place ends with; "" where it is none, or is remembered already."""
    last = typed(request.query_params.get("place")).rpartition(",")[2].strip()
    if not last or last.casefold() == remembered_city(request):
        return ""
    app = services(request)
    key = "city named", language_of(request).code, request.query_params.get("city"), last
    city = await app.reads.read(key, lambda: _city(request, last), seconds=_CITY_KEEP_SECONDS)
    return city["slug"] if city else ""


def _zone(city: Record | None) -> ZoneInfo:
    return ZoneInfo(city["time_zone"]) if city else TIME_ZONE_DEFAULT


def _today(request: AnyRequest, city: Record | None) -> date:
    return services(request).clock.now().astimezone(_zone(city)).date()


async def _results(request: AnyRequest, search: Search) -> Response[str]:
    """Show results; of a word that nobody has, and that is likely misspelt, those of the word that was meant."""
    database = services(request).database
    number = page_number(request.query_params.get("page"))
    found = await _found(database, search, number)
    if not found.rows and number > 1:
        return see_other(request, search.path())
    urgent = await urgent_need(database, search.need)
    right = search if urgent.text == search.need else structs.replace(search, need=urgent.text)
    if urgent.kind and not found.rows:
        found = await _found_urgently(database, right, urgent_phrase(urgent.text))
        shown = search if search.filters.exact else right
        instead_of = None if shown is search else search
        return await _results_page(request, shown, found, 1, [], urgent.kind, instead_of=instead_of)
    meant = await meanings(database, search) if found.total <= _FEW_RESULTS else []
    if not found.rows and meant and not search.filters.exact:
        found = await _found(database, meant[0], 1)
        return await _results_page(request, meant[0], found, 1, [], urgent.kind, instead_of=search)
    if right is not search:
        meant = [right, *(one for one in meant if one.need != right.need)]
    return await _results_page(request, search, found, number, meant, urgent.kind)


async def _found_urgently(database: Database, search: Search, phrase: str) -> Found:
    """Return who is found, or whatever else is in the search, those who see to the phrase there, or anywhere."""
    found = await _found(database, search, 1)
    for wider in (structs.replace(search, need=phrase), Search(need=phrase)):
        found = found if found.rows else await _found(database, wider, 1)
    return found._replace(has_more=False)


async def _found(database: Database, search: Search, number: int) -> Found:
    criteria = await criteria_of(database, search)
    if criteria is None:
        return Found([], 0, COUNT_MAX, has_more=False, is_place_known=False)
    limit, skip = limit_and_offset(number, _CARDS)
    # A provider whose own name was searched for comes first, of any kind.
    if search.is_for_doctors and not criteria.own_ids:
        rows = await _doctors_first(database, search, criteria, skip, limit)
    else:
        rows = await find_matching(database, criteria, skip, limit)
    total_max = FREE_COUNT_MAX if search.filters.day else COUNT_MAX
    # The last page shows by itself how many there are.
    has_more = len(rows) > _CARDS
    total = await count_matching(database, criteria, total_max + 1) if has_more else skip + len(rows)
    around = criteria.latitude, criteria.longitude
    centre = None if around[0] is None or around[1] is None else (around[0], around[1])
    more = has_more and number < PAGE_MAX
    return Found(rows[:_CARDS], total, total_max, more, is_place_known=True, centre=centre)


async def _doctors_first(
    database: Database, search: Search, criteria: SearchCriteria, skip: int, limit: int
) -> list[Record]:
    """Return doctors, those first who see first to the symptoms searched for, and after the last of them the others."""
    doctors, others = of_types(criteria, TYPES[:1]), of_types(criteria, TYPES[1:])
    slugs = first_specialities(search.need)
    stages = (*(await seen_first(database, doctors, slugs) if slugs else (doctors,)), others)
    rows: list[Record] = []
    for stage in stages:
        if len(rows) >= limit:
            break
        found = await find_matching(database, stage, skip, limit - len(rows))
        skip = 0 if found or not skip else skip - await count_matching(database, stage, skip)
        rows += found
    return rows


async def _results_page(
    request: AnyRequest,
    search: Search,
    found: Found,
    number: int,
    meant: list[Search],
    urgency: str,
    *,
    instead_of: Search | None = None,
) -> Response[str]:
    database, language = services(request).database, language_of(request)
    elsewhere = None if found.rows else await _elsewhere(request, search)
    city_id = search.city["city_id"] if search.city else None
    currency = search.city["currency"] if search.city else found.rows[0]["currency"] if found.rows else INR
    is_whole_city = search.city is not None and search.path(number) == results_path(search.city["slug"])
    is_map = search.filters.view == "map"
    today = _today(request, search.city)
    for_doctors = _is_for_doctors(search, found.rows)
    # A city among the words of the need is a place, too.
    is_anywhere = not search.is_placed and found.centre is None
    # Where nobody is found, a city's whole list is of more use than the same search there.
    asked = search if found.rows else Search()
    cities = await _in_each_city(request, asked) if is_anywhere and not elsewhere else []
    return page(
        request,
        "find/results.html",
        search=search,
        results=found,
        cards=await _cards(database, found.rows),
        number=number,
        radius_km_default=int(RADIUS_KM_DEFAULT),
        for_doctors=for_doctors,
        choices=choices(language, search, today, for_doctors=for_doctors),
        active=[
            (filter_text(language, name, search.filters, currency), search.without(name).path())
            for name in search.filters.active()
        ],
        quick_filters=quick_filters(language, search, currency, today, for_doctors=for_doctors),
        instead_of=instead_of,
        meant=meant,
        elsewhere=elsewhere,
        urgency=urgency,
        heading=await heading(request, search),
        cities=cities,
        needs=[] if found.rows or elsewhere else await popular_needs(request, search.city),
        others=[] if found.rows or elsewhere else await other_searches(database, language, search, currency),
        currency=currency,
        contents=await contents_of_city(request, city_id) if is_whole_city and city_id else None,
        kinds=[_KINDS.get(row["type"], "place") for row in found.rows],
        plot=await result_map(request, search, found.rows, found.centre) if is_map else None,
        headers=policy_of_map(request) if is_map else None,
    )


def _is_for_doctors(search: Search, rows: list[Record]) -> bool:
    """Return whether there are doctors among the results, or where there are no results, whether there could be."""
    if rows:
        return any(row["type"] == "doctor" for row in rows)
    return search.filters.type in ("", "doctor") and not search.has_only_tests


async def _elsewhere(request: AnyRequest, search: Search) -> tuple[str, list[tuple[Record, str]]] | None:
    """Return the place that a search names and that nobody is in, and each city with the same search there."""
    unknown = await unknown_place(services(request).database, search)
    if unknown is None:
        return None
    place, rest = unknown
    return place, await _in_each_city(request, rest)


async def _in_each_city(request: AnyRequest, search: Search) -> list[tuple[Record, str]]:
    """Return each city, by name, with the address of the same search there."""
    cities, _ = await known_names(request)
    return [(one, structs.replace(search, city=one).path()) for one in by_name(language_of(request), "city", cities)]


async def _cards(database: Database, rows: list[Record]) -> list[Card]:
    labs = await laboratories(
        database, [(row["provider_id"], row["clinic_id"]) for row in rows if row["type"] == "lab"]
    )
    locations = (
        Location(
            row["provider_id"],
            row["clinic_id"],
            datetime.combine(row["first_free_on"], time(), ZoneInfo(row["time_zone"])),
            row["service"]["service_ids"] if row["service"] else (),
        )
        for row in rows
        if row["first_free_on"]
    )
    times = await next_times(database, locations)
    return [
        Card(
            row,
            by_day(times.get((row["provider_id"], row["clinic_id"]), FreeTimes()), row["time_zone"]),
            (row["provider_id"], row["clinic_id"]) in labs,
        )
        for row in rows
    ]
