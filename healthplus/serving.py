"""Runs the app processes, under one process that supervises them and keeps what they need running."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import multiprocessing
import os
import resource
import socket
import time
from dataclasses import replace
from typing import Any

from granian.constants import Interfaces, Loops
from granian.server import Server as Granian

from healthplus.accounts.secret import with_secret_key
from healthplus.database import refuse_unsafe_commits
from healthplus.database.logins import ONE_LOGIN, require_logins
from healthplus.errors import Conflict
from healthplus.fonts import warn_without_font
from healthplus.lifeline import SPARE_SECONDS, running_beside
from healthplus.logs import server_log_config
from healthplus.monitoring.exporter import published_metrics
from healthplus.payments.gateways.sandbox_process import running_bank
from healthplus.settings import Settings
from healthplus.waiting.waiting_users import DRAIN_SIGNAL

logger = logging.getLogger(__name__)

_WAITING_MAX = 16_384
_OTHER_FILES = 512
"""What a process opens besides its clients' connections: those to the database, its own files."""
_DRAIN_SECONDS_MAX = 10
_RESPAWN_SECONDS = 0.3
_LOOK_SECONDS = 0.05
# App processes are forked by a process that has loaded the app and has no threads: within a moment, which counts when
# the others have all the work. A fork of this process would have its threads' locks, and its files, such as the other
# ends of the pipes by which its children see that it has gone.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["healthplus.preload"])


class _Supervisor(Granian):  # type: ignore[valid-type, misc]
    drain_seconds = 0

    def _spawn_worker(self, *args: Any, **options: Any) -> Any:
        worker = super()._spawn_worker(*args, **options)
        made = worker.inner
        worker.inner = _CONTEXT.Process(name=made.name, target=made._target, args=made._args)
        return worker

    def _stop_workers(self) -> None:
        # A process that ends finishes its requests first, so long polls must be answered now. And who comes until a
        # balancer has seen that this machine drains must still be served: a port that closes at once cuts them off.
        for worker in self.wrks:
            worker.interrupt_by_parent = True  # one that ends meanwhile is not started again
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.inner.pid, DRAIN_SIGNAL)
        time.sleep(self.drain_seconds)
        super()._stop_workers()

    def _respawn_workers(self, *args: Any, **options: Any) -> None:
        time.sleep(_RESPAWN_SECONDS)  # a process that cannot start must not be started again without a pause
        super()._respawn_workers(*args, **options)
        # Granian ends the whole server when a process dies twice within seconds; booking must outlive any of them.
        self.respawned_wrks.clear()


def run_app(settings: Settings) -> None:
    """Run the app processes on a migrated database until SIGINT or SIGTERM; they finish their requests first.

    Raises Conflict when the port is in use, UnsafeCommits where the database may lose what it acknowledges, and the
    errors of `require_logins`.
    """
    require_free_port(settings.host, settings.port)
    warn_without_font()
    settings = with_secret_key(settings)
    if not settings.allow_unsafe_commits:
        asyncio.run(refuse_unsafe_commits(settings.database_url or ""))
    if asyncio.run(require_logins(settings)):
        logger.warning("%s", ONE_LOGIN)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_followed_by_backup(settings))
        if settings.sandbox_payments:
            settings = stack.enter_context(running_bank(settings))
        _run_processes(stack.enter_context(published_metrics(settings)))


def _followed_by_backup(settings: Settings) -> contextlib.AbstractContextManager[None]:
    """Keep the database backed up for a block, where a folder for that is set, by a process of its own."""
    if settings.backup_folder is None:
        return contextlib.nullcontext()
    return running_beside(
        "healthplus", "backup", "--follow", environment={**os.environ, **settings.as_environment()}
    )  # fmt: skip


def _run_processes(settings: Settings) -> None:
    allow_open_files()
    # App processes read their settings from the environment. They never migrate.
    own = replace(settings, database_owner_url=None, backup_url=None, backup_command=None)
    os.environ.update(own.as_environment())
    supervisor = _Supervisor(
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
        log_dictconfig=server_log_config(settings.log_format),
    )
    supervisor.drain_seconds = settings.drain_seconds
    supervisor.serve()


def allow_open_files() -> None:
    """Let app processes have as many connections open as the system allows; log where that is too few for all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    needed = _WAITING_MAX + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        logger.warning(
            "only %d files may be open here, so a process takes about %d clients at once instead of %d; "
            "raise the limit to %d (`ulimit -Hn`, or LimitNOFILE= of systemd)",
            soft, max(0, soft - _OTHER_FILES), _WAITING_MAX, needed,
        )  # fmt: skip


def require_free_port(host: str, port: int) -> None:
    """Wait for the port while app processes of a product that was killed still end.

    Raises Conflict when the port is in use by others: app processes share their port, and without this check two
    running products would share one, too.
    """
    end = time.monotonic() + SPARE_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < end:
                time.sleep(_LOOK_SECONDS)
                continue
            raise Conflict(
                f"Cannot listen on {host}, port {port}: {error.strerror}. "
                "Give another --port (or HEALTHPLUS_PORT, _HOST)."
            ) from None
        return
