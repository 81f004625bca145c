from __future__ import annotations

import asyncio

import pytest

from healthplus.database import Database
from healthplus.ops.check import violations
from tests.fixtures.environment import PROVIDER, Environment

LOCK = "PERFORM FROM directory.provider WHERE provider_id = ANY(p_provider_ids) ORDER BY provider_id FOR NO KEY UPDATE;"


async def two_changes_at_once(db: Database) -> set[str]:
    """Change what a visit costs and, before that is committed, who the provider is; return the broken invariants."""
    await Environment.make(db)
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE directory.provider_clinic SET fee_minor = 70000 WHERE provider_id = $1 AND clinic_id = 1", PROVIDER
        )
        other = asyncio.create_task(
            db.execute("UPDATE directory.provider SET max_booking_days = 9 WHERE provider_id = $1", PROVIDER)
        )
        await asyncio.sleep(0.3)
    await other
    return {violation.invariant for violation in await violations(db)}


@pytest.mark.breaks_invariants
async def test_without_the_lock_one_change_writes_over_the_other(db: Database) -> None:
    source = await db.fetch_value("SELECT pg_get_functiondef('search.refresh_listings'::regproc)")
    assert LOCK in source
    await db.execute(source.replace(LOCK, ""))
    assert "listings_match" in await two_changes_at_once(db)


async def test_two_changes_of_a_provider_are_both_found(db: Database) -> None:
    assert await two_changes_at_once(db) == set()
