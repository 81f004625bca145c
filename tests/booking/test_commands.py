"""What the commands refuse before a verb is called."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from tests.fixtures.clock import move_clock, product_now
from tests.fixtures.directory import make_clinic, make_provider


@pytest.mark.dates
async def test_a_leave_that_is_over_by_the_products_clock_is_refused(
    dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    provider = await make_provider(db, {await make_clinic(db): (50000, "online")})
    starts = await product_now(db) + timedelta(days=1)
    words = [f"{at:%Y-%m-%dT%H:%M}+0000" for at in (starts, starts + timedelta(days=1))]

    async def add() -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["leave", "add", str(provider), *words])

    added = await add()
    assert (added.exit_code, added.output) == (0, "Added the leave.\n")
    await move_clock(db, days=2, minutes=1)
    refused = await add()
    assert refused.exit_code == 1
    assert "A leave must not end in the past." in refused.output
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 1
