"""Full back-ups: making one, looking whether one is whole, and removing those that are not needed any more."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC
from itertools import groupby, pairwise
from pathlib import Path
from typing import IO, Any

import msgspec

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder, FullBackup, lsn_number, lsn_text, segment_name, segment_number
from healthplus.backup.source import ask_facts, connection_of

Report = Callable[[float], object]
"""Told which share of the work is done, from 0 to 1."""
UNPACK_WAL = 'gzip -t "$2" && tar -xzf "$2" -C "$1"'
"""A file of zeros may be damaged so that tar, which ends before its end, does not see it."""
_STAMP = "%Y%m%dT%H%M%SZ"
_PROGRESS = re.compile(r"(\d+)/(\d+) kB \(\d+%\)")
_WORDS_MAX = 2000


class _File(msgspec.Struct):
    size: int = msgspec.field(name="Size")


class _WalRange(msgspec.Struct):
    timeline: int = msgspec.field(name="Timeline")
    start: str = msgspec.field(name="Start-LSN")
    end: str = msgspec.field(name="End-LSN")


class _Manifest(msgspec.Struct):
    """What a full back-up's own list says, as far as it is read here."""

    files: list[_File] = msgspec.field(name="Files")
    wal_ranges: list[_WalRange] = msgspec.field(name="WAL-Ranges")


def take_full(folder: BackupFolder, url: str, report: Report = lambda _: None) -> FullBackup:
    """Make a full back-up of the server at `url`, and verify it. Raises BackupFailed; what is unfinished is removed."""
    folder.prepare()
    with folder.locked():
        began = ask_facts(url)
        _refuse_another(folder, began["system_identifier"])
        name = began["at"].astimezone(UTC).strftime(_STAMP)
        unfinished = folder.path / "full" / f"{name}.unfinished"
        folder.programs.run("sh", "-c", 'rm -rf "$1"/*.unfinished', "sh", unfinished.parent)
        try:
            _copy(folder, url, unfinished / "backup", report)
            ended = ask_facts(url)
            full = _described(unfinished / "backup", name, began, ended)
            verify_files(folder, unfinished / "backup")
            folder.write(unfinished / "about.json", full)
        except BaseException:
            folder.programs.run("rm", "-rf", unfinished)
            raise
        unfinished.rename(unfinished.with_suffix(""))
    return full


def _refuse_another(folder: BackupFolder, system_identifier: int) -> None:
    if any(full.system_identifier != system_identifier for full in folder.fulls()):
        raise BackupFailed(
            f"{folder.path} has the back-ups of another database server. Name another folder for those of this one."
        )


def _copy(folder: BackupFolder, url: str, into: Path, report: Report) -> None:
    connection = connection_of(url)
    made = folder.programs.run("sh", "-c", 'mkdir -p "$1"', "sh", into)
    if made.returncode != 0:
        raise BackupFailed(f"{into} cannot be made: {made.stderr.strip()}")
    with folder.programs.start(
        "pg_basebackup", "-d", connection.address, "-D", into, "-F", "tar", "-Z", "gzip:1", "-X", "stream",
        "-c", "fast", "-l", "healthplus", "-P", "-w",
        environment=connection.environment, stdout=subprocess.DEVNULL,
    ) as copying:  # fmt: skip
        said = ""
        for line in _lines(copying.stderr):
            if found := _PROGRESS.search(line):
                report(min(1.0, int(found[1]) / max(1, int(found[2]))))
            else:
                said = (said + line)[-_WORDS_MAX:]
    if copying.returncode != 0:
        raise BackupFailed(f"pg_basebackup failed: {said.strip() or copying.returncode}")


def _lines(stream: IO[str] | None) -> Iterator[str]:
    assert stream is not None
    yield from stream


def _described(files: Path, name: str, began: Any, ended: Any) -> FullBackup:
    needed = _manifest(files).wal_ranges
    first, last = needed[0], needed[-1]
    if [path.name for path in files.glob("*.tar.gz") if path.name not in ("base.tar.gz", "pg_wal.tar.gz")]:
        raise BackupFailed("The server has tablespaces, which this back-up cannot restore; use pgBackRest instead.")
    segment_bytes = began["segment_bytes"]
    return FullBackup(
        name=name,
        began_at=began["at"],
        ended_at=ended["at"],
        system_identifier=began["system_identifier"],
        role=began["role"],
        database=began["database"],
        first_wal=segment_name(first.timeline, first.start, segment_bytes),
        end_lsn=last.end,
        segment_bytes=segment_bytes,
        bytes=sum(path.stat().st_size for path in files.iterdir()),
    )


def unpacked_bytes(files: Path) -> int:
    """Return how much room a full back-up needs. Raises BackupFailed where its manifest cannot be read."""
    return sum(file.size for file in _manifest(files).files)


