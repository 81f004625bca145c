"""The sandbox bank beside the app: where it is, and how its process is kept running."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

from healthplus.errors import Conflict
from healthplus.lifeline import running_beside
from healthplus.settings import Settings

_HOST = "127.0.0.1"
_WAITING_MAX = 1024
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
        # Whenever it is away, connections wait at the socket.
        with running_beside(
            _PACKAGE, "--socket", str(bank_socket.fileno()),
            environment={**os.environ, **settings.as_environment()}, descriptors=[bank_socket.fileno()],
        ):  # fmt: skip
            yield settings


def open_bank_socket(settings: Settings) -> socket.socket:
    """Return a socket that listens where the sandbox bank is to be. Raises Conflict when the port is taken."""
    try:
        return socket.create_server((_HOST, settings.sandbox_bank_port), backlog=_WAITING_MAX)
    except OSError as error:
        raise Conflict(
            f"The sandbox bank cannot listen on {_HOST}, port {settings.sandbox_bank_port}: {error.strerror}. "
            "Set HEALTHPLUS_SANDBOX_BANK_PORT to another, or to 0."
        ) from None
