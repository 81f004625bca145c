"""Find providers: what a search may ask for, what that means for the listings, and the query that finds them."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from healthplus.country import HERE
from healthplus.database import Database, Record, load
from healthplus.errors import BadInput
from healthplus.search.asked import asked, near_postal_code
from healthplus.search.keyword import parse_keyword
from healthplus.search.vocabulary import VOCABULARY, normal_words, sendable

queries = load(Path(__file__).with_name("find.sql"))

_SATURDAY = 6  # of ISO's days of the week
RADIUS_KM_DEFAULT = 10.0
READ_MAX = 200
"""How many letters of a keyword or a city are read: a search may read it many times over."""
TIME_ZONE_DEFAULT = ZoneInfo(HERE.time_zone)
"""The time zone of instants without an offset, where no city is named."""


class Order(enum.Enum):
    """The order of what is found; equals are ordered by rating, best first, then by id.

    Best: those whose own name is in the keyword come first, then those whose names, their clinic's too, have all
    of it, then by rating. Experience: those who practise for longest come first. A date is the first day with a free
    slot; providers without one come last. A direction holds for everything that an order names. A price is that of the
    services searched for, and then only those who offer them are found; else a visit's. An unknown one comes last.
    """

    BEST = "best"
    RATING_ASC = "rating_asc"
    RATING_DESC = "rating_desc"
    DATE_ASC = "date_asc"
    DATE_DESC = "date_desc"
    DISTANCE_ASC = "distance_asc"
    TYPE_DATE_ASC = "type_date_asc"
    TYPE_DATE_DESC = "type_date_desc"
    DATE_TYPE_ASC = "date_type_asc"
    DATE_TYPE_DESC = "date_type_desc"
    PRICE_ASC = "price_asc"
    PRICE_DESC = "price_desc"
    EXPERIENCE_DESC = "experience_desc"


class Available(enum.Enum):
    """Ranges of days from now on, in the city's time; the week ends with the sixth day after today.

    The weekend is the next Saturday and Sunday, of which today may be one.
    """

    TODAY = "today"
    TOMORROW = "tomorrow"
    WEEK = "week"
    WEEKEND = "weekend"

    def days(self, today: date) -> tuple[date, int]:
        """Return the first day, and how many there are."""
        match self:
            case Available.TODAY:
                ahead, count = 0, 1
            case Available.TOMORROW:
                ahead, count = 1, 1
            case Available.WEEK:
                ahead, count = 0, 7
            case Available.WEEKEND:
                ahead = max(0, _SATURDAY - today.isoweekday())
                count = 2 if today.isoweekday() <= _SATURDAY else 1
        return today + timedelta(days=ahead), count


class SearchRequest(Struct, frozen=True, kw_only=True):
    """A search as it comes in; "", None and () ask for nothing.

    `keyword` and `city` are as people type them, `specialities` are slugs, `types` those of the directory. A free slot
    starts from `starts_from` on and before `starts_before`, or in `available`; instants without an offset are on the
    city's clock. A `radius_km` is around latitude and longitude, or else around the centre of the postal code, or else
    of the city, beyond whose border it may reach. `services` are slugs, too, and all of them must be offered: one, or
    several laboratory tests. `fee_min` and `fee_max` are in whole units of each clinic's currency, for these services
    or else a visit.
    """

    keyword: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None
    radius_km: float | None = None
    postal_code: str | None = None
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    available: Available | None = None
    specialities: Sequence[str] = ()
    services: Sequence[str] = ()
    types: Sequence[str] = ()
    clinic_id: int | None = None
    fee_min: int | None = None
    fee_max: int | None = None
    experience_years_min: int | None = None
    rating_min: float | None = None
    gender: str | None = None
    language: str | None = None
    accepts_new_patients: bool | None = None
    order: Order = Order.BEST


class SearchCriteria(Struct, kw_only=True):
    """A request parsed into what the database compares: its type `search.criteria`."""

    terms: str | None = None
    city_id: int | None = None
    name_terms: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    radius_m: float | None = None
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    fee_min: int | None = None
    fee_max: int | None = None
    practising_since_max: int | None = None
    rating_min: float | None = None
    gender: str | None = None
    language: str | None = None
    accepts_new_patients: bool | None = None
    ordering: str = Order.BEST.value
    service_type_ids: Sequence[int] | None = None
    own_ids: Sequence[int] | None = None
    service_groups: Sequence[int] | None = None
    """Of each type: of which group, from 1 on, it is; one service of each group must be offered."""


async def find(database: Database, request: SearchRequest, skip: int, count: int) -> list[Record]:
    """Parse a request and return what `find_matching` does. Raises BadInput as `parse_request` does."""
    criteria = await parse_request(database, request)
    return [] if criteria is None else await find_matching(database, criteria, skip, count)


async def find_matching(database: Database, criteria: SearchCriteria, skip: int, count: int) -> list[Record]:
    """Return the providers after the first `skip`, at most `count`, each once, as the query `find` selects them."""
    return await database.fetch(queries.find, structs.asdict(criteria), skip, count)


async def count_matching(database: Database, criteria: SearchCriteria, count_max: int) -> int:
    """Return how many providers there are to find, counted no further than `count_max`.

    Those who must be free at some time are looked at one by one, so count fewer of them.
    """
    count: int = await database.fetch_value(queries.count_found, structs.asdict(criteria), count_max)
    return count


async def parse_request(database: Database, request: SearchRequest) -> SearchCriteria | None:
    """Return the criteria of a request, or None when it names a city that is not known.

    Raises BadInput, naming parameters as SearchDoctors does, when parts of the request contradict each other.
    """
    city = await city_named(database, request.city) if request.city else None
    if request.city and city is None:
        return None
    request, weekday = _with_asked(request)
    keyword = await parse_keyword(database, request.keyword, city["city_id"] if city else None)
    if city is None and keyword.city_id is not None:
        city = await database.fetch_row(queries.city_by_id, keyword.city_id)
    now: datetime = await database.fetch_value(queries.now)
    around = await _around(database, request, city)
    time_zone = ZoneInfo(city["time_zone"]) if city else TIME_ZONE_DEFAULT
    starts_from, starts_before = _window(request, time_zone, now, weekday)
    parts = [part for part in (keyword.terms, *await _filter_terms(database, request)) if part]
    groups = await _service_groups(database, request, keyword.service_groups)
    if request.services or (groups and request.order in (Order.PRICE_ASC, Order.PRICE_DESC)):
        parts += [_one_of("service", group) for group in groups] or [_one_of("service", [])]
    is_within_city = request.city and (request.latitude is not None or request.radius_km is None)
    city_id = city["city_id"] if city and is_within_city else None
    if parts and city_id is not None:
        # One index looks all terms up together; for a city alone, the index on cities is quicker.
        parts.append(_one_of("city", [city_id]))
        city_id = None
    return SearchCriteria(
        terms=" & ".join(f"({part})" for part in parts) or None,
        city_id=city_id,
        name_terms=keyword.name_terms or None,
        latitude=around.latitude,
        longitude=around.longitude,
        radius_m=around.radius_m,
        starts_from=starts_from,
        starts_before=starts_before,
        fee_min=request.fee_min,
        fee_max=request.fee_max,
        practising_since_max=None if request.experience_years_min is None else now.year - request.experience_years_min,
        rating_min=request.rating_min,
        gender=request.gender or None,
        language=request.language and sendable(request.language).lower(),
        accepts_new_patients=request.accepts_new_patients,
        ordering=request.order.value,
        own_ids=keyword.own_ids or None,
        service_type_ids=[service_type_id for group in groups for service_type_id in group] or None,
        service_groups=[number for number, group in enumerate(groups, start=1) for _ in group] or None,
    )


def _with_asked(request: SearchRequest) -> tuple[SearchRequest, int]:
    """Return a request with what its keyword asks for besides whom, where it does not say so itself.

    The second is the day of the week that the keyword names, 0 where it does not.
    """
    keyword, postal_code = near_postal_code(request.keyword)
    found = asked(keyword)
    changes: dict[str, object] = {"keyword": found.need}
    if postal_code and request.postal_code is None and request.latitude is None:
        changes |= {"postal_code": postal_code, "radius_km": request.radius_km or RADIUS_KM_DEFAULT}
        if request.order is Order.BEST:
            changes["order"] = Order.DISTANCE_ASC
    if found.gender and not request.gender:
        changes["gender"] = found.gender
    if found.language and not request.language:
        changes["language"] = found.language
    if found.fee and request.fee_max is None:
        changes["fee_max"] = found.fee
    if found.order and request.order is Order.BEST:
        changes["order"] = _ORDERS_ASKED[found.order]
    if found.day in _STRETCHES and request.available is None and not request.starts_from and not request.starts_before:
        changes["available"] = Available(found.day)
    return structs.replace(request, **changes), int(found.day) if found.day.isdecimal() else 0


_STRETCHES = frozenset(stretch.value for stretch in Available)
_ORDERS_ASKED = {
    "price": Order.PRICE_ASC,
    "experience": Order.EXPERIENCE_DESC,
    "rating": Order.RATING_DESC,
    "date": Order.DATE_ASC,
}


def of_types(criteria: SearchCriteria, types: Sequence[str]) -> SearchCriteria:
    """Return the same criteria, for these types of providers only."""
    parts = [criteria.terms, _one_of("type", types)]
    if criteria.city_id is not None:
        parts.append(_one_of("city", [criteria.city_id]))
    return structs.replace(criteria, terms=" & ".join(f"({part})" for part in parts if part), city_id=None)


async def seen_first(database: Database, criteria: SearchCriteria, slugs: Collection[str]) -> list[SearchCriteria]:
    """Return the same criteria for these specialities and no others, for these among others, and for all but these.

    The directory does not say which speciality of a doctor is the first: who has no other surely sees to it.
    """
    row = await database.fetch_row(queries.specialities_apart, sorted(slugs))
    these, others = (_one_of("speciality", row[name] if row else []) for name in ("these", "others"))
    return [
        structs.replace(criteria, terms=f"({criteria.terms}) & {part}")
        for part in (f"({these}) & !({others})", f"({these}) & ({others})", f"!({these})")
    ]


def labs_first(criteria: SearchCriteria) -> list[SearchCriteria]:
    """Return the same criteria for labs that offer what is searched for, other labs, and all others."""
    labs, others = of_types(criteria, ["lab"]), of_types(criteria, ["doctor", "hospital", "clinic"])
    if not criteria.service_type_ids:
        return [labs, others]
    offered = _one_of("service", criteria.service_type_ids)
    return [
        *(structs.replace(labs, terms=f"({labs.terms}) & {part}") for part in (f"({offered})", f"!({offered})")),
        others,
    ]


async def city_named(database: Database, text: str) -> Record | None:
    """Return the city with this slug, name or older name, as the query `city` selects it, or None."""
    phrase = " ".join(await normal_words(database, text))
    known = VOCABULARY.phrases.get(phrase)
    slugs = [sendable(text), phrase.replace(" ", "-")]
    return await database.fetch_row(queries.city, slugs, phrase, sorted(known.cities) if known else [], HERE.currency)


async def service_types(database: Database, slugs: Sequence[str], ids: Sequence[int] = ()) -> list[Record]:
    """Return the types of services with these slugs or ids, as the query `service_types` selects them."""
    return await database.fetch(queries.service_types, [sendable(slug) for slug in slugs], list(ids))


async def _service_groups(
    database: Database, request: SearchRequest, named: Sequence[Sequence[int]]
) -> Sequence[Sequence[int]]:
    """Return the types of services to price, in groups of which one is wanted of each.

    They are those asked for, each by itself, if all are known, or else the keyword's. Several go together only where
    they are tests.
    """
    if request.services:
        known = await service_types(database, request.services)
        if len(known) > 1 and not all(one["is_test"] for one in known):
            raise BadInput("tests: only laboratory tests can be booked together; search for anything else by itself.")
        return [[one["service_type_id"]] for one in known] if len(known) >= len(set(request.services)) else []
    if len(named) <= 1:
        return named
    known = await service_types(database, (), [service_type_id for group in named for service_type_id in group])
    tests = {one["service_type_id"] for one in known if one["is_test"]}
    groups = [[service_type_id for service_type_id in group if service_type_id in tests] for group in named]
    return groups if all(groups) else []


class _Around(Struct):
    latitude: float | None = None
    longitude: float | None = None
    radius_m: float | None = None


async def _around(database: Database, request: SearchRequest, city: Record | None) -> _Around:
    radius_km = request.radius_km
    if request.latitude is not None:
        centre: Record | dict[str, float | None] | None = {"latitude": request.latitude, "longitude": request.longitude}
        radius_km = radius_km or RADIUS_KM_DEFAULT
    elif request.postal_code is not None:
        centre = await database.fetch_row(queries.postal_code, request.postal_code)
    else:
        centre = city
    if centre is None or centre["latitude"] is None:
        if radius_km is not None or request.order is Order.DISTANCE_ASC:
            what = (
                "postal_code: nobody knows where this is"
                if request.postal_code
                else "radius and distance,asc: from where"
            )
            raise BadInput(f"{what}; give lat_long, or a postal_code or city that is known here.")
        return _Around()
    return _Around(centre["latitude"], centre["longitude"], radius_km and radius_km * 1000)


def _window(
    request: SearchRequest, time_zone: ZoneInfo, now: datetime, weekday: int
) -> tuple[datetime | None, datetime | None]:
    """Return when a slot must start; `weekday`, where not 0, is the next such day, unless the request says when."""
    if request.available is not None:
        if request.starts_from or request.starts_before:
            raise BadInput("available: takes the place of start_datetime and end_datetime; give it without them.")
        first, days = request.available.days(now.astimezone(time_zone).date())
        ends = [datetime.combine(day, time(), time_zone) for day in (first, first + timedelta(days=days))]
        return ends[0].astimezone(UTC), ends[1].astimezone(UTC)
    if weekday and not request.starts_from and not request.starts_before:
        today = now.astimezone(time_zone).date()
        day = datetime.combine(today + timedelta(days=(weekday - today.isoweekday()) % 7), time(), time_zone)
        return day.astimezone(UTC), (day + timedelta(days=1)).astimezone(UTC)
    starts_from, starts_before = (
        instant.replace(tzinfo=time_zone) if instant is not None and instant.tzinfo is None else instant
        for instant in (request.starts_from, request.starts_before)
    )
    if starts_before is not None and starts_before <= (starts_from or now):
        raise BadInput("end_datetime: must be later than start_datetime, and than now.")
    return starts_from, starts_before


async def _filter_terms(database: Database, request: SearchRequest) -> list[str]:
    parts = []
    if request.specialities:
        ids = await database.fetch_value(queries.speciality_ids, [sendable(slug) for slug in request.specialities])
        parts.append(_one_of("speciality", ids))
    if request.types:
        parts.append(_one_of("type", request.types))
    if request.clinic_id is not None:
        parts.append(_one_of("clinic", [request.clinic_id]))
    if request.postal_code is not None and (request.radius_km is None or request.latitude is not None):
        parts.append(_one_of("pin", [request.postal_code]))
    return parts


def _one_of(kind: str, values: Sequence[int | str]) -> str:
    # Of no values there is none to match: no listing has this term.
    return " | ".join(f"'{kind}:{value}'" for value in values) or f"'{kind}:none'"
