"""The command that runs the sandbox bank."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from dataclasses import replace
from pathlib import Path

import click
import uvloop

from healthplus.lifeline import end_with_stdin
from healthplus.payments.gateways.sandbox_process import bank_url, open_bank_socket
from healthplus.processes import app_account, become
from healthplus.settings import Settings
from healthplus_sandbox.bank import Bank
from healthplus_sandbox.server import serve_bank

_LEDGER = "sandbox-bank.sqlite3"


@click.command("sandbox-bank")
@click.option("--port", help="Port to listen on; 0: any that is free.")
@click.option("--socket", "inherited", type=int, hidden=True)
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
def sandbox_bank_command(port: str | None, inherited: int | None, *, until_stdin_ends: bool) -> None:
    """Run the bank that sandbox payments are made with; `serve` runs one of its own.

    Its webhooks go to the app's HEALTHPLUS_HOST and _PORT, signed with HEALTHPLUS_PAYMENT_WEBHOOK_SECRET.
    """
    if until_stdin_ends:
        end_with_stdin()
    settings = Settings.from_environment(options={"sandbox_payments": "1", "sandbox_bank_port": port})
    with open_bank_socket(settings) if inherited is None else socket.socket(fileno=inherited) as listening:
        settings = replace(settings, sandbox_bank_port=listening.getsockname()[1])
        account = app_account(settings.account)
        folder = _own_folder(settings.data_folder, account)
        become(account and account.pw_name)
        bank = Bank(
            folder / _LEDGER,
            settings.payment_webhook_secret or "",
            f"http://{_reachable(settings.host)}:{settings.port}/api/v1/webhooks/payments",
            bank_url(settings),
        )
        if inherited is None:
            click.echo(bank_url(settings))
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(serve_bank(bank, listening))


def _own_folder(data_folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Make the bank's folder, which only its account may enter; a ledger from before there was one moves in."""
    folder = data_folder / "sandbox-bank"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in data_folder.glob(f"{_LEDGER}*"):
        path.rename(folder / path.name)
    if account:
        for path in (folder, *folder.glob(f"{_LEDGER}*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return folder


def _reachable(host: str) -> str:
    # An app that listens on every address listens on this machine's own, too.
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"[{named}]" if ":" in named and not named.startswith("[") else named
