"""Pictures of providers and clinics: what is at an address never changes, so each browser fetches it once."""

from __future__ import annotations

import re

from litestar import Response, get
from litestar.params import FromPath

from healthplus.directory.photos import photo
from healthplus.errors import NotFound
from healthplus.web.http.etags import etag_matches
from healthplus.web.services import AnyRequest, services

_NAME = re.compile(r"([0-9a-f]{32})-(96|320|640)\.webp")
_KEEP_SECONDS = 600.0


@get("/photo/{name:str}", include_in_schema=False)
async def photo_file(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise NotFound
    content_hash, size = found[1], int(found[2])
    app = services(request)
    webp = await app.reads.read(
        ("photo", name), lambda: photo(app.database, content_hash, size), seconds=_KEEP_SECONDS, size=len
    )
    etag = f'"{content_hash}-{size}"'
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(b"", status_code=304, headers=headers, media_type="image/webp")
    return Response(webp, headers=headers, media_type="image/webp")
