"""The pages' scripts, styles and pictures, read once at the start; their URLs change with their contents.

Browsers also ask for two pictures by names of their own choice, which pages do not give.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from litestar import Response, get
from litestar.params import FromPath

from healthplus.errors import NotFound
from healthplus.web.http.encodings import takes_gzip
from healthplus.web.services import AnyRequest

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
_ASKED_FOR_BY_NAME = {"/favicon.ico": "favicon.ico", "/apple-touch-icon.png": "touch.png"}
_BY_NAME_SECONDS = 86_400
"""How long browsers may keep these pictures, whose addresses stay the same when they change."""


_SHARED = {"directory": ("find/40-find.css", "find/42-map.css")}
"""What a sheet has of another's folder."""


class _Asset(NamedTuple):
    media_type: str
    body: bytes
    gzipped: bytes
    etag: str


def _read() -> dict[str, _Asset]:
    # One style sheet for one request: what all pages have, with what one kind of them has, and then what is for large
    # text. What only staff see is a second one, which for the day sheet has more. The board's has nothing of others.
    last = _FOLDER / "css/75-large-text.css"
    for_all = [path for path in sorted(_FOLDER.glob("css/*.css")) if path != last]
    sheets = {"app": [*for_all, last]}
    for folder in _FOLDER.glob("css/*/"):
        own = sorted(folder.glob("*.css"))
        also = [_FOLDER / "css" / name for name in _SHARED.get(folder.name, ())]
        sheets[folder.name] = own if folder.name in ("office", "board") else [*for_all, *also, *own, last]
    sheets["day"] = [*sheets["office"], *sorted(_FOLDER.glob("css/day/*.css"))]
    bodies = {f"{name}.css": _compact(b"".join(path.read_bytes() for path in paths)) for name, paths in sheets.items()}
    bodies |= {
        path.name: _without_comments(path.read_bytes(), rb"(?m)^\s*(//.*|/\*\*.*\*/)$")
        for path in sorted(_FOLDER.glob("js/*.js"))
    }
    for path in sorted((*_FOLDER.glob("*.svg"), *_FOLDER.glob("pictures/*"))):
        bodies[path.name] = path.read_bytes()
    return {
        name: _Asset(
            _TYPES[Path(name).suffix],
            body,
            gzip.compress(body, mtime=0),
            f'"{hashlib.sha256(body).hexdigest()[:16]}"',
        )
        for name, body in bodies.items()
    }


def _compact(css: bytes) -> bytes:
    """Return a style sheet without its comments, and without white space where that means nothing."""
    body = re.sub(rb"\s+", b" ", re.sub(rb"(?s)/\*.*?\*/", b"", css))
    # A colon is left alone outside of declarations: `.deep :focus` is not `.deep:focus`.
    body = re.sub(rb"([{;][a-z0-9-]+):\s", rb"\1:", re.sub(rb"\s*([{};,])\s*", rb"\1", body))
    return body.replace(b";}", b"}").strip()


def _without_comments(body: bytes, pattern: bytes) -> bytes:
    """Return a file without its comments and indentation, which are a seventh of what would be sent."""
    return re.sub(rb"\n\s+", b"\n", re.sub(pattern, b"", body))


ASSETS = _read()
# One version for all: scripts import each other by relative URLs, so they must share one folder.
_VERSION = hashlib.sha256(b"".join(asset.etag.encode() for asset in ASSETS.values())).hexdigest()[:12]


def asset_url(name: str) -> str:
    """Return the URL of a script, style or picture. Raises KeyError where there is none of that name."""
    ASSETS[name]
    return f"/static/{_VERSION}/{name}"


@get("/static/{version:str}/{name:str}", include_in_schema=False)
async def asset(request: AnyRequest, version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    if name not in ASSETS:
        raise NotFound
    # While a new version is rolled out, its pages may reach a process of the old one: that answers with its own file,
    # which nobody may store.
    is_known = version == _VERSION
    return _answer(request, name, "public, max-age=31536000, immutable" if is_known else "no-store")


@get(list(_ASKED_FOR_BY_NAME), include_in_schema=False)
async def picture_by_name(request: AnyRequest) -> Response[bytes]:
    return _answer(request, _ASKED_FOR_BY_NAME[request.url.path], f"public, max-age={_BY_NAME_SECONDS}")


def _answer(request: AnyRequest, name: str, cache_control: str) -> Response[bytes]:
    found = ASSETS[name]
    headers = {
        "Cache-Control": cache_control,
        "ETag": found.etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    body = found.body
    if takes_gzip(request) and len(found.gzipped) < len(found.body):
        headers["Content-Encoding"] = "gzip"
        body = found.gzipped
    return Response(body, headers=headers, media_type=found.media_type)


@get("/push.js", include_in_schema=False)
async def service_worker() -> Response[bytes]:
    """Return the script that shows notices; where it stands says which pages it is for, and they are all."""
    return Response(
        ASSETS["push.js"].body,
        headers={
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
        media_type="text/javascript",
    )
