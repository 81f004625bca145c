"""The command line. The areas define their own click commands, which are added to `main` here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click
from granian.constants import Interfaces, Loops
from granian.server import Server as Granian

from healthplus.accounts.commands import key_group
from healthplus.accounts.patients import add_patient
from healthplus.accounts.secret import with_secret_key
from healthplus.booking.commands import leave_group, shift_group
from healthplus.database import Database, migrated_database, running_database
from healthplus.directory.commands import fee_command, find_command
from healthplus.errors import Conflict, HealthPlusError
from healthplus.imports.commands import import_command
from healthplus.ops.commands import check_command
from healthplus.ops.demo_data import create_demo_data
from healthplus.ops.demo_guide import demo_guide
from healthplus.payments.gateways.sandbox_process import require_bank, running_bank
from healthplus.settings import Settings
from healthplus.waiting.commands import verify_queue_command
from healthplus.waiting.waiting_users import DRAIN_SIGNAL

_WAITING_MAX = 16_384
_DRAIN_SECONDS_MAX = 10
_RESPAWN_SECONDS = 0.3


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HealthPlusError as error:
            raise click.ClickException(str(error)) from error


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
    with migrated_database(settings):
        pass
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


_i_know = click.option(
    "--i-know", is_flag=True, help="Run the sandboxes where others can reach them, with everybody's sign-in codes."
)


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", help="Port to listen on.")
@click.option("--processes", help="App processes.")
@_i_know
def serve(i_know: bool, **options: str | None) -> None:
    """Run the product until it is told to stop; options win over the environment."""
    settings = Settings.from_environment(options=options)
    _require_startable(settings, i_know=i_know)
    with migrated_database(settings) as found:
        run_app(found)


@main.command()
@click.option("--port", help="Port to listen on.")
@_i_know
def demo(i_know: bool, port: str | None) -> None:
    """Make a directory of 20 cities and 6,000 providers, unless it is there, and serve it; no money moves."""
    settings = Settings.from_environment(options={"sandbox_payments": "1", "sandbox_notices": "1", "port": port})

    async def fill(dsn: str) -> str:
        async with await Database.connect(dsn, min_size=1, max_size=1, statement_seconds_max=None) as database:
            return await demo_guide(
                database, await create_demo_data(database), f"http://{settings.host}:{settings.port}"
            )

    _require_startable(settings, i_know=i_know)
    _require_free_port(settings.host, settings.port)
    with migrated_database(settings) as found:
        click.echo("Making the demo's data, 20 cities x 300 providers, unless it is there …")
        # As the owner: it is made in bulk, and moves the counters of ids.
        click.echo(asyncio.run(fill(found.database_owner_url or found.database_url or "")))
        run_app(found)


def _require_startable(settings: Settings, *, i_know: bool) -> None:
    if settings.sandbox_payments:
        require_bank()
    if not i_know:
        settings.require_private_sandboxes()


class _Supervisor(Granian):  # type: ignore[valid-type, misc]
    def _spawn_worker(self, *args: Any, **options: Any) -> Any:
        worker = super()._spawn_worker(*args, **options)
        terminate = worker.terminate

        def drain_and_terminate() -> None:
            # A process that ends finishes its requests first. So long polls must be answered now; they go on elsewhere.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.inner.pid, DRAIN_SIGNAL)
            terminate()

        worker.terminate = drain_and_terminate
        return worker

    def _respawn_workers(self, *args: Any, **options: Any) -> None:
        time.sleep(_RESPAWN_SECONDS)  # a process that cannot start must not be started again without a pause
        super()._respawn_workers(*args, **options)
        # Granian ends the whole server when a process dies twice within seconds; booking must outlive any of them.
        self.respawned_wrks.clear()


def run_app(settings: Settings) -> None:
    """Run the app processes on a migrated database until SIGINT or SIGTERM; they finish their requests first.

    Raises Conflict when the port is in use.
    """
    _require_free_port(settings.host, settings.port)
    with running_bank(settings) if settings.sandbox_payments else contextlib.nullcontext(settings) as complete:
        _run_processes(complete)


def _run_processes(settings: Settings) -> None:
    # App processes are spawned, not forked: they read their settings from the environment. They never migrate.
    os.environ.update(replace(with_secret_key(settings), database_owner_url=None).as_environment())
    _Supervisor(
        "healthplus.web.worker:create_app_in_account",
        factory=True,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        address=settings.host,
        port=settings.port,
        workers=settings.processes,
        websockets=False,
        # Each waiting patient is a request that lasts up to 25 s; granian's own limit is some hundreds.
        backlog=_WAITING_MAX,
        backpressure=_WAITING_MAX,
        respawn_failed_workers=True,
        workers_kill_timeout=_DRAIN_SECONDS_MAX,
    ).serve()


def _require_free_port(host: str, port: int) -> None:
    # App processes share their port; without this check, two running products would share one too.
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        raise Conflict(
            f"Cannot listen on {host}, port {port}: {error.strerror}. Give another --port (or HEALTHPLUS_PORT, _HOST)."
        ) from None


for command in (
    check_command,
    fee_command,
    find_command,
    import_command,
    key_group,
    leave_group,
    shift_group,
    verify_queue_command,
):
    main.add_command(command)

# Packages beside the product, which may not be installed with it.
for package, name in (("healthplus_bench", "bench_group"), ("healthplus_sandbox", "sandbox_bank_command")):
    if find_spec(package) is not None:
        main.add_command(getattr(import_module(f"{package}.commands"), name))
