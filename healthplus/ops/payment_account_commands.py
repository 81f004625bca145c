"""Commands for the accounts at payment gateways with which clinics take money. Their keys are settings."""

from __future__ import annotations

import click

from healthplus.database import Database, Record
from healthplus.directory.commands import find_row, with_database
from healthplus.directory.commands import queries as directory
from healthplus.errors import BadInput, Conflict, NotFound
from healthplus.payment_keys import account_keys, is_account_name
from healthplus.payments.account_faults import queries
from healthplus.settings import Settings
from healthplus.staff.command_audit import note_command
from healthplus.text import checked_name

_GATEWAYS = ("stripe", "razorpay")
_RESTART = "Start the product again, so that it uses it."


@click.group("payment-account")
def payment_account_group() -> None:
    """The accounts at payment gateways with which clinics take money."""


@payment_account_group.command("add")
@click.argument("name")
@click.option("--gateway", type=click.Choice(_GATEWAYS), required=True)
@click.option("--owner", required=True, help="Who has the account, as on their patients' bank statements.")
@click.option("--default", "is_default", is_flag=True, help="Clinics without an account of their own use it.")
@click.option("--captures-at-once", is_flag=True, help="The gateway takes all money at once (Direct Settlement).")
@click.option("--lets-lapse", is_flag=True, help="Razorpay: what is not needed goes back by itself, within days.")
@click.pass_obj
def add_command(settings: Settings, /, name: str, gateway: str, owner: str, **flags: bool) -> None:
    """Add an account; NAME is ours, and is what its keys in HEALTHPLUS_PAYMENT_KEYS and its webhooks' address go by."""
    if not is_account_name(name):
        raise BadInput("A name begins with a small letter and has small letters, digits and hyphens, 30 at most.")
    owner = checked_name(owner, 200)
    if flags["lets_lapse"] and gateway != "razorpay":
        raise BadInput("Only with Razorpay does money lapse: elsewhere it is let go at once.")

    async def add(database: Database) -> str | None:
        async with database.transaction() as tx:
            before: str | None = await tx.fetch_value(queries.end_default) if flags["is_default"] else None
            columns = (flags["is_default"], flags["captures_at_once"], flags["lets_lapse"])
            if await tx.fetch_value(queries.add_account, name, gateway, owner, *columns) is None:
                raise Conflict(f"There is a payment account {name} already.")
            said = [key.replace("_", " ") for key, is_set in flags.items() if is_set]
            await note_command(tx, "add_payment_account", "; ".join([name, gateway, owner, *said]), None)
        return before

    before = with_database(settings, add)
    if before:
        click.echo(f"It is the default instead of {before}.")
    keys = "" if name in account_keys(settings.payment_keys) else "Put its keys into HEALTHPLUS_PAYMENT_KEYS. "
    click.echo(f"Added. {keys}At the gateway, have webhooks sent to {_webhook_url(settings, name)}. {_RESTART}")


@payment_account_group.command("list")
@click.pass_obj
def list_command(settings: Settings) -> None:
    """List the accounts with their clinics, and whether there are keys; no key is shown."""
    rows = with_database(settings, lambda database: database.fetch(queries.listed), reads=True)
    if not rows:
        click.echo("No payment accounts.")
    keys = account_keys(settings.payment_keys)
    for row in rows:
        click.echo(f"{row['account']}: {', '.join(_said(row, has_keys=row['account'] in keys))}")


@payment_account_group.command("assign")
@click.argument("name")
@click.option("--clinic", "clinics", required=True, multiple=True, help="A clinic's id or identifier; may be repeated.")
@click.pass_obj
def assign_command(settings: Settings, name: str, clinics: tuple[str, ...]) -> None:
    """Have clinics take their money with an account from now on; what is being paid just now stays with the former."""

    async def assign(database: Database) -> None:
        rows = [await find_row(database, directory.find_clinic, clinic, "clinic") for clinic in clinics]
        async with database.transaction() as tx:
            if await tx.fetch_value(queries.lock_account, name) is None:
                raise _not_there(name)
            for row in rows:
                await tx.execute(queries.assign, row["clinic_id"], name)
                await note_command(tx, "assign_payment_account", name, row["clinic_id"])

    with_database(settings, assign)
    click.echo(f"Clinics: {len(clinics)}. They take their money with {name} from now on.")


@payment_account_group.command("remove")
@click.argument("name")
@click.option("--clinic", help="Take it away from this clinic alone, which then uses the default.")
@click.pass_obj
def remove_command(settings: Settings, name: str, clinic: str | None) -> None:
    """Remove an account that no clinic uses and that never took money; or take it away from a clinic."""

    async def remove(database: Database) -> None:
        at = clinic and await find_row(database, directory.find_clinic, clinic, "clinic")
        async with database.transaction() as tx:
            if await tx.fetch_value(queries.lock_account, name) is None:
                raise _not_there(name)
            if at:
                if await tx.fetch_value(queries.take_away, at["clinic_id"], name) is None:
                    raise NotFound(f"{at['name']} does not take its money with {name}.")
                await note_command(tx, "remove_payment_account", name, at["clinic_id"])
                return
            uses = await tx.fetch_row(queries.uses, name)
            assert uses is not None
            if uses["clinics"]:
                raise Conflict(f"Clinics that use it: {uses['clinics']}. Give them another account first.")
            if uses["has_money"]:
                raise Conflict("Money was taken with it, which may have to go back: leave it, with its keys.")
            await tx.execute(queries.remove_account, name)
            await note_command(tx, "remove_payment_account", name, None)

    with_database(settings, remove)
    click.echo("Removed." if clinic is None else f"It is taken away from clinic {clinic}.")


def _said(row: Record, *, has_keys: bool) -> list[str]:
    """Return what there is to say of an account."""
    names = row["names"] or []
    flags = {"default": row["is_default"], "captures at once": row["captures_at_once"], "lets lapse": row["lets_lapse"]}
    return [
        row["gateway"],
        row["owner"],
        *(flag for flag, is_set in flags.items() if is_set),
        "keys are set" if has_keys else "NO KEYS in HEALTHPLUS_PAYMENT_KEYS",
        f"clinics: {row['clinics']}" + (f" ({'; '.join(names[:5])}{' …' if len(names) > 5 else ''})" if names else ""),
    ]


def _webhook_url(settings: Settings, name: str) -> str:
    return f"{settings.site_url}/api/v1/webhooks/payments/{name}"


def _not_there(name: str) -> NotFound:
    return NotFound(f"There is no payment account {name!r}; `healthplus payment-account list` shows them.")
