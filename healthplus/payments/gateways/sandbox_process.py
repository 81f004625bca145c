"""The sandbox bank beside the app: where it is, and how its process is kept running."""

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
from importlib.util import find_spec

from healthplus.errors import Conflict
from healthplus.settings import Settings

_HOST = "127.0.0.1"
_WAITING_MAX = 1024
_LOOK_SECONDS = 0.1
_STOP_SECONDS_MAX = 5
_PACKAGE = "healthplus_sandbox"


def bank_url(settings: Settings) -> str:
    """Return where the sandbox bank is."""
    return f"http://{_HOST}:{settings.sandbox_bank_port}"


def require_bank() -> None:
    """Raise Conflict when the package of the sandbox bank is not installed: the product works without it."""
    if find_spec(_PACKAGE) is None:
        raise Conflict(
            f"Sandbox payments need the package {_PACKAGE}, which is not installed. It comes with the product's source."
        )


@contextlib.contextmanager
def running_bank(settings: Settings) -> Iterator[Settings]:
    """Keep a sandbox bank running for this block, started again whenever it dies; yield the settings that lead to it.

    Raises Conflict when its package is not installed or its port is taken.
    """
    require_bank()
    with open_bank_socket(settings) as bank_socket:
        settings = replace(
            settings,
            sandbox_bank_port=bank_socket.getsockname()[1],
            payment_webhook_secret=settings.payment_webhook_secret or secrets.token_urlsafe(32),
        )
        ending = threading.Event()
        keeper = threading.Thread(target=_keep_bank, args=(settings, bank_socket.fileno(), ending))
        keeper.start()
        try:
            yield settings
        finally:
            ending.set()
            keeper.join()


def _keep_bank(settings: Settings, descriptor: int, ending: threading.Event) -> None:
    command = [sys.executable, "-m", _PACKAGE, "--socket", str(descriptor), "--until-stdin-ends"]
    environment = {**os.environ, **settings.as_environment()}
    while not ending.wait(_LOOK_SECONDS):
        # In a session of its own: what interrupts the app must let it finish what it is paying for. The bank ends with
        # its standard input, so also when this process is killed. Meanwhile connections wait at the socket.
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, pass_fds=[descriptor], start_new_session=True
        ) as bank:
            while bank.poll() is None and not ending.wait(_LOOK_SECONDS):
                pass
            with contextlib.suppress(ProcessLookupError):
                bank.send_signal(signal.SIGINT)
            try:
                bank.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                bank.kill()


def open_bank_socket(settings: Settings) -> socket.socket:
    """Return a socket that listens where the sandbox bank is to be. Raises Conflict when the port is taken."""
    try:
        return socket.create_server((_HOST, settings.sandbox_bank_port), backlog=_WAITING_MAX)
    except OSError as error:
        raise Conflict(
            f"The sandbox bank cannot listen on {_HOST}, port {settings.sandbox_bank_port}: {error.strerror}. "
            "Set HEALTHPLUS_SANDBOX_BANK_PORT to another, or to 0."
        ) from None
