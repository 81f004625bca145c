from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from healthplus.database.embedded import EmbeddedServer
from healthplus.database.migrations import migrate
from healthplus.settings import Settings


@contextlib.contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """Give the DSN of a migrated database: the operator's own, or an embedded server that runs for this block.

    Raises EmbeddedServerFailed and the errors of `migrate`.
    """
    with contextlib.ExitStack() as stack:
        dsn = settings.database_url or stack.enter_context(EmbeddedServer(settings.data_folder))
        asyncio.run(migrate(dsn))
        yield dsn
