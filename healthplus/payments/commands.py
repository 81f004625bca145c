"""The sandbox bank as a process: its command, and the keeping of one beside the app."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import click
import uvloop

from healthplus.errors import Conflict
from healthplus.payments.bank import Bank, serve_bank
from healthplus.settings import Settings

_HOST = "127.0.0.1"
_WAITING_MAX = 1024
_LOOK_SECONDS = 0.1
_STOP_SECONDS_MAX = 5


def bank_url(settings: Settings) -> str:
    """Give where the sandbox bank is."""
    return f"http://{_HOST}:{settings.sandbox_bank_port}"


@click.command("sandbox-bank")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: any that is free.")
@click.option("--socket", "inherited", type=int, hidden=True)
@click.pass_obj
def sandbox_bank_command(settings: Settings, port: int | None, inherited: int | None) -> None:
    """Run the bank that sandbox payments are made with; `serve` runs one of its own.

    Its webhooks go to the app's HEALTHPLUS_HOST and _PORT, signed with HEALTHPLUS_PAYMENT_WEBHOOK_SECRET.
    """
    settings = replace(settings, sandbox_bank_port=settings.sandbox_bank_port if port is None else port)
    with _open_door(settings) if inherited is None else socket.socket(fileno=inherited) as door:
        settings = replace(settings, sandbox_bank_port=door.getsockname()[1])
        bank = Bank(
            settings.data_folder / "sandbox-bank.sqlite3",
            settings.payment_webhook_secret or "",
            f"http://{_reachable(settings.host)}:{settings.port}/api/v1/webhooks/payments",
            bank_url(settings),
        )
        if inherited is None:
            click.echo(bank_url(settings))
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(serve_bank(bank, door, until_stdin_ends=inherited is not None))


@contextlib.contextmanager
def running_bank(settings: Settings) -> Iterator[Settings]:
    """Keep a sandbox bank running for this block, anew whenever it dies; give the settings that lead to it."""
    with _open_door(settings) as door:
        settings = replace(
            settings,
            sandbox_bank_port=door.getsockname()[1],
            payment_webhook_secret=settings.payment_webhook_secret or secrets.token_urlsafe(32),
        )
        ending = threading.Event()
        keeper = threading.Thread(target=_keep_bank, args=(settings, door.fileno(), ending))
        keeper.start()
        try:
            yield settings
        finally:
            ending.set()
            keeper.join()


def _keep_bank(settings: Settings, door: int, ending: threading.Event) -> None:
    command = [sys.executable, "-m", "healthplus", "sandbox-bank", "--socket", str(door)]
    environment = {**os.environ, **settings.as_environment()}
    while not ending.wait(_LOOK_SECONDS):
        # In a session of its own: what interrupts the app must let it finish what it is paying for. The bank ends with
        # its standard input, so also when this process is killed. Who knocks while there is none waits at the door.
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, pass_fds=[door], start_new_session=True
        ) as bank:
            while bank.poll() is None and not ending.wait(_LOOK_SECONDS):
                pass
            with contextlib.suppress(ProcessLookupError):
                bank.send_signal(signal.SIGINT)
            try:
                bank.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                bank.kill()


def _open_door(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((_HOST, settings.sandbox_bank_port), backlog=_WAITING_MAX)
    except OSError as error:
        raise Conflict(
            f"The sandbox bank cannot listen on {_HOST}, port {settings.sandbox_bank_port}: {error.strerror}. "
            "Set HEALTHPLUS_SANDBOX_BANK_PORT to another, or to 0."
        ) from None


def _reachable(host: str) -> str:
    # Where one listens on every address, one is at home too.
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"[{named}]" if ":" in named and not named.startswith("[") else named
