"""Commands for how long before an appointment patients are reminded."""

from __future__ import annotations

from pathlib import Path

import click

from healthplus.database import Database, Record, load
from healthplus.directory.commands import find_row, with_database
from healthplus.directory.reminder_hours import parse_reminder_hours, reminder_text
from healthplus.settings import Settings

queries = load(Path(__file__).with_name("directory.sql"))


@click.group("reminders")
def reminders_group() -> None:
    """How long before an appointment patients are reminded."""


@reminders_group.command("set")
@click.argument("hours")
@click.option("--clinic", required=True, help="The clinic's id or identifier.")
@click.pass_obj
def set_reminders_command(settings: Settings, hours: str, clinic: str) -> None:
    """Remind a clinic's patients so long before, such as "24h, 2h", which all clinics do at first; "off" for never.

    It counts at once, also for what is booked already. Nobody is woken: what would come between 20:00 and 8:00 comes at
    20:00, the evening before.
    """

    async def set_them(database: Database) -> str:
        at = await find_row(database, queries.find_clinic, clinic, "clinic")
        found = parse_reminder_hours(hours)
        await database.execute(queries.set_reminder_hours, at["clinic_id"], found)
        return f"Reminders at {at['name']}: {reminder_text(found)}."

    click.echo(with_database(settings, set_them))


@reminders_group.command("list")
@click.pass_obj
def list_reminders_command(settings: Settings) -> None:
    """List the clinics that have set something of their own."""

    async def clinics(database: Database) -> list[Record]:
        return await database.fetch(queries.reminder_hours)

    rows = with_database(settings, clinics, reads=True)
    if not rows:
        click.echo("All clinics remind their patients 24h and 2h before.")
    for row in rows:
        click.echo(f"clinic {row['clinic_id']}, {row['name']}: {reminder_text(row['reminder_hours'])}")
