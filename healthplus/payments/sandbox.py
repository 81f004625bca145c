"""The gateway for trials: asks the sandbox bank (bank.py), a process of its own in which no money moves."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Self

import aiohttp
import msgspec

from healthplus.errors import BadInput, BadSignature, PaymentUnavailable
from healthplus.payments.gateway import Authorisation, Declined, Event, Fact, Money, Pending

METHODS = ("sandbox-ok", "sandbox-later", "sandbox-declined", "sandbox-unreachable")
"""What a patient may pay with: money without end; the same, some seconds later; a refused card; a bank out of order."""
SIGNATURE = "Bank-Signature"
TOLERANCE_SECONDS = 300
ANSWER_SECONDS_MAX = 5.0
_KEEP_SECONDS = 15  # less than the bank does: it must never hang up just as we ask again

_Text = Annotated[str, msgspec.Meta(pattern="^[ -~]{1,200}$")]


class Authorised(msgspec.Struct, omit_defaults=True):
    """How the bank answers who wants money set aside: one of these."""

    authorisation: str | None = None
    declined: str | None = None
    url: str | None = None


class Told(msgspec.Struct):
    """What the bank's webhooks say."""

    id: _Text
    type: str
    key: _Text
    authorisation: _Text
    amount_paise: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class _State(msgspec.Struct):
    state: Money


def sign(secret: str, body: bytes, at: float) -> str:
    """Give the signature of a body sent at a time, in seconds since 1970."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={int(at)},v1={digest}"


class SandboxGateway:
    """A Gateway; to be used within `async with`."""

    methods: tuple[str, ...] = METHODS

    def __init__(self, url: str, webhook_secret: str | None, answer_seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._url = url
        self.pages = url
        self._secret = webhook_secret
        self._answer_seconds_max = answer_seconds_max

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_KEEP_SECONDS),
            timeout=aiohttp.ClientTimeout(total=self._answer_seconds_max),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def authorise(
        self, key: str, amount_paise: int, method: str, back_to: str = ""
    ) -> Authorisation | Declined | Pending:
        wanted = {"key": key, "amount_paise": amount_paise, "method": method, "back_to": back_to}
        answer = msgspec.json.decode(await self._ask("POST", "/payments", wanted), type=Authorised)
        if answer.declined is not None:
            return Declined(answer.declined)
        if answer.url is not None:
            return Pending(answer.url)
        assert answer.authorisation is not None
        return Authorisation(answer.authorisation)

    async def capture(self, authorisation: str, amount_paise: int) -> Money:
        return await self._step(authorisation, "capture", {"amount_paise": amount_paise})

    async def void(self, authorisation: str) -> Money:
        return await self._step(authorisation, "void", {})

    async def refund(self, authorisation: str) -> Money:
        return await self._step(authorisation, "refund", {})

    async def fetch(self, key: str) -> list[Fact]:
        return msgspec.json.decode(await self._ask("GET", f"/payments/{key}"), type=list[Fact])

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        signature = headers.get(SIGNATURE.lower(), "")
        at = signature.removeprefix("t=").partition(",")[0]
        if not self._secret or not re.fullmatch("[0-9]{1,12}", at):
            raise BadSignature
        # The stamp is of the bank's own clock, not the product's. A caller who may be anybody costs no query.
        if abs(time.time() - int(at)) > TOLERANCE_SECONDS:  # noqa: TID251
            raise BadSignature
        if not hmac.compare_digest(sign(self._secret, body, int(at)).encode(), signature.encode()):
            raise BadSignature
        try:
            told = msgspec.json.decode(body, type=Told)
            state = msgspec.convert(told.type.removeprefix("payment."), Money)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # signed, so meant for someone; not for us
        return Event(told.id, told.key, Fact(told.authorisation, state, told.amount_paise))

    async def _step(self, authorisation: str, step: str, body: dict[str, int]) -> Money:
        answer = await self._ask("POST", f"/payments/{authorisation}/{step}", body)
        return msgspec.json.decode(answer, type=_State).state

    async def _ask(self, method: str, path: str, body: object = None) -> bytes:
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(method, f"{self._url}{path}", data=data) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PaymentUnavailable from error
        if response.status == 422:
            raise BadInput(answer.decode())
        if response.status != 200:
            raise PaymentUnavailable(answer.decode() if response.status in (404, 409) else None)
        return answer
