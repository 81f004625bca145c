"""Commands for operators of the product."""

from __future__ import annotations

import asyncio

import click

from healthplus.database import BULK, Database, running_database
from healthplus.ops.check import Violation, all_violations
from healthplus.settings import Settings


@click.command("check")
@click.pass_obj
def check_command(settings: Settings) -> None:
    """Check every invariant of the book and the money; print the rows that break one, and exit with 1 if any does."""

    async def run(dsn: str) -> list[Violation]:
        async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
            return await all_violations(database)

    with running_database(settings, reads=True) as dsn:
        found = asyncio.run(run(dsn))
    for violation in found:
        click.echo(f"{violation.invariant}: " + ", ".join(f"{key}={value}" for key, value in violation.row.items()))
    if found:
        raise SystemExit(1)
    click.echo("Every invariant holds.")
