"""The invariants of the book as SQL: run by operators, and after every test that used a database.

The counters of money hold too, but only where the payment gateway is being talked to: operators run them, and the tests
of payments.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from healthplus.database import Database, Queries, load

invariants = load(Path(__file__).with_name("invariants.sql"))
counters = load(Path(__file__).with_name("counters.sql"))

ROWS_MAX = 20


class Violation(msgspec.Struct, frozen=True):
    """A row that should not be there, by the name of the invariant it breaks."""

    invariant: str
    row: dict[str, str]


async def violations(database: Database, queries: Queries = invariants) -> list[Violation]:
    """Give what breaks any invariant, at most ROWS_MAX rows of each; empty when all is well."""
    found: list[Violation] = []
    for name, sql in queries.items():
        for row in await database.fetch(f"SELECT * FROM ({sql}\n) AS violation LIMIT {ROWS_MAX}"):
            found.append(Violation(name, {key: str(value) for key, value in row.items() if value is not None}))
    return found
