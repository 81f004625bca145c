"""Store the rows of tables in an import's transaction. What the database refuses is found and left out, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from healthplus.database import FreeSpace, PostgresError, Queries, Transaction, load
from healthplus.imports.entries import Entry
from healthplus.imports.summary import Summary
from healthplus.imports.tables import Row, Table

_queries = Queries(load(Path(__file__).with_name("import.sql")) | load(Path(__file__).with_name("places.sql")))

Step: TypeAlias = tuple[Table, list[Row]]
Progress: TypeAlias = Callable[[Iterable[Step], int], Iterable[Step]]
"""May wrap the steps, of which there are so many, to show how far an import is."""

_UNCOUNTED = frozenset({"source_rows"})
"""Tables that every import writes, whatever it changes."""

_LISTINGS_A_STEP = 1000

# Of SQLSTATE: data exceptions, violated constraints, exceeded limits, and what a trigger refuses.
_OF_ONE_ROW = ("22", "23", "54", "P0")


class Refusal(NamedTuple):
    """A row that the database refused, and why."""

    table: Table
    row: Row
    reason: str

    def concerns(self, entry: Entry) -> bool:
        """Return whether an entry cannot be stored for this."""
        return self.table.concerns(self.row, entry)


class Refused(Exception):
    """Nothing was stored, as the database refuses these rows."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__()
        self.refusals = refusals


async def store(
    tx: Transaction, tables: Sequence[Table], space: FreeSpace, summary: Summary, progress: Progress
) -> None:
    """Store all rows and count them; raises Refused, with all rows that cannot be stored, where there are any.

    Raises PostgresError for what is no fault of a row.
    """
    for counter in (summary.added, summary.updated, summary.unchanged):
        counter.clear()
    refusals: list[Refusal] = []
    async with tx.savepoint():
        await tx.execute(_queries.let_listings_wait)
        await _store_all(tx, tables, space, summary, progress, refusals)
        if refusals:
            raise Refused(refusals)


async def _store_all(
    tx: Transaction,
    tables: Sequence[Table],
    space: FreeSpace,
    summary: Summary,
    progress: Progress,
    refusals: list[Refusal],
) -> None:
    for table, rows in progress(_steps(tables), sum(table.step_count for table in tables)):
        space.require_for_bookings()  # before each: a large file may itself fill the disk
        await _store_step(tx, table, rows, summary, refusals)
    waiting: list[int] = await tx.fetch_value(_queries.waiting_listings)
    for start in range(0, 0 if refusals else len(waiting), _LISTINGS_A_STEP):
        space.require_for_bookings()
        await tx.execute(_queries.refresh_listings, waiting[start : start + _LISTINGS_A_STEP])


def _steps(tables: Iterable[Table]) -> Iterator[Step]:
    for table in tables:
        for rows in table.batches():
            yield table, rows


async def _store_step(
    tx: Transaction, table: Table, rows: list[Row], summary: Summary, refusals: list[Refusal]
) -> None:
    try:
        async with tx.savepoint():
            await _put(tx, table.name, rows, summary)
    except PostgresError as error:
        if not rows or not is_of_one_row(error):
            raise
        if len(rows) == 1:
            refusals.append(Refusal(table, rows[0], f"the database refuses it: {error}"))
            return
        half = len(rows) // 2
        for part in (rows[:half], rows[half:]):
            await _store_step(tx, table, part, summary, refusals)


def is_of_one_row(error: PostgresError) -> bool:
    """Return whether an error may be the fault of one row, and not of what else goes on in the database."""
    is_known = error.sqlstate == "23P01" or error.constraint_name == "clinic_currency_is_kept"
    return str(error.sqlstate)[:2] in _OF_ONE_ROW and not is_known


async def _put(tx: Transaction, name: str, rows: list[Row], summary: Summary) -> None:
    if name in _queries:
        await tx.execute(_queries[name], *([[row["provider"] for row in rows]] if rows else []))
        return
    counts = await tx.fetch_row(_queries[f"put_{name}"], rows)
    assert counts is not None
    if name in _UNCOUNTED:
        return
    summary.added[name] += counts["added"]
    summary.updated[name] += counts["updated"]
    summary.unchanged[name] += len(rows) - counts["added"] - counts["updated"]
