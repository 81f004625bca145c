"""How a provider's ratings are summed up."""

from __future__ import annotations

import shutil
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import healthplus.database
from healthplus.database import Database, migrate

MIGRATIONS = Path(healthplus.database.__file__).with_name("migrations")

# How many gave 1, 2, 3, 4 and 5 stars.
VOTES = st.tuples(*[st.integers(0, 3) | st.integers(0, 10_000)] * 5).filter(any)
EXAMPLES = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def summed(votes: tuple[int, ...]) -> tuple[int, int]:
    return sum(stars * count for stars, count in enumerate(votes, start=1)), sum(votes)


async def scores(db: Database, *totals: tuple[int, int]) -> list[float]:
    rows = await db.fetch(
        """SELECT directory.rating_score(total, count) AS score
        FROM unnest($1::integer[], $2::integer[]) WITH ORDINALITY AS given (total, count, place) ORDER BY place""",
        [total for total, _ in totals],
        [count for _, count in totals],
    )
    return [row["score"] for row in rows]


@EXAMPLES
@given(votes=VOTES, stars=st.integers(1, 4))
async def test_a_score_follows_the_stars(db: Database, votes: tuple[int, ...], stars: int) -> None:
    total, count = summed(votes)
    more, same, again_5, again_1 = await scores(
        db, (total + stars + 1, count + 1), (total + stars, count + 1), (total + 5, count + 1), (total + 1, count + 1)
    )
    (score,) = await scores(db, (total, count))
    assert more > same
    assert again_1 < score < again_5
    # Between the mean and what is presumed of everybody.
    assert min(total / count, 3.5) - 1e-6 <= score <= max(total / count, 3.5) + 1e-6


@EXAMPLES
@given(count=st.integers(200, 100_000), excess=st.integers(0, 50_000))
async def test_one_who_is_delighted_does_not_outrank_two_hundred_who_are_pleased(
    db: Database, count: int, excess: int
) -> None:
    total = min(5 * count, -(-count * 9 // 2) + excess)  # a mean of 4.5 or more
    one, many, nobody = await scores(db, (5, 1), (total, count), (0, 0))
    assert nobody == 3.5 < one < many


@EXAMPLES
@given(votes=VOTES)
async def test_the_mean_is_shown_to_one_decimal(db: Database, votes: tuple[int, ...]) -> None:
    total, count = summed(votes)
    mean = await db.fetch_value("SELECT directory.rating_mean($1, $2)", total, count)
    assert mean == float((Decimal(total) / count).quantize(Decimal("0.1"), ROUND_HALF_UP))


async def test_nobody_has_no_mean(db: Database) -> None:
    assert await db.fetch_value("SELECT directory.rating_mean(0, 0) IS NULL")


async def test_what_imports_had_brought_vanishes(blank_dsn: str, tmp_path: Path) -> None:
    before = tmp_path / "database" / "migrations"
    before.mkdir(parents=True)
    (ours,) = MIGRATIONS.glob("*_reviews.sql")
    for path in MIGRATIONS.glob("*.sql"):
        if path.name < ours.name:
            shutil.copy(path, before)
    await migrate(blank_dsn, tmp_path, areas=())
    async with await Database.connect(blank_dsn, min_size=1, max_size=1) as db:
        await db.execute(
            """INSERT INTO directory.provider (identifier, type, name, rating, rating_count)
            VALUES ('a', 'doctor', 'A', 4.6, 210), ('b', 'doctor', 'B', NULL, 0)"""
        )
    await migrate(blank_dsn)
    async with await Database.connect(blank_dsn, min_size=1, max_size=1) as db:
        rows = await db.fetch("SELECT name, rating_total, rating_count FROM directory.provider ORDER BY name")
        assert [tuple(row) for row in rows] == [("A", 0, 0), ("B", 0, 0)]
