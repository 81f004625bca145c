"""A rehearsal proves the back-up or says what is wrong with it, stores that, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from healthplus.backup.folder import BackupFolder, Followed, FullBackup
from healthplus.database import Database
from healthplus.ops import rehearsal as module
from healthplus.ops.rehearsal import choose_moment, rehearse
from tests.backup.conftest import BackedUp, new_server, until
from tests.backup.test_follow import receivers
from tests.fixtures.append_only import as_owner
from tests.fixtures.environment import ONLINE, PROVIDER, Environment

pytestmark = pytest.mark.timeout(180)
_STORED = (
    "SELECT restored_to, rpo_seconds, rto_seconds, check_seconds, problem FROM backup.restore_rehearsal ORDER BY at"
)


def test_any_second_that_is_covered_may_be_chosen_and_no_other(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)
    ended = datetime(2026, 11, 29, 2, tzinfo=UTC)
    full = FullBackup("20261129T020000Z", ended, ended, 1, "me", "book", f"{1:08X}{2:016X}", "0/2000100", 1 << 24, 1)
    before = msgspec.structs.replace(
        full, name="20261128T020000Z", ended_at=ended - timedelta(days=1), end_lsn="0/1000100"
    )
    for one in (before, full):
        (tmp_path / "full" / one.name).mkdir(parents=True)
        folder.write(tmp_path / "full" / one.name / "about.json", one)
    (tmp_path / "wal" / "0001").mkdir(parents=True)
    (tmp_path / "wal" / "0001" / f"{1:08X}{2:016X}.partial").touch()  # the one before has a gap after it
    folder.write(tmp_path / "followed.json", Followed(ended + timedelta(seconds=5.5), "0/0"))
    chance = random.Random(1)
    chosen = {choose_moment(folder, chance)[0] for _ in range(200)}
    assert chosen == {ended + timedelta(seconds=second) for second in range(6)}


@pytest.mark.parametrize("is_damaged", [pytest.param(False, marks=pytest.mark.long), True])
async def test_money_that_does_not_add_up_is_found_in_what_was_restored(
    backed_up: BackedUp, monkeypatch: pytest.MonkeyPatch, is_damaged: bool
) -> None:
    environment = await Environment.make(backed_up.db)
    held = await environment.held(ONLINE, 9)
    assert (await environment.book.confirm(PROVIDER, held, "paid", environment.actor("asha"))).code == "booked"
    await backed_up.db.execute(
        "SELECT payments.advance_payment(payment, 'captured', 'answer', app_now()) FROM ledger.payment"
    )
    # Days pass, and the product's clock is not the server's.
    await environment.pass_time(days=1)
    async with backed_up.following():
        await backed_up.db.execute(
            as_owner(f"UPDATE ledger.payment SET amount_minor = amount_minor - {int(is_damaged)}", "ledger.payment")
        )
        moment = await backed_up.covered()
        monkeypatch.setattr(module, "choose_moment", lambda *_: (moment, moment))
        found = await asyncio.to_thread(rehearse, backed_up.settings, backed_up.backups)
    assert found.restored_to == moment
    assert found.rpo_seconds is not None
    assert found.rto_seconds is not None
    assert found.check_seconds is not None
    assert 0 < found.rto_seconds < 60
    assert 0 <= found.rpo_seconds < 60
    if is_damaged:
        assert found.problem is not None
        assert "money_adds_up (1 rows)" in found.problem
    else:
        assert found.problem is None
    (stored,) = await backed_up.db.fetch(_STORED)
    assert stored["restored_to"] == moment
    assert stored["problem"] == found.problem
    assert stored["rto_seconds"] == pytest.approx(found.rto_seconds, rel=1e-3)
    assert not list(backed_up.backups.path.glob("rehearsal-*"))


async def test_a_back_up_that_cannot_be_restored_is_a_problem_that_is_stored(backed_up: BackedUp) -> None:
    async with backed_up.following():
        pass
    (backed_up.backups.files_of(backed_up.backups.fulls()[0]) / "base.tar.gz").unlink()
    found = await asyncio.to_thread(rehearse, backed_up.settings, backed_up.backups)
    assert found.problem is not None
    assert "cannot be unpacked" in found.problem
    assert found.rto_seconds is None
    assert [row["problem"] for row in await backed_up.db.fetch(_STORED)] == [found.problem]
    assert not list(backed_up.backups.path.glob("rehearsal-*"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_serve_backs_up_and_rehearses_and_leaves_nobody_behind() -> None:
    async def run(folder: Path, dsn: str) -> None:
        backups = BackupFolder(folder / "back-ups")
        names = {
            "HEALTHPLUS_DATA": str(folder),
            "HEALTHPLUS_BACKUP_FOLDER": str(backups.path),
            "HEALTHPLUS_PORT": str(free_port()),
            "HEALTHPLUS_PROCESSES": "1",
            "HEALTHPLUS_ALLOW_UNSAFE_COMMITS": "1",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
        with (folder / "serve.log").open("wb") as log:
            serve = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "healthplus", "serve", "--until-stdin-ends",
                env=environment | names, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            await until(backups.fulls)
            async with await Database.connect(dsn, min_size=1, max_size=1) as db:
                async with asyncio.timeout(40):
                    while not (stored := await db.fetch(_STORED)):
                        await asyncio.sleep(0.1)
            assert stored[0]["problem"] is None, (folder / "serve.log").read_text()
            assert len(receivers(backups.path)) == 1
        finally:
            with contextlib.suppress(ProcessLookupError):
                serve.send_signal(signal.SIGINT)
            await serve.wait()
        await until(lambda: not receivers(backups.path))
        assert msgspec.json.decode((backups.path / "followed.json").read_bytes())

    with new_server() as (folder, dsn):
        asyncio.run(run(folder, dsn))
