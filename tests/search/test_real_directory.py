"""Finding in the real hospital directory."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from healthplus.database import Database
from healthplus.imports.import_file import import_file
from healthplus.search.find import Order, SearchRequest, find
from healthplus.search.spelling import did_you_mean
from healthplus.search.word_counts import count_words

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "nhd_hospitals_india.csv"


async def names(db: Database, request: SearchRequest) -> list[str]:
    return [row["name"] for row in await find(db, request, 0, 500)]


@pytest.mark.long
@pytest.mark.skipif(not REAL.exists(), reason="the hospital directory is not there")
async def test_hospitals_are_found(db: Database) -> None:
    await import_file(db, REAL)
    await count_words(db)
    # There is neither a Jehangir hospital in Pune nor an AIIMS in this directory.
    assert await names(db, SearchRequest(keyword="jehangir pune")) == []
    assert await names(db, SearchRequest(keyword="jehangir mumbai")) != []
    assert await names(db, SearchRequest(keyword="aiims")) == []
    assert "Sahyadri Speciality Hospital- Nashik." in await names(db, SearchRequest(keyword="sahyadri nashik"))

    code = "411038"
    expected = await db.fetch_value("SELECT count(*) FROM directory.clinic WHERE postal_code = $1", code)
    assert expected > 5
    assert len(await names(db, SearchRequest(postal_code=code))) == expected
    assert len(await names(db, SearchRequest(keyword=code))) == expected

    assert (await did_you_mean(db, "sahyadry nashik", None))[0] == "sahyadri nashik"
    assert (await did_you_mean(db, "lilavti hospital mumbai", None))[0] == "lilavati hospital mumbai"

    here = (18.5204, 73.8567)
    near = await find(
        db, SearchRequest(latitude=here[0], longitude=here[1], radius_km=5, order=Order.DISTANCE_ASC), 0, 2000
    )
    places = await db.fetch("SELECT latitude, longitude FROM directory.clinic WHERE latitude IS NOT NULL")
    distances = sorted(distance_km(here, (row["latitude"], row["longitude"])) for row in places)
    within = [distance for distance in distances if distance <= 5]
    assert len(within) > 50
    assert [row["distance_m"] / 1000 for row in near] == pytest.approx(within, abs=1e-3)


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    (a, b), (c, d) = (map(math.radians, place) for place in (one, other))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6378.168 * math.asin(math.sqrt(half))
