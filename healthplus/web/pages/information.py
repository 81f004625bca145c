from __future__ import annotations

from litestar import Controller, Response, get

from healthplus.web.pages.rendering import page
from healthplus.web.services import AnyRequest


class InformationController(Controller):
    @get("/help")
    async def help(self, request: AnyRequest) -> Response[str]:
        return page(request, "information/help.html")

    @get("/accessibility")
    async def accessibility(self, request: AnyRequest) -> Response[str]:
        return page(request, "information/accessibility.html")
