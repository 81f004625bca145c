"""A disk that fills up: what is refused, from when, and until when."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from healthplus.cli import main
from healthplus.database import Database, FreeSpace
from healthplus.database import free_space as module
from healthplus.errors import DiskFull
from healthplus.ops.demo_data import create_demo_data
from healthplus.settings import Settings
from tests.fixtures.disk import Disk, small_disk


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def disk() -> Iterator[Disk]:
    with small_disk(100) as disk:
        yield disk


def seen(space: FreeSpace) -> str:
    return space.state


def allowed(space: FreeSpace) -> list[str]:
    found = []
    for name, require in (("bookings", space.require_for_bookings), ("changes", space.require_for_changes)):
        with contextlib.suppress(DiskFull):
            require()
            found.append(name)
    return found


def test_it_goes_down_at_once_and_up_when_it_is_sure(
    disk: Disk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    space = FreeSpace(disk.folder, bookings_mib=60, changes_mib=20)
    assert (seen(space), space.reason, allowed(space)) == ("enough", None, ["bookings", "changes"])
    disk.fill(left_mib=40)
    assert seen(space) == "enough"  # it has looked within the last second
    clock.seconds += module.LOOK_SECONDS
    assert (seen(space), allowed(space)) == ("low", ["changes"])
    disk.fill(left_mib=10)
    clock.seconds += module.LOOK_SECONDS
    assert (seen(space), allowed(space)) == ("full", [])
    assert str(disk.folder) in str(space.reason)
    disk.empty()
    clock.seconds += module.LOOK_SECONDS
    assert seen(space) == "full"
    clock.seconds += module.STEADY_SECONDS
    assert (seen(space), space.reason, allowed(space)) == ("enough", None, ["bookings", "changes"])
    assert [said.split(" on the disk")[0] for said in caplog.messages] == [
        "Only 40 MiB are free", "Only 10 MiB are free", "There is room again",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("all_gib", "bookings_mib", "changes_mib"), [(1000, 1024, 256), (10, 512, 102.4), (22, 1024, 225.28)]
)
def test_the_floors_are_a_share_of_a_small_disk(
    all_gib: int, bookings_mib: float, changes_mib: float, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        f_frsize = 4096
        f_blocks = (all_gib << 30) // 4096
        f_bavail = 0

    monkeypatch.setattr("os.statvfs", lambda _: Found)
    for floor, above, below in ((bookings_mib, "enough", "low"), (changes_mib, "low", "full")):
        Found.f_bavail = int((floor + 1) * 256)
        assert seen(FreeSpace(Path("/"))) == above
        Found.f_bavail = int((floor - 1) * 256)
        assert seen(FreeSpace(Path("/"))) == below


def test_the_servers_own_word_counts_for_a_while(clock: Clock) -> None:
    space = FreeSpace()
    assert seen(space) == "enough"
    space.note_refusal()
    assert seen(space) == "full"
    assert "server says" in str(space.reason)
    clock.seconds += module.REFUSED_SECONDS - 0.5
    assert seen(space) == "full"
    clock.seconds += module.LOOK_SECONDS
    assert seen(space) == "full"  # it may still be
    clock.seconds += module.STEADY_SECONDS
    assert seen(space) == "enough"


async def test_what_the_server_refuses_for_want_of_room_is_told_as_such(db: Database) -> None:
    refused = "DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$"
    with pytest.raises(DiskFull):
        await db.execute(refused)
    assert seen(db.space) == "full"
    with pytest.raises(DiskFull):
        async with db.transaction() as transaction:
            await transaction.execute(refused)
    assert await db.fetch_value("SELECT 1") == 1


def test_where_the_database_is_is_known_of_the_embedded_one_and_else_by_a_setting(tmp_path: Path) -> None:
    own = Settings("postgresql://db.example", tmp_path)
    assert own.space_folder is None
    assert seen(FreeSpace.of(own)) == "enough"
    assert Settings(None, tmp_path).space_folder == tmp_path
    given = Settings.from_environment(
        {
            "DATABASE_URL": "postgresql://db.example",
            "HEALTHPLUS_DATABASE_FOLDER": "/var/lib/postgresql",
            "HEALTHPLUS_SPACE_FOR_BOOKINGS_MIB": "4000",
            "HEALTHPLUS_SPACE_FOR_CHANGES_MIB": "500",
        }
    )
    assert (given.space_folder, given.space_for_bookings_mib, given.space_for_changes_mib) == (
        Path("/var/lib/postgresql"), 4000, 500,
    )  # fmt: skip


async def test_the_demo_is_not_filled(db: Database) -> None:
    db.space = FreeSpace(Path("/"), bookings_mib=1 << 40, changes_mib=0)
    with pytest.raises(DiskFull):
        await create_demo_data(db)
    assert await db.fetch_value("SELECT count(*) FROM directory.provider") == 0


@pytest.mark.parametrize("arguments", [["import", "FILE"], ["fee", "1", "1", "500"], ["patient", "add", "A"]])
async def test_commands_are_refused_too(
    arguments: list[str], dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hospitals.csv"
    columns = "name,address,state,district,pincode,latitude,longitude"
    file.write_text(f"{columns}\nCity Hospital,Main Road,Goa,Panaji,403001,15.5,73.8\n")
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("HEALTHPLUS_DATA", str(tmp_path))
    monkeypatch.setenv("HEALTHPLUS_DATABASE_FOLDER", str(tmp_path))
    huge = str(1 << 40)
    monkeypatch.setenv("HEALTHPLUS_SPACE_FOR_BOOKINGS_MIB", huge)
    if arguments[0] != "import":
        monkeypatch.setenv("HEALTHPLUS_SPACE_FOR_CHANGES_MIB", huge)
    words = [str(file) if word == "FILE" else word for word in arguments]
    refused = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert refused.exit_code == 1, refused.output
    assert "The disk of our book is" in refused.output
