"""Commands that show an operator how the product does."""

from __future__ import annotations

import asyncio
import json

import click
import msgspec

from healthplus.database import Database, Record, running_database
from healthplus.errors import HealthPlusError
from healthplus.monitoring.reporter import queries
from healthplus.monitoring.status import Status, error_line, lines_of, read_status, shown_database
from healthplus.settings import Settings

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("errors")
@click.option("--days", type=click.IntRange(1, 31), default=7, show_default=True, help="Of how many days.")
@_as_json
@click.pass_obj
def errors_command(settings: Settings, days: int, as_json: bool) -> None:
    """List the faults of the last days, the latest first: what went wrong where, how often, and in which request."""

    async def read(dsn: str) -> list[Record]:
        async with await Database.connect(dsn, 1, 1) as database:
            return await database.fetch(queries.errors, days)

    with running_database(settings, reads=True) as dsn:
        rows = asyncio.run(read(dsn))
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], default=str))
    elif not rows:
        click.echo(f"No faults in the last {days} days.")
    for row in rows if not as_json else ():
        click.echo(error_line(row))


@click.command("status")
@_as_json
@click.pass_obj
def status_command(settings: Settings, as_json: bool) -> None:
    """Show on one screen how the product does; exit with 1 where something needs somebody."""
    try:
        with running_database(settings, reads=True) as dsn:
            status = asyncio.run(read_status(settings, dsn))
    except HealthPlusError as error:  # there is no database to ask
        status = Status(
            [error.detail], database=shown_database(settings), faults=[f"Bookings cannot be made: {error.detail}"]
        )
    if as_json:
        click.echo(msgspec.json.encode(status).decode())
    else:
        for name, text, is_red in lines_of(status):
            click.echo(f"{name:<16}" + (click.style(text, fg="red", bold=True) if is_red else text))
        for fault in status.faults:
            click.secho(f"! {fault}", fg="red")
    if status.faults:
        raise SystemExit(1)
