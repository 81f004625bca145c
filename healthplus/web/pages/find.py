"""The pages of a search's results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK
from msgspec import structs

from healthplus.database import Database, Record
from healthplus.errors import NotFound
from healthplus.money import INR
from healthplus.search.find import RADIUS_KM_DEFAULT, city_named, count_matching
from healthplus.search.urgent import urgent_need
from healthplus.search.vocabulary import sendable, urgent_phrase
from healthplus.web.pages.addresses import results_path
from healthplus.web.pages.corrections import meanings, respelt, unknown_place
from healthplus.web.pages.emergency import emergency_path
from healthplus.web.pages.filters import choices, filter_text, quick_filters
from healthplus.web.pages.found_by import Found, found_by
from healthplus.web.pages.free_times import Day, FreeTimes, Location, by_day, next_times, queries
from healthplus.web.pages.home import known_names, popular_needs
from healthplus.web.pages.kinds import kinds_of
from healthplus.web.pages.needs import heading
from healthplus.web.pages.other_searches import criteria_of, other_searches
from healthplus.web.pages.rendering import language_of, moved, page, policy_of_map, see_other
from healthplus.web.pages.result_map import contents_of_city, middle_name, result_map
from healthplus.web.pages.search_form import named_city, search_of_form, services_of_address, today_in
from healthplus.web.pages.searches import TYPES, Filters, Search, city_to_remember, page_number, typed
from healthplus.web.pages.service_choice import laboratories
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.understood import (
    hint_of_nearness,
    left_out_texts,
    names_a_part,
    searches_without,
    unknown_texts,
)
from healthplus.web.services import AnyRequest, services

_KINDS = {"doctor": "doctor", "lab": "lab"}
"""Of pins: the types of providers that a map tells apart from clinics and hospitals."""
_FEW_RESULTS = 3
"""With so many results or fewer, a keyword may be misspelt."""


class Card(NamedTuple):
    """One result: its row of the query `find`, the next free times, and whether only tests can be booked there."""

    row: Record
    days: list[Day]
    is_laboratory: bool


class Shown(NamedTuple):
    """What a page of results shows: a search, and who is found by it; `meant`: what else it may have meant.

    `typed` is the search that was asked for, if another; `notes` say what became of it.
    """

    search: Search
    found: Found
    number: int = 1
    meant: Sequence[Search] = ()
    urgency: str = ""
    typed: Search | None = None
    notes: Sequence[str] = ()


class FindController(Controller):
    @get("/find")
    async def find(self, request: AnyRequest) -> Response[bytes]:
        answer = await shared_page(request, _find)
        if answer.status_code == HTTP_200_OK and (slug := await named_city(request)):
            answer.cookies.extend(city_to_remember(request, slug))
        return answer

    @get(["/in/{city:str}", "/in/{city:str}/{need:str}", "/in/{city:str}/{need:str}/{locality:str}"])
    async def in_city(self, request: AnyRequest, city: FromPath[str]) -> Response[bytes]:
        answer = await shared_page(request, lambda unsent: _in_city(unsent, city))
        if answer.status_code == HTTP_200_OK:
            answer.cookies.extend(city_to_remember(request, city))
        return answer


async def _find(request: AnyRequest) -> Response[str]:
    search = await search_of_form(request)
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
    filters = Filters.read(request.query_params, today_in(request, known))
    speciality = None
    if need in TYPES:
        filters = structs.replace(filters, type=need)
    elif need:
        speciality = await database.fetch_row(queries.speciality, sendable(need), None)
    place = typed(locality.replace("-", " ")).title()
    chosen = await services_of_address(request)
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


async def _results(request: AnyRequest, search: Search) -> Response[str]:
    """Show results; of a word that nobody has, and that is likely misspelt, those of the word that was meant."""
    database = services(request).database
    number = page_number(request.query_params.get("page"))
    found = await found_by(database, search, number)
    if not found.rows and number > 1:
        return see_other(request, search.path())
    urgent = await urgent_need(database, search.need)
    right = search if urgent.text == search.need else structs.replace(search, need=urgent.text)
    if urgent.kind and not found.rows:
        found = await _found_urgently(database, right, urgent_phrase(urgent.text))
        shown = search if search.filters.exact else right
        return await _results_page(request, Shown(shown, found, urgency=urgent.kind, typed=search))
    if not found.rows and (later := await _found_later(request, search)):
        return await _results_page(request, later)
    meant = await meanings(database, search) if found.total <= _FEW_RESULTS else []
    if not found.rows and not search.filters.exact:
        if meant:
            found = await found_by(database, meant[0], 1)
            return await _results_page(request, Shown(meant[0], found, urgency=urgent.kind, typed=search))
        if without := await _found_without(request, search):
            return await _results_page(request, without)
    if right is not search:
        meant = [right, *(one for one in meant if one.need != right.need)]
    notes = [] if found.rows or urgent.kind else await _unknown_words(request, search)
    return await _results_page(request, Shown(search, found, number, meant, urgent.kind, notes=notes))


async def _unknown_words(request: AnyRequest, search: Search) -> list[str]:
    """Return which words nobody here has, unless they name a place: pages say more of that."""
    database = services(request).database
    if not search.need or await unknown_place(database, search):
        return []
    return await unknown_texts(database, language_of(request), search)


async def _found_urgently(database: Database, search: Search, phrase: str) -> Found:
    """Return who is found, or whatever else is in the search, those who see to the phrase there, or anywhere."""
    found = await found_by(database, search, 1)
    for wider in (structs.replace(search, need=phrase), Search(need=phrase)):
        found = found if found.rows else await found_by(database, wider, 1)
    return found._replace(has_more=False)


async def _found_later(request: AnyRequest, search: Search) -> Shown | None:
    """Return, where no time is left today, those of tomorrow."""
    if search.filters.day != "today":
        return None
    later = search.but(day="tomorrow")
    found = await found_by(services(request).database, later, 1)
    text = language_of(request).gettext("No time is left today. These are tomorrow’s.")
    return Shown(later, found, notes=[text]) if found.rows else None


async def _found_without(request: AnyRequest, search: Search) -> Shown | None:
    """Return who is found without words of the need that nobody has, and which those are."""
    database, language = services(request).database, language_of(request)
    if await unknown_place(database, search):
        return None
    for likely in (search, await respelt(database, search)):
        for fewer, left in await searches_without(database, likely) if likely else []:
            found = await found_by(database, fewer, 1)
            if found.rows:
                shown = (await heading(request, fewer)).what
                return Shown(fewer, found, notes=left_out_texts(language, left, search.need, shown))
    return None


async def _results_page(request: AnyRequest, shown: Shown) -> Response[str]:
    database, language = services(request).database, language_of(request)
    search, found, number = shown.search, shown.found, shown.number
    elsewhere = None if found.rows else await _elsewhere(request, search)
    city_id = search.city["city_id"] if search.city else None
    currency = search.city["currency"] if search.city else found.rows[0]["currency"] if found.rows else INR
    is_whole_city = search.city is not None and search.path(number) == results_path(search.city["slug"])
    is_map = search.filters.view == "map"
    today = today_in(request, search.city)
    for_doctors = _is_for_doctors(search, found.rows)
    # A city among the words of the need is a place, too.
    is_anywhere = not search.is_placed and found.centre is None
    # Where nobody is found, a city's whole list is of more use than the same search there.
    asked = search if found.rows else Search()
    cities = await _in_each_city(request, asked) if is_anywhere and not elsewhere else []
    if cities and await names_a_part(database, search, found.rows):
        cities = []
    is_today_over = await _is_today_over(database, search, found, today)
    return page(
        request,
        "find/results.html",
        search=search,
        results=found,
        cards=await _cards(database, found.rows),
        kinds=await kinds_of(database, search, found.kind_ids, found.rows),
        number=number,
        radius_km_default=int(RADIUS_KM_DEFAULT),
        for_doctors=for_doctors,
        choices=choices(language, search, today, for_doctors=for_doctors),
        active=[
            (filter_text(language, name, search.filters, currency), search.without(name).path())
            for name in search.filters.active()
        ],
        quick_filters=quick_filters(
            language, search, currency, today, for_doctors=for_doctors, is_today_over=is_today_over
        ),
        is_today_over=is_today_over,
        instead_of=None if shown.typed in (None, search) else shown.typed,
        notes=[*shown.notes, *filter(None, [hint_of_nearness(language, search)])],
        meant=shown.meant,
        elsewhere=elsewhere,
        urgency=shown.urgency,
        emergency_path=emergency_path(shown.typed or search),
        heading=await heading(request, search),
        cities=cities,
        needs=[] if found.rows or elsewhere else await popular_needs(request, search.city),
        others=[] if found.rows or elsewhere else await other_searches(database, language, search),
        currency=currency,
        contents=await contents_of_city(request, city_id) if is_whole_city and city_id else None,
        pins=[_KINDS.get(row["type"], "place") for row in found.rows],
        middle=middle_name(language, search),
        plot=await result_map(request, search, found.rows, found.centre) if is_map else None,
        headers=policy_of_map(request) if is_map else None,
    )


async def _is_today_over(database: Database, search: Search, found: Found, today: date) -> bool:
    """Return whether nobody of a search has a time left today; where nobody looks in a city, only those shown count."""
    if search.filters.day or not found.rows or any(row["first_free_on"] == today for row in found.rows):
        return False
    if search.city is None or not (found.has_more or found.total > len(found.rows)):
        return True
    criteria = await criteria_of(database, search.but(day="today"))
    return criteria is None or not await count_matching(database, criteria, 1)


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
    """Return each city, the largest first, with the address of the same search there."""
    cities, _ = await known_names(request)
    return [(one, structs.replace(search, city=one).path()) for one in cities]


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
