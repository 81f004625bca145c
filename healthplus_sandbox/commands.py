"""The command that runs the sandbox bank."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace

import click
import uvloop

from healthplus.lifeline import end_with_stdin
from healthplus.payments.gateways.sandbox_process import bank_url, open_bank_socket
from healthplus.settings import Settings
from healthplus_sandbox.bank import Bank
from healthplus_sandbox.server import serve_bank


@click.command("sandbox-bank")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: any that is free.")
@click.option("--socket", "inherited", type=int, hidden=True)
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
@click.pass_obj
def sandbox_bank_command(
    settings: Settings, port: int | None, inherited: int | None, *, until_stdin_ends: bool
) -> None:
    """Run the bank that sandbox payments are made with; `serve` runs one of its own.

    Its webhooks go to the app's HEALTHPLUS_HOST and _PORT, signed with HEALTHPLUS_PAYMENT_WEBHOOK_SECRET.
    """
    if until_stdin_ends:
        end_with_stdin()
    settings = replace(settings, sandbox_bank_port=settings.sandbox_bank_port if port is None else port)
    with open_bank_socket(settings) if inherited is None else socket.socket(fileno=inherited) as listening:
        settings = replace(settings, sandbox_bank_port=listening.getsockname()[1])
        bank = Bank(
            settings.data_folder / "sandbox-bank.sqlite3",
            settings.payment_webhook_secret or "",
            f"http://{_reachable(settings.host)}:{settings.port}/api/v1/webhooks/payments",
            bank_url(settings),
        )
        if inherited is None:
            click.echo(bank_url(settings))
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(serve_bank(bank, listening))


def _reachable(host: str) -> str:
    # An app that listens on every address listens on this machine's own, too.
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"[{named}]" if ":" in named and not named.startswith("[") else named
