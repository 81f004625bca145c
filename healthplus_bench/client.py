"""A load client that costs little, as it shares the machine with what it measures: HTTP/1.1 over kept connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, cast

import msgspec

_HEADER_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


class Shown(msgspec.Struct):
    """What a bench reads of an answer's document; the rest is skipped."""

    id: str = ""
    state: str = ""
    code: str = ""
    can_wait: bool = False
    retry_after: int = 0
    alternatives: list[str] = []


show = msgspec.json.Decoder(Shown).decode


class Connection(asyncio.Protocol):
    """One connection; one request at a time, without pipelining. `answered_at`: when the last answer began to come."""

    answered_at: float

    def __init__(self) -> None:
        self._answer: asyncio.Future[Answer] | None = None
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def request(self, raw: bytes) -> Awaitable[Answer]:
        """Send a request; await the result for its answer. Raises ConnectionError when the connection is lost."""
        assert self._answer is None
        self._answer = self._loop.create_future()
        self._transport.write(raw)
        return self._answer

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self.answered_at = self._loop.time()
        self._received += data
        end = self._received.find(_HEADER_END)
        if end < 0 or self._answer is None:
            return
        # The app server writes its headers in small letters.
        length_at = self._received.find(_LENGTH, 0, end + 2) + len(_LENGTH)
        length = int(self._received[length_at : self._received.find(b"\r", length_at)])
        body = self._received[end + len(_HEADER_END) :]
        if len(body) < length:
            return
        answer, self._answer = self._answer, None
        status, self._received = int(self._received[9:12]), b""
        if not answer.done():
            answer.set_result(Answer(status, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(f"The app closed a connection: {error}"))


async def connect(port: int) -> Connection:
    """Open a connection to the app on this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


DEVELOPER_KEY = f"hp_{'b' * 43}"
"""The key that a bench's requests carry; environment.sql has the product know it."""


def post(path: str, token: str, key: str, document: object) -> bytes:
    """Return the bytes of a request that changes something."""
    body = msgspec.json.encode(document)
    head = (
        f"POST /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n"
        f"Api-Dev-Key: {DEVELOPER_KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def delete(path: str, token: str, key: str) -> bytes:
    """Return the bytes of a request that releases or leaves something."""
    return (
        f"DELETE /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nApi-Dev-Key: {DEVELOPER_KEY}\r\n\r\n"
    ).encode()


def get(path: str, token: str) -> bytes:
    """Return the bytes of a request that reads."""
    return f"GET /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def percentile_ms(seconds: list[float], percent: float) -> float:
    """Return the smallest of the times that `percent` of them do not exceed, in milliseconds; 0.0 for no times."""
    ordered = sorted(seconds)
    return round(ordered[max(0, -int(-len(ordered) * percent // 100) - 1)] * 1000, 1) if ordered else 0.0
