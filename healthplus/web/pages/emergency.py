"""The hospitals of a city that take emergencies, nearest first."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from litestar import Controller, Response, get

from healthplus.database import Record, load
from healthplus.search.find import city_named
from healthplus.web.pages.home import known_names
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.pages.search_form import today_in
from healthplus.web.pages.searches import Filters, Search, remembered_city
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("emergency.sql"))

_SHOWN = 20


def emergency_path(search: Search) -> str:
    """Return the address of the hospitals nearest to where a search looks, as far as it says where."""
    where = {"city": search.city["slug"] if search.city else "", "near": search.filters.near}
    query = urlencode({name: text for name, text in where.items() if text})
    return f"/emergency?{query}" if query else "/emergency"


class EmergencyController(Controller):
    @get("/emergency")
    async def emergency(self, request: AnyRequest) -> Response[bytes]:
        slug = request.query_params.get("city") or remembered_city(request)
        return await shared_page(request, lambda unsent: _emergency(unsent, slug), among=slug)


async def _emergency(request: AnyRequest, slug: str) -> Response[str]:
    """Return the page; without a city that is known, or a position, it asks for a city."""
    database = services(request).database
    city = await city_named(database, slug) if slug else None
    near = Filters.read(request.query_params, today_in(request, city)).near
    found: list[Record] = []
    if near:
        latitude, longitude = map(float, near.split(","))
        found = await database.fetch(queries.near, latitude, longitude, _SHOWN)
    elif city:
        found = await database.fetch(queries.in_city, city["city_id"], city["latitude"], city["longitude"], _SHOWN)
    cities, _ = await known_names(request)
    return page(
        request,
        "found/emergency.html",
        city=None if near else city,
        near=near,
        clinics=found,
        cities=cities,
        all_path="/in/" + city["slug"] + "/hospital" if city else "",
        city_path=lambda one: f"/emergency?{urlencode({'city': one['slug']})}",
        name_of=language_of(request).known_name,
    )
