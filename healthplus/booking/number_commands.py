"""The command that finds an appointment by the number that a patient reads out."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import click

from healthplus.booking.numbers import find_by_number
from healthplus.database import Database, Record, running_database
from healthplus.directory.commands import ID
from healthplus.errors import NotFound
from healthplus.settings import Settings


@click.command("appointment")
@click.argument("number")
@click.option("--clinic", "clinic_id", type=ID, help="At this clinic only, which is quicker.")
@click.pass_obj
def appointment_command(settings: Settings, number: str, clinic_id: int | None) -> None:
    """Find the appointment with a number, such as HP-7K3M-2QXD: its ids, when and where it is, and its state."""

    async def find(dsn: str) -> list[Record]:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await find_by_number(database, number, clinic_id)

    with running_database(settings, reads=True) as dsn:
        found = asyncio.run(find(dsn))
    if not found:
        raise NotFound("No appointment has this number.")
    for row in found:
        at = row["starts_at"].astimezone(ZoneInfo(row["time_zone"]))
        click.echo(
            f"{row['provider_id']}/{row['booking_id']}  {at:%Y-%m-%d %H:%M %Z}  {row['state']}  "
            f"{row['provider']}, {row['clinic']} ({row['clinic_id']})"
        )
