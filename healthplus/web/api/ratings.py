"""A patient's rating of a provider after an appointment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from healthplus.reviews.ratings import own_rating, rate
from healthplus.web.api.keys import needs_key
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS
from healthplus.web.http.actor import require_patient
from healthplus.web.http.ids import ProviderId
from healthplus.web.services import AnyRequest, services

Stars = Annotated[int, Meta(ge=1, le=5, description="Whole ones.")]


class RatingRequest(Struct, forbid_unknown_fields=True):
    """What I think of the provider."""

    stars: Stars


class Rated(Struct):
    """My stars, and the mean of everybody's for this provider, with how many have rated."""

    stars: Stars
    rating: float
    rating_count: int


class MyRating(Rated):
    """My stars, the appointment after which I last rated, and when."""

    appointment_id: UUID
    rated_at: datetime


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
        provider = await rate(services(request).database, provider_id, appointment_id, patient_id, data.stars)
        return Rated(data.stars, provider.mean, provider.count)

    @get(responses=READ_PROBLEMS)
    async def read(self, request: AnyRequest, provider_id: ProviderId, appointment_id: FromPath[UUID]) -> MyRating:
        """Read my rating of an appointment's provider, whichever appointment I gave it after."""
        patient_id = await require_patient(request)
        own = await own_rating(services(request).database, provider_id, appointment_id, patient_id)
        return MyRating(own.stars, own.provider.mean, own.provider.count, own.booking_id, own.rated_at)
