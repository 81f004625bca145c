"""The command that lists breaches of personal data, for an operator without a browser at hand."""

from __future__ import annotations

import click

from healthplus.database import Database, Record
from healthplus.directory.commands import with_database
from healthplus.settings import Settings
from healthplus.staff.sessions import queries

_HOUR_SECONDS = 3600


@click.group("breach")
def breach_group() -> None:
    """Breaches of personal data; /office/breaches is where they are noted."""


@breach_group.command("list")
@click.pass_obj
def list_command(settings: Settings) -> None:
    """List the breaches, with who is still to be told of each, and until when."""

    async def read(database: Database) -> list[Record]:
        return await database.fetch(queries.breaches)

    for row in with_database(settings, read, reads=True, as_owner=True):
        people = "an unknown number of" if row["people"] is None else row["people"]
        click.echo(
            f"{row['breach_id']} known since {row['known_at']:%Y-%m-%d %H:%M} UTC, {people} people: {_state(row)}"
        )
        click.echo(f"    {' '.join(row['happened'].split())[:200]}")


def _state(row: Record) -> str:
    if row["closed_at"]:
        return f"closed {row['closed_at']:%Y-%m-%d}"
    due = [
        text
        for column, text in (
            ("board_told_at", "the Board is to be told"),
            ("people_told_at", "those concerned are to be told"),
            ("board_reported_at", f"the Board's report is due, {_left(row['seconds_left'])}"),
        )
        if row[column] is None
    ]
    return "; ".join(due) or "all were told"


def _left(seconds: float) -> str:
    hours = int(abs(seconds) // _HOUR_SECONDS)
    return f"{hours} hours {'late' if seconds < 0 else 'left'}"
