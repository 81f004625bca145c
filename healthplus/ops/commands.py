"""Commands for operators of the product."""

from __future__ import annotations

import asyncio

import click

from healthplus.database import BULK, Database, running_database
from healthplus.ops.check import Violation, all_violations
from healthplus.payments.account_faults import account_faults
from healthplus.settings import Settings


@click.command("check")
@click.pass_obj
def check_command(settings: Settings) -> None:
    """Check every invariant of the book and the money; print the rows that break one, and exit with 1 if any does."""

    async def run(dsn: str) -> tuple[list[Violation], list[str]]:
        async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
            return await all_violations(database), await account_faults(database, settings)

    with running_database(settings, reads=True) as dsn:
        found, missing = asyncio.run(run(dsn))
    for fault in missing:  # of the settings: no invariant is broken
        click.echo(f"! {fault}")
    for violation in found:
        click.echo(f"{violation.invariant}: " + ", ".join(f"{key}={value}" for key, value in violation.row.items()))
    if found:
        raise SystemExit(1)
    click.echo("Every invariant holds.")
