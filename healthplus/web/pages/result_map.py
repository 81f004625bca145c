"""The drawing of where a search's results are, with what is around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from healthplus.database import Record
from healthplus.errors import DatabaseBusy
from healthplus.search.find import city_named
from healthplus.web.languages import Language
from healthplus.web.pages.plot import Plot, plot
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.searches import Search
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest, services


async def result_map(
    request: AnyRequest, search: Search, rows: list[Record], centre: tuple[float, float] | None
) -> Plot | None:
    """Return where results are; `centre` is from where distances are measured, if anywhere. None: nobody knows."""
    positions = [(row["latitude"], row["longitude"]) if row["latitude"] is not None else None for row in rows]
    around = await _around(request, search, rows)
    return plot(
        positions,
        site(request).map_tiles,
        centre=centre if search.is_located else None,
        around=around,
        centre_name=middle_name(language_of(request), search),
    )


def middle_name(language: Language, search: Search) -> str:
    """Return what distances of a search are measured from."""
    _ = language.gettext
    if search.filters.near or search.postal_code:
        return _("You") if search.filters.near else search.place
    city = {"city": language.known_name("city", search.city["name"])} if search.city else {}
    return _("Middle of %(city)s") % city if city else ""


async def _around(request: AnyRequest, search: Search, rows: list[Record]) -> list[tuple[str, float, float]]:
    """Return the parts of the one city that results are in, or else these cities, where their results are."""
    slugs = {row["city_slug"] for row in rows}
    if len(slugs) != 1:
        return list(_cities(language_of(request), rows))
    city = search.city or await city_named(services(request).database, slugs.pop())
    contents = await contents_of_city(request, city["city_id"]) if city else None
    parts = contents["parts"] if contents else ()
    return [(one["name"], one["latitude"], one["longitude"]) for one in parts if one["latitude"] is not None]


def _cities(language: Language, rows: Iterable[Record]) -> Iterator[tuple[str, float, float]]:
    placed = [row for row in rows if row["latitude"] is not None]
    for name in dict.fromkeys(row["city_name"] for row in placed):
        here = [row for row in placed if row["city_name"] == name]
        latitude, longitude = (sum(row[axis] for row in here) / len(here) for axis in ("latitude", "longitude"))
        yield language.known_name("city", name), latitude, longitude


async def contents_of_city(request: AnyRequest, city_id: int) -> Record | None:
    """Return what there is in a city; None where counting it takes too long now: the results are what is asked for."""
    try:
        return await services(request).browse.city_contents(city_id)
    except DatabaseBusy:
        return None
