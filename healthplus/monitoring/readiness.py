"""Whether bookings can be made. People and deploys ask; a balancer asks whether the process lives (docs: README)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import healthplus.database
from healthplus.database import Database, Limits, PostgresError, load, unsafe_settings
from healthplus.errors import DatabaseIsStandby, HealthPlusError

queries = load(Path(__file__).with_name("readiness.sql"))

SECONDS_MAX = 1.0
"""How long all checks may take together."""
LIMITS = Limits(wait_seconds=SECONDS_MAX, lock_seconds=0.5, statement_seconds=SECONDS_MAX, idle_seconds=5)
"""Of the one connection that the checks have for themselves, so that no rush on the pool makes them late."""

_MIGRATIONS = len(list((Path(healthplus.database.__file__).parent / "migrations").glob("*.sql")))

Check: TypeAlias = Callable[[], Awaitable[str | None]]
"""Returns in a sentence why bookings cannot be made, or None."""


class Readiness:
    """Asks all checks."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._look: asyncio.Task[list[str]] | None = None

    async def reasons(self) -> list[str]:
        """Return why bookings cannot be made: nothing, when they can. All who ask meanwhile share a look."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._ask())
        return await asyncio.shield(self._look)

    async def _ask(self) -> list[str]:
        found: list[str] = []
        try:
            async with asyncio.timeout(SECONDS_MAX):
                for check in self._checks:
                    if reason := await check():
                        found.append(reason)
        except TimeoutError:
            found.append(f"The database did not answer within {SECONDS_MAX:g} s.")
        except DatabaseIsStandby:
            found.append("The database is a standby, or still recovering: it takes no changes.")
        except (HealthPlusError, PostgresError) as error:
            # Not the error's own text: it may name hosts.
            found.append(f"The database does not answer ({type(error.__cause__ or error).__name__}).")
        return found


class DatabaseChecks:
    """What only the database can say, over a connection of its own."""

    def __init__(self, database: Database, *, allow_unsafe_commits: bool) -> None:
        self._database = database
        self._allow_unsafe_commits = allow_unsafe_commits

    def all(self) -> Sequence[Check]:
        """Return the checks, that of the connection first."""
        return (self.is_writable, self.is_migrated, self.is_durable)

    async def is_writable(self) -> str | None:
        """Check that the database takes changes, also over connections that are opened from now on."""
        row = await self._database.fetch_row(queries.read_only)
        assert row is not None
        if row["read_only"]:
            return "The database is read-only (default_transaction_read_only)."
        return None

    async def is_migrated(self) -> str | None:
        """Check that the database has every migration that this version needs."""
        if await self._database.fetch_value(queries.migrated_to) < _MIGRATIONS:
            return "The database lacks migrations; run `healthplus migrate`."
        return None

    async def is_durable(self) -> str | None:
        """Check that commits survive a power cut."""
        if self._allow_unsafe_commits or not (names := await unsafe_settings(self._database)):
            return None
        return f"Bookings could be lost in a power cut: off at the database server: {', '.join(names)}."


async def has_room(database: Database) -> str | None:
    """Check that there is room for bookings on the database's disk."""
    return database.space.reason
