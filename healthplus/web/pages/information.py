from __future__ import annotations

from functools import partial

from litestar import Controller, Response, get

from healthplus.web.pages.rendering import page
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest


class InformationController(Controller):
    @get("/help")
    async def help(self, request: AnyRequest) -> Response[bytes]:
        return await shared_page(request, partial(_page, "information/help.html"))

    @get("/accessibility")
    async def accessibility(self, request: AnyRequest) -> Response[bytes]:
        return await shared_page(request, partial(_page, "information/accessibility.html"))


async def _page(template: str, request: AnyRequest) -> Response[str]:
    return page(request, template)
