"""The commands that back up, and restore: `healthplus backup` and `healthplus restore`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder
from healthplus.backup.follow import follow
from healthplus.backup.full import take_full, verify_files, verify_wal
from healthplus.backup.restore import restore, shown
from healthplus.backup.source import source_url
from healthplus.backup.state import queries
from healthplus.database import Database, found_database
from healthplus.errors import BadInput
from healthplus.lifeline import end_with_stdin
from healthplus.logs import configure_logs
from healthplus.ops.rehearsal import rehearse
from healthplus.settings import Settings

_MOMENTS = ["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]
_PATH = click.Path(file_okay=False, path_type=Path)
_NO_FOLDER = "Name the folder of the back-ups, or set HEALTHPLUS_BACKUP_FOLDER."


class _Moment(click.DateTime):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no moment with its time zone, such as 2026-11-29T14:02:59+0530.", param, ctx)


@click.command("backup")
@click.argument("folder", type=_PATH, required=False)
@click.option("--follow", "follows", is_flag=True, help="Go on: keep all that is written, a full one each night.")
@click.option("--verify", "verifies", is_flag=True, help="Read all that is in the folder; 1 if anything is damaged.")
@click.option("--until-stdin-ends", is_flag=True, hidden=True, help="End with the process that has its standard input.")
@click.pass_obj
def backup_command(
    settings: Settings, folder: Path | None, follows: bool, verifies: bool, until_stdin_ends: bool
) -> None:
    """Back up the database into a folder, on another disk: a full back-up, which is verified."""
    if until_stdin_ends:
        end_with_stdin()
    if follows and verifies:
        raise BadInput("Say either --follow or --verify.")
    kept_folder, settings = settings.backup_folder, replace(settings, backup_folder=folder or settings.backup_folder)
    backups = _folder_of(settings, settings.backup_folder)
    if verifies:
        _verify(backups)
        return
    with found_database(settings, reads=True, may_be_next=True) as found:
        if follows:
            configure_logs(settings.log_format)
            asyncio.run(follow(found, backups, lambda: rehearse(found, backups)))
        else:
            _take(found, backups, is_kept=kept_folder in (None, settings.backup_folder))


@click.command("restore")
@click.argument("folder", type=_PATH, required=False)
@click.option("--to", "moment", type=_Moment(_MOMENTS), help="Such as 2026-11-29T14:02:59+0530; the latest.")
@click.option("--from", "source", type=_PATH, help="The folder of the back-ups.  [default: HEALTHPLUS_BACKUP_FOLDER]")
@click.option("--timeline", default="latest", help="The number of another history, after an earlier restore.")
@click.option("--rehearse", "rehearses", is_flag=True, help="Restore to a random second beside the product, and check.")
@click.option("--json", "as_json", is_flag=True, help="Print what a rehearsal found as a JSON object.")
@click.pass_obj
def restore_command(
    settings: Settings,
    folder: Path | None,
    moment: datetime | None,
    source: Path | None,
    timeline: str,
    rehearses: bool,
    as_json: bool,
) -> None:
    """Restore the database as it was at a moment into FOLDER, a new data folder; or rehearse that."""
    backups = _folder_of(settings, source or settings.backup_folder)
    if rehearses:
        if folder or moment:
            raise BadInput("A rehearsal chooses the second itself, and keeps nothing: leave FOLDER and --to out.")
        _rehearse(settings, backups, as_json)
        return
    if folder is None:
        raise BadInput("Name the new data folder to restore into.")
    if timeline not in ("latest", "current") and not timeline.isdecimal():
        raise BadInput("--timeline takes a number, such as 1.")
    with _saying() as say:
        restored = restore(backups, moment, folder, timeline, say)
    last = restored.last_commit_at
    click.echo(
        f"Restored in {restored.seconds:.0f} s into {folder.absolute()}, from the full back-up of "
        f"{shown(restored.full.ended_at)}. The last change in it is of {shown(last) if last else 'before that'}."
    )


def _folder_of(settings: Settings, path: Path | None) -> BackupFolder:
    if path is None:
        raise BadInput(_NO_FOLDER)
    return BackupFolder(path, settings.backup_programs)


def _take(settings: Settings, backups: BackupFolder, *, is_kept: bool) -> None:
    """Make a full back-up; it counts as the product's where it `is_kept` in the folder of the settings."""
    began = time.monotonic()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Backing up", total=1.0)
        full = take_full(backups, source_url(settings), lambda share: progress.update(task, completed=share))
    if is_kept:
        asyncio.run(_note_full(settings))
    # Older ones stay: one that is made by hand is often made because something is wrong since the one before.
    click.echo(
        f"Backed up and verified in {time.monotonic() - began:.0f} s: {backups.files_of(full).parent}, "
        f"{full.bytes / 1e6:,.0f} MB."
    )


async def _note_full(settings: Settings) -> None:
    async with await Database.connect(settings.database_url or "", min_size=1, max_size=1) as database:
        await database.execute(queries.note_full, 0.0)


def _verify(backups: BackupFolder) -> None:
    backups.require()
    faults = backups.unreadable()
    with _saying() as say, backups.locked():
        for full in backups.fulls():
            say(f"Reading the full back-up of {shown(full.ended_at)}")
            try:
                verify_files(backups, backups.files_of(full))
            except BackupFailed as error:
                faults.append(str(error))
        say("Reading what was written since")
        faults += verify_wal(backups)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise SystemExit(1)
    if (until := backups.until()) is None:
        raise BackupFailed(f"There is no complete full back-up in {backups.path}.")
    click.echo(f"All is as it was written: from {shown(backups.fulls()[0].ended_at)} to {shown(until)}.")


def _rehearse(settings: Settings, backups: BackupFolder, as_json: bool) -> None:
    with found_database(settings, reads=True, may_be_next=True) as found, _saying() as say:
        result = rehearse(found, backups, say)
    if as_json:
        click.echo(msgspec.json.encode(result))
    else:
        for name, value in msgspec.structs.asdict(result).items():
            click.echo(f"{name:>15}  {f'{value:.1f}' if isinstance(value, float) else value}")
    if result.problem:
        raise SystemExit(1)


@contextmanager
def _saying() -> Iterator[Callable[[str], object]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda text: status.update(f"{text} …")
