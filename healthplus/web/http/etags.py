"""Answers that a client need not be sent twice."""

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


def tagged(
    document: _T, if_none_match: str | None, cache_control: str, headers: dict[str, str] | None = None
) -> Response[_T]:
    """Answer with a document and a tag of its content; or, to a client that has it already, without it."""
    content = msgspec.json.encode(document)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache_control, **(headers or {})}
    if names(if_none_match, etag):
        return Response(content=None, status_code=304, headers=headers)  # type: ignore[arg-type]
    return Response(content=content, media_type=MediaType.JSON, headers=headers)  # type: ignore[arg-type]


def names(if_none_match: str | None, etag: str) -> bool:
    """Tell whether an If-None-Match header names a tag."""
    if if_none_match is None:
        return False
    # Weak comparison, as RFC 9110 has it for this header: a proxy that compresses makes our tag a weak one.
    return if_none_match.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
