"""Finding providers: what can be asked for, what that means for the listings, and the one query that finds it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from healthplus.database import Database, Record, load
from healthplus.errors import BadInput
from healthplus.search.keyword import understand
from healthplus.search.vocabulary import VOCABULARY, normal_words, sendable

queries = load(Path(__file__).with_name("find.sql"))

RADIUS_KM_DEFAULT = 10.0
TIME_ZONE_DEFAULT = ZoneInfo("Asia/Kolkata")
"""Whose clock an instant without an offset is read from, where no city is named."""


class Order(enum.Enum):
    """How what is found is ordered; equals come by rating, best first, then by id.

    Best: whoever is named so comes first, then by rating. A date is the first day with a free slot; who has none comes
    last. A direction holds for everything that an order names.
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


class Available(enum.Enum):
    """Stretches of days, from now on, in the city's time; the week ends with the sixth day after today."""

    TODAY = "today"
    TOMORROW = "tomorrow"
    WEEK = "week"


class Asked(Struct, frozen=True, kw_only=True):
    """What somebody looks for; None and () say nothing.

    `keyword` and `city` are as people type them, `specialities` are slugs, `types` those of the directory. A free slot
    starts from `starts_from` on and before `starts_before`, or in `available`; instants without an offset are on the
    city's clock. A `radius_km` is around latitude and longitude, or else the middle of the postal code, or else that of
    the city, on whichever side of its border. `fee_min` and `fee_max` are in whole units of each clinic's own currency.
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


class Wanted(Struct, kw_only=True):
    """What is asked for in the database's terms: its `search.criteria`."""

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


async def find(database: Database, asked: Asked, skip: int, count: int) -> list[Record]:
    """Understand what is asked, and give what `find_wanted` finds. Raises BadInput as `understood` does."""
    wanted = await understood(database, asked)
    return [] if wanted is None else await find_wanted(database, wanted, skip, count)


async def find_wanted(database: Database, wanted: Wanted, skip: int, count: int) -> list[Record]:
    """Give who is found from number `skip` on, at most `count`, each once, with all that the query `find` has."""
    return await database.fetch(queries.find, structs.asdict(wanted), skip, count)


async def count_wanted(database: Database, wanted: Wanted, count_max: int) -> int:
    """Give how many providers there are to find, counted no further than `count_max`.

    Those who must be free at some time are looked at one by one, so ask for fewer of them.
    """
    count: int = await database.fetch_value(queries.count_found, structs.asdict(wanted), count_max)
    return count


async def understood(database: Database, asked: Asked) -> Wanted | None:
    """Give what is asked for in the database's terms; None when it names a city that is not known.

    Raises BadInput, naming parameters as SearchDoctors does, when what is asked makes no sense together.
    """
    city = await city_named(database, asked.city) if asked.city else None
    if asked.city and city is None:
        return None
    keyword = await understand(database, asked.keyword, city["city_id"] if city else None)
    if city is None and keyword.city_id is not None:
        city = await database.fetch_row(queries.city_by_id, keyword.city_id)
    now: datetime = await database.fetch_value(queries.now)
    around = await _around(database, asked, city)
    starts_from, starts_before = _window(asked, ZoneInfo(city["time_zone"]) if city else TIME_ZONE_DEFAULT, now)
    parts = [part for part in (keyword.terms, *await _chosen(database, asked)) if part]
    city_id = (
        city["city_id"] if city and asked.city and (asked.latitude is not None or asked.radius_km is None) else None
    )
    if parts and city_id is not None:
        # Among the terms, one index puts them together; where there is nothing else, the city's own is quicker.
        parts.append(_one_of("city", [city_id]))
        city_id = None
    return Wanted(
        terms=" & ".join(f"({part})" for part in parts) or None,
        city_id=city_id,
        name_terms=keyword.name_terms or None,
        latitude=around.latitude,
        longitude=around.longitude,
        radius_m=around.radius_m,
        starts_from=starts_from,
        starts_before=starts_before,
        fee_min=asked.fee_min,
        fee_max=asked.fee_max,
        practising_since_max=None if asked.experience_years_min is None else now.year - asked.experience_years_min,
        rating_min=asked.rating_min,
        gender=asked.gender,
        language=asked.language and sendable(asked.language).lower(),
        accepts_new_patients=asked.accepts_new_patients,
        ordering=asked.order.value,
    )


async def city_named(database: Database, text: str) -> Record | None:
    """Give the city that is called so, as the query `city` has it; slugs, names and older names will do."""
    phrase = " ".join(await normal_words(database, text))
    known = VOCABULARY.phrases.get(phrase)
    slugs = sorted({sendable(text), phrase.replace(" ", "-")} | (known.cities if known else set()))
    return await database.fetch_row(queries.city, slugs, phrase)


class _Around(Struct):
    latitude: float | None = None
    longitude: float | None = None
    radius_m: float | None = None


async def _around(database: Database, asked: Asked, city: Record | None) -> _Around:
    radius_km = asked.radius_km
    if asked.latitude is not None:
        place: Record | dict[str, float | None] | None = {"latitude": asked.latitude, "longitude": asked.longitude}
        radius_km = radius_km or RADIUS_KM_DEFAULT
    elif asked.postal_code is not None:
        place = await database.fetch_row(queries.postal_code, asked.postal_code)
    else:
        place = city
    if place is None or place["latitude"] is None:
        if radius_km is not None or asked.order is Order.DISTANCE_ASC:
            what = (
                "postal_code: nobody knows where this is"
                if asked.postal_code
                else "radius and distance,asc: from where"
            )
            raise BadInput(f"{what}; give lat_long, or a postal_code or city that is known here.")
        return _Around()
    return _Around(place["latitude"], place["longitude"], radius_km and radius_km * 1000)


def _window(asked: Asked, time_zone: ZoneInfo, now: datetime) -> tuple[datetime | None, datetime | None]:
    if asked.available is not None:
        if asked.starts_from or asked.starts_before:
            raise BadInput("available: takes the place of start_datetime and end_datetime; give it without them.")
        today = now.astimezone(time_zone).date()
        first, days = {Available.TODAY: (0, 1), Available.TOMORROW: (1, 1), Available.WEEK: (0, 7)}[asked.available]
        ends = [datetime.combine(today + timedelta(days=day), time(), time_zone) for day in (first, first + days)]
        return ends[0].astimezone(UTC), ends[1].astimezone(UTC)
    starts_from, starts_before = (
        instant.replace(tzinfo=time_zone) if instant is not None and instant.tzinfo is None else instant
        for instant in (asked.starts_from, asked.starts_before)
    )
    if starts_before is not None and starts_before <= (starts_from or now):
        raise BadInput("end_datetime: must be later than start_datetime, and than now.")
    return starts_from, starts_before


async def _chosen(database: Database, asked: Asked) -> list[str]:
    parts = []
    if asked.specialities:
        ids = await database.fetch_value(queries.speciality_ids, [sendable(slug) for slug in asked.specialities])
        parts.append(_one_of("speciality", ids))
    if asked.types:
        parts.append(_one_of("type", asked.types))
    if asked.clinic_id is not None:
        parts.append(_one_of("clinic", [asked.clinic_id]))
    if asked.postal_code is not None and (asked.radius_km is None or asked.latitude is not None):
        parts.append(_one_of("pin", [asked.postal_code]))
    return parts


def _one_of(kind: str, values: Sequence[int | str]) -> str:
    # Where there is none to be had, what no listing has.
    return " | ".join(f"'{kind}:{value}'" for value in values) or f"'{kind}:none'"
