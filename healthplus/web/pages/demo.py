"""The page that stands for every phone and mailbox of a demo; there only where messages are not sent."""

from __future__ import annotations

from litestar import Controller, Response, get

from healthplus.notices.sender import SANDBOX_MESSAGES_MAX, queries
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import page
from healthplus.web.services import AnyRequest, services


class DemoController(Controller):
    @get("/demo")
    async def messages(self, request: AnyRequest) -> Response[str]:
        rows = await services(request).database.fetch(queries.sandbox_messages, SANDBOX_MESSAGES_MAX)
        headers = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
        return page(request, "demo/messages.html", headers=headers, messages=rows, zone=HOME_ZONE)
