from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from litestar import Controller, Response, get

from healthplus.database import Database, Record, load
from healthplus.web.languages import N_
from healthplus.web.pages.addresses import results_path
from healthplus.web.pages.free_times import Day, Location, by_day, next_times
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.pages.searches import remembered_city
from healthplus.web.pages.session import queries, session_of
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.pages.specialities import by_name
from healthplus.web.services import AnyRequest, services

home_queries = load(Path(__file__).with_name("home.sql"))

_CITIES_MAX = 40
_SPECIALITIES_MAX = 60
_KEEP_SECONDS = 60.0
"""How long the names are kept: counting a large directory takes a while, and they change rarely."""
_SEEN_BEFORE_MAX = 2


class Tile(NamedTuple):
    """A speciality that most look for, by a word of everyday, with its drawing."""

    slug: str
    drawing: str
    text: str


_TILES = (
    Tile("general-medicine", "general", N_("General physician")),
    Tile("dermatology", "skin", N_("Skin")),
    Tile("dentistry", "teeth", N_("Teeth")),
    Tile("paediatrics", "child", N_("Children")),
    Tile("gynaecology-and-obstetrics", "women", N_("Women’s health")),
    Tile("ophthalmology", "eye", N_("Eyes")),
    Tile("orthopaedics", "bone", N_("Bones, joints")),
    Tile("cardiology", "heart", N_("Heart")),
)


class HomeController(Controller):
    @get("/")
    async def home(self, request: AnyRequest) -> Response[bytes]:
        app, session = services(request), session_of(request)
        cities, _ = await known_names(request)
        slug = remembered_city(request)
        here = next((one for one in cities if one["slug"] == slug), None)
        return await shared_page(
            request,
            lambda unsent: _home(unsent, here),
            among=here and here["slug"],
            appointments=await app.privacy.booked_ahead(session.patient_id) if session else [],
            seen_before=await _seen_before(app.database, session.patient_id) if session else [],
        )


async def _home(request: AnyRequest, here: Record | None) -> Response[str]:
    """Return the page of those who looked in a city last, or of those who have not looked in any."""
    cities, specialities = await known_names(request)
    language = language_of(request)
    known = {one["slug"] for one in specialities}
    return page(
        request,
        "home/home.html",
        here=here,
        tiles=[one for one in _TILES if one.slug in known],
        cities=cities,
        specialities=by_name(language, "speciality", specialities),
    )


async def known_names(request: AnyRequest) -> tuple[list[Record], list[Record]]:
    """Return the cities and specialities to choose from, as they were at most a minute ago."""
    app = services(request)
    return await app.reads.read("names", lambda: _names(app.database), seconds=_KEEP_SECONDS)


async def popular_needs(request: AnyRequest, city: Record | None) -> list[tuple[str, str]]:
    """Return what most look for, as the home page has it, in a city or anywhere: texts and addresses."""
    _, specialities = await known_names(request)
    known = {one["slug"] for one in specialities}
    return [
        (
            language_of(request).gettext(one.text),
            results_path(city["slug"], one.slug) if city else f"/find?need={one.slug}",
        )
        for one in _TILES
        if one.slug in known
    ]


async def _names(database: Database) -> tuple[list[Record], list[Record]]:
    """Return the cities and specialities to choose from."""
    cities = await database.fetch(queries.cities, _CITIES_MAX)
    specialities = await database.fetch(queries.specialities, _SPECIALITIES_MAX)
    return cities, specialities


async def _seen_before(database: Database, patient_id: int) -> list[tuple[Record, list[Day]]]:
    """Return whom a patient has seen, with the next free times there."""
    seen = await database.fetch(home_queries.seen_before, patient_id, _SEEN_BEFORE_MAX)
    times = await next_times(database, [Location(row["provider_id"], row["clinic_id"]) for row in seen])
    return [(row, by_day(times[row["provider_id"], row["clinic_id"]], row["time_zone"])) for row in seen]
