"""Commands for the accounts of a clinic's staff."""

from __future__ import annotations

import click

from healthplus.accounts.actors import System
from healthplus.database import Database, Record
from healthplus.directory.commands import find_row, queries, with_database
from healthplus.errors import BadInput
from healthplus.settings import Settings
from healthplus.staff.accounts import (
    LINK_PATH,
    add_staff,
    disable_staff,
    enable_staff,
    list_staff,
    make_link,
    set_role,
    staff_named,
)
from healthplus.staff.audit_chain import verify_audit
from healthplus.staff.rights import ROLES, Role, is_everywhere, is_of_provider

_OPERATOR = System("operator")


@click.group("staff")
def staff_group() -> None:
    """The clinics' people, who log in at /desk."""


@staff_group.command("add")
@click.argument("log_on")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--clinic", "clinics", multiple=True, help="The clinic's id or identifier; may be given again.")
@click.option("--provider", help="Whom a practitioner is: an id or identifier.")
@click.pass_obj
def add_command(
    settings: Settings, log_on: str, name: str, *, role: Role, clinics: tuple[str, ...], provider: str | None
) -> None:
    """Add a member of the staff, and print the link with which they choose their password; it works once, for a day."""
    if is_of_provider(role) != (provider is not None):
        raise BadInput("A practitioner is a provider, and nobody else is: say whom by --provider.")
    if is_everywhere(role) != (not clinics):
        raise BadInput("An administrator is one of every clinic; for every other role say where, as in --clinic 12.")

    async def add(database: Database) -> str:
        found = [await find_row(database, queries.find_clinic, clinic, "clinic") for clinic in clinics]
        is_one = provider and await find_row(database, queries.find_provider, provider, "provider")
        async with database.transaction() as transaction:
            provider_id = is_one["provider_id"] if is_one else None
            staff_id = await add_staff(transaction, log_on, name, _OPERATOR, provider_id)
            for clinic_id in [row["clinic_id"] for row in found] or [None]:
                await set_role(transaction, staff_id, clinic_id, role, _OPERATOR)
            return await make_link(transaction, staff_id, _OPERATOR)

    _show_link(settings, with_database(settings, add, as_owner=True))


@staff_group.command("list")
@click.pass_obj
def list_command(settings: Settings) -> None:
    """List the staff, with their roles and how they log in."""
    for row in with_database(settings, list_staff, reads=True, as_owner=True):
        click.echo(f"{row['log_on']} {row['name']}: {', '.join(row['roles'] or ('no role',))}; {_way_in(row)}")


@staff_group.command("role")
@click.argument("log_on")
@click.argument("role", type=click.Choice((*ROLES, "none")))
@click.option("--clinic", help="The clinic's id or identifier; not for an administrator, who is one of every clinic.")
@click.pass_obj
def role_command(settings: Settings, log_on: str, role: str, clinic: str | None) -> None:
    """Set, replace or (`none`) remove a person's role at a clinic.

    Who was at most the front desk of one clinic needs a new link, which is printed: its ward administrator may know
    what they logged in with.
    """

    async def change(database: Database) -> str | None:
        account = await staff_named(database, log_on)
        at = clinic and await find_row(database, queries.find_clinic, clinic, "clinic")
        wanted = next((one for one in ROLES if one == role), None)
        async with database.transaction() as transaction:
            staff_id = account["staff_id"]
            is_due = await set_role(transaction, staff_id, at["clinic_id"] if at else None, wanted, _OPERATOR)
            return await make_link(transaction, staff_id, _OPERATOR) if is_due else None

    token = with_database(settings, change, as_owner=True)
    click.echo("The role is set.")
    if token is not None:
        click.echo("What they logged in with before has ended; they choose a password by this link:")
        _show_link(settings, token)


@staff_group.command("disable")
@click.argument("log_on")
@click.pass_obj
def disable_command(settings: Settings, log_on: str) -> None:
    """End somebody's way in, at once: sessions, password, app, passkeys and links."""

    async def disable(database: Database) -> None:
        await disable_staff(database, (await staff_named(database, log_on))["staff_id"], _OPERATOR)

    with_database(settings, disable, as_owner=True)
    click.echo("The account is disabled.")


@staff_group.command("enable")
@click.argument("log_on")
@click.pass_obj
def enable_command(settings: Settings, log_on: str) -> None:
    """Let a disabled account be used again, and print a link as `add` does."""

    async def enable(database: Database) -> str:
        async with database.transaction() as transaction:
            staff_id = (await staff_named(transaction, log_on))["staff_id"]
            await enable_staff(transaction, staff_id, _OPERATOR)
            return await make_link(transaction, staff_id, _OPERATOR)

    _show_link(settings, with_database(settings, enable, as_owner=True))


@staff_group.command("reset")
@click.argument("log_on")
@click.option("--factors", "ends_factors", is_flag=True, help="App and passkeys end, too: the phone was lost.")
@click.pass_obj
def reset_command(settings: Settings, log_on: str, *, ends_factors: bool) -> None:
    """Print a link with which somebody chooses a new password; until it is used, the old one works."""

    async def reset(database: Database) -> str:
        staff_id = (await staff_named(database, log_on))["staff_id"]
        return await make_link(database, staff_id, _OPERATOR, ends_factors=ends_factors)

    _show_link(settings, with_database(settings, reset, as_owner=True))


def _show_link(settings: Settings, token: str) -> None:
    # The product may run on another port than these settings say.
    site_url = settings.site_url if settings.public_url else ""
    click.echo(f"{site_url}{LINK_PATH}{token}\nGive it to this person alone: it works once, within a day.")


def _way_in(row: Record) -> str:
    if row["disabled_at"]:
        return f"disabled {row['disabled_at']:%Y-%m-%d}"
    factors = ["password"] if row["has_password"] else []
    factors += ["app"] if row["has_app"] else []
    factors += [f"{row['passkeys']} passkeys"] if row["passkeys"] else []
    return ", ".join(factors) or "has not logged in yet"


@click.command("verify-audit")
@click.option("--seen", help="A link and its hash that this command printed before, as in 512:9f86d0…")
@click.pass_obj
def verify_audit_command(settings: Settings, seen: str | None) -> None:
    """Look whether the audit is as it was written; what this prints, noted elsewhere, goes into --seen next time."""
    noted = None
    if seen is not None:
        number, _, hash_text = seen.partition(":")
        if not (number.isascii() and number.isdigit() and len(number) < 19 and hash_text):
            raise BadInput("--seen takes a number and a hash, as in 512:9f86d0…")
        noted = int(number), hash_text.lower()
    found = with_database(settings, lambda database: verify_audit(database, noted), reads=True)
    click.echo(
        f"{found.entries} entries in {found.links} links are as they were written; "
        f"{found.unchained} are not chained yet.\n{found.last}:{found.hash}"
    )
