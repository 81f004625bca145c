"""Every test's end finds what the test broke, although it asks only about what the test wrote."""

from __future__ import annotations

import asyncpg
import pytest

from healthplus.ops.check import invariants
from tests.fixtures.environment import Environment
from tests.fixtures.invariants import Model

LATER = "UPDATE booking.book SET next_free_at = next_free_at + interval '1 hour'"


async def left_behind(dsn: str, model: Model) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return sorted({str(invariant) for invariant, _ in await model.violations(connection)})
    finally:
        await connection.close()


def test_what_functions_and_views_read_counts(model: Model) -> None:
    assert {"schedule.shift", "schedule.leave", "booking.booking", "public.app_clock"} <= model.reads[
        "next_free_times_match"
    ]
    assert "booking.event_log" in model.reads["bookings_match_events"]  # of which booking.event is a view
    assert [name for name, tables in model.reads.items() if not tables] == ["overlap_constraint_present"]
    assert model.reads.keys() == invariants.keys()


@pytest.mark.breaks_invariants
async def test_what_a_test_broke_is_found(environment: Environment, dsn: str, model: Model) -> None:
    await environment.held()
    await environment.db.execute(LATER)
    await environment.db.close()
    assert await left_behind(dsn, model) == ["next_free_times_match"]


@pytest.mark.breaks_invariants
async def test_a_change_to_what_only_a_function_reads_is_found(
    environment: Environment, dsn: str, model: Model
) -> None:
    await environment.db.execute("SET session_replication_role = replica; DELETE FROM schedule.shift")
    await environment.db.close()
    assert await left_behind(dsn, model) == ["listings_match"]


@pytest.mark.breaks_invariants
async def test_a_table_that_was_emptied_counts(environment: Environment, dsn: str, model: Model) -> None:
    await environment.db.execute("TRUNCATE schedule.shift")
    await environment.db.close()
    connection = await asyncpg.connect(dsn)
    assert await model.written(connection) == {"schedule.shift"}
    await connection.close()


async def test_what_is_only_read_is_not_asked_about_again(environment: Environment, dsn: str, model: Model) -> None:
    await environment.counts()
    await environment.db.close()
    connection = await asyncpg.connect(dsn)
    assert await model.written(connection) == set()
    await connection.close()
