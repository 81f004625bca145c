"""Checks what must always be true of the data: `healthplus check` runs them, and so does every test with a database.

Each query of invariants.sql, and of those for services, receipts and places, returns the rows that break one invariant.
Those of money_invariants.sql hold only while the background tasks of payments run: operators run them, and the tests of
payments. Those of business_invariants.sql add up the whole: operators run them, and each rehearsal of a restore.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from healthplus.database import Database, Queries, load

invariants = Queries(
    load(Path(__file__).with_name("invariants.sql"))
    | load(Path(__file__).with_name("service_invariants.sql"))
    | load(Path(__file__).with_name("receipt_invariants.sql"))
    | load(Path(__file__).with_name("place_invariants.sql"))
)
money_invariants = load(Path(__file__).with_name("money_invariants.sql"))
business_invariants = load(Path(__file__).with_name("business_invariants.sql"))

ROWS_MAX = 20


class Violation(msgspec.Struct, frozen=True):
    """A row that breaks an invariant, with the name of the invariant."""

    invariant: str
    row: dict[str, str]


async def violations(database: Database, queries: Queries = invariants) -> list[Violation]:
    """Return the rows that break an invariant, at most ROWS_MAX of each; none when all is well."""
    found: list[Violation] = []
    for name, sql in queries.items():
        for row in await database.fetch(f"SELECT * FROM ({sql}\n) AS violation LIMIT {ROWS_MAX}"):
            found.append(Violation(name, {key: str(value) for key, value in row.items() if value is not None}))
    return found


async def all_violations(database: Database) -> list[Violation]:
    """Return the rows that break any invariant, at most ROWS_MAX of each."""
    return [
        violation
        for queries in (invariants, money_invariants, business_invariants)
        for violation in await violations(database, queries)
    ]
