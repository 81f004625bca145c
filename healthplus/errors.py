"""Every error the product raises on purpose, in one tree.

The docstring of a class is its default message; `code` names it in an API answer, `status` is its HTTP status. One
handler in the web layer turns any of them into a problem document (RFC 9457), one in the command line into one line.
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class HealthPlusError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str | None = None, **members: object) -> None:
        """Take what is particular to this case: a sentence, and extra members for the problem document."""
        self.title = inspect.cleandoc(type(self).__doc__ or "")
        self.detail = detail or self.title
        self.members = members
        super().__init__(self.detail)


class BadInput(HealthPlusError):
    """The request cannot be understood."""

    code = "bad-input"
    status = 422


class Unauthenticated(HealthPlusError):
    """Sign in first."""

    code = "unauthenticated"
    status = 401


class Forbidden(HealthPlusError):
    """You may not do this."""

    code = "forbidden"
    status = 403


class NotFound(HealthPlusError):
    """There is nothing here."""

    code = "not-found"
    status = 404


class Conflict(HealthPlusError):
    """The request does not fit the present state; look again and decide anew."""

    code = "conflict"
    status = 409


class Gone(HealthPlusError):
    """It was here, and its time is over."""

    code = "gone"
    status = 410


class DatabaseError(HealthPlusError):
    """The database cannot serve the product."""

    code = "database"
    status = 503


class DatabaseUnreachable(DatabaseError):
    """The database does not answer; whether the last change was made is unknown. Try again with the same key."""

    code = "database-unreachable"


class DatabaseTooOld(DatabaseError):
    """The database server is older than PostgreSQL 18; upgrade it."""

    code = "database-too-old"


class ExtensionMissing(DatabaseError):
    """The database server lacks an extension the product needs; install PostgreSQL's contrib package."""

    code = "extension-missing"


class MigrationConflict(DatabaseError):
    """The database was migrated by other files than these."""

    code = "migration-conflict"


class EmbeddedServerFailed(DatabaseError):
    """The embedded PostgreSQL server could not be started or stopped."""

    code = "embedded-server-failed"
