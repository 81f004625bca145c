"""Commands that close places for good, and open them again, through the same verb as the office's closing."""

from __future__ import annotations

import click

from healthplus.accounts.actors import System
from healthplus.booking.calls import queries
from healthplus.booking.commands import flag_option
from healthplus.database import Database, Record
from healthplus.directory.commands import find_row, with_database
from healthplus.directory.commands import queries as directory_queries
from healthplus.errors import BadInput, Conflict, NotFound
from healthplus.settings import Settings

_clinic = click.option("--clinic", help="The clinic's id or identifier.")
_provider = click.option("--provider", help="The provider's id or identifier; with --clinic: there alone.")


@click.command("close")
@_clinic
@_provider
@click.option("--reason", default="", help="Kept with the audit; patients do not see it.")
@flag_option
@click.pass_obj
def close_command(
    settings: Settings, clinic: str | None, provider: str | None, reason: str, flag_for_rebooking: bool
) -> None:
    """Close a clinic, or a provider, for good: nobody finds or books it any more."""
    row, name = _set_closed(settings, clinic, provider, reason, closes=True, flags=flag_for_rebooking)
    if row["code"] == "conflict":
        ids = ", ".join(map(str, row["in_the_way"]))
        raise Conflict(
            f"{name} was not closed: bookings are in the way: {ids}. Move them first, or give --flag-for-rebooking."
        )
    if row["code"] == "unchanged":
        raise Conflict(f"{name} is closed already.")
    click.echo(f"{name} is closed. Appointments to be rebooked: {row['flagged']}.")


@click.command("reopen")
@_clinic
@_provider
@click.option("--reason", default="", help="Kept with the audit; patients do not see it.")
@click.pass_obj
def reopen_command(settings: Settings, clinic: str | None, provider: str | None, reason: str) -> None:
    """Open what was closed: those who were closed with it can be booked again, and what was flagged stands."""
    row, name = _set_closed(settings, clinic, provider, reason, closes=False, flags=True)
    if row["code"] == "unchanged":
        raise Conflict(f"{name} is not closed.")
    if row["code"] == "place_closed":
        raise Conflict(f"{name} stays closed: the clinic is closed, or the provider everywhere. Reopen that first.")
    click.echo(f"{name} is open again. Appointments that stand again: {row['stands']}.")


def _set_closed(
    settings: Settings, clinic: str | None, provider: str | None, reason: str, *, closes: bool, flags: bool
) -> tuple[Record, str]:
    """Return what the verb answered, and what it closed or opened in words."""
    if clinic is None and provider is None:
        raise BadInput("Say what, with --clinic or --provider; `healthplus find NAME` shows the ids.")

    async def act(database: Database) -> tuple[Record, str]:
        at = None if clinic is None else await find_row(database, directory_queries.find_clinic, clinic, "clinic")
        whom = (
            None
            if provider is None
            else await find_row(database, directory_queries.find_provider, provider, "provider")
        )
        name = " at ".join(str(one["name"]) for one in (whom, at) if one)
        row = await database.fetch_row(
            queries.set_place_closed,
            at and at["clinic_id"],
            whom and whom["provider_id"],
            closes,
            flags,
            str(System("operator")),
            reason,
        )
        assert row is not None
        if row["code"] == "not_found":
            raise NotFound(f"There is no {name}; `healthplus find NAME` shows who works where.")
        return row, name

    return with_database(settings, act)
