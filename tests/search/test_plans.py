from __future__ import annotations

import pytest

from healthplus.database import Database
from healthplus.search.browse import queries
from healthplus.search.find import queries as finding
from healthplus.web.pages.free_times import queries as pages
from tests.fixtures.environment import PROVIDER, Environment
from tests.search.plans import assert_indexed

_HIDDEN_SCAN = """
CREATE FUNCTION public.hidden() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN (SELECT count(*) FROM directory.provider WHERE bio <> ''); END $$"""


async def test_pages_are_read_by_keys(db: Database) -> None:
    await Environment.make(db)
    await assert_indexed(db, queries.clinic, 1)
    await assert_indexed(db, queries.clinic_providers, 1, 31, 0, None)
    await assert_indexed(db, queries.clinic_specialities, 1)
    await assert_indexed(db, queries.provider, PROVIDER, True)
    await assert_indexed(db, queries.lab_test, "hba1c")
    await assert_indexed(db, queries.city_id, "pune")
    await assert_indexed(db, queries.city_contents, 1, 24)
    await assert_indexed(db, queries.specialities_named, ["dentistry"])
    await assert_indexed(db, queries.speciality_cities, "dentistry")
    await assert_indexed(db, queries.highest_ids)
    await assert_indexed(db, queries.bookable_providers, 0, 10_000)
    await assert_indexed(db, queries.bookable_clinics, 0, 10_000)
    await assert_indexed(db, queries.city_specialities, 0, 5)
    await assert_indexed(db, pages.speciality, "dentistry", "dentistry")
    await assert_indexed(db, pages.service, "root-canal", "root canal")
    await assert_indexed(db, pages.laboratories, [1, 2], [1, 1])
    await assert_indexed(db, pages.next_times, [1, 2], [1, 1], [None, None], [None, None], 3)
    await assert_indexed(db, pages.stars, PROVIDER)
    await assert_indexed(db, finding.count_found, {"city_id": 1, "fee_max": 1, "ordering": "best"}, 200)
    await assert_indexed(db, finding.service_types, ["hba1c"], [1])
    planned = "SET LOCAL plan_cache_mode = force_custom_plan"
    await assert_indexed(db, queries.lab_test_providers, 1, 1, 31, 0, settings=planned)


async def test_whole_tables_are_noticed(db: Database) -> None:
    await Environment.make(db)
    await db.execute(_HIDDEN_SCAN)
    for sql, args in (
        ("SELECT FROM directory.provider WHERE bio = $1", ("none",)),
        ("SELECT name FROM directory.provider ORDER BY provider_id", ()),
        (queries.cities, ()),
        ("SELECT public.hidden()", ()),
    ):
        with pytest.raises(AssertionError, match=r"Scan|end to end"):
            await assert_indexed(db, sql, *args)
    await assert_indexed(db, "SELECT FROM directory.provider WHERE bio = $1", "none", small={"provider"})
    await db.execute("DROP FUNCTION public.hidden()")
