"""Rate providers by stars: only patients whose appointment took place can, and each has one rating a provider."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from healthplus.database import Database, load
from healthplus.errors import NotFound, NotFulfilled

queries = load(Path(__file__).with_name("queries.sql"))


class ProviderRating(msgspec.Struct, frozen=True):
    """A provider's ratings: the mean of their stars, to one decimal, and how many there are."""

    mean: float
    count: int


class OwnRating(msgspec.Struct, frozen=True):
    """One patient's rating of a provider: 1 to 5 stars, for which booking, and when."""

    booking_id: UUID
    stars: int
    rated_at: datetime
    provider: ProviderRating


async def rate(database: Database, provider_id: int, booking_id: UUID, patient_id: int, stars: int) -> ProviderRating:
    """Store a patient's 1 to 5 stars for the provider of their own booking, in place of an earlier rating.

    Raises NotFound, or NotFulfilled when the appointment has not taken place.
    """
    row = await database.fetch_row(queries.rate, provider_id, booking_id, patient_id, stars)
    assert row is not None
    if row["code"] == "not_found":
        raise NotFound
    if row["code"] == "not_fulfilled":
        raise _not_fulfilled(row["state"])
    return ProviderRating(row["mean"], row["rating_count"])


async def own_rating(database: Database, provider_id: int, booking_id: UUID, patient_id: int) -> OwnRating:
    """Return a patient's rating of the provider of a booking of theirs that took place, even if made for another one.

    Raises NotFound.
    """
    row = await database.fetch_row(queries.rating, provider_id, booking_id, patient_id)
    if row is None:
        raise NotFound
    return OwnRating(row["booking_id"], row["stars"], row["rated_at"], ProviderRating(row["mean"], row["rating_count"]))


def _not_fulfilled(state: str) -> NotFulfilled:
    if state in ("booked", "arrived"):
        return NotFulfilled(state=state)
    return NotFulfilled(
        f"This visit did not take place: it is {state.replace('_', ' ')}; rate one that did.", state=state
    )
