"""Pages that many viewers share: each is made for nobody, once a second, with holes for what is a viewer's own.

What a hole shows is a template of its own, which the page's template names by `personal`. Bodies are compressed once,
too: the texts between the holes are kept compressed, and what fills the holes is put between them as it is.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, NamedTuple, Self

from litestar import MediaType, Response
from litestar.utils.scope.state import ScopeState

from healthplus.web.http.encodings import takes_gzip
from healthplus.web.pages.rendering import HOLE, MADE_FOR_NOBODY, fragments
from healthplus.web.pages.session import has_just_changed
from healthplus.web.services import AnyRequest, services

_GZIP_LEVEL = 6
"""As in `routes.py`, which compresses all other pages."""
_GZIP_FROM_BYTES = 500
"""As Litestar does by default."""
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The head of a file in gzip's format: deflated, without a name or a time."""
_GZIP_LAST_BLOCK = b"\x03\x00"
"""An empty block that says that it is the last."""
_STORED_MAX = 0xFFFF
"""The most bytes of a stored block."""

_HEADERS = [(b"host", b"localhost")]
"""Those of a request that nobody sent: there is no address without a host, and no page shows it."""
_HOLES = re.compile(HOLE % r"([\w/.]+)")


class SharedPage(NamedTuple):
    """A page as it is for everybody: texts, plain and deflated, and between two of them what fills the hole there."""

    status: int
    headers: dict[str, str]
    texts: list[bytes]
    deflated: list[bytes]
    holes: list[str]

    @classmethod
    def of(cls, response: Response[str]) -> Self:
        """Return a page, or a redirect, that was made for nobody."""
        status = response.status_code or 200
        assert status < 400
        assert not response.cookies
        parts = _HOLES.split(response.content)
        texts = [text.encode() for text in parts[::2]]
        return cls(status, dict(response.headers), texts, _deflated(texts), parts[1::2])

    @property
    def size(self) -> int:
        return sum(map(len, self.texts)) + sum(map(len, self.deflated))

    def plain(self, fillings: list[bytes]) -> bytes:
        return b"".join(_between(self.texts, fillings))

    def gzipped(self, fillings: list[bytes]) -> bytes:
        """Return the page in gzip's format (RFC 1952): what fills holes is stored in it without being compressed."""
        crc = size = 0
        for part in _between(self.texts, fillings):
            crc = zlib.crc32(part, crc)
            size += len(part)
        blocks = _between(self.deflated, list(map(_stored, fillings)))
        return b"".join((_GZIP_HEAD, *blocks, _GZIP_LAST_BLOCK, crc.to_bytes(4, "little"), size.to_bytes(4, "little")))


async def shared_page(
    request: AnyRequest,
    make: Callable[[AnyRequest], Awaitable[Response[str]]],
    among: Hashable = None,
    **own: object,
) -> Response[bytes]:
    """Return the page at the address of this request, from what was made for all in the last second.

    `make` makes it, for a request with the same address that nobody sent: it carries no header and no session. Only
    templates that the page's template names with `personal` see who asks; `own` are more values for them. `among` says
    with whom the page is shared, where that is not everybody: what else than the address `make` makes it of.
    A viewer who has just changed something gets a page that was begun after that.
    """

    async def read() -> SharedPage:
        return SharedPage.of(await make(_from_nobody(request)))

    key = SharedPage, request.scope["path"], request.scope["query_string"], among
    found = await services(request).reads.read(key, read, afresh=has_just_changed(request), size=lambda page: page.size)
    fillings = [text.encode() for text in fragments(request, found.holes, **own)]
    headers = {**found.headers, "Vary": f"{found.headers['Vary']}, Accept-Encoding"}
    is_gzipped = sum(map(len, found.texts)) >= _GZIP_FROM_BYTES and takes_gzip(request)
    if is_gzipped:
        headers["Content-Encoding"] = "gzip"
    ScopeState.from_scope(request.scope).is_cached = True  # so that Litestar does not compress it
    body = found.gzipped(fillings) if is_gzipped else found.plain(fillings)
    return Response(body, status_code=found.status, media_type=MediaType.HTML, headers=headers)


def _from_nobody(request: AnyRequest) -> AnyRequest:
    """Return a request for the same address without anything that tells who sent it."""
    scope: Any = {**request.scope, "headers": _HEADERS, "client": None, "state": {MADE_FOR_NOBODY: True}}
    return type(request)(scope)


def _between(texts: list[bytes], fillings: list[bytes]) -> Iterable[bytes]:
    for text, filling in zip(texts, fillings, strict=False):
        yield text
        yield filling
    yield texts[-1]


def _deflated(texts: list[bytes]) -> list[bytes]:
    """Return texts as whole blocks (RFC 1951), none of which refers to what comes before its own text."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return [compressor.compress(text) + compressor.flush(zlib.Z_FULL_FLUSH) for text in texts]


def _stored(data: bytes) -> bytes:
    """Return blocks that hold data as it is."""
    blocks: list[bytes] = []
    for begin in range(0, len(data), _STORED_MAX):
        part = data[begin : begin + _STORED_MAX]
        blocks += (b"\0", len(part).to_bytes(2, "little"), (len(part) ^ _STORED_MAX).to_bytes(2, "little"), part)
    return b"".join(blocks)
