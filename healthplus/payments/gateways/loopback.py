"""An HTTP client for a server on this machine that answers with whole bodies, over kept connections without TLS.

It costs a fifth of what a general client does, and knows no redirects, chunks or pipelining. A request is sent once:
when its connection breaks, nobody knows whether it was heeded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple, cast
from urllib.parse import quote, urlsplit

_HEADER_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CLOSES = b"\r\nconnection: close"
_STATUS = slice(9, 12)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = b""
        self.idle_since = 0.0

    def request(self, raw: bytes, seconds_max: float | None = None) -> asyncio.Future[Answer]:
        """Send a request; await the result for its answer.

        Raises ConnectionError when the connection is lost, TimeoutError when there is no answer within `seconds_max`,
        ValueError for an answer that this client does not understand. The connection is closed after each of these.
        """
        assert self._answer is None
        self._answer = self._loop.create_future()
        if seconds_max is not None:
            self._timer = self._loop.call_later(seconds_max, self._end, TimeoutError())
        self._transport.write(raw)
        return self._answer

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def close(self) -> None:
        """Close the connection, also while a request is under way, which is then lost."""
        self._end(ConnectionAbortedError("The connection was closed."))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        end = received.find(_HEADER_END)
        if end < 0:
            return
        head = received[: end + 2].lower()
        try:
            length_at = head.index(_LENGTH) + len(_LENGTH)
            size = end + len(_HEADER_END) + int(head[length_at : head.index(b"\r", length_at)])
            answer = Answer(int(head[_STATUS]), received[end + len(_HEADER_END) : size])
        except ValueError as error:
            self._end(error)
            return
        if len(received) < size:
            return
        if len(received) > size or _CLOSES in head:
            self._transport.close()
        self._received = b""
        self._resolve(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._resolve(ConnectionResetError(f"The server closed the connection: {error}"))

    def _end(self, error: Exception) -> None:
        self._transport.abort()
        self._resolve(error)

    def _resolve(self, answer: Answer | Exception) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._answer = self._answer, None
        if waiting is None or waiting.done():
            return
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)


async def connect(host: str, port: int) -> Connection:
    """Open a connection. Raises OSError."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
    return connection


class LoopbackClient:
    """Asks one server, over as many connections as there are requests at once."""

    def __init__(self, url: str, answer_seconds_max: float, keep_seconds: float) -> None:
        """`url`: of the server, as in http://127.0.0.1:8200. `keep_seconds`: how long a connection may lie idle.

        That must be shorter than the server's own time, so that it never hangs up just as it is asked again.
        """
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        self._answer_seconds_max = answer_seconds_max
        self._keep_seconds = keep_seconds
        self._idle: deque[Connection] = deque()
        self._loop = asyncio.get_running_loop()

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Return the answer to one request, which is never sent again. Raises OSError and ValueError."""
        give_up_at = self._loop.time() + self._answer_seconds_max
        raw = f"{method} {quote(path, safe='/:')} {self._head}{len(body)}\r\n\r\n".encode() + body
        connection = self._kept()
        if connection is None:
            async with asyncio.timeout_at(give_up_at):
                connection = await connect(self._host, self._port)
        try:
            answer = await connection.request(raw, give_up_at - self._loop.time())
        except BaseException:  # also when the caller gives up: the answer must not be the next one's
            connection.close()
            raise
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        return answer

    def _kept(self) -> Connection | None:
        oldest_since = self._loop.time() - self._keep_seconds
        while self._idle and self._idle[0].idle_since < oldest_since:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # it is then that they are closed
