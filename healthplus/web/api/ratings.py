"""A patient's rating of a provider after an appointment, and what all may read of such."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from healthplus.reviews.ratings import TEXT_MAX, own_rating, rate
from healthplus.reviews.reviews import report_review, reviews_of
from healthplus.web.api.keys import needs_key
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS
from healthplus.web.http.actor import require_patient
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.http.ids import ProviderId
from healthplus.web.http.paging import Page, ResultsPerPage, limit_and_offset, page_and_links
from healthplus.web.services import AnyRequest, services

Stars = Annotated[int, Meta(ge=1, le=5, description="Whole ones.")]


class RatingRequest(Struct, forbid_unknown_fields=True):
    """What I think of the provider. All can read `text`, without my name: "" takes it back, null leaves it."""

    stars: Stars
    text: Annotated[str, Meta(max_length=10_000, description=f"At most {TEXT_MAX} letters.")] | None = None


class Rated(Struct):
    """My stars, and the mean of everybody's for this provider, with how many have rated."""

    stars: Stars
    rating: float
    rating_count: int


class MyRating(Rated):
    """My stars, the appointment after which I last rated, and when; and my `text`, if there is one.

    All can read it while its `text_state` is new or shown; nobody can while it is reported, until somebody has looked
    at it, or hidden.
    """

    appointment_id: UUID
    rated_at: datetime
    text: str | None
    text_state: str | None


class Review(Struct):
    """What a patient who came says of a provider; `month` is when, as in 2026-11."""

    id: UUID
    stars: Stars
    text: str
    month: str


class RatingsController(Controller):
    path = "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/rating"
    tags = ("Ratings",)
    security = ({"token": []},)

    @put(
        responses={status: PROBLEMS[status] for status in (400, 401, 404, 409, 422, 503)},
        **needs_key("book"),
    )
    async def rate(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        appointment_id: FromPath[UUID],
        data: JSONBody[RatingRequest],
    ) -> Rated:
        """Rate the provider after an appointment of mine; this replaces my earlier rating of them, if any.

        It needs no Idempotency-Key: a repeat changes nothing.
        """
        patient_id = await require_patient(request)
        provider = await rate(
            services(request).database, provider_id, appointment_id, patient_id, data.stars, data.text
        )
        return Rated(data.stars, provider.mean, provider.count)

    @get(responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, provider_id: ProviderId, appointment_id: FromPath[UUID]) -> MyRating:
        """Read my rating of an appointment's provider, whichever appointment I gave it after."""
        patient_id = await require_patient(request)
        own = await own_rating(services(request).database, provider_id, appointment_id, patient_id)
        return MyRating(
            own.stars,
            own.provider.mean,
            own.provider.count,
            own.booking_id,
            own.rated_at,
            own.text,
            own.review_state,
        )


class ReviewsController(Controller):
    path = "/providers/{provider_id:int}/reviews"
    tags = ("Ratings",)

    @get(responses={status: PROBLEMS[status] for status in (400, 503)})
    async def reviews(
        self, request: AnyRequest, provider_id: ProviderId, page: Page = 1, results_per_page: ResultsPerPage = 20
    ) -> Response[list[Review]]:
        """List what patients who came say of a provider, the latest first; the Link header leads to other pages."""
        limit, offset = limit_and_offset(page, results_per_page)
        rows = await reviews_of(services(request).database, provider_id, limit, offset)
        shown, links = page_and_links(request, page, results_per_page, rows)
        reviews = [Review(row["review_id"], row["stars"], row["text"], f"{row['month']:%Y-%m}") for row in shown]
        return JsonAnswer(reviews, headers=links)

    @put(
        "/{review_id:uuid}/report",
        status_code=204,
        responses={status: PROBLEMS[status] for status in (400, 401, 404, 429, 503)},
        **needs_key("book"),
    )
    async def report(self, request: AnyRequest, provider_id: ProviderId, review_id: FromPath[UUID]) -> None:
        """Report a review: nobody can read it until somebody has looked at it. A repeat changes nothing."""
        patient_id = await require_patient(request)
        await report_review(services(request).database, provider_id, review_id, patient_id)
