"""The command that sets the fee of a provider's appointments."""

from __future__ import annotations

from decimal import Decimal

import click

from healthplus.country import HERE
from healthplus.database import Database
from healthplus.directory.commands import ID, queries, with_database
from healthplus.directory.fees import FUNDINGS, checked_fee, require_funding
from healthplus.errors import NotFound
from healthplus.settings import Settings
from healthplus.staff.command_audit import note_command


@click.command("fee")
@click.argument("provider_id", type=ID)
@click.argument("clinic_id", type=ID)
@click.argument("fee", type=click.IntRange(0, 1_000_000))
@click.option("--funding", type=click.Choice(FUNDINGS), default="online", show_default=True)
@click.pass_obj
def fee_command(settings: Settings, provider_id: int, clinic_id: int, fee: int, funding: str) -> None:
    """Set the fee of an appointment, in whole units of the clinic's currency, and how it is paid."""

    async def set_fee(database: Database) -> bool:
        currency = await database.fetch_value(queries.currency, clinic_id) or HERE.currency
        fee_minor = checked_fee(Decimal(fee), currency)
        require_funding(fee_minor, funding, currency)
        async with database.transaction() as tx:
            what = (provider_id, clinic_id, fee_minor, funding, currency)
            name = await tx.fetch_value(queries.set_fee, *what)
            if name is not None:
                detail = f"{name}; fee {fee_minor} {funding}"
                await note_command(tx, "change_provider", detail, clinic_id, provider_id)
        return name is not None

    if not with_database(settings, set_fee):
        raise NotFound("There is no such provider at that clinic; `healthplus find NAME` shows the ids.")
    click.echo("The fee is set.")
