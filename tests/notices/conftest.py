from __future__ import annotations

import pytest

from healthplus.database import Database
from tests.booking.races.scene import Scene


@pytest.fixture
async def scene(db: Database) -> Scene:
    scene = Scene(db)
    await scene.build()
    return scene
