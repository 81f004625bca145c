"""The folder of the back-ups.

    folder/
      lock                held while a full back-up is made, or old ones are removed
      followed.json       until when all that was committed is here
      sent.txt            what the command of the settings has taken
      full/20261129T020000Z/
        about.json        when it was made, and what it needs
        backup/           base.tar.gz, pg_wal.tar.gz, backup_manifest: as pg_basebackup wrote them
      wal/0001/           what was written since, as pg_receivewal receives it; another folder after a gap

All of it belongs to the account that the database server runs under, and nobody else can read it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from healthplus.backup.errors import BackupFailed
from healthplus.database.programs import Programs
from healthplus.database.system import choose_account, locked

logger = logging.getLogger(__name__)

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_T = TypeVar("_T")


class FullBackup(msgspec.Struct, frozen=True):
    """A full back-up. Instants are by the server's clock; it can be restored to any from `ended_at` on.

    `first_wal` is the first segment that it needs, `end_lsn` where those end that are in it. `role` made it, by way of
    `database`, and can connect to it.
    """

    name: str
    began_at: datetime
    ended_at: datetime
    system_identifier: int
    role: str
    database: str
    first_wal: str
    end_lsn: str
    segment_bytes: int
    bytes: int


class Followed(msgspec.Struct, frozen=True):
    """All that was committed until `until`, by the server's clock, was written before `lsn`, and is in the folder."""

    until: datetime
    lsn: str


