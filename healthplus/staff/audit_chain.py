"""The audit's chain: made each second, and looked through by `healthplus verify-audit`."""

from __future__ import annotations

from typing import NamedTuple

from healthplus.database import Database, repeat
from healthplus.errors import HealthPlusError
from healthplus.staff.sessions import queries

EVERY_SECONDS = 1.0


class AuditChain:
    """Adds what was committed to the chain, in every app process; of those who add the same link, one does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        await repeat(self._add, EVERY_SECONDS, "the audit could not be chained", self._database, name="audit")

    async def _add(self) -> None:
        await self._database.execute(queries.chain_audit)


class Verified(NamedTuple):
    """What was looked through: how many links and entries fit, how many entries are not in the chain yet, its end."""

    links: int
    entries: int
    unchained: int
    last: int
    hash: str


async def verify_audit(database: Database, seen: tuple[int, str] | None = None) -> Verified:
    """Look through the chain; `seen` is a link and its hash that were noted before.

    Raises HealthPlusError, which names the first link that does not fit, or says what is missing.
    """
    number, noted = seen or (None, "")
    row = await database.fetch_row(queries.verify_audit, number)
    assert row is not None
    if seen is not None and (row["seen_hash"] is None or row["seen_hash"].hex() != noted):
        raise HealthPlusError(f"Link {number} is not the one that was noted: the audit was changed since.")
    if row["why"] == "beginning":
        raise HealthPlusError(
            f"What came before link {row['broken']} is gone, and too new to have been forgotten: the beginning of the "
            "audit was taken out."
        )
    if row["why"] == "gone":
        raise HealthPlusError(
            "The entry with which an account or a session began is gone, and too new to have been forgotten: entries "
            "were taken out of the audit, with their links."
        )
    if row["broken"] is not None:
        raise HealthPlusError(
            f"Link {row['broken']} does not fit its entries: an entry was changed, taken out or put in there."
        )
    last, last_hash = (row["last"], row["last_hash"].hex()) if row["last"] else (0, "")
    return Verified(row["links"], row["entries"], row["unchained"], last, last_hash)
