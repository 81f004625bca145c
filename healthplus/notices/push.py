"""Web push: shows notices on a patient's devices, by the push services of their browsers."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from healthplus.database import Database, Record, load
from healthplus.errors import BadInput, NoticeRefused, NoticeUndelivered
from healthplus.network import is_public
from healthplus.notices.sender import SECONDS_MAX, Push, error_of_status
from healthplus.notices.web_push import (
    CLIENT_SECRET_BYTES,
    PUBLIC_KEY_BYTES,
    authorization,
    encrypt,
    from_text,
    private_key_of,
    public_bytes,
    require_public_key,
    to_text,
)
from healthplus.settings import Settings

queries = load(Path(__file__).with_name("queries.sql"))

DEVICES_MAX = 10
"""How many devices of a patient are kept; the latest ones stay."""
_SECONDS_KEPT = 3600
"""How long a push service keeps a message for a device that is off: what it says may not be true any more then."""
_ENDPOINT_LENGTH_MAX = 1000
_GONE = (404, 410)


class Subscription(msgspec.Struct, frozen=True):
    """A browser's push subscription: the address that messages go to, and the keys that encrypt them."""

    endpoint: str
    client_key: bytes
    client_secret: bytes

    @classmethod
    def read(cls, endpoint: str, p256dh: str, auth: str) -> Self:
        """Return the subscription that a browser's form has. Raises BadInput."""
        try:
            parts = urlsplit(endpoint)
            client_key = from_text(p256dh, PUBLIC_KEY_BYTES)
            require_public_key(client_key)
            found = cls(endpoint, client_key, from_text(auth, CLIENT_SECRET_BYTES))
            is_address = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
        except ValueError:
            is_address = False
        if not is_address or len(endpoint) > _ENDPOINT_LENGTH_MAX or not endpoint.isascii() or is_private(endpoint):
            raise BadInput("This is no push subscription of a browser.")
        return found


def is_private(endpoint: str) -> bool:
    """Return whether an address has a number for a host, and that is none of the public network."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or "." not in host


class PublicResolver(AbstractResolver):
    """Finds hosts as usual, but none of our own network: a patient's browser says where we are to send to."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        public = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, proto, _, address in found
            if is_public(str(address[0]))
        ]
        if not public:
            raise OSError(f"{host} is nowhere in the public network")
        return public

    async def close(self) -> None:
        pass


class WebPushSender:
    """A PushSender; to be used within `async with`. `connector` leads to servers, by default of the public network."""

    def __init__(self, database: Database, settings: Settings, connector: aiohttp.BaseConnector | None = None) -> None:
        assert settings.push_key is not None
        self._database = database
        self._key = private_key_of(settings.push_key)
        self._contact = f"mailto:{settings.mail_from}" if settings.mail_from else settings.site_url
        self._connector = connector
        self.public_key = to_text(public_bytes(self._key))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector or aiohttp.TCPConnector(resolver=PublicResolver()),
            timeout=aiohttp.ClientTimeout(total=SECONDS_MAX),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, message: Push, /) -> None:
        devices = await self._database.fetch(queries.push_subscriptions, message.patient_id)
        payload = msgspec.json.encode(
            {"text": message.text, "path": message.path, "language": message.language, "tag": message.id}
        )
        results = await asyncio.gather(*(self._send(device, payload, message.id) for device in devices))
        if gone := [
            device["subscription_id"] for device, result in zip(devices, results, strict=True) if result is None
        ]:
            await self._remove(gone)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            # The devices that have it already show it once: what comes again takes its place.
            raise next((one for one in failures if not isinstance(one, NoticeRefused)), failures[0])
        if not any(result is True for result in results):
            raise NoticeRefused("The patient has no device any more that shows notices.")

    async def _remove(self, gone: list[UUID]) -> None:
        await self._database.execute(queries.remove_gone_subscriptions, gone)

    async def _send(self, device: Record, payload: bytes, message_id: str) -> bool | Exception | None:
        """Return whether a device's push service took a message, why not, or None where the device is gone."""
        endpoint = device["endpoint"]
        if is_private(endpoint):
            return None
        headers = {
            "Authorization": authorization(
                self._key,
                endpoint,
                self._contact,
                int(time.time()) + 12 * 3600,  # noqa: TID251 - the push service's clock, not the product's
            ),
            "Content-Encoding": "aes128gcm",
            "TTL": str(_SECONDS_KEPT),
            "Urgency": "high",
            "Topic": message_id,
        }
        body = encrypt(payload, device["client_key"], device["client_secret"])
        try:
            async with self._session.post(endpoint, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError) as error:  # OSError includes TimeoutError
            return NoticeUndelivered(f"A push service could not be reached ({type(error).__name__}).")
        if status in _GONE:
            return None
        return True if 200 <= status < 300 else error_of_status("A push service", status)
