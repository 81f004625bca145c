"""The search that a form or an address asks for."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from msgspec import structs

from healthplus.database import Database, Record
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.search.asked import near_postal_code
from healthplus.search.find import TIME_ZONE_DEFAULT, city_named, service_types
from healthplus.search.keyword import parse_keyword
from healthplus.search.vocabulary import normal_words, sendable
from healthplus.text import comparable, is_postal_code
from healthplus.web.languages import Language
from healthplus.web.pages.free_times import queries
from healthplus.web.pages.needs import with_asked
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.searches import TYPES, Filters, Search, remembered_city, typed
from healthplus.web.services import AnyRequest, services

_SLUGS_LENGTH_MAX = 2000
_CITY_KEEP_SECONDS = 60.0
"""How long it is known which city a text names: that changes rarely."""


async def search_of_form(request: AnyRequest) -> Search:
    """Return the search of a form; its place may name a city or its part, its need a speciality, service or type."""
    database, language = services(request).database, language_of(request)
    need, place = _need_and_place(request)
    city = await _city(request, place) if place else None
    if city:
        place = ""
    elif "," in place:
        locality, _, last = (part.strip() for part in place.rpartition(","))
        if city := await _city(request, last):
            place = locality
    filters = Filters.read(request.query_params, today_in(request, city))
    if place or city:
        filters = structs.replace(
            filters, near="", **({} if Search(place=place, city=city).postal_code else {"within": 0})
        )
    need, filters = with_asked(need, filters, today_in(request, city))
    own = language.own_name("speciality", need)
    speciality = None
    chosen = await services_of_address(request)
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


def _need_and_place(request: AnyRequest) -> tuple[str, str]:
    """Return what is needed and where, as typed; a postal code to be near may stand in the need."""
    need, place = (typed(request.query_params.get(name)) for name in ("need", "place"))
    if not place and is_postal_code(need):
        return "", need
    return (need, place) if place else near_postal_code(need)


async def services_of_address(request: AnyRequest) -> tuple[Record, ...]:
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
    if known and comparable(language.known_name("city", known["name"])) == comparable(text):
        return known
    return await city_named(database, language.own_name("city", text))


async def named_city(request: AnyRequest) -> str:
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


def today_in(request: AnyRequest, city: Record | None) -> date:
    return services(request).clock.now().astimezone(_zone(city)).date()
