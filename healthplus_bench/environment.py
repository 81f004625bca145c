"""What a bench runs on: a new database, made-up providers and patients, and the product's own app processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from healthplus.database import BULK, Database, EmbeddedServer, load, migrate, temporary_folder, unsafe_settings
from healthplus.database.server_files import APP_ROLE, as_app_role
from healthplus.errors import HealthPlusError
from healthplus.lifeline import SPARE_SECONDS
from healthplus.settings import Settings
from healthplus_bench.bank import ANSWER_VARIABLE
from healthplus_bench.client import DEVELOPER_KEY

queries = load(Path(__file__).with_name("environment.sql"))

SLOTS_A_SHIFT = 36
SLOTS_A_DAY = 2 * SLOTS_A_SHIFT
SLOT_TIME = timedelta(minutes=5)
SHIFT_DISTANCE = timedelta(hours=7)

POOL_SIZE = 8

_START_SECONDS_MAX = 60  # of a machine that others keep busy
_STOP_SECONDS_MAX = 5


class BenchFailed(HealthPlusError):
    """The bench could not be run to its end."""

    code = "bench_failed"


@dataclass(frozen=True)
class Environment:
    """What a bench runs on. Provider n works at clinic (n + 9) // 10 in two shifts a day from `first_shift` on."""

    dsn: str
    folder: Path
    database: Database
    token_prefix: str
    first_shift: datetime

    def token(self, patient_id: int) -> str:
        """Return a patient's token."""
        return f"{self.token_prefix}{patient_id}"

    def start_of(self, slot: int) -> datetime:
        """Return when a provider's slot starts, counted from 0 over all days."""
        return self.start_of_day(*divmod(slot, SLOTS_A_DAY))

    def start_of_day(self, day: int, slot_of_day: int) -> datetime:
        """Return when a slot of a day starts, both counted from 0."""
        shift, slot_of_shift = divmod(slot_of_day, SLOTS_A_SHIFT)
        return self.first_shift + timedelta(days=day) + shift * SHIFT_DISTANCE + slot_of_shift * SLOT_TIME


def clinic_of(provider_id: int) -> int:
    """Return the clinic where a provider works."""
    return (provider_id + 9) // 10


@contextlib.contextmanager
def running_server(server_settings: Mapping[str, str] | None = None) -> Iterator[tuple[str, Path]]:
    """Run a new database for this block; yield its DSN and its folder, which is deleted with it."""
    with temporary_folder("healthplus-bench-") as folder, EmbeddedServer(folder, server_settings) as dsn:
        asyncio.run(migrate(dsn, app_role=APP_ROLE))
        yield dsn, folder


async def new_database(dsn: str, name: str) -> str:
    """Copy a database that nobody else is connected to, under another name on the same server; return its DSN."""
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
        await database.execute(f"CREATE DATABASE {name} TEMPLATE {urlsplit(dsn).path.strip('/')}")
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


@contextlib.asynccontextmanager
async def prepared_environment(dsn: str, folder: Path, providers: int, patients: int) -> AsyncIterator[Environment]:
    """Fill a new database. Raises BenchFailed if it does not make its commits durable."""
    async with await Database.connect(dsn, min_size=1, max_size=2) as database:
        await refuse_unless_durable(database)
        prefix = secrets.token_urlsafe(24)
        await database.execute(queries.put_city)
        for name in ("put_clinics", "put_providers", "put_posts", "put_shifts", "put_books"):
            await database.execute(queries[name], providers)
        await database.execute(queries.put_patients, patients)
        await database.execute(queries.put_tokens, patients, prefix)
        await database.execute(queries.put_developer_key, DEVELOPER_KEY)
        await database.execute(queries.analyze)
        first_shift: datetime = await database.fetch_value(queries.first_shift)
        yield Environment(dsn, folder, database, prefix, first_shift)
        await refuse_unless_durable(database)


