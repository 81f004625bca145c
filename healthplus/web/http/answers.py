"""Answers of the API in JSON, at a third of what a response of Litestar costs, which busy routes would notice."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class JsonAnswer(Response[T]):
    """Answer with a struct or other plain data, as JSON.

    `status_code`: by default that of the route. `headers`: besides those of every answer.
    """

    def __init__(self, content: T, *, status_code: int | None = None, headers: dict[str, str] | None = None) -> None:
        self.content = content
        self.status_code = status_code
        self.headers = headers or {}

    def to_asgi_response(
        self, *_: Any, headers: dict[str, str] | None = None, status_code: int | None = None, **__: Any
    ) -> ASGIResponse:
        """Return the answer as it is sent; `headers` and `status_code` are the route's."""
        return _Sent(self.status_code or status_code or 200, {**(headers or {}), **self.headers}, _encode(self.content))


class _Sent(ASGIResponse):
    """What is sent. Its attributes are those that Litestar reads, set without what its own constructor does."""

    def __init__(self, status_code: int, headers: dict[str, str], body: bytes) -> None:
        self.status_code = status_code
        self.body = body
        self.background = None
        self.is_head_response = False
        self._encoded_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()),
        ]

    def encode_headers(self) -> list[tuple[bytes, bytes]]:
        return self._encoded_headers
