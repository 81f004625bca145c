"""How the bodies of requests are read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from healthplus.database import forget_changes
from healthplus.errors import BadInput, Malformed

BODY_BYTES_MAX = 16 * 1024
_UNREAD_BYTES_MAX = 1024 * 1024


async def begin_request(_: Request[Any, Any, State]) -> None:
    """Before each request: it has changed nothing yet."""
    forget_changes()


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON must fit the handler's type exactly: "3" is no number, and unknown fields are refused."""

    async def body(self) -> bytes:
        """Return the whole body. Raises RequestEntityTooLarge or Malformed."""
        try:
            return await super().body()
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
