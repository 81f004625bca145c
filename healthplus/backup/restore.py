"""Restoring: the newest full back-up before a moment, and what was written after it until then, in a new folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder, Followed, FullBackup, lsn_number
from healthplus.backup.full import UNPACK_WAL, unpacked_bytes
from healthplus.database import Database, Record, temporary_folder
from healthplus.database.limits import COMMANDS
from healthplus.database.recovering import RecoveringServer
from healthplus.errors import BadInput, EmbeddedServerFailed

logger = logging.getLogger(__name__)

_ROOM_SHARE = 1.2
_OF_DISKS = ("lost+found",)
_TOO_EARLY_AN_END = "recovery ended before configured recovery target was reached"
_REACHED = "SELECT pg_last_wal_replay_lsn()::text AS lsn, pg_last_xact_replay_timestamp() AS last_commit_at"
_OTHER_HISTORY = "is not a child of this server's history"
_READ_WRITE = "CREATE TEMPORARY TABLE healthplus_restored (n integer)"


@dataclass(frozen=True)
class Restored:
    """A restored server that runs. `seconds`: from the beginning until it could be read and written."""

    server: RecoveringServer
    full: FullBackup
    last_commit_at: datetime | None
    seconds: float


def say_nothing(_: str) -> None:
    """Report nothing."""


def choose_fulls(folder: BackupFolder, moment: datetime | None) -> list[FullBackup]:
    """Return the full back-ups to begin with, the best first. Raises BadInput where no back-up reaches to `moment`."""
    folder.require()
    fulls, until = folder.fulls(), folder.until()
    if not fulls or until is None:
        raise BackupFailed(f"There is no complete full back-up in {folder.path}.")
    if moment is None:
        return fulls[::-1]
    covered = f"What is in {folder.path} reaches from {shown(fulls[0].ended_at)} to {shown(until)}"
    if moment > until:
        raise BadInput(f"{covered}, not to {shown(moment)}. Leave --to out for the latest.")
    if not (before := [full for full in fulls if full.ended_at <= moment]):
        raise BadInput(f"{covered}, and not back to {shown(moment)}.")
    return before[::-1]


@contextlib.contextmanager
def recovered(
    folder: BackupFolder,
    moment: datetime | None,
    scratch: Path,
    timeline: str = "latest",
    say: Callable[[str], object] = say_nothing,
    *,
    falls_back: bool = False,
) -> Iterator[Restored]:
    """Restore to `moment`, by default all there is, in the empty folder `scratch`, and run the server for this block.

    Where a full back-up is damaged, it `falls_back` to the one before. Raises BadInput where no back-up reaches there,
    BackupFailed where it is damaged or there is no room.
    """
    with folder.kept():
        yield from _recovered(folder, moment, scratch, timeline, say, falls_back=falls_back)


def _recovered(
    folder: BackupFolder,
    moment: datetime | None,
    scratch: Path,
    timeline: str,
    say: Callable[[str], object],
    *,
    falls_back: bool,
) -> Iterator[Restored]:
    began = time.monotonic()
    fulls, followed = choose_fulls(folder, moment), folder.followed()  # it goes on meanwhile, where the product runs
    full = _unpack_sound(folder, fulls if falls_back else fulls[:1], scratch / "server", say)
    recovery = {"restore_command": _restore_command(folder), "recovery_target_timeline": timeline}
    target = {} if moment is None else {"recovery_target_time": moment.astimezone(UTC).isoformat()}
    say("Replaying what was written since")
    server = _started(folder, full, scratch, {**recovery, **target})
    if is_all := moment is None or server is None:
        # All there is was committed before the moment: then all of it is wanted, if nothing is missing.
        server = server or _started(folder, full, scratch, recovery)
    assert server is not None
    try:
        reached = asyncio.run(_look(server.dsn_of(full.role, full.database)))
        seconds = time.monotonic() - began
        if is_all and timeline == "latest":  # another history ends where it was left
            _require_all(followed, moment, reached)
        yield Restored(server, full, reached["last_commit_at"], seconds)
    finally:
        server.stop()


def restore(
    folder: BackupFolder,
    moment: datetime | None,
    into: Path,
    timeline: str = "latest",
    say: Callable[[str], object] = say_nothing,
) -> Restored:
    """Restore to `moment` in a new data folder, which is there only once all is done; its server does not run then.

    Raises BadInput where something is in `into`, or no back-up reaches to `moment`; BackupFailed where it is damaged.
    """
    into = into.absolute()
    if into.exists() and (not into.is_dir() or any(path.name not in _OF_DISKS for path in into.iterdir())):
        raise BadInput(f"{into} is not empty. Nothing is ever restored over what is there: name a new folder.")
    choose_fulls(folder, moment)
    with contextlib.ExitStack() as stack:
        if not into.exists():
            try:
                into.mkdir(mode=0o755)
            except OSError as error:
                raise BadInput(f"{into} cannot be made: {error.strerror}.") from error
            stack.callback(_remove_empty, into)
        # Within it, as it may be a disk of its own; and under another name, so that nobody starts half of it.
        scratch = stack.enter_context(temporary_folder(".restoring-", into))
        with recovered(folder, moment, scratch, timeline, say, falls_back=True) as restored:
            say("Stopping the restored server")
        (scratch / "server").rename(into / "server")
    return restored


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it is not empty: all went well
        folder.rmdir()


def shown(moment: datetime) -> str:
    """Return a moment as people read it, to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _unpack_sound(
    folder: BackupFolder, fulls: Sequence[FullBackup], server_folder: Path, say: Callable[[str], object]
) -> FullBackup:
    """Unpack the first of these full back-ups that is not damaged, and return it. Raises BackupFailed."""
    for full in fulls[:-1]:
        try:
            _unpack(folder, full, server_folder, say)
        except BackupFailed as error:
            logger.warning("%s Trying the one before it.", error)
            shutil.rmtree(server_folder)
        else:
            return full
    _unpack(folder, fulls[-1], server_folder, say)
    return fulls[-1]


