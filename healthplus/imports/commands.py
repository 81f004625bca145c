"""The `import` command."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.progress import track

from healthplus.country import HERE
from healthplus.database import BULK, Database, FreeSpace, running_database
from healthplus.imports.columns import ColumnsUnknown
from healthplus.imports.formats import Kind
from healthplus.imports.import_file import import_file
from healthplus.imports.mappings import column_map, write_map
from healthplus.imports.report import print_proposal, print_summary
from healthplus.imports.store import Step
from healthplus.imports.summary import Options, Summary
from healthplus.settings import Settings


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(get_args(Kind)), help="What the file lists, where its columns do not say it.")
@click.option("--map", "pairs", multiple=True, metavar="THEIRS=OURS", help="Which column is which of ours; repeatable.")
@click.option(
    "--mapping", type=click.Path(dir_okay=False, path_type=Path), help="A file with such pairs; a new one is proposed."
)
@click.option("--encoding", help="How the text of a CSV file is encoded, where that cannot be told.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--strict", is_flag=True, help="Store nothing if any row is rejected.")
@click.option("--strict-cells", is_flag=True, help="Reject a row also for a fault in an optional cell.")
@click.option("--time-zone", default=HERE.time_zone, show_default=True, help="Time zone of cities not known yet.")
@click.option("--photos-again", is_flag=True, help="Fetch also photos that were fetched before.")
@click.option("--source", help="Where the file is from, by default its name.")
@click.option("--complete", metavar="SOURCE", help="The file is all of this source: what it lacks is gone.")
@click.option("--new-places", is_flag=True, help="What looks like a stored place with another name is another.")
@click.option("--yes", is_flag=True, help="Do not ask before much of what is stored is moved or overwritten.")
@click.pass_obj
def import_command(
    settings: Settings,
    /,
    file: Path,
    kind: Kind | None,
    pairs: tuple[str, ...],
    mapping: Path | None,
    **flags: bool | str | None,
) -> None:
    """Import hospitals, providers or postal codes from CSV, a spreadsheet or FHIR; see docs/import.md."""
    console = Console()
    options = Options(columns=column_map(pairs, mapping, kind), **flags)  # type: ignore[arg-type]
    try:
        summary = _run(settings, file, options, console)
    except ColumnsUnknown as unknown:
        print_proposal(unknown.proposal, console)
        if mapping and not mapping.exists():
            write_map(mapping, unknown.proposal)
            console.print(f"Written to {mapping}.", markup=False)
        raise click.ClickException(str(unknown)) from None
    print_summary(summary, console)
    if summary.unsure and not options.dry_run and not options.strict and console.is_terminal:
        click.confirm(f"Should it? {summary.unsure.capitalize()}.", abort=True)
        summary = _run(settings, file, replace(options, yes=True), console)
    _end(summary, options, console)


def _end(summary: Summary, options: Options, console: Console) -> None:
    if options.dry_run:
        console.print("Dry run: nothing was stored.")
    elif summary.unsure and not summary.stored:
        raise click.ClickException(f"{summary.unsure}: nothing was stored. If that is meant, say --yes")
    elif not summary.stored:
        raise click.ClickException("rows were rejected and --strict was given: nothing was stored")
    if summary.is_mostly_rejected:
        raise click.ClickException("more than half of the rows were rejected; is this the right file?")


def _run(settings: Settings, file: Path, options: Options, console: Console) -> Summary:
    with running_database(settings) as dsn:
        return asyncio.run(_import(dsn, file, options, console, FreeSpace.of(settings)))


async def _import(dsn: str, file: Path, options: Options, console: Console, space: FreeSpace) -> Summary:
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as db:
        db.space = space
        watch = partial(
            track, description="Importing", console=console, transient=True, disable=not console.is_terminal
        )

        def progress(steps: Iterable[Step], count: int) -> Iterable[Step]:
            return watch(steps, total=count)

        return await import_file(db, file, options, progress)
