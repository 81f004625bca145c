"""The product's areas stand in one place, and what is said there is so."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path

import pytest

import healthplus
from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book, Shift
from healthplus.database import Database
from healthplus.database.areas import AREAS
from healthplus.search.find import SearchRequest, find
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment

PACKAGE = Path(healthplus.__file__).parent
SCHEMAS = [area.schema for area in AREAS]

_OURS = """relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY ($1::text[]))
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')"""


def test_every_function_file_is_listed_once() -> None:
    listed = [f"{area.name}/functions/{path}" for area in AREAS for path in area.functions]
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.glob("**/functions/**/*.sql")}
    assert set(listed) == found
    assert len(set(listed)) == len(listed)


async def test_every_schema_is_an_areas(db: Database) -> None:
    rows = await db.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    )
    assert {row["nspname"] for row in rows} == set(SCHEMAS)


async def add_to_all(db: Database) -> None:
    """Add a column to every table, and an attribute to every type, as a newer release might."""
    for kind, change in (("r", "TABLE {} ADD COLUMN one_more text"), ("c", "TYPE {} ADD ATTRIBUTE one_more text")):
        rows = await db.fetch(
            f"SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = '{kind}' AND {_OURS}", SCHEMAS
        )
        assert rows
        for row in rows:
            await db.execute("ALTER " + change.format(row["name"]))


async def use_all_kinds(db: Database, environment: Environment, hour: int) -> None:
    """Hold, book, cancel and wait, change the schedule and the directory, and search."""
    book, asha, bina = Book(db), environment.ids["asha"], environment.ids["bina"]
    start = environment.instant(hour)
    held = await book.hold(PROVIDER, AT_CLINIC, start, 1, asha, Patient(asha), f"hold {hour}")
    assert held.booking_id
    again = await book.hold(PROVIDER, AT_CLINIC, start, 1, asha, Patient(asha), f"hold {hour}")
    assert (held.code, again) == ("reserved", held)
    waiting = await book.join_queue(PROVIDER, AT_CLINIC, start, start + timedelta(minutes=30), 1, bina, Patient(bina))
    assert waiting.ticket_id
    assert (waiting.code, (await book.leave_queue(PROVIDER, waiting.ticket_id, Patient(bina))).code) == (
        "waiting",
        "left",
    )
    assert (await book.confirm(PROVIDER, held.booking_id, None, Patient(asha))).code == "booked"
    assert (await book.cancel(PROVIDER, held.booking_id, Patient(asha))).code == "cancelled"
    shift = Shift(PROVIDER, None, AT_CLINIC, 1, time(hour + 6), time(), 30, valid_from=date(2030, 1, hour))
    assert (await book.change_shift(shift, Staff(1))).code in ("changed", "shift_overlap")
    await db.execute("UPDATE directory.provider SET name = 'Dr ' || $1::text, languages = '{Hindi}'", f"Rao {hour}")
    assert len(await find(db, SearchRequest(keyword=f"rao {hour}"), 0, 10)) == 2


@pytest.mark.breaks_invariants  # the check of an old release is refused, and would not know the new column
async def test_old_functions_and_queries_outlast_what_a_newer_release_adds(db: Database, dsn: str) -> None:
    environment = await Environment.make(db)
    await use_all_kinds(db, environment, 13)
    await add_to_all(db)
    await use_all_kinds(db, environment, 14)
    async with await Database.connect(dsn, min_size=1, max_size=1) as another:
        await use_all_kinds(another, environment, 15)  # whose statements are all planned now
    # Looks at a function's text as when it was made.
    validated = await db.fetch(
        """SELECT fmgr_sql_validator(pg_proc.oid)
        FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
        WHERE lanname = 'sql' AND pronamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY ($1::text[]))""",
        SCHEMAS,
    )
    assert len(validated) > 50
