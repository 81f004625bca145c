"""The database as the product uses it: a pool of connections that all behave the same."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from healthplus.database.changes import note_change
from healthplus.database.failures import failures_as_ours, ours
from healthplus.database.free_space import FreeSpace
from healthplus.database.limits import COMMANDS, Limits
from healthplus.database.outage import OUTAGE
from healthplus.database.release import RELEASE
from healthplus.errors import (
    DatabaseBusy,
    DatabaseReadOnly,
    DatabaseTooOld,
    DatabaseUnreachable,
    DiskFull,
    ExtensionMissing,
    HealthPlusError,
    OutcomeUnknown,
)

logger = logging.getLogger(__name__)

Record: TypeAlias = asyncpg.Record
_Connection: TypeAlias = "asyncpg.Connection[Record]"

VERSION_MIN = 18
_CLOSE_SECONDS_MAX = 5
_CONNECT_SECONDS_MAX = 2
_CANCEL_SECONDS_MAX = 2
"""How long a statement that was given up may take to end at the server."""
_SLOW_SQL_LENGTH = 100
"""Characters of a slow statement in the log; its values are never in its text."""
EXTENSIONS = ("btree_gist", "cube", "earthdistance", "fuzzystrmatch", "pg_trgm", "unaccent")

_SESSION = {
    # Under REPEATABLE READ a booking verb would act on a snapshot taken before it waited for its lock.
    "default_transaction_isolation": "read committed",
    # The verbs' queries are point look-ups whose best plan does not depend on the values, and planning one again costs
    # up to twenty times as much as running it.
    "plan_cache_mode": "force_generic_plan",
    # A plan is kept as long as its connection: one made while a table was small must not scan it once it has grown.
    "enable_seqscan": "off",
}

_OVERTAKEN = (
    asyncpg.DatatypeMismatchError,  # what it calls answers with more than when it was planned
    asyncpg.FeatureNotSupportedError,  # the same, noticed before it ran
    asyncpg.InternalServerError,  # a function that it calls was replaced by one of another shape
)
"""What a statement can fail with that ran while the database was brought to another release. Nothing of it was done."""
_OVERTAKEN_TRIES = 3


async def server_facts(connection: _Connection) -> tuple[int, set[str]]:
    """Return the server's major version and the names of the extensions it can install."""
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


class _Runner(abc.ABC):
    """Runs SQL, in a transaction or each call in one of its own.

    Every method raises DatabaseBusy, DatabaseReadOnly or DatabaseUnreachable, and then nothing was changed; or
    OutcomeUnknown, which is a DatabaseUnreachable. Errors of the SQL itself come through as PostgresError, with a
    `sqlstate`.
    """

    @abc.abstractmethod
    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of a connection."""

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        rows: list[Record] = await self._call("fetch", sql, *args)
        return rows

    async def fetch_row(self, sql: str, *args: object) -> Record | None:
        row: Record | None = await self._call("fetchrow", sql, *args)
        return row

    async def fetch_value(self, sql: str, *args: object) -> Any:
        return await self._call("fetchval", sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement, or without args a script of several; return the command tag, such as `UPDATE 3`."""
        tag: str = await self._call("execute", sql, *args)
        return tag

    async def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each row: all of them or none."""
        await self._call("executemany", sql, list(rows))

    async def copy_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Append rows by COPY; `table` may carry its schema, as in `directory.city`."""
        schema, _, name = table.rpartition(".")
        await self._call(
            "copy_records_to_table", name, schema_name=schema or None, columns=list(columns), records=list(rows)
        )


class Transaction(_Runner):
    """One open transaction. Booking verbs take a Database, never this: they must run as bare autocommit statements."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Take back what is done in this block, and nothing else, where it raises."""
        with failures_as_ours():
            async with self._connection.transaction():
                yield

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        try:
            with failures_as_ours():  # what was not committed is rolled back, also where the connection is lost
                return await getattr(self._connection, method)(*args, **options)
        except Exception as error:
            _note_backend(self._connection, error)
            raise


