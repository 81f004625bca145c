"""The command line. The areas define their own click commands, which are added to `main` here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click
import msgspec

from healthplus.accounts.actors import System
from healthplus.accounts.codes import Codes, DeskCode
from healthplus.accounts.commands import key_group
from healthplus.accounts.patients import add_patient
from healthplus.accounts.secret import Secret, with_secret_key
from healthplus.booking.commands import leave_group, shift_group
from healthplus.booking.number_commands import appointment_command
from healthplus.booking.place_commands import close_command, reopen_command
from healthplus.database import (
    BULK,
    Database,
    FreeSpace,
    PostgresError,
    migrated_database,
    migrations,
    running_database,
)
from healthplus.database.logins import missing_logins
from healthplus.demo import DemoGuide
from healthplus.directory.commands import find_command
from healthplus.directory.reminder_commands import reminders_group
from healthplus.errors import HealthPlusError
from healthplus.imports.commands import import_command
from healthplus.imports.settlement_commands import settlements_group
from healthplus.lifeline import end_with_stdin
from healthplus.logs import configure_logs
from healthplus.monitoring.commands import errors_command, status_command
from healthplus.notices.commands import push_key_command
from healthplus.ops.backup_commands import backup_command, restore_command
from healthplus.ops.city_commands import city_group
from healthplus.ops.commands import check_command
from healthplus.ops.demo_data import create_demo_data
from healthplus.ops.demo_gateways import gateways_text, running_gateways, share_clinics
from healthplus.ops.demo_guide import demo_guide, demo_text
from healthplus.ops.fee_command import fee_command
from healthplus.ops.payment_account_commands import payment_account_group
from healthplus.ops.service_commands import service_group
from healthplus.ops.terms_commands import terms_group
from healthplus.payments.gateways.sandbox_process import require_bank
from healthplus.receipts.commands import receipts_group
from healthplus.reviews.commands import review_group
from healthplus.serving import require_free_port, run_app
from healthplus.settings import Settings
from healthplus.staff.breach_commands import breach_group
from healthplus.staff.commands import staff_group, verify_audit_command
from healthplus.waiting.commands import verify_queue_command

_BESIDE = {
    "bench": ("healthplus_bench", "bench_group"),
    "sandbox-bank": ("healthplus_sandbox", "sandbox_bank_command"),
}
"""Commands of packages that may not be installed with the product. No other command waits until they are loaded."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        beside = [name for name, (package, _) in _BESIDE.items() if find_spec(package) is not None]
        return sorted([*super().list_commands(ctx), *beside])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _BESIDE:
            return super().get_command(ctx, cmd_name)
        package, name = _BESIDE[cmd_name]
        if find_spec(package) is None:
            return None
        command: click.Command = getattr(import_module(f"{package}.commands"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HealthPlusError as error:
            raise click.ClickException(str(error)) from error
        except PostgresError as error:
            raise click.ClickException(
                f"The database cannot do that: {error}. If a table or function of the product is missing, somebody "
                "removed it: see docs/operate.md, A table was dropped."
            ) from error


@click.group(cls=_Group)
@click.version_option(package_name="healthplus")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Doctor and lab appointments that are never double-booked."""
    # Those with options that are settings read them together, so that one message says all that is wrong.
    if ctx.invoked_subcommand not in ("serve", "demo", "sandbox-bank"):
        ctx.obj = Settings.from_environment()


@main.command("migrate")
@click.pass_obj
def migrate_command(settings: Settings) -> None:
    """Make the database, or bring it to the state this version needs; `serve` and `demo` do so, too."""
    configure_logs(settings.log_format)
    logging.getLogger(migrations.__name__).setLevel(logging.INFO)
    with migrated_database(settings, with_secret_key) as found:
        missing = asyncio.run(missing_logins(found, with_secret_key))
    if missing:
        click.echo(missing)
    click.echo("The database is up to date.")


@main.group("patient")
def patient_group() -> None:
    """The people who book."""  # noqa: D401 - a group of commands


@patient_group.command("add")
@click.argument("name")
@click.option("--phone", help='Such as "+91 98765 43210"; later sign-ins with it are this patient\'s.')
@click.pass_obj
def add_patient_command(settings: Settings, name: str, phone: str | None) -> None:
    """Add a patient, and print the token that lets programs act for them; it cannot be shown again."""

    async def add(dsn: str) -> tuple[int, str]:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await add_patient(database, name, phone, settings.phone_region)

    with running_database(settings) as dsn:
        patient_id, token = asyncio.run(add(dsn))
    click.echo(f"Patient {patient_id}\n{token}")


@patient_group.command("code")
@click.argument("phone")
@click.pass_obj
def issue_code_command(settings: Settings, phone: str) -> None:
    """Print a code with which the person who stands before you, and has this number, signs in; no message is sent."""

    async def issue(dsn: str) -> DeskCode:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            secret = Secret(with_secret_key(settings).secret_key or "")
            return await Codes(database, secret, settings).issue_at_desk(phone, System("operator"))

    with running_database(settings) as dsn:
        issued = asyncio.run(issue(dsn))
    # The product may run on another port than these settings say.
    site_url = settings.site_url if settings.public_url else ""
    click.echo(f"{issued.code}\nTo be typed at {site_url}/verify/desk until {issued.expires_at:%H:%M} UTC.")


_i_know = click.option(
    "--i-know", is_flag=True, help="Run the sandboxes where others can reach them, with everybody's sign-in codes."
)


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", help="Port to listen on.")
@click.option("--processes", help="App processes.")
@click.option(
    "--allow-unsafe-commits",
    is_flag=True,
    help="Run also on a database that may lose acknowledged bookings in a power cut.",
)
@_i_know
@click.option("--until-stdin-ends", is_flag=True, hidden=True, help="End with the process that has its standard input.")
def serve(i_know: bool, allow_unsafe_commits: bool, until_stdin_ends: bool, **options: str | None) -> None:
    """Run the product until it is told to stop; options win over the environment."""
    if until_stdin_ends:
        end_with_stdin()
    if allow_unsafe_commits:
        options["allow_unsafe_commits"] = "1"
    settings = Settings.from_environment(options=options)
    configure_logs(settings.log_format)
    _require_startable(settings, i_know=i_know)
    with migrated_database(settings, with_secret_key, kept=True) as found:
        run_app(found)


@main.command()
@click.option("--port", help="Port to listen on.")
@click.option("--gateways", "has_gateways", is_flag=True, help="Have two clinics take money at emulated gateways.")
@_i_know
def demo(i_know: bool, has_gateways: bool, port: str | None) -> None:
    """Make a directory of 20 cities and 6,000 providers, unless it is there, and serve it; no money moves."""
    settings = Settings.from_environment(options={"sandbox_payments": "1", "sandbox_notices": "1", "port": port})
    configure_logs(settings.log_format)

    async def fill(dsn: str) -> DemoGuide:
        async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
            database.space = FreeSpace.of(settings)
            data, address = await create_demo_data(database), f"http://{settings.host}:{settings.port}"
            guide = await demo_guide(database, data, address)
            click.echo(await demo_text(database, data, guide, address))
            clinics = await share_clinics(database, has_gateways=has_gateways)
            click.echo(gateways_text(clinics, address))
            return msgspec.structs.replace(guide, gateways=clinics)

    _require_startable(settings, i_know=i_know, needs_sandboxes=True)
    require_free_port(settings.host, settings.port)
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(migrated_database(settings, with_secret_key, kept=True))
        if has_gateways:
            found = stack.enter_context(running_gateways(found))
        click.echo("Making the demo's data, 20 cities x 300 providers, unless it is there …")
        # As the owner: it is made in bulk, and moves the counters of ids.
        guide = asyncio.run(fill(found.database_owner_url or found.database_url or ""))
        run_app(replace(found, demo_guide=guide.as_setting()))


def _require_startable(settings: Settings, *, i_know: bool, needs_sandboxes: bool = False) -> None:
    if settings.sandbox_payments:
        require_bank()
    if not i_know:
        settings.require_private_sandboxes(can_do_without=not needs_sandboxes)


for command in (
    appointment_command,
    backup_command,
    check_command,
    city_group,
    close_command,
    errors_command,
    fee_command,
    find_command,
    import_command,
    key_group,
    leave_group,
    payment_account_group,
    push_key_command,
    receipts_group,
    settlements_group,
    reminders_group,
    reopen_command,
    restore_command,
    service_group,
    shift_group,
    staff_group,
    breach_group,
    status_command,
    terms_group,
    review_group,
    verify_audit_command,
    verify_queue_command,
):
    main.add_command(command)
