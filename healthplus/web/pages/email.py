"""Where the link leads that is sent to a patient's e-mail address."""

from __future__ import annotations

from typing import Literal

from litestar import Controller, Response, get, post

from healthplus.errors import LinkOver
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.session import require_patient
from healthplus.web.services import AnyRequest, services


class EmailController(Controller):
    path = "/email"

    @get()
    async def ask(self, request: AnyRequest) -> Response[str]:
        # The link alone does nothing: programs that look through mails open it, and others may read them.
        require_patient(request)
        return _page(request, "ask") if request.query_params.get("token") else _page(request, "incomplete", 400)

    @post()
    async def verify(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request, f"/email?{request.url.query}")
        token = request.query_params.get("token")
        if not token:
            return _page(request, "incomplete", 400)
        try:
            await services(request).emails.verify(session.patient_id, token)
        except LinkOver as error:
            return _page(request, "over", error.status)
        return see_other(request, "/email/verified")

    @get("/verified")
    async def verified(self, request: AnyRequest) -> Response[str]:
        require_patient(request)
        return page(request, "privacy/email_verified.html")


def _page(request: AnyRequest, link: Literal["ask", "incomplete", "over"], status: int = 200) -> Response[str]:
    return page(request, "privacy/email.html", status=status, link=link)
