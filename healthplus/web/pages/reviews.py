"""Report a review: it is hidden until somebody of ours has looked at it."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.database import Record
from healthplus.errors import TooManyReports
from healthplus.reviews.reviews import report_review, visible_review
from healthplus.web.http.ids import ProviderId
from healthplus.web.pages.addresses import report_path
from healthplus.web.pages.rendering import language_of, page, see_other
from healthplus.web.pages.session import require_patient
from healthplus.web.services import AnyRequest, services


class ReportController(Controller):
    path = "/doctor/{provider_id:int}/review/{review_id:uuid}/report"

    @get()
    async def ask(self, request: AnyRequest, provider_id: ProviderId, review_id: FromPath[UUID]) -> Response[str]:
        require_patient(request)
        is_done = "done" in request.query_params  # then the review cannot be read any more
        database = services(request).database
        return _page(request, provider_id, None if is_done else await visible_review(database, provider_id, review_id))

    @post()
    async def report(self, request: AnyRequest, provider_id: ProviderId, review_id: FromPath[UUID]) -> Response[str]:
        patient_id = require_patient(request).patient_id
        database = services(request).database
        try:
            await report_review(database, provider_id, review_id, patient_id)
        except TooManyReports as error:
            said = language_of(request).gettext("You have reported several reviews today. Try again tomorrow.")
            review = await visible_review(database, provider_id, review_id)
            return _page(request, provider_id, review, error.status, said)
        return see_other(request, f"{report_path(provider_id, review_id)}?done=1")


def _page(
    request: AnyRequest, provider_id: int, review: Record | None, status: int = 200, error: str | None = None
) -> Response[str]:
    return page(
        request,
        "directory/report.html",
        status=status,
        provider_id=provider_id,
        review=review,
        error=error,
        back=f"/doctor/{provider_id}?about=1",
    )
