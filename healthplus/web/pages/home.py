from __future__ import annotations

from litestar import Controller, Response, get

from healthplus.database import Database, Record
from healthplus.web.languages import Language
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.pages.session import queries, session_of
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services

_CITIES_MAX = 40
_SPECIALITIES_MAX = 60
_KEEP_SECONDS = 60.0
"""How long the names are kept: counting a large directory takes a while, and they change rarely."""


class HomeController(Controller):
    @get("/")
    async def home(self, request: AnyRequest) -> Response[bytes]:
        session = session_of(request)
        appointments = await services(request).privacy.booked_ahead(session.patient_id) if session else []
        return await shared_page(request, _home, appointments=appointments)


async def _home(request: AnyRequest) -> Response[str]:
    app, language = services(request), language_of(request)
    cities, specialities = await app.reads.read("names", lambda: _names(app.database), seconds=_KEEP_SECONDS)
    return page(
        request,
        "home/home.html",
        cities=_by_name(language, "city", cities),
        specialities=_by_name(language, "speciality", specialities),
    )


async def _names(database: Database) -> tuple[list[Record], list[Record]]:
    """Return the cities and specialities to choose from."""
    cities = await database.fetch(queries.cities, _CITIES_MAX)
    specialities = await database.fetch(queries.specialities, _SPECIALITIES_MAX)
    return cities, specialities


def _by_name(language: Language, kind: str, rows: list[Record]) -> list[Record]:
    return sorted(rows, key=lambda row: language.known_name(kind, row["name"]))
