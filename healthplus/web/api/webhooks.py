"""Events that the payment gateway sends, and replies that the SMS relay passes on."""

from __future__ import annotations

from litestar import Controller, post
from litestar.params import FromPath
from msgspec import Struct

from healthplus.web.api.problems import PROBLEMS
from healthplus.web.services import AnyRequest, services

WEBHOOK_BYTES_MAX = 256 * 1024
REPLY_BYTES_MAX = 8 * 1024


class Taken(Struct):
    """The event is stored, and need not be sent again."""

    status: str = "taken"


class WebhooksController(Controller):
    path = "/webhooks"
    tags = ("Webhooks",)

    @post(
        "/payments",
        status_code=200,
        request_max_body_size=WEBHOOK_BYTES_MAX,
        responses={status: PROBLEMS[status] for status in (400, 403, 404, 503)},
    )
    async def payments(self, request: AnyRequest) -> Taken:
        """Receive an event from the sandbox's bank, which signs it: a gateway has no token and no developer key."""
        await services(request).payments.webhooks.receive(request.headers, await request.body())
        return Taken()

    @post(
        "/payments/{account:str}",
        status_code=200,
        request_max_body_size=WEBHOOK_BYTES_MAX,
        responses={status: PROBLEMS[status] for status in (400, 403, 404, 503)},
    )
    async def account_payments(self, request: AnyRequest, account: FromPath[str]) -> Taken:
        """Receive an event of an account's gateway, which signs it."""
        await services(request).payments.webhooks.receive(request.headers, await request.body(), account)
        return Taken()

    @post(
        "/sms",
        status_code=200,
        request_max_body_size=REPLY_BYTES_MAX,
        responses={status: PROBLEMS[status] for status in (400, 403, 503)},
    )
    async def sms(self, request: AnyRequest) -> Taken:
        """Receive a patient's reply from the SMS relay, which signs it in `Signature`. It cancels nothing."""
        signature = request.headers.get("signature", "")
        await services(request).preferences.take_reply(signature, await request.body())
        return Taken()
