"""Whether a commit that the server has acknowledged survives a power cut."""

from __future__ import annotations

from healthplus.database.limits import COMMANDS
from healthplus.database.pool import Database
from healthplus.errors import UnsafeCommits

_OFF = """
SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
WHERE current_setting(name) = 'off'
"""


async def unsafe_settings(database: Database) -> list[str]:
    """Return the names of the server's settings that are off, and without which commits are not durable."""
    return [row["name"] for row in await database.fetch(_OFF)]


async def refuse_unsafe_commits(dsn: str) -> None:
    """Raise UnsafeCommits where a session like the product's own would lose commits in a power cut."""
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=COMMANDS) as database:
        if names := await unsafe_settings(database):
            raise UnsafeCommits(
                f"Off at the database server: {', '.join(names)}. A power cut could lose acknowledged bookings. "
                "Turn them on; or set HEALTHPLUS_ALLOW_UNSAFE_COMMITS=1 if nothing in this database matters."
            )
