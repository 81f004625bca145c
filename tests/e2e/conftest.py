from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus.database import EmbeddedServer


@pytest.fixture
def new_server(migrated_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The DSN and the folder of a database server of this test's own, as the bench starts it."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with EmbeddedServer(migrated_folder) as dsn:
        yield dsn, migrated_folder