def _manifest(files: Path) -> _Manifest:
    try:
        return msgspec.json.decode((files / "backup_manifest").read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise BackupFailed(f"The manifest of the back-up in {files} cannot be read: {error}") from error


def verify_files(folder: BackupFolder, files: Path) -> None:
    """Read all of a full back-up. Raises BackupFailed where it is not as it was when it was made."""
    run = folder.programs.run
    read = run("pg_verifybackup", "-n", "-q", files)
    if read.returncode != 0:
        raise BackupFailed(f"The back-up in {files} is damaged: {_first_lines(read.stderr)}")
    trial = files.with_name("wal.unfinished")
    try:
        unpacked = run(
            "sh", "-c", f'mkdir -p "$1" && {UNPACK_WAL}', "sh", trial, files / "pg_wal.tar.gz"
        )  # fmt: skip
        if unpacked.returncode != 0:
            raise BackupFailed(f"pg_wal.tar.gz in {files} is damaged: {_first_lines(unpacked.stderr)}")
        for part in _manifest(files).wal_ranges:
            looked = run("pg_waldump", "-q", "-p", trial, "-t", part.timeline, "-s", part.start, "-e", part.end)
            if looked.returncode != 0:
                raise BackupFailed(f"pg_wal.tar.gz in {files} is damaged: {_first_lines(looked.stderr)}")
    finally:
        run("rm", "-rf", trial)


def verify_wal(folder: BackupFolder) -> list[str]:
    """Return what is wrong with what was written since the full back-ups: files that are missing or damaged."""
    fulls, segments = folder.fulls(), folder.segments()
    if not fulls:
        return []
    faults = [*_unfinished_faults(folder, fulls[-1]), *_history_faults(folder, segments)]
    if not segments:
        return faults
    size = fulls[-1].segment_bytes
    # A history that was left has one of its own, and what was in it goes on in the next history's.
    under_way = [path for stream in folder.streams()[-1:] for path in sorted(stream.glob("*.partial"))[-1:]]
    numbers = [(path, segment_number(path.name, size)) for path in (*segments, *under_way)]
    faults += [
        f"WAL is missing between {before.name} and {after.name}: what was written there cannot be restored, nor, from "
        "a full back-up before it, anything after it."
        for (before, earlier), (after, later) in pairwise(numbers)
        if later > earlier + 1
    ]
    if numbers[0][1] > segment_number(segment_name(1, fulls[0].end_lsn, size), size):
        faults.append(f"WAL is missing between the full back-up {fulls[0].name} and {segments[0].name}.")
    faults += [
        f"{path} is damaged: it has {path.stat().st_size} bytes, not {size}."
        for path in segments
        if path.stat().st_size != size
    ]
    if faults:
        return faults
    groups = groupby(segments, key=lambda path: (path.name[:8], path.parent))
    return [
        fault for (timeline, stream), files in groups for fault in _damaged(timeline, stream, [*files], size, folder)
    ]


def _unfinished_faults(folder: BackupFolder, newest: FullBackup) -> Iterator[str]:
    """Yield what is wrong with the end of what was written: all that is followed is there, if the last of it is."""
    followed = folder.followed()
    if followed is None or lsn_number(followed.lsn) <= lsn_number(newest.end_lsn):
        return
    name = segment_name(1, lsn_text(lsn_number(followed.lsn) - 1), newest.segment_bytes)[8:]
    stream = folder.streams()[-1:]
    if not any(path.name[8:24] == name for one in stream for path in one.iterdir()):
        yield f"The end of what was written is missing: {'/'.join(map(str, stream)) or 'wal'} has no file …{name}."


def _history_faults(folder: BackupFolder, segments: list[Path]) -> Iterator[str]:
    """Yield which histories lack the file that says where they left the one before."""
    there = {path.name[:8] for stream in folder.streams() for path in stream.glob("*.history")}
    for timeline in sorted({path.name[:8] for path in segments} - there - {"00000001"}):
        yield f"{timeline}.history is missing: nothing of that history can be restored."


def _damaged(timeline: str, stream: Path, files: list[Path], segment_bytes: int, folder: BackupFolder) -> Iterator[str]:
    """Yield where some files of one history, one after another, cannot be read, up to the last but one."""
    if len(files) < 2:  # the last record of a file may end in the next one
        return
    start, end = (segment_number(path.name, segment_bytes) * segment_bytes for path in (files[0], files[-1]))
    looked = folder.programs.run(
        "pg_waldump", "-q", "-p", stream, "-t", int(timeline, 16), "-s", lsn_text(start), "-e", lsn_text(end)
    )  # fmt: skip
    if looked.returncode != 0:
        yield f"WAL is damaged: {_first_lines(looked.stderr)}"


def remove_old(folder: BackupFolder, keep: int) -> list[FullBackup]:
    """Remove all full back-ups but the newest `keep`, and what was written before these; return those removed."""
    with folder.locked():
        fulls = folder.fulls()
        old, kept = fulls[:-keep], fulls[-keep:]
        for full in old:
            folder.remove(full)
        for stream in folder.streams() if kept else ():
            folder.programs.run("pg_archivecleanup", stream, kept[0].first_wal)
            if stream != folder.streams()[-1] and not any(stream.iterdir()):
                stream.rmdir()
    return old


def _first_lines(said: str) -> str:
    return " ".join(said.split("\n")[:3]).strip()[:_WORDS_MAX]
