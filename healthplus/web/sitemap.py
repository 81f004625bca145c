"""What search engines ask for: which addresses there are, in both languages, and which they need not look at.

A part of the list is a range of ids, so that each is read by one look into an index, whatever its number. It has no
dates of change: the directory does not know when a provider changed. See https://www.sitemaps.org/protocol.html.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import NamedTuple
from xml.sax.saxutils import escape

from litestar import Response, get
from litestar.params import FromPath

from healthplus.database import Record
from healthplus.errors import NotFound
from healthplus.search.browse import queries
from healthplus.web.http.encodings import takes_gzip
from healthplus.web.languages import LANGUAGES
from healthplus.web.pages.addresses import about_path, clinic_path, results_path, speciality_path
from healthplus.web.pages.rendering import document
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_reads import SharedReads

_KEEP_SECONDS = 3600.0
"""How old a part may be: here, and in the caches of those who read it."""
_CACHE_CONTROL = f"public, max-age={_KEEP_SECONDS:.0f}"
_PARTS_KEPT, _BYTES_KEPT = 16, 8 * 1024 * 1024
_WRITTEN_AT_ONCE = 500
"""So many pages are written before other requests have their turn."""

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
_PAGES_HEAD = f'{_HEAD}<urlset {_NAMESPACE} xmlns:xhtml="http://www.w3.org/1999/xhtml">\n'

_GENERAL = ("/", "/specialities", "/help", "/accessibility")

# Crawlers may follow every link: searches and days of charts are without number, and all of them show what the pages
# in the list show.
_ROBOTS = """User-agent: *
Disallow: /api/
Disallow: /find
Disallow: /hi/find
Disallow: /*?*day=
Disallow: /*?*start=
Disallow: /*?*service=
Sitemap: {site}/sitemap.xml
"""
_ROBOTS_OF_A_DEMO = "User-agent: *\nDisallow: /\n"


class _Kind(NamedTuple):
    """A kind of pages: a part of the list has those of `ids` ids in a row; `query` reads them, `paths` has the rows'.

    The greatest part is to have less than 50,000 addresses, in two languages.
    """

    id_name: str
    ids: int
    query: str
    paths: Callable[[Record], Iterable[str]]


def _city_paths(row: Record) -> Iterable[str]:
    return (results_path(row["slug"], speciality) for speciality in row["specialities"])


_KINDS = {
    "providers": _Kind(
        "provider_id", 10_000, queries.bookable_providers, lambda row: [about_path(row["id"], row["name"])]
    ),
    "clinics": _Kind("clinic_id", 10_000, queries.bookable_clinics, lambda row: [clinic_path(row["id"], row["name"])]),
    "cities": _Kind("city_id", 5, queries.city_specialities, _city_paths),
}


@get("/robots.txt", include_in_schema=False)
async def robots(request: AnyRequest) -> Response[bytes]:
    where = site(request)
    text = _ROBOTS_OF_A_DEMO if where.shows_codes else _ROBOTS.format(site=where.url)
    return document(request, text.encode(), "text/plain; charset=utf-8", headers={"Cache-Control": _CACHE_CONTROL})


@get("/sitemap.xml", include_in_schema=False)
async def sitemap(request: AnyRequest) -> Response[bytes]:
    async def write() -> bytes:
        highest = await services(request).database.fetch_row(queries.highest_ids)
        assert highest is not None
        parts = [
            f"{name}-{number}"
            for name, kind in _KINDS.items()
            if (last := highest[kind.id_name]) is not None
            for number in range(last // kind.ids + 1)
        ]
        base = escape(site(request).url)
        found = "".join(f"<sitemap><loc>{base}/sitemap/{part}.xml</loc></sitemap>\n" for part in ("pages", *parts))
        return _gzipped([f"{_HEAD}<sitemapindex {_NAMESPACE}>\n{found}</sitemapindex>\n"])

    return await _answer(request, "index", write)


@get("/sitemap/{part:str}", include_in_schema=False)
async def sitemap_part(request: AnyRequest, part: FromPath[str]) -> Response[bytes]:
    if part == "pages.xml":
        return await _answer(request, part, lambda: _general(request))
    found = re.fullmatch(r"(\w+)-(0|[1-9][0-9]{0,9})\.xml", part)
    if found is None or found[1] not in _KINDS:
        raise NotFound
    kind, number = _KINDS[found[1]], int(found[2])

    async def write() -> bytes:
        begins = number * kind.ids
        rows = await services(request).database.fetch(kind.query, begins, begins + kind.ids)
        return await _pages(request, (path for row in rows for path in kind.paths(row)))

    return await _answer(request, part, write)


async def _general(request: AnyRequest) -> bytes:
    """Return the part that has the pages of which there are few: besides others, cities and specialities."""
    browse = services(request).browse
    paths = [*_GENERAL]
    paths += (speciality_path(row["slug"]) for row in await browse.specialities.get() if row["providers"])
    for row in await browse.cities.get():
        needs = ("", *(kind for kind, providers in row["providers"].items() if providers))
        paths += (results_path(row["slug"], need) for need in needs)
    return await _pages(request, paths)


async def _pages(request: AnyRequest, paths: Iterable[str]) -> bytes:
    """Return the part of the list that has these pages, given by their paths in English, in each language."""
    base = escape(site(request).url)
    texts = [_PAGES_HEAD]
    entries = (_entry(base, path) for path in paths)
    while batch := "".join(islice(entries, _WRITTEN_AT_ONCE)):
        texts.append(batch)
        await asyncio.sleep(0)
    return await asyncio.to_thread(_gzipped, [*texts, "</urlset>\n"])


def _entry(base: str, path: str) -> str:
    addresses = {language.code: f"{base}{language.url(path)}" for language in LANGUAGES}
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{code}" href="{address}"/>' for code, address in addresses.items()
    )
    return "".join(f"<url><loc>{address}</loc>{links}</url>\n" for address in addresses.values())


def _gzipped(texts: Iterable[str]) -> bytes:
    return gzip.compress("".join(texts).encode(), mtime=0)


async def _answer(request: AnyRequest, name: str, write: Callable[[], Awaitable[bytes]]) -> Response[bytes]:
    """Return a part, which is kept compressed."""
    body = await services(request).sitemap.read(name, write, seconds=_KEEP_SECONDS, size=len)
    headers = {"Cache-Control": _CACHE_CONTROL, "Vary": "Accept-Encoding"}
    if takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return document(request, body, "application/xml", headers=headers)


def kept_parts() -> SharedReads:
    """Return what keeps the parts of one process."""
    return SharedReads(reads_max=_PARTS_KEPT, bytes_max=_BYTES_KEPT)
