"""The `import` command, and what it prints."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from healthplus.country import HERE
from healthplus.database import BULK, Database, FreeSpace, running_database
from healthplus.imports.import_csv import Options, Remark, Summary, import_csv
from healthplus.settings import Settings

_LINES_SHOWN_MAX = 50


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--strict", is_flag=True, help="Store nothing if any row is rejected.")
@click.option("--time-zone", default=HERE.time_zone, show_default=True, help="Time zone of cities not known yet.")
@click.option("--photos-again", is_flag=True, help="Fetch also photos that were fetched before.")
@click.pass_obj
def import_command(
    settings: Settings, file: Path, dry_run: bool, strict: bool, time_zone: str, photos_again: bool
) -> None:
    """Import hospitals, providers with shifts and services, or postal codes from a CSV file; see docs/import.md."""
    console = Console()
    with running_database(settings) as dsn:
        space = FreeSpace.of(settings)
        summary = asyncio.run(_import(dsn, file, Options(dry_run, strict, time_zone, photos_again), console, space))
    print_summary(summary, console)
    if dry_run:
        console.print("Dry run: nothing was stored.")
    elif not summary.stored:
        raise click.ClickException("rows were rejected and --strict was given: nothing was stored")


async def _import(dsn: str, file: Path, options: Options, console: Console, space: FreeSpace) -> Summary:
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as db:
        db.space = space
        watch = partial(
            track, description="Importing", console=console, transient=True, disable=not console.is_terminal
        )
        return await import_csv(db, file, options, watch)


def print_summary(summary: Summary, console: Console) -> None:
    """Print the counts, then each rejected row, the first fifty at most, with its line and reason."""
    if summary.encoding == "cp1252":
        console.print(
            "The file is not UTF-8; it was read as Windows-1252. Look at names with accents, or save it as UTF-8."
        )
    if summary.ignored_columns:
        console.print(f"Columns not known and left out: {', '.join(summary.ignored_columns)}", markup=False)
    table = Table("", "added", "updated", "unchanged")
    for name in summary.added | summary.unchanged:
        counts = (summary.added[name], summary.updated[name], summary.unchanged[name])
        table.add_row(name.replace("_", " "), *map(str, counts))
    console.print(table)
    console.print(
        f"{summary.rows} rows of a {summary.format}: {summary.accepted} accepted, "
        f"{len(summary.duplicates)} duplicates, {len(summary.rejected)} rejected."
    )
    for text, count in Counter(gap.text for gap in summary.gaps).most_common():
        console.print(f"Tolerated in {count} rows: {text}.", markup=False)
    _print_lines("No picture", summary.missing_photos, console)
    _print_lines("Duplicate", summary.duplicates, console)
    _print_lines("Rejected", summary.rejected, console)


def _print_lines(what: str, remarks: list[Remark], console: Console) -> None:
    for line, text in remarks[:_LINES_SHOWN_MAX]:
        console.print(f"{what}, line {line}: {text}", markup=False, highlight=False, soft_wrap=True)
    if (more := len(remarks) - _LINES_SHOWN_MAX) > 0:
        console.print(f"… and {more} more.")
