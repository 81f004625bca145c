from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthplus.database import Database
from tests.booking.races.scene import CONNECTIONS_MAX, Scene, deadlocks


@pytest.fixture
async def scene(dsn: str) -> AsyncIterator[Scene]:
    """A crowd on this test's own database, which must not have seen a deadlock when they are gone."""
    async with await Database.connect(dsn, min_size=1, max_size=CONNECTIONS_MAX) as database:
        scene = Scene(database)
        await scene.build()
        yield scene
    assert await deadlocks(dsn) == 0
