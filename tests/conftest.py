from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from healthplus.database import Database, EmbeddedServer, migrate, temporary_folder
from healthplus.database.server_files import APP_ROLE
from healthplus.payments.gateways.sandbox_process import bank_url, running_bank
from healthplus.settings import Settings
from tests.fixtures.clock import clock_begins_at, start_clock
from tests.fixtures.environment import Environment
from tests.fixtures.invariants import Model
from tests.fixtures.races import RaceEnvironment

# Tests lose nothing in a power cut.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "min_wal_size": "32MB",
    "file_copy_method": "clone",  # a third of the time where files are on a disc
}
# How fast a machine is that other tests keep busy says nothing of what is tested.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")
# Making servers and databases, and no test, is what a disc slows down; where memory is short, they are made on one.
_MEMORY = Path("/dev/shm")  # noqa: S108 - only the folders that tempfile makes in it
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4 << 30:
    tempfile.tempdir = str(_MEMORY)
_serial = itertools.count(1)
_MIGRATED = "healthplus STRATEGY file_copy"


# Whole products, for up to a minute each: begun last, they would be all that is left, one after another.
_LONGEST = ("tests/e2e/", "tests/ops/test_bench.py", "tests/ops/test_faults.py", "tests/booking/test_model.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


def pytest_collection_finish() -> None:
    """Spare the collector what is there as long as the process is: modules and tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """An empty folder for an embedded server; pytest's own tmp_path cannot be entered by the server's account."""
    with temporary_folder("healthplus-test-") as folder:
        yield folder


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The DSN of the session's server, whose database `healthplus` is empty unless `template` was asked for."""
    with temporary_folder("healthplus-tests-") as folder, EmbeddedServer(folder, FAST) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The server's DSN, with its database `healthplus` migrated: the template of every test's own."""
    asyncio.run(migrate(server, app_role=APP_ROLE))
    return server


@pytest.fixture(scope="session")
def stopped_server() -> Iterator[Path]:
    """The folder of a server that has stopped, with a migrated database in it."""
    with temporary_folder("healthplus-tests-") as folder:
        with EmbeddedServer(folder, FAST) as dsn:
            asyncio.run(migrate(dsn, app_role=APP_ROLE))
        yield folder


@pytest.fixture
def migrated_folder(stopped_server: Path, server_folder: Path) -> Path:
    """A folder for an embedded server of this test's own, copied with its database: to make one takes a second."""
    subprocess.run(["cp", "-a", f"{stopped_server}/.", server_folder], check=True)  # noqa: S607 - as in a shell
    (server_folder / "server/log").unlink()
    return server_folder


@contextlib.asynccontextmanager
async def own_database(server: str, name: str, template: str = _MIGRATED) -> AsyncIterator[str]:
    """Yield the DSN of a new database on the tests' server, which is dropped afterwards."""
    connection = await asyncpg.connect(server, database="postgres")
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.replace("/healthplus?", f"/{name}?")
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@pytest.fixture(scope="session")
def sandbox_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings that lead to the session's sandbox bank, which is a process of its own; its webhooks go nowhere."""
    # Where root runs the tests: nobody else may enter pytest's folders.
    settings = Settings(None, tmp_path_factory.mktemp("bank"), account="root", port=9, sandbox_payments=True)
    with running_bank(settings) as complete:
        urllib.request.urlopen(f"{bank_url(complete)}/pay/ready", timeout=30).close()  # noqa: S310
        yield complete


@pytest.fixture
async def blank_dsn(server: str) -> AsyncIterator[str]:
    """The DSN of an empty database of this test's own."""
    async with own_database(server, f"blank_{next(_serial)}", "template0") as dsn:
        yield dsn


@pytest.fixture(scope="session")
def model(template: str) -> Model:
    """What is known of the template."""

    async def look() -> Model:
        connection = await asyncpg.connect(template)
        try:
            return await Model.look_at(connection)
        finally:
            await connection.close()

    return asyncio.run(look())


@pytest.fixture(scope="session")
def prepared(template: str, model: Model) -> Environment | None:
    """The environment of the database `prepared`, which is a template, too; None where clocks begin at a moment."""
    if clock_begins_at() is not None:
        return None

    async def prepare() -> Environment:
        connection = await asyncpg.connect(template, database="postgres")
        await connection.execute(f"CREATE DATABASE prepared TEMPLATE {_MIGRATED}")
        await connection.close()
        dsn = template.replace("/healthplus?", "/prepared?")
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            environment = await Environment.make(database)
        await _check_invariants(dsn, model)
        return environment

    return asyncio.run(prepare())


@pytest.fixture
async def dsn(template: str, model: Model, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of a migrated database of this test's own; what is left in it must pass `healthplus check`."""
    is_prepared = "prepared" in request.fixturenames and clock_begins_at() is None
    async with own_database(
        template, f"test_{next(_serial)}", "prepared STRATEGY file_copy" if is_prepared else _MIGRATED
    ) as own:
        await _start_clock(own)
        yield own
        if request.node.get_closest_marker("breaks_invariants") is None:
            await _check_invariants(own, model)


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """A pool on this test's own migrated database; commits are real."""
    async with await Database.connect(dsn, min_size=1, max_size=10) as database:
        yield database


@pytest.fixture
async def environment(prepared: Environment | None, db: Database) -> Environment:
    return await Environment.make(db) if prepared is None else await prepared.copied_to(db)


@pytest.fixture
async def race(db: Database) -> RaceEnvironment:
    return await RaceEnvironment.make(db)


async def _start_clock(dsn: str) -> None:
    if clock_begins_at() is None:
        return
    connection = await asyncpg.connect(dsn)
    try:
        await start_clock(connection)
    finally:
        await connection.close()


async def _check_invariants(dsn: str, model: Model) -> None:
    # Over a bare connection: a third less time than `healthplus check` takes.
    connection = await asyncpg.connect(dsn)
    try:
        assert await model.violations(connection) == []
    finally:
        await connection.close()
