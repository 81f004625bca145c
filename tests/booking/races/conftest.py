from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthplus.booking import book
from healthplus.database import Database
from tests.booking.races.scene import CONNECTIONS_MAX, Scene, deadlocks


@pytest.fixture
async def scene(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A crowd on this test's own database, which must not have seen a deadlock when they are gone."""
    # Each of the crowd is a process of its own, as far as the database can see.
    monkeypatch.setattr(book, "CALLS_PER_PROVIDER_MAX", CONNECTIONS_MAX)
    async with await Database.connect(dsn, min_size=1, max_size=CONNECTIONS_MAX) as database:
        scene = Scene(database)
        await scene.build()
        yield scene
    assert await deadlocks(dsn) == 0