def _require_room(full: FullBackup, files: Path, parent: Path) -> None:
    needed, free = unpacked_bytes(files), shutil.disk_usage(parent).free
    if free < needed * _ROOM_SHARE:  # and for what is replayed; and what else is written to this disk must not stop
        raise BackupFailed(
            f"The full back-up of {shown(full.ended_at)} needs {needed * _ROOM_SHARE / 1e6:,.0f} MB on the disk of "
            f"{parent}, and {free / 1e6:,.0f} MB are free. Make room there, or restore to another disk."
        )


def _unpack(folder: BackupFolder, full: FullBackup, server_folder: Path, say: Callable[[str], object]) -> None:
    """Unpack a full back-up into `server_folder`/data, and look whether all of it is as it was."""
    programs, files, data = folder.programs, folder.files_of(full), server_folder / "data"
    _require_room(full, files, server_folder.parent)
    say(f"Unpacking the full back-up of {shown(full.ended_at)}")
    server_folder.mkdir(mode=0o700)
    folder.own(server_folder)
    unpacked = programs.run(
        "sh", "-c",
        f'mkdir "$3" && tar -xzf "$4" -C "$3" && mkdir -p "$1" && {UNPACK_WAL}',
        "sh", data / "pg_wal", files / "pg_wal.tar.gz", data, files / "base.tar.gz",
    )  # fmt: skip
    if unpacked.returncode != 0:
        raise BackupFailed(f"The full back-up in {files} cannot be unpacked: {unpacked.stderr.strip()[:2000]}")
    say("Verifying it")
    read = programs.run("pg_verifybackup", "-q", "-m", files / "backup_manifest", data)
    if read.returncode != 0:
        raise BackupFailed(f"The full back-up in {files} is damaged: {read.stderr.strip()[:2000]}")
    programs.run("sh", "-c", ': > "$1/recovery.signal"', "sh", data)


def _restore_command(folder: BackupFolder) -> str:
    """Return the command by which the server gets a file of what was written: a complete one before one under way."""
    streams = " ".join(shlex.quote(str(stream)) for stream in reversed(folder.streams())).replace("%", "%%")
    return (
        f"for s in '' .partial; do for d in {streams or '/nowhere'}; do "
        '[ -f "$d/%f$s" ] && exec cp "$d/%f$s" "%p"; done; done; exit 1'
    )


def _started(
    folder: BackupFolder, full: FullBackup, scratch: Path, recovery: Mapping[str, str]
) -> RecoveringServer | None:
    """Return a server that has recovered; None where its moment is after everything that was committed."""
    server = RecoveringServer(scratch, recovery, folder.programs.folder)
    try:
        server.start()
    except EmbeddedServerFailed as error:
        if _TOO_EARLY_AN_END in server.last_words(30):
            return None
        if _OTHER_HISTORY in server.last_words(30):
            raise BackupFailed(
                "That moment is of another history than what is written now: an earlier restore went back to before "
                f"it. Say --timeline {int(full.first_wal[:8], 16)} to have it."
            ) from error
        if recovery["recovery_target_timeline"] != "latest":
            raise BackupFailed(
                f"There is no history {recovery['recovery_target_timeline']} that goes on from this full back-up; the "
                f"back-up has {', '.join(folder.timelines()) or 'none'}."
            ) from error
        raise BackupFailed(f"What was restored could not be started: {error}") from error
    return server


async def _look(dsn: str) -> Record:
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=COMMANDS) as database:
        row = await database.fetch_row(_REACHED)
        await database.execute(_READ_WRITE)
    assert row is not None
    return row


def _require_all(followed: Followed | None, moment: datetime | None, reached: Record) -> None:
    """Raise BackupFailed where the log ended before it should: a file of it is missing or damaged."""
    last = reached["last_commit_at"]
    if followed is None or lsn_number(reached["lsn"]) >= lsn_number(followed.lsn):
        return
    if moment is not None and last is not None and last >= moment:
        return
    raise BackupFailed(
        f"What was written after the full back-up is missing or damaged from {reached['lsn']} on, and should reach to "
        f"{shown(followed.until)}; `healthplus backup --verify` says which file. To have what there is, restore with "
        + ("an earlier --to." if last is None else f"--to {last.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}.")
    )
