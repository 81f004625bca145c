"""Commands that find providers, and set their fees."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import click

from healthplus.database import Database, Record, load, running_database
from healthplus.directory.fees import FUNDINGS, checked_fee, require_funding
from healthplus.errors import NotFound
from healthplus.money import INR, in_units, unit_name
from healthplus.settings import Settings

ID = click.IntRange(1, 2**63 - 1)

queries = load(Path(__file__).with_name("directory.sql"))


@click.command("find")
@click.argument("name")
@click.pass_obj
def find_command(settings: Settings, name: str) -> None:
    """List providers by a part of their name, with the ids that other commands take."""

    async def find(dsn: str) -> list[Record]:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await database.fetch(queries.providers_named, name)

    with running_database(settings, reads=True) as dsn:
        rows = asyncio.run(find(dsn))
    if not rows:
        raise NotFound(f"No provider's name contains {name!r}.")
    for row in rows:
        fee = in_units(row["fee_minor"], row["currency"])
        click.echo(
            f"provider {row['provider_id']}, clinic {row['clinic_id']}: {row['name']} ({row['type']}), "
            f"{row['clinic']}, {row['city']}; {row['funding']}, {fee} {unit_name(row['currency'])}"
        )


@click.command("fee")
@click.argument("provider_id", type=ID)
@click.argument("clinic_id", type=ID)
@click.argument("fee", type=click.IntRange(0, 1_000_000))
@click.option("--funding", type=click.Choice(FUNDINGS), default="online", show_default=True)
@click.pass_obj
def fee_command(settings: Settings, provider_id: int, clinic_id: int, fee: int, funding: str) -> None:
    """Set the fee of an appointment, in whole units of the clinic's currency (rupees in India), and how it is paid."""

    async def set_fee(dsn: str) -> str:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            currency = await database.fetch_value(queries.currency, clinic_id) or INR
            fee_minor = checked_fee(Decimal(fee), currency)
            require_funding(fee_minor, funding, currency)
            return await database.execute(queries.set_fee, provider_id, clinic_id, fee_minor, funding, currency)

    with running_database(settings) as dsn:
        if asyncio.run(set_fee(dsn)) == "UPDATE 0":
            raise NotFound("There is no such provider at that clinic; `healthplus find NAME` shows the ids.")
    click.echo("The fee is set.")
