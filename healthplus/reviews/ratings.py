"""Stars for a provider, from patients who have had a visit there: at most one rating a patient and provider."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from healthplus.database import Database, load
from healthplus.errors import NotFound, NotFulfilled

queries = load(Path(__file__).with_name("queries.sql"))


class ProviderRating(msgspec.Struct, frozen=True):
    """What all patients together say of a provider: the mean of their stars, to one decimal, and how many they are."""

    mean: float
    count: int


class OwnRating(msgspec.Struct, frozen=True):
    """What one patient says of a provider: 1 to 5 stars, after which visit, and when."""

    booking_id: UUID
    stars: int
    rated_at: datetime
    provider: ProviderRating


async def rate(database: Database, provider_id: int, booking_id: UUID, patient_id: int, stars: int) -> ProviderRating:
    """Keep 1 to 5 stars for the provider of a patient's own visit, instead of what they gave before.

    Raises NotFound, or NotFulfilled when the visit has not taken place.
    """
    row = await database.fetch_row(queries.rate, provider_id, booking_id, patient_id, stars)
    assert row is not None
    if row["code"] == "not_found":
        raise NotFound
    if row["code"] == "not_fulfilled":
        raise _not_fulfilled(row["state"])
    return ProviderRating(row["mean"], row["rating_count"])


async def own_rating(database: Database, provider_id: int, booking_id: UUID, patient_id: int) -> OwnRating:
    """Give what a patient says of the provider of a visit of theirs that took place, whichever they said it after.

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
