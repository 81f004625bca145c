from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from healthplus.backup import follow as module
from healthplus.backup.folder import BackupFolder
from healthplus.backup.follow import Follower
from healthplus.database import Database, EmbeddedServer, migrate, temporary_folder
from healthplus.database.server_files import APP_ROLE, as_app_role
from healthplus.settings import Settings
from tests.conftest import FAST

SECONDS_MAX = 40.0


async def until(look: Callable[[], object]) -> None:
    """Wait for something to be so, as far as it depends on nobody's clock."""
    async with asyncio.timeout(SECONDS_MAX):
        while not look():
            await asyncio.sleep(0.05)


@dataclass
class BackedUp:
    """A server of a test's own, and the folder of its back-ups."""

    settings: Settings
    backups: BackupFolder
    db: Database

    @property
    def folder(self) -> Path:
        """The server's data folder."""
        return self.settings.data_folder

    async def now(self) -> datetime:
        """Return the server's own clock, by which restoring goes."""
        now: datetime = await self.db.fetch_value("SELECT clock_timestamp()")
        return now

    async def covered(self) -> datetime:
        """Return a moment of now, once the back-up has all that was committed by then."""
        now = await self.now()
        await until(lambda: (reached := self.backups.until()) is not None and reached >= now)
        return now

    @contextlib.asynccontextmanager
    async def following(self, rehearse: Callable[[], object] = lambda: None) -> AsyncIterator[None]:
        """Follow the server for this block, in this process; there is a full back-up when it begins."""
        follower = asyncio.create_task(Follower(self.settings, self.backups, rehearse).run())
        try:
            await until(lambda: follower.done() or self.is_connected())
            assert not follower.done()
            yield
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    def is_connected(self) -> bool:
        """Whether what is written now can be restored."""
        fulls = self.backups.fulls()
        return bool(fulls) and self.backups.is_connected(fulls[-1]) and self.backups.followed() is not None


@contextlib.contextmanager
def new_server(**more: str) -> Iterator[tuple[Path, str]]:
    """Run a server of a test's own, with a migrated database; yield its folder and the owner's DSN."""
    with temporary_folder("healthplus-test-") as folder, EmbeddedServer(folder, {**FAST, **more}) as dsn:
        asyncio.run(migrate(dsn, app_role=APP_ROLE))
        yield folder, dsn


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test need not wait as long as the product does between two looks."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.2)


@pytest.fixture
def server_of_own(migrated_folder: Path) -> Iterator[tuple[Path, str]]:
    with EmbeddedServer(migrated_folder, FAST) as dsn:
        yield migrated_folder, dsn


@pytest.fixture
async def backed_up(server_of_own: tuple[Path, str]) -> AsyncIterator[BackedUp]:
    folder, dsn = server_of_own
    settings = Settings(as_app_role(dsn), folder, dsn, backup_folder=folder / "back-ups")
    async with await Database.connect(dsn, min_size=1, max_size=4) as db:
        yield BackedUp(settings, BackupFolder(folder / "back-ups"), db)
