"""Searches as addresses and forms have them, and as the search takes them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from litestar.datastructures import Cookie
from msgspec import Struct, structs

from healthplus.database import Record
from healthplus.search.find import RADIUS_KM_DEFAULT, READ_MAX, Available, Order, SearchRequest
from healthplus.search.ranking import OF_LABORATORIES, is_for_doctors, is_for_labs
from healthplus.text import is_postal_code, line, number, with_postal_codes
from healthplus.web.http.paging import PAGE_MAX
from healthplus.web.languages import Language
from healthplus.web.pages.addresses import results_path, slug
from healthplus.web.pages.booking import parsed_day
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest

TYPES = ("doctor", "hospital", "clinic", "lab")
GENDERS = ("female", "male", "other")
ORDERS = {
    "best": Order.BEST,
    "rating": Order.RATING_DESC,
    "date": Order.DATE_ASC,
    "price": Order.PRICE_ASC,
    "distance": Order.DISTANCE_ASC,
    "experience": Order.EXPERIENCE_DESC,
}
FILTERS = ("day", "type", "fee", "gender", "language", "rating", "experience")
"""What narrows a search, in the order of the pages; each is a field of `Filters`."""

_CITY_SECONDS = 180 * 86_400
_DAYS_AHEAD_MAX = 366
_FEE_MAX, _YEARS_MAX, _RADIUS_KM_MAX = 1_000_000, 80, 200


class Filters(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a search is narrowed and ordered: the parameters of an address. "" and 0 mean no filter.

    `day` is today, tomorrow, week or a date; `fee` the most in whole units of the
    clinic's currency, `rating` the fewest stars, `experience` the
    fewest years. `near` is a latitude and longitude, of 3 decimals so as not to tell the house; `within` is in km.
    `view` is map, or else a list; `exact`: not what was meant by a word that nobody has.
    """

    day: str = ""
    type: str = ""
    fee: int = 0
    gender: str = ""
    language: str = ""
    rating: float = 0
    experience: int = 0
    near: str = ""
    within: int = 0
    sort: str = ""
    view: str = ""
    exact: int = 0

    @classmethod
    def read(cls, query: Mapping[str, str], today: date) -> Filters:
        """Read the parameters of an address; what makes no sense there is no filter."""
        near = _position(query.get("near", ""))
        return cls(
            day=_day(query.get("day", ""), today),
            type=_one_of(TYPES, query.get("type")),
            fee=_number(query.get("fee"), _FEE_MAX),
            gender=_one_of(GENDERS, query.get("gender")),
            language=line(query.get("language", ""))[:40],
            rating=_stars(query.get("rating")),
            experience=_number(query.get("experience"), _YEARS_MAX),
            near=f"{near[0]:.3f},{near[1]:.3f}" if near else "",
            within=_number(query.get("within"), _RADIUS_KM_MAX),
            sort=_one_of(tuple(ORDERS), query.get("sort")),
            view=_one_of(("map",), query.get("view")),
            exact=_number(query.get("exact"), 1),
        )

    def active(self) -> Iterator[str]:
        """Name the filters that narrow the search."""
        return (name for name in FILTERS if getattr(self, name))