async def refuse_unless_durable(database: Database) -> None:
    """Raise BenchFailed if a session like the product's own would not wait for the disc when it commits."""
    for name in await unsafe_settings(database):
        raise BenchFailed(f"{name} is off: bookings made without it are not counted. Turn it on.")


async def wal_flushes(database: Database) -> int:
    """Return how often sessions have waited for the disc so far."""
    flushes: int = await database.fetch_value(queries.wal_flushes)
    return flushes


@dataclass(frozen=True)
class App:
    """A running `healthplus serve`."""

    port: int
    process: asyncio.subprocess.Process

    async def stop(self, seconds_max: float = _STOP_SECONDS_MAX) -> None:
        """Have it finish what it does; kill it where that takes longer."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), seconds_max)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await asyncio.sleep(SPARE_SECONDS)  # by then its other processes have ended, too


@contextlib.asynccontextmanager
async def running_app(
    environment: Environment,
    processes: int,
    *,
    keeps_server: bool = False,
    bank_ms: int | None = None,
    **changes: Any,
) -> AsyncIterator[int]:
    """Run `healthplus serve` for this block; yield its port. Raises BenchFailed when it does not come up.

    It is told where the database is; with `keeps_server` it takes the server in the folder as its own embedded one.
    With `bank_ms`, its bank is elsewhere and answers after so long (bank.py), instead of the sandbox bank's process.
    `changes` are settings of its own.
    """
    app = await start_app(environment, processes, keeps_server=keeps_server, bank_ms=bank_ms, **changes)
    try:
        yield app.port
    finally:
        await app.stop()


async def start_app(
    environment: Environment,
    processes: int,
    *,
    keeps_server: bool = False,
    bank_ms: int | None = None,
    tree: Path | None = None,
    **changes: Any,
) -> App:
    """Start `healthplus serve` as `running_app` does, which see; `tree` is where its source is, if elsewhere."""
    settings = Settings(
        None if keeps_server else as_app_role(environment.dsn),
        environment.folder,
        None if keeps_server else environment.dsn,
        host="127.0.0.1",
        port=free_port(),
        processes=processes,
        # All opened before anything is counted, and no more of them than few cores can use.
        pool_size_min=POOL_SIZE,
        pool_size_max=POOL_SIZE,
        sandbox_payments=True,
    )
    return await start_serve(replace(settings, **changes), environment.folder / "app.log", bank_ms=bank_ms, tree=tree)


async def start_serve(settings: Settings, log: Path, *, bank_ms: int | None = None, tree: Path | None = None) -> App:
    """Start `healthplus serve` with these settings, and return once it is ready. Raises BenchFailed where it is not."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "healthplus" if bank_ms is None else "healthplus_bench.serve_elsewhere", "serve",
            "--until-stdin-ends",
            env={**_environment_for(settings), ANSWER_VARIABLE: str(bank_ms or 0)}, cwd=tree,
            stdin=asyncio.subprocess.PIPE, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    app = App(settings.port, process)
    try:
        await _until_ready(process, settings.port, log)
    except BaseException:
        await app.stop()
        raise
    return app


def _environment_for(settings: Settings) -> dict[str, str]:
    """Return our environment with these settings alone, and of them only what is not as it is by default.

    A release before this one refuses variables that it does not know.
    """
    by_default = Settings(None, Path()).as_environment()
    given = {name: value for name, value in settings.as_environment().items() if value != by_default[name]}
    return {name: value for name, value in os.environ.items() if name not in by_default} | given


def free_port() -> int:
    """Return a port of this machine's that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def _until_ready(app: asyncio.subprocess.Process, port: int, log: Path) -> None:
    end = asyncio.get_running_loop().time() + _START_SECONDS_MAX
    while app.returncode is None and asyncio.get_running_loop().time() < end:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /api/v1/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            status_line = await reader.readline()
            writer.close()
            if b" 200 " in status_line:
                return
        await asyncio.sleep(0.1)
    text = await asyncio.to_thread(log.read_text)
    raise BenchFailed(f"The app did not come up. The end of its log:\n{text[-2000:]}")
