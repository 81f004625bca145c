from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthplus.booking import bulkheads, calls, lanes
from healthplus.database import Database
from tests.fixtures.races import CONNECTIONS_MAX, RaceEnvironment, deadlocks


@pytest.fixture
async def race(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RaceEnvironment]:
    """Many connections to this test's own database, which must not have seen a deadlock when they are gone."""
    # Each of them is a process of its own, as far as the database can see.
    for name in ("CALLS_PER_PROVIDER_MAX", "OWN_CALLS_PER_PROVIDER_MAX", "CALLS_PER_PATIENT_MAX"):
        monkeypatch.setattr(bulkheads, name, CONNECTIONS_MAX)
    monkeypatch.setattr(lanes, "LANE_MAX", 0)
    for module in (bulkheads, calls):  # at the gates that tests hold, however busy the machine is
        monkeypatch.setattr(module, "WAIT_SECONDS_MAX", 30)
    async with await Database.connect(dsn, min_size=1, max_size=CONNECTIONS_MAX) as database:
        yield await RaceEnvironment.make(database)
    assert await deadlocks(dsn) == 0
