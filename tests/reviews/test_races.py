"""Many rate one provider at once, or one does so many times: every rating counts, and counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple
from uuid import UUID

import pytest

from healthplus.accounts.actors import Staff
from healthplus.database import Database
from healthplus.reviews.ratings import queries, rate
from tests.fixtures.environment import ATTENDED
from tests.fixtures.races import Provider, RaceEnvironment, deadlocks, rewrite

PATIENTS = 20
DAWDLE = "PERFORM pg_sleep(0.1);"
TOTALS = """
    SELECT rating_total, rating_count, (SELECT sum(stars) FROM reviews.rating), (SELECT count(*) FROM reviews.rating)
    FROM directory.provider"""


class Visited(NamedTuple):
    """A provider, and each patient's visit there that took place; the next slot is booked, and the one after free."""

    race: RaceEnvironment
    provider: Provider
    visits: list[tuple[int, UUID]]
    booked_id: UUID

    async def rate(self, who: int, stars: int) -> int:
        """Have the patient of a visit give stars; return how many have rated."""
        patient_id, booking_id = self.visits[who]
        rated = await rate(self.race.db, self.provider.provider_id, booking_id, patient_id, stars)
        return rated.count

    async def totals(self) -> tuple[int, int, int, int]:
        """Return total and count, as the provider's row has them and as the ratings make them."""
        row = await self.race.db.fetch_row(TOTALS)
        assert row is not None
        return row[0], row[1], row[2], row[3]


@pytest.fixture
async def visited(dsn: str) -> AsyncIterator[Visited]:
    async with await Database.connect(dsn, min_size=1, max_size=PATIENTS) as database:
        race = await RaceEnvironment.make(database)
        provider = await race.provider(PATIENTS + 2)
        *patients, other = await race.patients(PATIENTS + 1)
        visits = []
        for slot, patient_id in enumerate(patients):
            booking_id = await race.booked(provider, patient_id, slot)
            for state in ATTENDED:
                assert (await race.book.attend(provider.provider_id, booking_id, state, Staff(1))).code == state
            visits.append((patient_id, booking_id))
        yield Visited(race, provider, visits, await race.booked(provider, other, PATIENTS))
    assert await deadlocks(dsn) == 0


async def rate_at_once(visited: Visited, ratings: Sequence[tuple[int, int]]) -> None:
    await asyncio.gather(*(visited.rate(who, stars) for who, stars in ratings))


EACH = [(who, 1 + who % 5) for who in range(PATIENTS)]
ONE = [(0, 1 + number % 5) for number in range(10)]


@pytest.mark.breaks_invariants
async def test_totals_that_are_read_and_written_back_lose_ratings(visited: Visited) -> None:
    await rewrite(
        visited.race.db,
        "reviews.rate",
        (
            "UPDATE directory.provider",
            f"""SELECT provider.rating_total, provider.rating_count INTO rating_total, rating_count
            FROM directory.provider WHERE provider_id = p_provider_id;
            {DAWDLE}
            UPDATE directory.provider""",
        ),
        ("= provider.rating_total +", "= rate.rating_total +"),
        ("= provider.rating_count +", "= rate.rating_count +"),
    )
    await rate_at_once(visited, EACH)
    total, count, stars, ratings = await visited.totals()
    assert (stars, ratings) == (60, PATIENTS)
    assert count < PATIENTS
    assert total < 60


@pytest.mark.breaks_invariants
async def test_a_look_whether_one_has_rated_lets_one_patient_count_twice(visited: Visited) -> None:
    await rewrite(
        visited.race.db,
        "reviews.rate",
        (
            "INSERT INTO reviews.rating",
            f"""SELECT p_stars - coalesce(max(stars), 0), 1 - count(*) INTO more_stars, more_ratings
            FROM reviews.rating WHERE provider_id = p_provider_id AND patient_id = p_patient_id;
            {DAWDLE}
            INSERT INTO reviews.rating""",
        ),
        (
            """RETURNING new.stars - coalesce(old.stars, 0), CASE WHEN old.stars IS NULL THEN 1 ELSE 0 END
    INTO STRICT more_stars, more_ratings""",
            "",
        ),
    )
    await rate_at_once(visited, ONE)
    _, count, _, ratings = await visited.totals()
    assert ratings == 1
    assert count > 1


async def test_every_rating_counts_once(visited: Visited) -> None:
    # All have written their own before any is added up, and one patient's wait for one another.
    await rewrite(visited.race.db, "reviews.rate", ("UPDATE directory.provider", f"{DAWDLE} UPDATE directory.provider"))
    await rate_at_once(visited, EACH)
    assert await visited.totals() == (60, PATIENTS, 60, PATIENTS)
    await rate_at_once(visited, ONE)
    total, count, stars, ratings = await visited.totals()
    assert (total, count, ratings) == (stars, PATIENTS, PATIENTS)
    assert await visited.rate(0, 1) == PATIENTS
    assert await visited.totals() == (60, PATIENTS, 60, PATIENTS)
    await rate_at_once(visited, [(who, 6 - stars) for who, stars in EACH] + [(who, 5) for who, _ in EACH])
    total, count, stars, ratings = await visited.totals()
    assert (total, count, ratings) == (stars, PATIENTS, PATIENTS)


async def test_ratings_and_the_book_do_not_wait_for_each_other(visited: Visited) -> None:
    race, provider = visited.race, visited.provider
    patient_id, booking_id = visited.visits[0]
    async with asyncio.timeout(10):
        async with race.db.transaction() as rating:
            await rating.fetch_row(queries.rate, provider.provider_id, booking_id, patient_id, 5)
            # Only what takes a day's last slot waits, since both then write what search keeps of the provider.
            attended = await race.book.attend(provider.provider_id, visited.booked_id, "arrived", Staff(1))
            assert attended.code == "arrived"
        async with race.gate(provider), race.db.transaction() as verb:
            await verb.execute("SELECT FROM booking.book WHERE provider_id = $1 FOR UPDATE", provider.provider_id)
            assert await visited.rate(1, 4) == 2
