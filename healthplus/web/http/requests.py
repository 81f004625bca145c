"""How requests begin, and how their bodies are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.datastructures.multi_dicts import FormMultiDict
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import HTTPScope

from healthplus.database import forget_changes
from healthplus.errors import BadInput, Malformed
from healthplus.web.services import AnyRequest, services

BODY_BYTES_MAX = 16 * 1024
IS_HEAD = "is_head"
"""In the state of a request that was HEAD: it is answered like a GET that tells nobody that the client was here."""
REQUEST_ID = "request_id"
"""In the state of a request: its id."""
WHOLE_BODY = "whole_body"
"""In the state of a request: its body, where that has been read before the app sees the request."""
_UNREAD_BYTES_MAX = 1024 * 1024
_READING = ("GET", "HEAD", "OPTIONS")


async def begin_request(request: Request[Any, Any, State]) -> None:
    """Before each request: it has changed nothing yet. Raises DiskFull where it may, and there is no room for that.

    No guard, for each of which Litestar copies the route; and asynchronous, or Litestar runs it in a thread.
    """
    forget_changes()
    require_space(request)


def require_space(request: AnyRequest) -> None:
    """Raise DiskFull for a request that may change something when there is no room for changes."""
    if request.method not in _READING:
        services(request).database.space.require_for_changes()


def is_head(request: AnyRequest) -> bool:
    """Return whether a request answered like a GET was HEAD."""
    return IS_HEAD in request.scope["state"]


def first_header(scope: HTTPScope, name: str) -> str | None:
    """Return the first header of that name, which is given in any case, or None; it makes no object of all of them."""
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for found, value in scope["headers"] if found == wanted), None)


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON must fit the handler's type exactly: "3" is no number, and unknown fields are refused."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in parts; all ways to read it come here. Raises RequestEntityTooLarge or Malformed."""
        try:
            async for part in super().stream():
                yield part
        except InternalServerException:
            # Litestar's name for a client that went away: no fault of ours, and nothing to log.
            raise Malformed("The body ended too early.") from None
        except RequestEntityTooLarge:
            # The server hangs up once we have answered, and a client that is still sending then never sees the answer.
            unread = _UNREAD_BYTES_MAX
            while unread > 0 and (event := await self.receive())["type"] == "http.request":
                unread -= len(event["body"])
                if not event["more_body"]:
                    break
            raise

    async def body(self) -> bytes:
        """Return the body. Raises what `stream` raises."""
        whole: bytes | None = self.scope["state"].get(WHOLE_BODY)
        return await super().body() if whole is None else whole

    async def form(self) -> FormMultiDict:
        """Return the fields of the form in the body, none if it is no form. Raises Malformed for what is no text."""
        try:
            return await super().form()
        except (ValueError, LookupError):  # bytes that are not in their encoding; an encoding that nobody knows
            raise Malformed("The form is not text in UTF-8.") from None

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`. Raises BadInput, or Malformed for what is no JSON."""
        field = self.route_handler.parsed_data_field
        assert field is not None
        try:
            return _decoder(field.annotation).decode(await self.body())
        except msgspec.ValidationError as error:
            raise BadInput(f"{error}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The body is not JSON in UTF-8.") from None


@lru_cache
def _decoder(body_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body_type)
