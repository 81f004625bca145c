"""Rate providers by stars, and say why: only patients who came can, and each has one rating a provider."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from healthplus.database import Database, load
from healthplus.errors import BadInput, NotFound, NotFulfilled
from healthplus.text import is_name, line

queries = load(Path(__file__).with_name("queries.sql"))

TEXT_MAX = 500


class ProviderRating(msgspec.Struct, frozen=True):
    """A provider's ratings: the mean of their stars, to one decimal, and how many there are."""

    mean: float
    count: int


class OwnRating(msgspec.Struct, frozen=True):
    """One patient's rating of a provider: 1 to 5 stars, for which booking, and when; and what they say, if anything.

    `review_state`: what they say can be seen by all while it is new or shown, and not while it is reported or hidden.
    """

    booking_id: UUID
    stars: int
    rated_at: datetime
    provider: ProviderRating
    text: str | None
    review_state: str | None


async def rate(
    database: Database, provider_id: int, booking_id: UUID, patient_id: int, stars: int, text: str | None = None
) -> ProviderRating:
    """Store a patient's 1 to 5 stars for the provider of their own booking, in place of an earlier rating.

    `text`: what they say of the provider, in place of what they said before; "" takes that back, None leaves it. Raises
    BadInput, NotFound, or NotFulfilled when the appointment has not taken place.
    """
    said = checked_text(text or "")
    async with database.transaction() as transaction:
        row = await transaction.fetch_row(queries.rate, provider_id, booking_id, patient_id, stars)
        assert row is not None
        if text is not None and row["code"] == "rated":
            await transaction.execute(queries.write_review, provider_id, patient_id, said)
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
    return OwnRating(
        row["booking_id"],
        row["stars"],
        row["rated_at"],
        ProviderRating(row["mean"], row["rating_count"]),
        row["text"],
        row["review_state"],
    )


def checked_text(text: str) -> str | None:
    """Return what is said of a provider, on one line, or None where that is nothing. Raises BadInput."""
    said = line(text)
    if said and not is_name(said, TEXT_MAX):
        raise BadInput(f"Write at most {TEXT_MAX} letters.")
    return said or None


def _not_fulfilled(state: str) -> NotFulfilled:
    if state in ("booked", "arrived"):
        return NotFulfilled(state=state)
    return NotFulfilled(
        f"This visit did not take place: it is {state.replace('_', ' ')}; rate one that did.", state=state
    )
