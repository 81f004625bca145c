"""What patients who came say of providers: read by all, reported by any patient, and then shown or hidden by us."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from uuid import UUID

from healthplus.country import HERE
from healthplus.database import Database, Record, load
from healthplus.errors import NotFound, TooManyReports
from healthplus.refusals import refused

queries = load(Path(__file__).with_name("queries.sql"))

REVIEWS_A_PAGE = 5


async def reviews_of(database: Database, provider_id: int, limit: int, offset: int) -> list[Record]:
    """Return visible reviews of a provider, the latest first: review_id, stars, text, and the first of its month."""
    return await database.fetch(queries.reviews, provider_id, limit, offset, HERE.time_zone)


async def visible_review(database: Database, provider_id: int, review_id: UUID) -> Record:
    """Return a review of a provider, as `reviews_of` does. Raises NotFound, also where it is not visible."""
    row = await database.fetch_row(queries.visible_review, provider_id, review_id, HERE.time_zone)
    if row is None:
        raise NotFound
    return row


async def report_review(database: Database, provider_id: int, review_id: UUID, patient_id: int) -> None:
    """Hide a review until somebody of ours has looked at it. A repeat changes nothing.

    Raises NotFound, or TooManyReports.
    """
    match await database.fetch_value(queries.report_review, provider_id, review_id, patient_id):
        case "not_found":
            raise NotFound
        case "too_many":
            refused.count("reports")
            raise TooManyReports


async def reviews_to_look_at(database: Database, *, everything: bool) -> list[Record]:
    """Return fifty reviews that were reported and not looked at since, the oldest first, or the latest of all."""
    return await database.fetch(queries.reviews_to_look_at, everything)


async def judge(database: Database, review_id: UUID, verdict: Literal["shown", "hidden"]) -> None:
    """Note that somebody has looked at a review, and whether it may be read. Raises NotFound."""
    if await database.execute(queries.judge, review_id, verdict) == "UPDATE 0":
        raise NotFound("There is no such review; `healthplus review list` shows the ids.")
