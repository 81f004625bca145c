"""The product's way to the database: a pool of connections that all behave the same."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import asyncpg
import msgspec

from healthplus.errors import DatabaseTooOld, DatabaseUnreachable, ExtensionMissing

Record: TypeAlias = asyncpg.Record
_Connection: TypeAlias = "asyncpg.Connection[Record] | asyncpg.pool.PoolConnectionProxy[Record]"

VERSION_MIN = 18
EXTENSIONS = ("btree_gist", "cube", "earthdistance", "pg_trgm", "unaccent")

_SESSION = {
    "application_name": "healthplus",
    "TimeZone": "UTC",
    # Under REPEATABLE READ a booking verb would act on a snapshot taken before it waited for its lock.
    "default_transaction_isolation": "read committed",
    # The verbs' queries are point look-ups whose best plan does not depend on the values, and planning one anew costs
    # up to twenty times what running it does.
    "plan_cache_mode": "force_generic_plan",
    # A plan is kept as long as its connection: one made while a table was small must not scan it when it has grown.
    "enable_seqscan": "off",
}


@contextlib.contextmanager
def unreachable_as_ours() -> Iterator[None]:
    """Raise DatabaseUnreachable for whatever means that the server cannot be reached or the connection was lost."""
    try:
        yield
    except (
        OSError,  # includes TimeoutError
        asyncpg.PostgresConnectionError,
        asyncpg.exceptions.CannotConnectNowError,
        asyncpg.exceptions.ConnectionDoesNotExistError,
        asyncpg.exceptions.InvalidAuthorizationSpecificationError,
        asyncpg.exceptions.InvalidCatalogNameError,
        asyncpg.exceptions.OperatorInterventionError,
        asyncpg.exceptions.TooManyConnectionsError,
    ) as error:
        raise DatabaseUnreachable(f"{DatabaseUnreachable.__doc__} ({error or type(error).__name__})") from error
    except asyncpg.InterfaceError as error:
        if "clos" in str(error):  # "connection is closed", "pool is closing": asyncpg has no class for these
            raise DatabaseUnreachable(f"{DatabaseUnreachable.__doc__} ({error})") from error
        raise


async def server_facts(connection: _Connection) -> tuple[int, set[str]]:
    """Give the server's major version and the names of the extensions it can install."""
    version = await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000")
    rows = await connection.fetch("SELECT name FROM pg_available_extensions")
    return version, {row["name"] for row in rows}


async def check_server(connection: _Connection) -> None:
    """Raise DatabaseTooOld or ExtensionMissing when the product cannot work with this server."""
    version, available = await server_facts(connection)
    if version < VERSION_MIN:
        raise DatabaseTooOld(
            f"The database server is PostgreSQL {version}; HealthPlus needs {VERSION_MIN} or newer. "
            "Upgrade it, or unset DATABASE_URL to use the embedded server."
        )
    if missing := [name for name in EXTENSIONS if name not in available]:
        raise ExtensionMissing(
            f"The database server lacks the extensions {', '.join(missing)}. "
            "Install PostgreSQL's contrib package there, or unset DATABASE_URL to use the embedded server."
        )


class _Runner:
    """What can be asked of the database, in a transaction or each call in one of its own.

    Every method raises DatabaseUnreachable when the connection is lost: the outcome is then unknown. Errors of the SQL
    itself come through as asyncpg's PostgresError, with its `sqlstate`.
    """

    def __init__(self, on: asyncpg.Pool[Record] | _Connection) -> None:
        self._on = on

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        with unreachable_as_ours():
            return await self._on.fetch(sql, *args)

    async def fetch_row(self, sql: str, *args: object) -> Record | None:
        with unreachable_as_ours():
            return await self._on.fetchrow(sql, *args)

    async def fetch_value(self, sql: str, *args: object) -> Any:
        with unreachable_as_ours():
            return await self._on.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement, or without args a script of several; give the command tag, such as `UPDATE 3`."""
        with unreachable_as_ours():
            return await self._on.execute(sql, *args)

    async def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once a row: all of them or none."""
        with unreachable_as_ours():
            await self._on.executemany(sql, rows)

    async def copy_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Append rows by COPY; `table` may carry its schema, as in `directory.city`."""
        schema, _, name = table.rpartition(".")
        with unreachable_as_ours():
            await self._on.copy_records_to_table(
                name, schema_name=schema or None, columns=list(columns), records=list(rows)
            )


class Transaction(_Runner):
    """One open transaction. Booking verbs take a Database, never this: they must run as bare autocommit statements."""


class Database(_Runner):
    """A pool of connections; each call runs on any of them, in a transaction of its own."""

    _on: asyncpg.Pool[Record]

    @classmethod
    async def connect(
        cls, dsn: str, min_size: int = 2, max_size: int = 10, statement_seconds_max: float | None = 30
    ) -> Self:
        """Connect, and check that the server is one the product can work with.

        Raises DatabaseUnreachable, DatabaseTooOld or ExtensionMissing.
        """
        with unreachable_as_ours():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=min_size,
                max_size=max_size,
                command_timeout=statement_seconds_max,
                server_settings=_SESSION,
                init=_prepare_connection,
                reset=_keep_session,
            )
            try:
                async with pool.acquire() as connection:
                    await check_server(connection)
            except BaseException:
                pool.terminate()
                raise
        return cls(pool)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back if it raises. Session settings only by SET LOCAL."""
        with unreachable_as_ours():
            connection = await self._on.acquire()
        try:
            with unreachable_as_ours():
                open_transaction = connection.transaction()
                await open_transaction.start()
            try:
                yield Transaction(connection)
            except BaseException:
                # A lost connection has rolled back already, and its own error is the one worth seeing.
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await open_transaction.rollback()
                raise
            with unreachable_as_ours():
                await open_transaction.commit()
        finally:
            await self._on.release(connection)

    async def close(self) -> None:
        """Wait for calls under way, then close every connection."""
        await self._on.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _prepare_connection(connection: _Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        # Binary jsonb is the text with a version byte, 1, before it.
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )


async def _keep_session(_: _Connection) -> None:
    # asyncpg's own reset costs a round trip after every call, to undo session state that Database cannot make.
    pass
