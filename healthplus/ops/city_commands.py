"""Commands for cities."""

from __future__ import annotations

from pathlib import Path

import click

from healthplus import imports
from healthplus.database import Database, load
from healthplus.directory.commands import find_row, queries, with_database
from healthplus.errors import BadInput, Conflict
from healthplus.settings import Settings

_imports = load(Path(imports.__file__).with_name("import.sql"))


@click.group("city")
def city_group() -> None:
    """The cities that clinics are in."""


@city_group.command("merge")
@click.argument("city")
@click.argument("into")
@click.pass_obj
def merge_command(settings: Settings, city: str, into: str) -> None:
    """Make one city of two: clinics of CITY are then in INTO, to which its address leads. Each is a slug or an id."""

    async def merge(database: Database) -> str:
        one = await find_row(database, queries.find_city, city, "city")
        other = await find_row(database, queries.find_city, into, "city")
        if one["city_id"] == other["city_id"]:
            raise BadInput(f"{one['name']} is that city already.")
        if one["time_zone"] != other["time_zone"]:
            # What is booked would come at another time than was told.
            raise Conflict(f"{one['name']} is in {one['time_zone']}, {other['name']} in {other['time_zone']}.")
        async with database.transaction() as tx:
            await tx.execute(_imports.lock_imports)
            moved = await tx.fetch_value(queries.merge_cities, one["city_id"], other["city_id"])
            await tx.execute(_imports.count_words)
        return f"{one['name']} is now {other['name']}. Clinics moved: {moved}."

    click.echo(with_database(settings, merge))
