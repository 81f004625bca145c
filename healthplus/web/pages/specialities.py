"""A page for each speciality, with the cities that have providers of it, and one that lists all specialities."""

from __future__ import annotations

from litestar import Controller, Response, get
from litestar.params import FromPath

from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.web.languages import Language
from healthplus.web.pages.addresses import speciality_path
from healthplus.web.pages.rendering import language_of, moved, page
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services


class SpecialitiesController(Controller):
    @get("/specialities")
    async def all(self, request: AnyRequest) -> Response[bytes]:
        return await shared_page(request, _all)

    @get("/speciality/{slug:str}")
    async def one(self, request: AnyRequest, slug: FromPath[str]) -> Response[bytes]:
        return await shared_page(request, lambda unsent: _one(unsent, slug))


async def _all(request: AnyRequest) -> Response[str]:
    language = language_of(request)
    had = [row for row in await services(request).browse.specialities.get() if row["providers"]]
    return page(request, "found/specialities.html", specialities=by_name(language, "speciality", had))


async def _one(request: AnyRequest, slug: str) -> Response[str]:
    browse = services(request).browse
    speciality = await browse.speciality_named(slug)
    if speciality is None:
        raise NotFound
    if speciality["slug"] != slug:
        return moved(request, speciality_path(speciality["slug"]))
    cities = await browse.speciality_cities(slug)
    return page(request, "found/speciality.html", speciality=speciality, cities=cities)


def by_name(language: Language, kind: str, rows: list[Record]) -> list[Record]:
    """Return cities or specialities in the order of their names in a language."""
    return sorted(rows, key=lambda row: language.known_name(kind, row["name"]))
