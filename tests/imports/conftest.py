from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthplus.database import Database
from healthplus.database.server_files import as_app_role


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """The test's own database as `healthplus import` uses it: as the role that owns nothing."""
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=10) as database:
        yield database
