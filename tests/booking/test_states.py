"""The rule "a hold past its deadline has expired" stands in one function, which the planner inlines everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import healthplus
from healthplus.database import Database

PACKAGE = Path(healthplus.__file__).parent
DUE = "SELECT * FROM booking.booking WHERE provider_id = 1 AND booking.is_due(booking, $1)"
DUE_ANYWHERE = "SELECT provider_id FROM booking.booking WHERE booking.is_due(booking, (SELECT public.app_now()))"


async def plan_of(db: Database, sql: str) -> str:
    async with db.transaction() as transaction:
        await transaction.execute("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
        await transaction.execute(f"PREPARE probe (timestamptz) AS {sql}")
        try:
            rows = await transaction.fetch("EXPLAIN (VERBOSE) EXECUTE probe ('2099-01-01')")
        finally:
            await transaction.execute("DEALLOCATE probe")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("sql", [DUE, DUE_ANYWHERE], ids=["of one provider", "of all"])
async def test_what_is_due_is_found_by_an_index_of_deadlines(db: Database, sql: str) -> None:
    plan = await plan_of(db, sql)
    assert re.search(r"using booking_(provider_)?deadline ", plan)
    assert "is_due" not in plan


async def test_the_state_at_an_instant_is_inlined(db: Database) -> None:
    plan = await plan_of(db, "SELECT booking.state_at(booking, $1) FROM booking.booking WHERE provider_id = 1")
    assert "CASE WHEN" in plan
    assert "state_at" not in plan
    assert "is_due" not in plan


def test_no_other_sql_compares_deadlines_of_holds() -> None:
    """Reads that look at `state = 'reserved'` and a deadline by themselves would be a second place for the rule."""
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.sql")
        if "migrations" not in path.parts and path.name != "states.sql"
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"'reserved' AND (\w+\.)?deadline|deadline <= .*'expired'", line)
    ]
    assert found == []
