"""Entity tags: a client that has a document already is answered without it."""

from __future__ import annotations

import hashlib
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from litestar import MediaType, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter

IfNoneMatch: TypeAlias = Annotated[str | None, HeaderParameter(name="If-None-Match")]
NOT_MODIFIED = {304: ResponseSpec(None, description="It is what If-None-Match names.", generate_examples=False)}

_T = TypeVar("_T")


def etag_response(
    document: _T, if_none_match: str | None, cache_control: str, headers: dict[str, str] | None = None
) -> Response[_T]:
    """Answer with a document and its ETag; with 304 and no document where `if_none_match` has that tag."""
    content = msgspec.json.encode(document)
    etag = etag_of(content)
    headers = {"ETag": etag, "Cache-Control": cache_control, **(headers or {})}
    if etag_matches(if_none_match, etag):
        return Response(content=None, status_code=304, headers=headers)  # type: ignore[arg-type]
    return Response(content=content, media_type=MediaType.JSON, headers=headers)  # type: ignore[arg-type]


def etag_of(content: bytes) -> str:
    """Return the tag of a document, or of all that it depends on."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Return whether an If-None-Match header names a tag."""
    if if_none_match is None:
        return False
    # Weak comparison, as RFC 9110 has it for this header: a proxy that compresses makes our tag a weak one.
    return if_none_match.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