def lsn_number(lsn: str) -> int:
    """Return where something is in the server's log, as PostgreSQL writes it, in bytes."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(number: int) -> str:
    """Return a place of the server's log as PostgreSQL writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def segment_number(name: str, segment_bytes: int) -> int:
    """Return how many segments were before the one in a file of this name."""
    return int(name[8:16], 16) * ((1 << 32) // segment_bytes) + int(name[16:24], 16)


def segment_name(timeline: int, lsn: str, segment_bytes: int) -> str:
    """Return the name of the file that has this place of the log."""
    high, low = divmod(lsn_number(lsn) // segment_bytes, (1 << 32) // segment_bytes)
    return f"{timeline:08X}{high:08X}{low:08X}"


class BackupFolder:
    """What is in the folder. `programs` run as the account that it belongs to."""

    def __init__(self, path: Path, programs_folder: Path | None = None) -> None:
        self.path = path.absolute()
        self.programs = Programs(choose_account(self.path), self.path, programs_folder)

    def prepare(self) -> None:
        """Make it where it is missing. Raises BackupFailed where its parent is missing, or it cannot be written to."""
        account = self.programs.account
        try:
            if not self.path.exists():
                self.path.mkdir()  # no parents: a disk that is not mounted is not to be taken for an empty one
                os.chown(self.path, account.pw_uid, account.pw_gid)
            if self.path.stat().st_uid in (os.geteuid(), account.pw_uid):
                self.path.chmod(0o700)
        except OSError as error:
            raise BackupFailed(f"The folder {self.path} cannot be made: {error.strerror}.") from error
        made = self.programs.run("sh", "-c", 'cd "$1" && mkdir -p full wal', "sh", self.path)
        if made.returncode != 0:
            raise BackupFailed(
                f"The account {account.pw_name!r}, which backs up, cannot write in {self.path}. Let it own that "
                f"folder, and let everybody enter its parents, or name another folder. ({made.stderr.strip()})"
            )

    def require(self) -> None:
        """Raise BackupFailed where there are no back-ups."""
        if not (self.path / "full").is_dir():
            raise BackupFailed(f"There are no back-ups in {self.path}; name the folder that `healthplus backup` wrote.")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have nobody else make or remove full back-ups, for the block."""
        with locked(self.path / "lock"):
            yield

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Have nobody remove what is there, for the block; where somebody is at it, or nothing can be noted, go on."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                file = stack.enter_context((self.path / "lock").open("a"))
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield

    def fulls(self) -> list[FullBackup]:
        """Return the full back-ups that are complete, the oldest first, but for those whose about.json is damaged."""
        found = (self._read(path, FullBackup) for path in self._abouts())
        return [full for full in found if full is not None]

    def unreadable(self) -> list[str]:
        """Return what is wrong with the files that say what there is."""
        paths = [(path, FullBackup) for path in self._abouts()] + [(self.path / "followed.json", Followed)]
        return [f"{path} is damaged." for path, kind in paths if path.exists() and self._read(path, kind) is None]

    def files_of(self, full: FullBackup) -> Path:
        """Return the folder with a full back-up's files."""
        return self.path / "full" / full.name / "backup"

    def followed(self) -> Followed | None:
        """Return how far what was written is here."""
        return self._read(self.path / "followed.json", Followed)

    def until(self) -> datetime | None:
        """Return the latest moment that can be restored."""
        followed = self.followed()
        moments = [full.ended_at for full in self.fulls()] + ([followed.until] if followed else [])
        return max(moments, default=None)

    def streams(self) -> list[Path]:
        """Return the folders of what was written, the oldest first."""
        return sorted(path for path in (self.path / "wal").glob("*") if path.is_dir())

    def new_stream(self) -> Path:
        """Make another folder for what is written, after a gap."""
        numbers = [int(path.name) for path in self.streams()]
        stream = self.path / "wal" / f"{max(numbers, default=0) + 1:04}"
        stream.mkdir(mode=0o700)
        self.own(stream)
        return stream

    def segments(self) -> list[Path]:
        """Return the complete files of what was written, in order."""
        files = (path for stream in self.streams() for path in stream.iterdir() if _SEGMENT.fullmatch(path.name))
        return sorted(files, key=lambda path: path.name)

    def timelines(self) -> list[str]:
        """Return the numbers of the histories that what was written is of: a restore begins another."""
        return sorted({str(int(path.name[:8], 16)) for path in self.segments()}, key=int)

    def is_connected(self, full: FullBackup) -> bool:
        """Return whether the newest stream has what was written from the end of a full back-up on, in its history."""
        names = [path.name[:24] for stream in self.streams()[-1:] for path in stream.iterdir()]
        of_history = [name for name in names if _SEGMENT.fullmatch(name) and name[:8] == full.first_wal[:8]]
        ends = lsn_number(full.end_lsn) // full.segment_bytes
        return any(segment_number(name, full.segment_bytes) <= ends for name in of_history)

    def finished_files(self) -> list[Path]:
        """Return all files that do not change any more."""
        full = [path for one in self.fulls() for path in (self.path / "full" / one.name).rglob("*") if path.is_file()]
        histories = [path for stream in self.streams() for path in stream.glob("*.history")]
        return [*full, *histories, *self.segments()]

    def write(self, path: Path, value: msgspec.Struct) -> None:
        """Write a file as a whole, or leave the one before; it is on the disk afterwards."""
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.write(msgspec.json.encode(value))
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o600)
        self.own(unfinished)
        unfinished.rename(path)
        sync(path.parent)

    def remove(self, full: FullBackup) -> None:
        """Remove a full back-up."""
        shutil.rmtree(self.path / "full" / full.name)

    def own(self, path: Path) -> None:
        """Let the folder's account own a file or folder."""
        os.chown(path, self.programs.account.pw_uid, self.programs.account.pw_gid)

    def _abouts(self) -> list[Path]:
        return sorted((self.path / "full").glob("*Z/about.json"))

    def _read(self, path: Path, kind: type[_T]) -> _T | None:
        """Return what a file says; None where it is missing, or damaged: others must be of use then."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            logger.warning("%s is damaged", path)
            return None
        except OSError as error:
            raise BackupFailed(f"{path} cannot be read: {error.strerror}") from error


def identity(path: Path) -> tuple[int, int]:
    """Return which disk a folder is on, and which of that disk's it is: its path may come to lead to another."""
    found = path.stat()
    return found.st_dev, found.st_ino


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, be on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
