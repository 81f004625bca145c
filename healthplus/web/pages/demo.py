"""The page that stands for every phone and mailbox of a demo, and says what to try; only where nothing is sent."""

from __future__ import annotations

import re

from litestar import Controller, Response, get

from healthplus.errors import NotFound
from healthplus.notices.sender import SANDBOX_MESSAGES_MAX, queries
from healthplus.settings import has_own_host
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import page
from healthplus.web.pages.session import Site
from healthplus.web.services import AnyRequest, services

_HINDI = re.compile(r"[\u0900-\u097f]")


class DemoController(Controller):
    @get("/demo")
    async def messages(self, request: AnyRequest) -> Response[str]:
        site: Site = request.app.state.site
        if not has_own_host(request.headers.get("host", ""), site.url):
            raise NotFound  # a site that somebody visits could read the codes else
        rows = await services(request).database.fetch(queries.sandbox_messages, SANDBOX_MESSAGES_MAX)
        messages = [{**row, "language": "hi" if _HINDI.search(row["text"]) else "en"} for row in rows]
        headers = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
        return page(
            request, "demo/messages.html", headers=headers, messages=messages, guide=site.demo_guide, zone=HOME_ZONE
        )