class Database(_Runner):
    """A pool of connections; each call runs on any of them, in a transaction of its own.

    asyncpg has a pool, but a call through it costs twice the processor time of one on a connection, on every request.
    Callers get connections in order of arrival, the one used last first. There are never more than `max_size`, at the
    server either: a statement that is given up is cancelled there before another connection is opened. `space` is what
    is known of the server's disk: nothing, until it is set. A statement that takes longer than `slow_seconds` is named
    in the log.
    """

    slow_seconds: float | None = None

    def __init__(
        self, open_connection: Callable[[], Awaitable[_Connection]], max_size: int, wait_seconds: float | None = None
    ) -> None:
        self._open_connection = open_connection
        self.max_size = max_size
        self._wait_seconds = wait_seconds
        self._free = asyncio.Semaphore(max_size)
        self._idle: list[_Connection] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.space = FreeSpace()

    @property
    def used(self) -> int:
        """How many connections are in use."""
        return self.max_size - self._free._value

    @classmethod
    def unopened(cls, dsn: str, max_size: int, limits: Limits, application_name: str) -> Self:
        """Return a pool whose connections are opened as they are needed, to a server that was looked at already."""
        session = limits.session(application_name) | _SESSION

        async def open_connection() -> _Connection:
            connection = await asyncpg.connect(
                dsn,
                timeout=_CONNECT_SECONDS_MAX,
                command_timeout=limits.answer_seconds,
                server_settings=session,
                # A standby, also one that is just becoming the main, does not know yet all that was acknowledged.
                target_session_attrs=SessionAttribute.primary,
            )
            await _prepare_connection(connection)
            return connection

        return cls(open_connection, max_size, limits.wait_seconds)

    @classmethod
    async def connect(
        cls,
        dsn: str,
        min_size: int = 2,
        max_size: int = 10,
        limits: Limits = COMMANDS,
        application_name: str = f"healthplus {RELEASE}",
    ) -> Self:
        """Connect, and check that the server is one the product can work with.

        Raises DatabaseUnreachable, DatabaseTooOld or ExtensionMissing.
        """
        database = cls.unopened(dsn, max_size, limits, application_name)
        try:
            for _ in range(max(1, min_size)):
                with failures_as_ours():
                    database._idle.append(await database._open_connection())
            with failures_as_ours():
                await check_server(database._idle[0])
        except BaseException:
            await database.close()
            raise
        return database

    async def fetch_row(self, sql: str, *args: object, wait_seconds: float | None = None) -> Record | None:
        """Return the first row; `wait_seconds`: how long to wait for a connection, if less than others do."""
        row: Record | None = await self._call("fetchrow", sql, *args, wait_seconds=wait_seconds)
        return row

    async def fetch_late(
        self, sql: str, arguments: Callable[[], Sequence[object] | None], wait_seconds: float | None = None
    ) -> list[Record] | None:
        """Return the rows of a statement whose arguments are asked for only once there is a connection.

        None, with nothing sent, where `arguments` then returns None. Nothing was sent either where it was not called.
        Raises as `fetch`.
        """
        connection = await self._borrow(wait_seconds)
        if (args := arguments()) is None:
            self._give_back(connection, usable=True)
            return None
        rows: list[Record] = await self._call_on(connection, "fetch", sql, *args)
        return rows

    async def _call(self, method: str, *args: Any, wait_seconds: float | None = None, **options: Any) -> Any:
        return await self._call_on(await self._borrow(wait_seconds), method, *args, **options)

    async def _call_on(self, connection: _Connection, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of a connection that was borrowed, and give it back."""
        usable = False
        call = getattr(connection, method)
        began = time.monotonic()
        try:
            for left in reversed(range(_OVERTAKEN_TRIES)):
                try:
                    answer = await call(*args, **options)
                    break
                except _OVERTAKEN:
                    if not left:
                        raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            meaning = ours(error, OutcomeUnknown)
            _note_backend(connection, error, meaning)
            # An error of the SQL, or an argument of a wrong type, where nothing was sent.
            usable = not isinstance(meaning, DatabaseUnreachable | DatabaseReadOnly)
            self._note_meaning(meaning)
            if isinstance(error, asyncpg.PostgresError):
                error.detail = None  # it quotes rows, and this error may be logged
            if meaning is not None:
                raise meaning from error
            raise
        else:
            usable = True
            return answer
        finally:
            if self.slow_seconds is not None and (took := time.monotonic() - began) > self.slow_seconds:
                _note_slow(connection, args[0], took)
            self._give_back(connection, usable)

    async def _borrow(self, wait_seconds: float | None = None) -> _Connection:
        if self._closed:
            raise DatabaseUnreachable("The database was asked after its pool had been closed.")
        if self._free.locked():
            try:
                async with asyncio.timeout(self._wait_seconds if wait_seconds is None else wait_seconds):
                    await self._free.acquire()
            except TimeoutError:
                raise DatabaseBusy from None
        else:
            await self._free.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            with OUTAGE.noted(), failures_as_ours():
                return await self._open_connection()
        except BaseException:
            self._free.release()
            raise

    def _give_back(self, connection: _Connection, usable: bool) -> None:
        if usable:
            self._idle.append(connection)
            self._free.release()
        elif connection.is_closed():
            self._free.release()
        else:
            # After a call that was cancelled or failed otherwise, the connection may still be at work.
            ending = asyncio.create_task(self._end(connection))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _note_meaning(self, meaning: HealthPlusError | None) -> None:
        """Act on what an error says of the server."""
        if isinstance(meaning, DatabaseReadOnly):
            self._drop_idle()
        if isinstance(meaning, DiskFull):
            self.space.note_refusal()

    def _drop_idle(self) -> None:
        """Close the connections that nobody uses: where servers fail over, they may lead to what was the main."""
        while self._idle:
            self._idle.pop().terminate()

    async def _end(self, connection: _Connection) -> None:
        """Cancel at the server what a connection is at work on, and close it; only then may another take its place."""
        try:
            await connection.close(timeout=_CANCEL_SECONDS_MAX)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            connection.terminate()
        finally:
            self._free.release()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back if it raises. Session settings only by SET LOCAL."""
        connection = await self._borrow()
        usable = False
        try:
            with failures_as_ours():
                open_transaction = connection.transaction()
                await open_transaction.start()
            try:
                yield Transaction(connection)
            except Exception as error:
                # A lost connection has rolled back already, and the block's own error must be the one that is raised.
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await open_transaction.rollback()
                    usable = not isinstance(error, DatabaseReadOnly)
                if isinstance(error, DatabaseReadOnly):
                    self._drop_idle()
                raise
            with failures_as_ours(lost=OutcomeUnknown):
                await open_transaction.commit()
            usable = True
            note_change()
        finally:
            self._give_back(connection, usable)

    async def close(self) -> None:
        """Wait for the calls under way, then close every connection. Later calls raise DatabaseUnreachable."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self.max_size):
            await self._free.acquire()
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.close(timeout=_CLOSE_SECONDS_MAX)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _note_slow(connection: _Connection, sql: str, took_seconds: float) -> None:
    """Name a slow statement in the log; what the server logs about it bears the same number and time."""
    sql = " ".join(sql.split())[:_SLOW_SQL_LENGTH]
    logger.warning(
        "slow statement: %.0f ms, backend %d: %s", took_seconds * 1000, connection.get_server_pid(), sql
    )  # fmt: skip


def _note_backend(connection: _Connection, *errors: Exception | None) -> None:
    """Note in errors the server's process, which stands in its log: it leads from there to the request."""
    for error in errors:
        if error is not None:
            error.backend_pid = connection.get_server_pid()  # type: ignore[attr-defined]


async def _prepare_connection(connection: _Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        # Binary jsonb is the text with a version byte, 1, before it.
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )
