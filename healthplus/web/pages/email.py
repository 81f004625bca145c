"""Where the link leads that is sent to a patient's e-mail address."""

from __future__ import annotations

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
        return page(request, "privacy/email.html", is_over=False)

    @post()
    async def verify(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request, f"/email?{request.url.query}")
        try:
            await services(request).emails.verify(session.patient_id, request.query_params.get("token", ""))
        except LinkOver as error:
            return page(request, "privacy/email.html", status=error.status, is_over=True)
        return see_other(request, "/email/verified")

    @get("/verified")
    async def verified(self, request: AnyRequest) -> Response[str]:
        require_patient(request)
        return page(request, "privacy/email_verified.html")