class Search(Struct, frozen=True, kw_only=True):
    """A search as a whole: what for, where, and how narrowed.

    `need` is what was typed; "" where that is exactly the name of a `speciality` or service. `services` are one, or
    several laboratory tests, all of which must be offered. `place` is the place as typed: a part
    of the `city`, a postal code or any other text; "" where it is the city itself, or none.
    """

    need: str = ""
    speciality: Record | None = None
    services: tuple[Record, ...] = ()
    city: Record | None = None
    place: str = ""
    filters: Filters = Filters()

    def service_names(self, language: Language) -> str:
        return ", ".join(language.known_name("service", one["name"]) for one in self.services)

    def needed(self, language: Language) -> str:
        """Return what it is for, as the form has it."""
        named = language.known_name("speciality", self.speciality["name"]) if self.speciality else ""
        return named or self.service_names(language) or self.need

    def placed(self, language: Language) -> str:
        """Return where it looks, as the form has it."""
        city = language.known_name("city", self.city["name"]) if self.city else ""
        return ", ".join(part for part in (self.place, city) if part)

    def said(self, language: Language, unlike: Search) -> str:
        """Return in words in what it is unlike another search: what for, where, or both."""
        parts = ((self.needed(language), unlike.needed(language)), (self.placed(language), unlike.placed(language)))
        return ", ".join(own for own, other in parts if own and own != other)

    @property
    def postal_code(self) -> str | None:
        return self.place if self.city is None and is_postal_code(self.place) else None

    @property
    def is_located(self) -> bool:
        """Return whether there is a place from which distances are measured."""
        return bool(self.city or self.postal_code or self.filters.near)

    @property
    def is_placed(self) -> bool:
        """Return whether it says where to look at all."""
        return bool(self.is_located or self.place)

    @property
    def sort(self) -> str:
        """Return the order: the chosen one if it makes sense, else nearest first around a point or postal code."""
        if self.filters.sort and (self.filters.sort != "distance" or self.is_located):
            return self.filters.sort
        return "distance" if self.filters.near or self.postal_code else "best"

    def but(self, **changes: object) -> Search:
        """Return the same search, but for these filters."""
        return structs.replace(self, filters=structs.replace(self.filters, **changes))

    @property
    def is_for_doctors(self) -> bool:
        """Return whether somebody looks for a doctor of some kind, so that others come after them."""
        if self.filters.type or self.sort != "best":
            return False
        if self.speciality:
            return self.speciality["slug"] not in OF_LABORATORIES
        return is_for_doctors(self.need)

    @property
    def is_for_labs(self) -> bool:
        """Return whether somebody looks for what laboratories do, so that others come after them."""
        if self.filters.type or self.sort != "best" or self.speciality:
            return False
        if self.services:
            return self.has_only_tests
        return is_for_labs(self.need)

    @property
    def has_only_tests(self) -> bool:
        """Return whether it is for laboratory tests and nothing else."""
        return bool(self.services) and all(one["is_test"] for one in self.services)

    def without(self, name: str) -> Search:
        return self.but(**{name: type(getattr(self.filters, name))()})

    def without_filters(self) -> Search:
        return self.but(**{name: type(getattr(self.filters, name))() for name in FILTERS})

    def path(self, page: int = 1) -> str:
        """Return the address of its results: readable, where it is in a city and for a known need, if any."""
        query = {name: value for name, value in structs.asdict(self.filters).items() if value}
        if self.services:
            query = {"service": ",".join(one["slug"] for one in self.services)} | query
        part = self.speciality["slug"] if self.speciality else self.filters.type
        locality = slug(self.place) if self.place else ""
        if self.city and not self.need and (part or not locality) and locality != "-":
            if self.speciality is None:
                query.pop("type", None)
            path = results_path(self.city["slug"], part, locality)
        else:
            need = self.speciality["slug"] if self.speciality else self.need
            where = [text for text in (self.place, self.city and self.city["slug"]) if text]
            typed = {"need": need, "place": ", ".join(where)}
            query = {name: text for name, text in typed.items() if text} | query
            path = "/find"
        if page > 1:
            query["page"] = page
        return f"{path}?{urlencode(query)}" if query else path

    def request(self) -> SearchRequest:
        """Return it as the search takes it."""
        filters = self.filters
        position = _position(filters.near)
        day: dict[str, object] = {}
        if filters.day in _STRETCHES:
            day["available"] = Available(filters.day)
        elif filters.day:
            begins = datetime.combine(date.fromisoformat(filters.day), time())
            day = {"starts_from": begins, "starts_before": begins + timedelta(days=1)}
        is_around = position is not None or self.postal_code is not None
        return SearchRequest(
            keyword=" ".join(text for text in (self.need, "" if self.postal_code else self.place) if text),
            city=self.city["slug"] if self.city else "",
            latitude=position and position[0],
            longitude=position and position[1],
            radius_km=(filters.within or RADIUS_KM_DEFAULT) if is_around else None,
            postal_code=self.postal_code,
            specialities=[self.speciality["slug"]] if self.speciality else (),
            services=[one["slug"] for one in self.services],
            types=[filters.type] if filters.type else (),
            fee_max=filters.fee or None,
            experience_years_min=filters.experience or None,
            rating_min=filters.rating or None,
            gender=filters.gender or None,
            language=filters.language or None,
            order=ORDERS[self.sort],
            **day,  # type: ignore[arg-type]
        )


def remembered_city(request: AnyRequest) -> str:
    """Return the slug of the city in which this browser looked last; "" where it has not."""
    return site(request).read(request, "city") or ""


def city_to_remember(request: AnyRequest, slug: str) -> list[Cookie]:
    """Return the cookie by which the home page begins in this city, unless it does so already."""
    return [] if slug == remembered_city(request) else [site(request).cookie("city", slug, _CITY_SECONDS)]


_STRETCHES = tuple(stretch.value for stretch in Available)


def typed(text: str | None) -> str:
    """Return a typed text without control characters and needless spaces, and not longer than is of use."""
    return with_postal_codes((text or "")[:READ_MAX])


def page_number(text: str | None) -> int:
    return max(1, _number(text, PAGE_MAX))


def _number(text: str | None, most: int) -> int:
    digits = number(text or "")
    return min(int(digits), most) if re.fullmatch("[0-9]{1,9}", digits) else 0


def _stars(text: str | None) -> float:
    return float(text) if text and re.fullmatch(r"[1-5](\.[05])?", text) and float(text) <= 5 else 0


def _one_of(known: tuple[str, ...], text: str | None) -> str:
    return text if text in known else ""


def _day(text: str, today: date) -> str:
    if text in _STRETCHES:
        return text
    day = parsed_day(text)
    return day.isoformat() if day and 0 <= (day - today).days <= _DAYS_AHEAD_MAX else ""


def _position(text: str) -> tuple[float, float] | None:
    try:
        latitude, longitude = (float(part) for part in text[:60].split(","))
    except ValueError:
        return None
    is_there = math.isfinite(latitude) and abs(latitude) <= 90 and math.isfinite(longitude) and abs(longitude) <= 180
    return (latitude, longitude) if is_there else None
