"""Fetch what stands at an address that somebody else wrote down: from the public network alone, and no more than asked.

A file may name any address. It must not lead to what only this machine or its network can reach, whether it says so, or
a name or a redirect leads there. So each name is looked up here, all its addresses are checked, and one of them is
connected to: a second look-up might say something else.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TypeAlias
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from healthplus.errors import BadInput
from healthplus.network import is_public

_REDIRECTS_MAX = 3
_SECONDS_MAX = 15
_HEAD_BYTES_MAX = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_HTTPS = 443

_Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]


async def _look_up(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, _HTTPS, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True)
class Fetcher:
    """Fetches over HTTPS; the fields are for tests."""

    resolve: _Resolve = _look_up
    is_allowed: Callable[[str], bool] = is_public
    port: int = _HTTPS
    context: ssl.SSLContext | None = None
    seconds_max: float = _SECONDS_MAX

    async def fetch(self, url: str, bytes_max: int) -> bytes:
        """Return the body at an address, after three redirects at most. Raises BadInput with the reason."""
        try:
            async with asyncio.timeout(self.seconds_max):
                for _ in range(_REDIRECTS_MAX + 1):
                    answer = await self._ask(_parts(url), bytes_max)
                    if answer.status not in _REDIRECTS:
                        return _content(answer, bytes_max)
                    url = urljoin(url, answer.getheader("Location", ""))
        except TimeoutError:
            raise BadInput(f"it took longer than {self.seconds_max:.0f} seconds") from None
        except (OSError, ValueError, http.client.HTTPException, asyncio.IncompleteReadError) as error:
            raise BadInput(f"it could not be fetched ({type(error).__name__})") from error
        raise BadInput(f"it was redirected more than {_REDIRECTS_MAX} times")

    async def _ask(self, parts: SplitResult, bytes_max: int) -> http.client.HTTPResponse:
        host = (parts.hostname or "").encode("idna").decode()
        addresses = await self.resolve(host)
        if not addresses or not all(map(self.is_allowed, addresses)):
            raise BadInput("its address is not a public one")
        reader, writer = await asyncio.open_connection(
            addresses[0], self.port, ssl=self.context or ssl.create_default_context(), server_hostname=host
        )
        try:
            target = quote(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", safe="/%:=&?~+!$,;'@()*-._")
            writer.write(
                f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: HealthPlus\r\n"
                "Accept: image/webp, image/jpeg, image/png\r\n\r\n".encode("ascii")
            )
            await writer.drain()
            received = bytearray()
            while (part := await reader.read(65536)) and len(received) <= bytes_max + _HEAD_BYTES_MAX:
                received += part
        finally:
            writer.transport.abort()
        response = http.client.HTTPResponse(_Received(bytes(received)))  # type: ignore[arg-type]
        response.begin()
        return response


class _Received:
    """What was received, for a parser that expects a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._content)


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.port not in (None, _HTTPS):
        raise BadInput("its address must be https://, a name, and a path")
    return parts


def _content(answer: http.client.HTTPResponse, bytes_max: int) -> bytes:
    if answer.status != http.HTTPStatus.OK:
        raise BadInput(f"the answer was {answer.status}")
    if (answer.length or 0) > bytes_max:
        raise BadInput(f"it is larger than {bytes_max // 1024**2} MB")
    content = answer.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise BadInput(f"it is larger than {bytes_max // 1024**2} MB")
    if answer.length:
        raise BadInput("the answer broke off")
    return content
