from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from healthplus.errors import NotFound
from healthplus.search.find import Asked, Order, city_named, find
from healthplus.search.spelling import did_you_mean
from healthplus.web.api.paging import PAGE_MAX, window
from healthplus.web.pages.rendering import page as render_page
from healthplus.web.services import AnyRequest, services

_CARDS = 10
_TEXT_MAX = 200
_ORDERS = {"best": Order.BEST, "rating": Order.RATING_DESC, "date": Order.DATE_ASC}

Text = Annotated[str, QueryParameter(max_length=_TEXT_MAX)]
Sort = Annotated[str, QueryParameter(max_length=20)]
PageNumber = Annotated[int, QueryParameter(name="page", ge=1, le=PAGE_MAX)]


class FindController(Controller):
    @get("/find")
    async def find(
        self, request: AnyRequest, need: Text = "", place: Text = "", sort: Sort = "best", number: PageNumber = 1
    ) -> Response[str]:
        return await _results(request, "/find", need, place, sort, number)

    @get("/in/{slug:str}")
    async def in_city(
        self, request: AnyRequest, slug: FromPath[str], need: Text = "", sort: Sort = "best", number: PageNumber = 1
    ) -> Response[str]:
        if await city_named(services(request).database, slug) is None:
            raise NotFound
        return await _results(request, f"/in/{slug}", need, slug, sort, number)


async def _results(request: AnyRequest, path: str, need: str, place: str, sort: str, number: int) -> Response[str]:
    database = services(request).database
    city = await city_named(database, place) if place else None
    # What is no city may be a part of one, or a postal code: search understands both as words.
    keyword = need if city or not place else f"{need} {place}"
    asked = Asked(keyword=keyword, city=place if city else "", order=_ORDERS.get(sort, Order.BEST))
    limit, skip = window(number, _CARDS)
    rows = await find(database, asked, skip, limit)
    meant = [] if rows or not keyword else await did_you_mean(database, keyword, city["city_id"] if city else None)
    return render_page(
        request,
        "find/results.html",
        need=need,
        place=place,
        where=place if city is None else city["name"],
        sort=sort if sort in _ORDERS else "best",
        sorts=list(_ORDERS),
        rows=rows[:_CARDS],
        meant=meant,
        number=number,
        has_more=len(rows) > _CARDS,
        here=path,
    )
