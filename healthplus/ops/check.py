"""The invariants of the book as SQL: run by operators, and after every test that used a database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from healthplus.database import Database, load

invariants = load(Path(__file__).with_name("invariants.sql"))

ROWS_MAX = 20


class Violation(msgspec.Struct, frozen=True):
    """A row that should not be there, by the name of the invariant it breaks."""

    invariant: str
    row: dict[str, str]


async def violations(database: Database) -> list[Violation]:
    """Give what breaks any invariant, at most ROWS_MAX rows of each; empty when all is well."""
    found: list[Violation] = []
    for name, sql in invariants.items():
        for row in await database.fetch(f"SELECT * FROM ({sql}\n) AS violation LIMIT {ROWS_MAX}"):
            found.append(Violation(name, {key: str(value) for key, value in row.items() if value is not None}))
    return found
