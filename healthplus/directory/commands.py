"""The command that finds providers, and what commands share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from healthplus.database import Database, PostgresError, Record, found_database, load
from healthplus.errors import DatabaseError, NotFound
from healthplus.money import in_units, unit_name
from healthplus.settings import Settings
from healthplus.text import identifier

T = TypeVar("T")

ID = click.IntRange(1, 2**63 - 1)

_NO_RIGHT = "42501"

queries = load(Path(__file__).with_name("directory.sql"))


@click.command("find")
@click.argument("name")
@click.pass_obj
def find_command(settings: Settings, name: str) -> None:
    """List providers by a part of their name, with the ids that other commands take."""
    rows = with_database(settings, lambda database: database.fetch(queries.providers_named, name), reads=True)
    if not rows:
        raise NotFound(f"No provider's name contains {name!r}.")
    for row in rows:
        fee = in_units(row["fee_minor"], row["currency"])
        click.echo(
            f"provider {row['provider_id']}, clinic {row['clinic_id']}: {row['name']} ({row['type']}), "
            f"{row['clinic']}, {row['city']}; {row['funding']}, {fee} {unit_name(row['currency'])}"
        )


def with_database(
    settings: Settings, act: Callable[[Database], Awaitable[T]], *, reads: bool = False, as_owner: bool = False
) -> T:
    """Return what an act on the running database returns. `reads`: it changes nothing.

    `as_owner`: the act needs more than the product may. Raises DatabaseError where the settings do not lead there.
    """

    async def run(dsn: str) -> T:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await act(database)

    with found_database(settings, reads=reads) as found:
        dsn = (found.database_owner_url if as_owner else None) or found.database_url
        assert dsn is not None
        try:
            return asyncio.run(run(dsn))
        except PostgresError as error:
            if as_owner and error.sqlstate == _NO_RIGHT:
                raise DatabaseError(
                    "This needs the database's owner: set DATABASE_OWNER_URL, the address with which it connects."
                ) from error
            raise


async def find_row(database: Database, sql: str, text: str, what: str) -> Record:
    """Return the row of `sql` for an id or identifier. Raises NotFound, naming `what` is not there."""
    known = identifier(text)
    number = int(known) if known.isascii() and known.isdigit() and len(known) < 19 else None
    row = await database.fetch_row(sql, number, known)
    if row is None:
        raise NotFound(f"There is no {what} {text!r}; `healthplus find NAME` shows the ids.")
    return row
