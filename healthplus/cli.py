"""The command line. Other modules define their click commands; each is added to `main` here."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import click
from granian.constants import Interfaces, Loops
from granian.server import Server as Granian

from healthplus.database import migrate, running_database
from healthplus.errors import HealthPlusError
from healthplus.settings import Settings

_WAITING_MAX = 16_384
_DRAIN_SECONDS_MAX = 10


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
    ctx.obj = Settings.from_environment()


@main.command("migrate")
@click.pass_obj
def migrate_command(settings: Settings) -> None:
    """Bring the database to the state this version needs."""
    if settings.database_url:
        asyncio.run(migrate(settings.database_url))
    else:
        with running_database(settings):
            pass
    click.echo("The database is up to date.")


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--processes", type=click.IntRange(min=1), help="App processes.")
@click.pass_obj
def serve(settings: Settings, /, **options: Any) -> None:
    """Run the product until it is told to stop; options win over the environment."""
    settings = replace(settings, **{name: value for name, value in options.items() if value is not None})
    with running_database(settings) as dsn:
        run_app(replace(settings, database_url=dsn))


def run_app(settings: Settings) -> None:
    """Run the app processes on a migrated database until SIGINT or SIGTERM; they finish what they are answering."""
    # App processes are started anew, not forked: they read their settings from the environment.
    os.environ.update(settings.as_environment())
    Granian(
        "healthplus.web.app:create_app",
        factory=True,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        address=settings.host,
        port=settings.port,
        workers=settings.processes,
        websockets=False,
        # A waiting patient is a request under way for up to 25 s; granian's own limit is some hundreds.
        backlog=_WAITING_MAX,
        backpressure=_WAITING_MAX,
        respawn_failed_workers=True,
        workers_kill_timeout=_DRAIN_SECONDS_MAX,
    ).serve()
