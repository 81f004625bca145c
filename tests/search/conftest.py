from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from healthplus.database import Database
from tests.search.trial import Trial


@pytest.fixture
def trial(dsn: str) -> Iterator[Trial]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        trial = Trial(runner.run(Database.connect(dsn, min_size=1, max_size=1)), runner)
        trial.run(trial.build())
        trial.look()
        yield trial
        trial.run(trial.db.execute("SELECT booking.advance(provider_id) FROM booking.book"))
        trial.run(
            trial.db.execute("UPDATE directory.provider SET rating_total = 0, rating_count = 0")
        )  # nobody gave them
        trial.run(trial.db.close())
