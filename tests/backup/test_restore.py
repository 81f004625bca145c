"""What was dropped comes back as it was a second before, and nothing is restored over anything."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder
from healthplus.backup.full import take_full
from healthplus.backup.restore import choose_fulls, restore
from healthplus.database import Database, EmbeddedServer
from healthplus.database.server_files import as_app_role
from healthplus.errors import BadInput
from healthplus.ops.check import all_violations
from healthplus.settings import Settings
from tests.backup.conftest import BackedUp, until
from tests.conftest import FAST
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment

pytestmark = pytest.mark.timeout(180)
# Everything there is, as text; but for what no crash leaves either: who is there just now, in an unlogged table.
_TABLES = """
SELECT format(
    'SELECT %1$L AS name, md5(string_agg(t::text, chr(10) ORDER BY t::text)) AS rows FROM %1$s AS t', oid::regclass)
FROM pg_class
WHERE relkind = 'r' AND relpersistence = 'p'
    AND relnamespace::regnamespace::text IN ('booking', 'ledger', 'accounts', 'payments')
ORDER BY oid::regclass::text
"""


async def contents(db: Database) -> dict[str, str]:
    selects = [row[0] for row in await db.fetch(_TABLES)]
    return {row["name"]: row["rows"] for row in await db.fetch(" UNION ALL ".join(selects))}


async def book_some(environment: Environment, provider: int) -> None:
    hours = (9, 10, 13) if provider == PROVIDER else (10, 11, 14)
    for hour, name in zip(hours, ("asha", "bina", "chand"), strict=True):
        held = await environment.hold(environment.instant(hour), ONLINE if hour < 12 else AT_CLINIC, name, provider)
        assert held.booking_id
        paid = f"paid {provider} {hour}" if hour < 12 else None
        booked = await environment.book.confirm(provider, held.booking_id, paid, environment.actor(name))
        assert booked.code == "booked"


def restore_by_command(backups: Path, into: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "healthplus", "restore", str(into), "--from", str(backups), *words],
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


async def test_a_table_that_was_dropped_is_restored_to_the_second_before(backed_up: BackedUp) -> None:
    environment = await Environment.make(backed_up.db)
    await book_some(environment, PROVIDER)
    into = backed_up.folder / "restored"
    async with backed_up.following():
        await book_some(environment, OTHER_PROVIDER)  # what no full back-up has
        before = await contents(backed_up.db)
        assert len(before) > 10
        moment = await backed_up.now()
        await asyncio.sleep(1.1)
        await backed_up.db.execute("DROP TABLE booking.booking CASCADE")
        await backed_up.covered()
        assert "booking.booking" not in await contents(backed_up.db)
        restored = await asyncio.to_thread(
            restore_by_command, backed_up.backups.path, into, "--to", moment.isoformat().replace("+00:00", "Z")
        )
        assert restored.returncode == 0, restored.stderr
        assert "The last change in it is of" in restored.stdout
        # Another time, over it, or over anything else.
        for taken in (into, backed_up.folder):
            with pytest.raises(BadInput, match=r"is not empty\. Nothing is ever restored over what is there"):
                restore(backed_up.backups, None, taken)
    with EmbeddedServer(into, FAST) as dsn:
        async with await Database.connect(dsn, min_size=1, max_size=1) as db:
            assert await contents(db) == before
            assert await all_violations(db) == []
            goes_on = Environment(db, environment.day, environment.tokens, environment.ids)
            assert await goes_on.held(ONLINE, 11, "bina")
    assert [path.name for path in into.iterdir() if path.name.startswith(".")] == []


@pytest.mark.long
async def test_the_latest_is_restored_although_nothing_was_committed_since(backed_up: BackedUp) -> None:
    async with backed_up.following():
        await backed_up.db.execute("CREATE TABLE public.kept AS SELECT 1 AS n")
        moment = await backed_up.covered()
    # Nothing is written any more, so no commit is after the moment.
    for name, at in (("latest", None), ("moment", moment)):
        restored = await asyncio.to_thread(restore, backed_up.backups, at, backed_up.folder / name)
        assert restored.seconds > 0
        with EmbeddedServer(backed_up.folder / name, FAST) as dsn:
            async with await Database.connect(dsn, min_size=1, max_size=1) as db:
                assert await db.fetch_value("SELECT n FROM public.kept") == 1


@pytest.mark.long
async def test_the_back_up_goes_on_after_a_restore_to_before_its_newest_full_one(backed_up: BackedUp) -> None:
    """What was restored has another history from then on, in which that full back-up never was."""
    into, backups = backed_up.folder / "restored", backed_up.backups
    async with backed_up.following():
        moment = await backed_up.covered()
        await backed_up.db.execute("CREATE TABLE public.undone AS SELECT 1 AS n")
        await asyncio.sleep(1)  # they are named after the second
        await asyncio.to_thread(take_full, backups, backed_up.settings.database_owner_url or "")
        await backed_up.covered()
    await asyncio.to_thread(restore, backups, moment, into)
    with EmbeddedServer(into, FAST) as dsn:
        async with await Database.connect(dsn, min_size=1, max_size=2) as db:
            settings = Settings(as_app_role(dsn), into, dsn, backup_folder=backups.path, backup_keep=9)
            goes_on = BackedUp(settings, backups, db)
            async with goes_on.following():
                await until(lambda: len(backups.fulls()) == 3)
                await db.execute("CREATE TABLE public.done AS SELECT 2 AS n")
                await goes_on.covered()
    with pytest.raises(BackupFailed, match=r"is of another history .* Say --timeline 1 to have it\."):
        restore(backups, backups.fulls()[1].ended_at, backed_up.folder / "never")
    for name, at, timeline, tables in (
        ("newest", None, "latest", {"done"}),
        ("before", backups.fulls()[1].ended_at, "1", {"undone"}),
    ):
        await asyncio.to_thread(restore, backups, at, backed_up.folder / name, timeline)
        with EmbeddedServer(backed_up.folder / name, FAST) as dsn:
            async with await Database.connect(dsn, min_size=1, max_size=1) as db:
                rows = await db.fetch("SELECT tablename FROM pg_tables WHERE tablename IN ('done', 'undone')")
                assert {row["tablename"] for row in rows} == tables


async def test_where_there_is_no_room_nothing_is_begun(backed_up: BackedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with backed_up.following():
        pass
    usage = shutil.disk_usage(backed_up.folder)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(BackupFailed, match=r"needs \d+ MB on the disk of .*, and 10 MB are free"):
        restore(backed_up.backups, None, backed_up.folder / "never")
    assert not (backed_up.folder / "never").exists()


async def test_a_moment_that_is_not_covered_is_refused_with_those_that_are(backed_up: BackedUp) -> None:
    with pytest.raises(Exception, match=r"There are no back-ups in .* name the folder that `healthplus backup` wrote"):
        choose_fulls(BackupFolder(backed_up.folder / "elsewhere"), None)
    async with backed_up.following():
        now = await backed_up.covered()
    fulls, until = backed_up.backups.fulls(), backed_up.backups.until()
    assert until is not None
    assert choose_fulls(backed_up.backups, now) == choose_fulls(backed_up.backups, None) == fulls
    for moment in (fulls[0].ended_at - timedelta(seconds=1), until + timedelta(seconds=1)):
        into = backed_up.folder / "never"
        with pytest.raises(BadInput, match=rf"reaches from {fulls[0].ended_at:%Y-%m-%d %H:%M:%S} UTC to "):
            restore(backed_up.backups, moment, into)
        assert not into.exists()
