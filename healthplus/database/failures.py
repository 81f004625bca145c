"""The driver's errors as ours: each says truly whether anything was changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg

from healthplus.database.free_space import full
from healthplus.errors import (
    BadInput,
    DatabaseBusy,
    DatabaseIsStandby,
    DatabaseReadOnly,
    DatabaseUnreachable,
    HealthPlusError,
)

_LOST = (
    OSError,  # includes TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # when the server dies in the middle of an answer
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.ConnectionDoesNotExistError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TooManyConnectionsError,
)
"""Errors that mean that the server cannot be reached or the connection was lost."""

_ROLLED_BACK: dict[type[Exception], type[HealthPlusError]] = {
    asyncpg.exceptions.LockNotAvailableError: DatabaseBusy,
    # A statement that took too long. The server looks at the time until it commits, not while it does.
    asyncpg.exceptions.QueryCanceledError: DatabaseBusy,
    asyncpg.exceptions.ReadOnlySQLTransactionError: DatabaseReadOnly,
}
"""Errors by which the server says that it did nothing, and why; the connection is as good as before."""


def ours(error: Exception, lost: type[DatabaseUnreachable]) -> HealthPlusError | None:
    """Return what an error of the driver's is to our callers; `lost`: where it means that the connection is.

    None: it is an error of the SQL itself, or of its arguments.
    """
    if isinstance(error, asyncpg.exceptions.DiskFullError):
        return full()
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return DatabaseIsStandby()
    for kind, meaning in _ROLLED_BACK.items():
        if isinstance(error, kind):
            return meaning()
    # "connection is closed": asyncpg has no class for it.
    if isinstance(error, _LOST) or (isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)):
        return lost(f"{lost.__doc__} ({error or type(error).__name__})")
    return None


@contextlib.contextmanager
def failures_as_ours(lost: type[DatabaseUnreachable] = DatabaseUnreachable) -> Iterator[None]:
    """Raise our errors for the driver's, as `ours` has them, and BadInput for an unusable address."""
    try:
        yield
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise BadInput(
            f"DATABASE_URL is no address of a PostgreSQL server ({error}). "
            "Write it like postgresql://user:password@host:5432/database."
        ) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if isinstance(error, asyncpg.PostgresError):
            error.detail = None  # it quotes rows, and this error may be logged
        if (meaning := ours(error, lost)) is not None:
            raise meaning from error
        raise
