"""A load client that costs little, as it shares the machine with what it measures: HTTP/1.1 over kept connections."""

from __future__ import annotations

import asyncio

import msgspec

from healthplus.payments.gateways import loopback
from healthplus.payments.gateways.loopback import Answer

__all__ = [
    "DEVELOPER_KEY", "Answer", "Connection", "Shown", "connect", "delete", "get", "percentile_ms", "post", "show",
]  # fmt: skip


class Shown(msgspec.Struct):
    """What a bench reads of an answer's document; the rest is skipped."""

    id: str = ""
    state: str = ""
    code: str = ""
    can_wait: bool = False
    retry_after: int = 0
    alternatives: list[str] = []


show = msgspec.json.Decoder(Shown).decode


class Connection(loopback.Connection):
    """One connection to the app; one request at a time. `answered_at`: when the last answer began to come."""

    answered_at: float

    def close(self) -> None:
        """Close the connection once what was written has been sent."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self.answered_at = self._loop.time()
        super().data_received(data)


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
