"""The command that runs an emulated gateway."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import click
import uvloop

from healthplus.lifeline import end_with_stdin
from healthplus_emulators.emulator import Emulator, Keys
from healthplus_emulators.razorpay.emulator import RazorpayEmulator
from healthplus_emulators.server import serve
from healthplus_emulators.stripe.emulator import StripeEmulator

EMULATORS: dict[str, type[Emulator]] = {one.name: one for one in (RazorpayEmulator, StripeEmulator)}
_HOST = "127.0.0.1"
_WAITING_MAX = 1024


@click.command("emulate")
@click.argument("gateway", type=click.Choice([*EMULATORS]))
@click.option("--port", type=int, default=0, help="Port to listen on, on this machine only; 0: any that is free.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Where its ledger is kept.")
@click.option("--webhook-url", help="Where its webhooks go.")
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
def emulate(gateway: str, port: int, folder: Path, webhook_url: str | None, *, until_stdin_ends: bool) -> None:
    """Run an emulated gateway, in which no money moves, for one account; print where it is.

    Its keys come from EMULATOR_SECRET, EMULATOR_WEBHOOK_SECRET and, where it has one, EMULATOR_KEY_ID.
    """
    if until_stdin_ends:
        end_with_stdin()
    try:
        secret, webhook_secret = os.environ["EMULATOR_SECRET"], os.environ["EMULATOR_WEBHOOK_SECRET"]
    except KeyError as error:
        raise click.UsageError(f"{error.args[0]} is not set.") from None
    keys = Keys(secret, webhook_secret, os.environ.get("EMULATOR_KEY_ID", ""))
    with socket.create_server((_HOST, port), backlog=_WAITING_MAX) as listening:
        emulator = EMULATORS[gateway](folder, keys, webhook_url)
        with emulator.closing(), contextlib.suppress(KeyboardInterrupt):
            click.echo(f"http://{_HOST}:{listening.getsockname()[1]}")
            uvloop.run(serve(emulator, listening))
