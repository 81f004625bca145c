"""The pages of a search's results."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK
from msgspec import structs

from healthplus.database import Database, Record
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.errors import BadInput, NotFound
from healthplus.money import INR, currency_digits
from healthplus.search.find import (
    RADIUS_KM_DEFAULT,
    TIME_ZONE_DEFAULT,
    Order,
    SearchCriteria,
    SearchRequest,
    city_named,
    count_matching,
    find,
    find_matching,
    parse_request,
    service_types,
)
from healthplus.search.keyword import parse_keyword, split_keyword
from healthplus.search.spelling import did_you_mean
from healthplus.search.vocabulary import normal_words, sendable
from healthplus.web.http.paging import PAGE_MAX, limit_and_offset
from healthplus.web.languages import N_, Language
from healthplus.web.pages.addresses import results_path
from healthplus.web.pages.free_times import Day, Location, by_day, next_times, queries
from healthplus.web.pages.rendering import language_of, moved, page, see_other
from healthplus.web.pages.searches import TYPES, Filters, Search, city_to_remember, page_number, typed
from healthplus.web.pages.service_choice import laboratories
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services

_CARDS = 10
_COUNT_MAX, _FREE_COUNT_MAX = 200, 50
"""How far results are counted; less far with a day, since then each result's free times are looked at."""
_DAYS_OFFERED = 14
_SLUGS_LENGTH_MAX = 2000
_PLACES_COMPARED = 20
_FEW_RESULTS = 3
"""With so many results or fewer, a keyword may be misspelt."""

_TYPES = {"doctor": N_("Doctors"), "hospital": N_("Hospitals"), "clinic": N_("Clinics"), "lab": N_("Labs")}
_GENDERS = {"female": N_("Women"), "male": N_("Men"), "other": N_("Other genders")}
_STRETCHES = {"today": N_("Today"), "tomorrow": N_("Tomorrow"), "week": N_("Within a week")}
_ORDERS = {
    "best": N_("Best match"),
    "rating": N_("Best rated"),
    "date": N_("Soonest day"),
    "price": N_("Lowest fee"),
    "distance": N_("Nearest"),
}
_LANGUAGES = (
    "Assamese", "Bengali", "English", "Gujarati", "Hindi", "Kannada", "Malayalam", "Marathi", "Odia", "Punjabi",
    "Tamil", "Telugu", "Urdu",
)  # fmt: skip


class Card(NamedTuple):
    """One result: its row of the query `find`, the next free times, and whether only tests can be booked there."""

    row: Record
    days: list[Day]
    is_laboratory: bool


class Way(NamedTuple):
    """A search to try instead of one that found nothing; `found`: how many results it has, up to `count_max` + 1."""

    text: str
    path: str
    found: int
    count_max: int


class FindController(Controller):
    @get("/find")
    async def find(self, request: AnyRequest) -> Response[bytes]:
        return await shared_page(request, _find)

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
    own = language.own_name("speciality", need)
    speciality = None
    chosen = await _services(request)
    if chosen and need == typed(Search(services=chosen).service_names) and all(one["is_offered"] for one in chosen):
        need = ""
    elif need:
        chosen = ()
    if need in TYPES:
        need, filters = "", structs.replace(filters, type=need)
    elif need:
        phrase = " ".join(await normal_words(database, own))
        speciality = await database.fetch_row(queries.speciality, sendable(own), phrase)
        if speciality is None and (named := await _service_named(database, need, phrase)):
            need, chosen = "", (named,)
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


async def _service_named(database: Database, need: str, phrase: str) -> Record | None:
    """Return the type of service of this name or slug, unless the words mean others, too."""
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


def _zone(city: Record | None) -> ZoneInfo:
    return ZoneInfo(city["time_zone"]) if city else TIME_ZONE_DEFAULT


def _today(request: AnyRequest, city: Record | None) -> date:
    return services(request).clock.now().astimezone(_zone(city)).date()


async def _results(request: AnyRequest, search: Search) -> Response[str]:
    database, language = services(request).database, language_of(request)
    number = page_number(request.query_params.get("page"))
    criteria = await _criteria(database, search)
    limit, skip = limit_and_offset(number, _CARDS)
    rows = await find_matching(database, criteria, skip, limit) if criteria else []
    if not rows and number > 1:
        return see_other(request, search.path())
    count_max = _FREE_COUNT_MAX if search.filters.day else _COUNT_MAX
    # The last page shows by itself how many there are.
    has_more = len(rows) > _CARDS
    count = await count_matching(database, criteria, count_max + 1) if criteria and has_more else skip + len(rows)
    keyword = search.request().keyword
    city_id = search.city["city_id"] if search.city else None
    meant = await did_you_mean(database, keyword, city_id) if keyword and count <= _FEW_RESULTS else []
    today = _today(request, search.city)
    currency = search.city["currency"] if search.city else rows[0]["currency"] if rows else INR
    is_whole_city = search.city is not None and search.path(number) == results_path(search.city["slug"])
    return page(
        request,
        "find/results.html",
        search=search,
        is_place_known=criteria is not None,
        cards=await _cards(database, rows[:_CARDS]),
        count=count,
        count_max=count_max,
        number=number,
        has_more=has_more and number < PAGE_MAX,
        radius_km_default=int(RADIUS_KM_DEFAULT),
        sorts=[(name, language.gettext(_ORDERS[name])) for name in _ORDERS if name != "distance" or search.is_located],
        active=[
            (_filter_text(language, name, search.filters, currency), search.without(name).path())
            for name in search.filters.active()
        ],
        days=[(day.isoformat(), language.day(day)) for day in _days(search.filters.day, today)],
        stretches=[(name, language.gettext(text)) for name, text in _STRETCHES.items()],
        types=[(name, language.gettext(text)) for name, text in _TYPES.items()],
        genders=[(name, language.gettext(text)) for name, text in _GENDERS.items()],
        languages=_languages(language, search.filters.language),
        meant=[
            (text, structs.replace(search, need=text, speciality=None, services=(), place="").path()) for text in meant
        ],
        ways=[] if rows else await _ways(database, language, search, currency),
        currency=currency,
        contents=await services(request).browse.city_contents(city_id) if is_whole_city and city_id else None,
    )


