from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus_bench.environment import running_server


@pytest.fixture
def new_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The DSN and the folder of a database server of this test's own, as the bench starts it."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with running_server() as found:
        yield found
