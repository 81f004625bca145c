"""Commands for what is kept of a fee when a patient cancels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from healthplus import directory
from healthplus.database import Database, Record, Transaction, load
from healthplus.directory.commands import find_row, with_database
from healthplus.directory.ladder import Step, ladder_text
from healthplus.directory.terms import set_terms
from healthplus.money import unit_name
from healthplus.settings import Settings
from healthplus.staff.command_audit import note_command

queries = load(Path(directory.__file__).with_name("directory.sql"))


@click.group("terms")
def terms_group() -> None:
    """What is kept of a fee when a patient cancels."""


@terms_group.command("set")
@click.argument("ladder")
@click.option("--clinic", required=True, help="The clinic's id or identifier.")
@click.option("--service", help="Only for services of this slug; `service list` shows the slugs.")
@click.pass_obj
def set_terms_command(settings: Settings, ladder: str, clinic: str, service: str | None) -> None:
    """Set the terms of new holds, such as "24h:0%, 4h:50%, 2h:100%": who cancels later than 4 hours before leaves half.

    "24h:200" keeps an amount in the clinic's currency; "none" takes the terms away. What is held and booked keeps its
    terms, and what the clinic cancels is always refunded in full.
    """

    async def set_them(database: Database) -> str:
        at = await find_row(database, queries.find_clinic, clinic, "clinic")

        async def note(tx: Transaction, steps: Sequence[Step]) -> None:
            hours = ",".join(str(step.hours_before) for step in steps)
            percents = ",".join("-" if step.kept_percent is None else str(step.kept_percent) for step in steps)
            amounts = ",".join("-" if step.kept_minor is None else str(step.kept_minor) for step in steps)
            detail = "; ".join([*([service] if service else []), f"{hours}h", f"{percents}%", amounts])
            await note_command(tx, "set_terms", detail, at["clinic_id"])

        said = await set_terms(database, at["clinic_id"], service, ladder, note)
        return f"Terms of new holds at {at['name']}{f', {service}' if service else ''}: {said}."

    click.echo(with_database(settings, set_them))


@terms_group.command("list")
@click.option("--clinic", help="The clinic's id or identifier.")
@click.pass_obj
def list_terms_command(settings: Settings, clinic: str | None) -> None:
    """List the terms of new holds, by clinic; where none are listed, all is refunded until a visit begins."""

    async def terms(database: Database) -> list[Record]:
        at = None if clinic is None else await find_row(database, queries.find_clinic, clinic, "clinic")
        return await database.fetch(queries.terms_in_force, at and at["clinic_id"])

    rows = with_database(settings, terms, reads=True)
    if not rows:
        click.echo("No terms: all is refunded until a visit begins.")
    for row in rows:
        steps = [Step(*step) for step in zip(row["hours"], row["percents"], row["amounts_minor"], strict=True)]
        kind = f", {row['slug']}" if row["slug"] else ""
        unit = unit_name(row["currency"])
        click.echo(f"clinic {row['clinic_id']}, {row['clinic']}{kind}: {ladder_text(steps, row['currency'])} ({unit})")