async def _criteria(database: Database, search: Search) -> SearchCriteria | None:
    """Return the criteria of a search; None where its PIN code, or the place to be near, is not known."""
    try:
        return await parse_request(database, search.request())
    except BadInput:
        return None


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
            by_day(times.get((row["provider_id"], row["clinic_id"]), ()), row["time_zone"]),
            (row["provider_id"], row["clinic_id"]) in labs,
        )
        for row in rows
    ]


def _days(chosen: str, today: date) -> list[date]:
    """Return the days to choose from: the next two weeks', and the chosen one if it is later."""
    days = [today + timedelta(days=ahead) for ahead in range(2, _DAYS_OFFERED)]
    if chosen and chosen not in _STRETCHES:
        days = sorted({*days, date.fromisoformat(chosen)})
    return days


def _languages(language: Language, chosen: str) -> list[tuple[str, str]]:
    names = {name.lower(): name for name in (*_LANGUAGES, *([chosen] if chosen else []))}
    return sorted(((name, language.known_name("language", name)) for name in names.values()), key=lambda pair: pair[1])


def _filter_text(language: Language, name: str, filters: Filters, currency: str) -> str:
    """Return in words what a filter asks for."""
    _ = language.gettext
    match name:
        case "day" if filters.day in _STRETCHES:
            text = _(_STRETCHES[filters.day])
        case "day":
            text = language.day(date.fromisoformat(filters.day))
        case "type":
            text = _(_TYPES[filters.type])
        case "fee":
            text = _("Up to %(fee)s") % {"fee": language.money(filters.fee * 10 ** currency_digits(currency), currency)}
        case "gender":
            text = _(_GENDERS[filters.gender])
        case "language":
            text = _("Speaks %(language)s") % {"language": language.known_name("language", filters.language)}
        case "rating":
            text = _("Rated %(stars)s or better") % {"stars": f"{filters.rating:g}"}
        case "experience":
            years = filters.experience
            text = language.ngettext("%(num)d year or more", "%(num)d years or more", years) % {"num": years}
    return text


async def _ways(database: Database, language: Language, search: Search, currency: str) -> list[Way]:
    """Return searches with results: the search without each of its filters, on another day, and in a wider place."""
    _ = language.gettext
    tried: list[tuple[str, Search]] = [
        (
            _("Without “%(filter)s”") % {"filter": _filter_text(language, name, search.filters, currency)},
            search.without(name),
        )
        for name in search.filters.active()
        if name != "type" or search.speciality or search.services or search.need
    ]
    if search.filters.day and (day := await _other_day(database, search)):
        tried.append((_("On %(day)s") % {"day": language.day(day)}, search.but(day=day.isoformat())))
    if len(list(search.filters.active())) > 1:
        tried.append((_("Without any filter"), structs.replace(search, filters=Filters(near=search.filters.near))))
    if (wider := await _in_all_of_the_city(database, search)) and wider.city:
        city = {"city": language.known_name("city", wider.city["name"])}
        tried.append((_("In all of %(city)s") % city, wider))
    if search.is_located or search.place:
        tried.append((_("Everywhere"), structs.replace(search.but(near="", within=0), city=None, place="")))
    ways = []
    for text, wider in tried:
        count_max = _FREE_COUNT_MAX if wider.filters.day else _COUNT_MAX
        criteria = await _criteria(database, wider)
        if criteria and (found := await count_matching(database, criteria, count_max + 1)):
            ways.append(Way(text, wider.path(), found, count_max))
    return ways


async def _in_all_of_the_city(database: Database, search: Search) -> Search | None:
    """Return the search without the part of a city that it names, in all of that city; None where it names none."""
    if search.city and search.place:
        return structs.replace(search, place="")
    need, place = search.need, search.place
    if not place:
        parts = [part for part in (await split_keyword(database, need, None)).parts if not part.is_dropped]
        need, place = (
            " ".join(word for part in parts if part.has_meaning is has_meaning for word in part.words)
            for has_meaning in (True, False)
        )
    if not place or search.postal_code or not (need or search.speciality or search.services or search.filters.type):
        return None
    # It is a part of the one city where clinics have it in their addresses.
    at = SearchRequest(keyword=place, city=search.city["slug"] if search.city else "")
    words = place.casefold().split()
    slugs = {
        row["city_slug"]
        for row in await find(database, at, 0, _PLACES_COMPARED)
        if all(word in (row["address"] or "").casefold() for word in words)
    }
    known = await city_named(database, slugs.pop()) if len(slugs) == 1 else None
    return None if known is None else structs.replace(search, need=need, place="", city=known)


async def _other_day(database: Database, search: Search) -> date | None:
    """Return the first day on which the search has a result, if any."""
    rows = await find(database, structs.replace(search.without("day").request(), order=Order.DATE_ASC), 0, 1)
    return rows[0]["first_free_on"] if rows else None
