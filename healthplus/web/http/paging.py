"""Lists in pages: the two parameters, and the links to other pages (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from litestar.params import QueryParameter

from healthplus.web.services import AnyRequest

RESULTS_PER_PAGE_MAX = 30
PAGE_MAX = 66
"""About 2,000 results. Few read so far, and the further the page, the more rows are read and not shown."""
_LINKS_BYTES_MAX = 4_000

Page: TypeAlias = Annotated[int, QueryParameter(ge=1, le=PAGE_MAX, description=f"A whole number from 1 to {PAGE_MAX}.")]
ResultsPerPage: TypeAlias = Annotated[
    int,
    QueryParameter(ge=1, le=RESULTS_PER_PAGE_MAX, description=f"A whole number from 1 to {RESULTS_PER_PAGE_MAX}."),
]

_T = TypeVar("_T")


def limit_and_offset(page: int, results_per_page: int) -> tuple[int, int]:
    """Return a query's LIMIT and OFFSET: one row more than a page shows, which says whether there is a next page."""
    return results_per_page + 1, (page - 1) * results_per_page


def page_and_links(
    request: AnyRequest, page: int, results_per_page: int, rows: Sequence[_T]
) -> tuple[Sequence[_T], dict[str, str]]:
    """Return which of the rows the page shows, and a Link header to the first, previous and next page.

    `rows` were read by `limit_and_offset`. The links are the request's own path and query with another `page`, without
    scheme and host, so that they hold behind any proxy; there is none where the query is longer than proxies pass on.
    """
    pages = {"first": 1}
    if page > 1:
        pages["prev"] = page - 1
    if len(rows) > results_per_page and page < PAGE_MAX:
        pages["next"] = page + 1
    path = quote(request.scope["path"])
    query = [pair for pair in parse_qsl(request.scope["query_string"].decode("latin-1"), True) if pair[0] != "page"]
    links = ", ".join(f'<{path}?{urlencode([*query, ("page", number)])}>; rel="{rel}"' for rel, number in pages.items())
    return rows[:results_per_page], {"Link": links} if len(links) <= _LINKS_BYTES_MAX else {}
