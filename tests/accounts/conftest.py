from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from healthplus.database import Database


@pytest.fixture
async def processes(dsn: str) -> AsyncIterator[list[Database]]:
    """The databases of three processes, with several connections each."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await Database.connect(dsn, max_size=4)) for _ in range(3)]
