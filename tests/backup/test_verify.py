"""A back-up that is not as it was written is found out, by looking at it and by restoring it; one that is, is not."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder, segment_name, segment_number
from healthplus.backup.full import verify_files, verify_wal
from healthplus.backup.restore import restore
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.settings import Settings
from tests.backup.conftest import BackedUp, new_server

pytestmark = pytest.mark.timeout(180)
SEGMENTS = 4


@pytest.fixture(scope="module")
def written() -> Iterator[BackupFolder]:
    """A full back-up, and some whole files of what was written after it; nobody writes there any more."""

    async def write(folder: Path, dsn: str) -> BackupFolder:
        settings = Settings(as_app_role(dsn), folder, dsn, backup_folder=folder / "back-ups")
        async with await Database.connect(dsn, min_size=1, max_size=1) as db:
            one = BackedUp(settings, BackupFolder(folder / "back-ups"), db)
            async with one.following():
                for number in range(SEGMENTS):
                    await db.execute(f"CREATE TABLE public.number_{number} AS SELECT generate_series(1, 1000)")
                    await db.execute("SELECT pg_switch_wal()")
                await one.covered()
            return one.backups

    with new_server() as (folder, dsn):
        yield asyncio.run(write(folder, dsn))


@contextlib.contextmanager
def flipped(path: Path, at: int | None = None) -> Iterator[None]:
    """Flip all bits of one byte of a file, at `at` or in the middle, for this block: of some, one may mean nothing."""
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 if at is None else at] ^= 0xFF
    path.write_bytes(damaged)
    try:
        yield
    finally:
        path.write_bytes(whole)


@contextlib.contextmanager
def missing(path: Path) -> Iterator[None]:
    away = path.rename(path.with_name("away"))
    try:
        yield
    finally:
        away.rename(path)


def after_full(written: BackupFolder) -> list[Path]:
    """Return the whole files of what was written after the full back-up, and is not in it."""
    (full,) = written.fulls()
    end = segment_number(segment_name(1, full.end_lsn, full.segment_bytes), full.segment_bytes)
    found = [path for path in written.segments() if segment_number(path.name, full.segment_bytes) > end]
    assert len(found) >= SEGMENTS - 1
    return found


def test_nothing_is_found_in_a_sound_back_up(written: BackupFolder, tmp_path: Path) -> None:
    (full,) = written.fulls()
    verify_files(written, written.files_of(full))
    assert verify_wal(written) == []


# A file of WAL ends with zeros: packed, most bits there may be flipped without changing any of them.
@pytest.mark.parametrize(("name", "at"), [("base.tar.gz", None), ("pg_wal.tar.gz", 700), ("backup_manifest", None)])
def test_a_flipped_bit_in_a_full_back_up_is_found(written: BackupFolder, name: str, at: int | None) -> None:
    (full,) = written.fulls()
    files = written.files_of(full)
    into = written.path.parent / "never"
    with flipped(files / name, at):
        with pytest.raises(BackupFailed):
            verify_files(written, files)
        with pytest.raises(BackupFailed):
            restore(written, None, into)
    assert not into.exists()
    verify_files(written, files)


def test_a_missing_file_of_what_was_written_is_found(written: BackupFolder) -> None:
    until = written.until()
    into = written.path.parent / "never"
    lost = after_full(written)[1]
    with missing(lost):
        (fault,) = verify_wal(written)
        assert re.match(r"WAL is missing between \w{24} and \w{24}", fault)
        for moment in (None, until):
            with pytest.raises(BackupFailed, match=r"missing or damaged from .* on, and should reach to") as refused:
                restore(written, moment, into)
            assert not into.exists()
        # What it advises works: all there is before the gap.
        advised = re.search(r"--to (\S+)Z\.", str(refused.value))
        assert advised
    assert verify_wal(written) == []


def test_a_flipped_bit_in_what_was_written_is_found(written: BackupFolder) -> None:
    with flipped(after_full(written)[0], 16_000):
        (fault,) = verify_wal(written)
        assert "damaged" in fault
        with pytest.raises(BackupFailed, match="missing or damaged"):
            restore(written, None, written.path.parent / "never")


def test_a_file_that_was_cut_off_is_found(written: BackupFolder) -> None:
    path = after_full(written)[-1]
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    (fault,) = verify_wal(written)
    path.write_bytes(whole)
    assert f"{path} is damaged: it has 1000 bytes" in fault


def test_a_full_back_up_that_does_not_say_what_it_is_is_told_and_left_out(written: BackupFolder) -> None:
    (full,) = written.fulls()
    about = written.files_of(full).with_name("about.json")
    with flipped(about, 0):
        assert written.fulls() == []
        assert written.unreadable() == [f"{about} is damaged."]
    assert (written.fulls(), written.unreadable()) == ([full], [])


def test_nothing_is_removed_while_it_is_read(written: BackupFolder) -> None:
    with written.kept(), written.kept(), (written.path / "lock").open("a") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with written.locked(), written.kept():  # who restores waits for nobody
        pass


def test_a_missing_end_of_what_was_written_is_found(written: BackupFolder) -> None:
    with missing(written.segments()[-1]):
        faults = verify_wal(written)
    # Another file may be under way after it, begun or still empty: then there is a hole, too, or nothing but one.
    assert faults
    assert {fault.split(" is missing")[0] for fault in faults} <= {"The end of what was written", "WAL"}


def test_a_file_that_was_under_way_when_a_history_was_left_is_no_hole(written: BackupFolder) -> None:
    (stream,) = written.streams()
    first, *_, last = written.segments()
    left = [stream / f"{first.name}.partial", stream / f"{last.name}.partial"]
    for path in left:
        path.touch()
    try:
        assert verify_wal(written) == []
    finally:
        for path in left:
            path.unlink()


def test_a_history_that_does_not_say_where_it_began_is_found(written: BackupFolder) -> None:
    (stream,) = written.streams()
    other = stream / f"00000002{written.segments()[-1].name[8:]}"
    other.write_bytes(written.segments()[-1].read_bytes())
    try:
        assert "00000002.history is missing: nothing of that history can be restored." in verify_wal(written)
    finally:
        other.unlink()
