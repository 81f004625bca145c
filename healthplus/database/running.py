from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from healthplus.database.embedded import EmbeddedServer
from healthplus.database.free_space import FreeSpace
from healthplus.database.keeper import Keeper
from healthplus.database.migrations import check_migrated, migrate
from healthplus.errors import DatabaseNotSetUp
from healthplus.settings import Settings


@contextlib.contextmanager
def migrated_database(settings: Settings, *, kept: bool = False) -> Iterator[str]:
    """Bring the operator's own database, or an embedded one that runs for this block, to this release; yield its DSN.

    An embedded server that is to be `kept` is started again when it is gone.

    Raises EmbeddedServerFailed and the errors of `migrate`.
    """
    server = EmbeddedServer(settings.data_folder)
    with _database(settings, server) as dsn:
        asyncio.run(migrate(dsn))
        with Keeper(server) if kept and not settings.database_url else contextlib.nullcontext():
            yield dsn


@contextlib.contextmanager
def running_database(settings: Settings, *, reads: bool = False) -> Iterator[str]:
    """Yield the DSN of a database that is of this very release, and apply nothing: others may be running on it.

    Raises DiskFull, unless the caller only `reads`, EmbeddedServerFailed and the errors of `check_migrated`.
    """
    server = EmbeddedServer(settings.data_folder)
    if not settings.database_url and not server.is_initialized:
        raise DatabaseNotSetUp
    if not reads:
        FreeSpace.of(settings).require_for_changes()
    with _database(settings, server) as dsn:
        asyncio.run(check_migrated(dsn))
        yield dsn


@contextlib.contextmanager
def _database(settings: Settings, server: EmbeddedServer) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        yield settings.database_url or stack.enter_context(server)
