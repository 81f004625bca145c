"""The layers of pyproject.toml hold in SQL, too: an area uses what lies below it and writes only its own tables.

What a function or view uses is read from the catalogue: names with a schema in its body that are a table, type or
function. Names without a schema, and SQL that is put together as it runs, would not be seen: both are refused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

import healthplus
from healthplus.database import Database, load

PACKAGE = Path(healthplus.__file__).parent
AREA_OF_SCHEMA = {"public": "database"}

READS: dict[tuple[str, str], str] = {}
"""What an area uses above or beside itself, and why it must. Nothing has to."""
WRITES = {
    ("booking", "schedule.shift"): "a change of a shift is a verb: it needs the lock of the book that it disturbs",
    ("booking", "schedule.leave"): "as with shifts",
    ("booking", "directory.provider_clinic"): "whether a provider is closed at a clinic, as with shifts",
    ("waiting", "booking.presence"): "presence is noted in batches by each process; the verbs only read it",
    ("payments", "ledger.payment"): "a process that takes what is due moves its time, so that no other takes it, too",
    ("reviews", "directory.provider"): "the totals of the ratings stand in the provider's row, where search reads them",
    ("imports", "directory.*"): "files of providers are stored in bulk",
    ("imports", "schedule.shift"): "as are their shifts, under the locks of the books",
    ("imports", "booking.book"): "a new provider gets a book, so that no verb has to make it",
    ("retention", "*"): "what is over is deleted in one place, in small batches",
    ("ops", "*"): "the demo's data is made in bulk, into an empty database",
    ("privacy", "booking.booking"): "erasing clears the names of the people that a patient booked for",
    ("privacy", "receipts.document"): "and the names on receipts",
    ("privacy", "booking.reason"): "and why they came",
    ("privacy", "booking.no_show"): "and when they did not come",
    ("privacy", "reviews.review"): "erasing deletes what a patient wrote of providers",
    ("privacy", "reviews.report"): "and what they reported of others",
    ("privacy", "booking.idempotency"): "erasing deletes the stored results of a patient's requests",
    ("privacy", "notices.*"): "erasing deletes what a patient was sent, chose and answered",
}
"""What tables of others an area writes, and why. A booking, ticket or event is else written by verbs only."""
EXECUTES = {
    ("search", "search.find"): "the query is built for the criteria, by search.find_statement, which is read here",
    ("search", "search.count_found"): "as with search.find",
}
"""What runs SQL that it puts together, and why."""
PINS = {
    ("retention", "retention.forget"): "it runs with its owner's rights, and must find nothing of its caller's",
    ("monitoring", "monitoring.replicas"): "as with retention.forget",
    (
        "staff",
        "staff.*",
    ): "as with retention.forget: the login of patients has no right on their tables",
    ("console", "console.*"): "as with retention.forget: the logins of staff have no right on any table",
}
"""What sets a search path, and why."""
_LISTED = (
    "provider",
    "provider_clinic",
    "provider_speciality",
    "service",
    "clinic",
    "city",
    "speciality",
    "service_type",
)
_COPIED = "search keeps a copy, which must change in the transaction that changes its source"
TRIGGERS = {
    **{("search.listing_source_changed", f"directory.{table}"): _COPIED for table in _LISTED},
    ("search.listing_source_changed", "schedule.shift"): _COPIED,
    ("search.scarce_day_changed", "booking.scarce_day"): _COPIED,
    ("search.provider_renamed", "directory.provider"): "the words of names are indexed for search as names change",
    ("search.provider_clinic_changed", "directory.provider_clinic"): "a name is found in the cities where it practises",
    ("search.clinic_changed", "directory.clinic"): "as with names of providers",
    ("search.term_changed", "directory.city"): "as with names of providers",
    ("search.term_changed", "directory.speciality"): "as with names of providers",
    ("search.service_term_changed", "directory.service_type"): "as with names of providers",
    (
        "reception.person_changed",
        "accounts.person",
    ): "whom a clinic knows is found by a copy of the name, as with search",
    ("payments.keep_currency", "directory.clinic"): "it is kept once there are bookings, which directory cannot see",
    (
        "receipts.on_payment",
        "ledger.payment",
    ): "what needs a receipt is noted in the transaction of the payment, so that none is left out",
    ("receipts.on_refund", "ledger.refund"): "so is what needs a credit note, in that of the refund",
    ("receipts.on_desk_payment", "till.payment"): "as with payments online",
    (
        "notices.on_event",
        "booking.event_log",
    ): "what is sent is decided in the transaction of the event, so that none is lost",
}
"""Functions of triggers that lie above their tables, and why: there, a change below runs what lies above it."""

_CATALOGUE = """
SELECT nspname AS schema, relname AS name, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(pg_class.oid) END AS body
FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
UNION ALL
SELECT nspname, typname, NULL FROM pg_type JOIN pg_namespace ON typnamespace = pg_namespace.oid
UNION ALL
SELECT nspname, proname, concat_ws(E'\\n', proconfig::text, prosrc, pg_get_function_sqlbody(pg_proc.oid))
FROM pg_proc JOIN pg_namespace ON pronamespace = pg_namespace.oid
"""
_TRIGGERS = """
SELECT above.nspname, proname, below.nspname, relname
FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_class ON pg_class.oid = tgrelid
JOIN pg_namespace AS above ON above.oid = pronamespace JOIN pg_namespace AS below ON below.oid = relnamespace
WHERE NOT tgisinternal
"""


class Text(NamedTuple):
    """SQL of an area: the body of a function or view, or a named query."""

    area: str
    name: str
    sql: str


def layers() -> dict[str, int]:
    """Return the height of each area, the lowest first, as the contract of the imports has it."""
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    rows = next(one for one in contracts if one["type"] == "layers")["layers"]
    return {area.strip("() "): height for height, row in enumerate(reversed(rows)) for area in row.split("|")}


def named_queries() -> Iterator[Text]:
    for path in PACKAGE.rglob("*.sql"):
        if "functions" not in path.parts and "migrations" not in path.parts:
            area = path.relative_to(PACKAGE).parts[0]
            yield from (Text(area, f"{path.name}: {name}", sql) for name, sql in load(path).items())


class Walls:
    """What the texts of all areas use and write, by the catalogue of one database."""

    def __init__(self, rows: list[tuple[str, str, str | None]]) -> None:
        self.heights = layers()
        areas = {schema: AREA_OF_SCHEMA.get(schema, schema) for schema, _, _ in rows}
        self._areas = {schema: area for schema, area in areas.items() if area in self.heights}
        self._names = {(schema, name) for schema, name, _ in rows if schema in self._areas}
        self._texts = [
            *(
                Text(self._areas[schema], f"{schema}.{name}", body)
                for schema, name, body in rows
                if body and schema in areas and schema in self._areas
            ),
            *named_queries(),
        ]
        name = rf'\b(?:{"|".join(self._areas)})"?\s*\.\s*"?\w+'
        only = r'(?:ONLY\b[\s(]*)?"?'
        self._used = re.compile(name, re.IGNORECASE)
        self._written = re.compile(
            r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY)\b\s*"
            rf'{only}{name}(?:"?[\s*)]*,\s*{only}{name})*',
            re.IGNORECASE,
        )

    def upward(self) -> dict[tuple[str, str], set[str]]:
        """Return what areas use that does not lie below them, each with the texts that use it."""
        found: dict[tuple[str, str], set[str]] = {}
        for text, schema, name in self._found(self._used):
            area = self._areas[schema]
            if area != text.area and self.heights[area] >= self.heights[text.area]:
                found.setdefault((text.area, f"{schema}.{name}"), set()).add(text.name)
        return found

    def foreign_writes(self) -> dict[tuple[str, str], set[str]]:
        """Return the tables that areas write though they are another's, each with the texts that do."""
        found: dict[tuple[str, str], set[str]] = {}
        for text, schema, name in self._found(self._written):
            if self._areas[schema] != text.area:
                found.setdefault((text.area, f"{schema}.{name}"), set()).add(text.name)
        return found

    def mentions(self, word: str) -> dict[tuple[str, str], set[str]]:
        """Return the texts in which a word of SQL stands, in the form of the uses."""
        pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
        return {(text.area, text.name): {text.name} for text in self._texts if pattern.search(_bare(text.sql))}

    def triggers_upward(self, rows: list[tuple[str, str, str, str]]) -> dict[tuple[str, str], set[str]]:
        """Return the functions of triggers that do not lie below their tables, in the form of the uses."""
        return {
            (f"{above}.{function}", f"{below}.{table}"): {table}
            for above, function, below, table in rows
            if above != below and self.heights[self._areas[above]] >= self.heights[self._areas[below]]
        }

    def _found(self, pattern: re.Pattern[str]) -> Iterator[tuple[Text, str, str]]:
        for text in self._texts:
            for match in pattern.finditer(_bare(text.sql)):
                for name in self._used.findall(match[0]):
                    schema, _, thing = re.sub(r'[\s"]', "", name).lower().partition(".")
                    if (schema, thing) in self._names:
                        yield text, schema, thing


def _bare(sql: str) -> str:
    """Return SQL without its comments."""
    return re.sub(r"--.*|/\*(?s:.*?)\*/", " ", sql)


def not_allowed(uses: dict[tuple[str, str], set[str]], reasons: dict[tuple[str, str], str]) -> dict[str, object]:
    """Return the uses for which there is no reason, and the reasons that no use needs."""
    allowed = {
        reason: [use for use in uses if use[0] == reason[0] and fnmatchcase(use[1], reason[1])] for reason in reasons
    }
    wrong: dict[str, object] = {
        f"{area} uses {name}": sorted(uses[area, name]) for area, name in set(uses).difference(*allowed.values())
    }
    return wrong | {f"{reason}: no longer needed": reasons[reason] for reason, used in allowed.items() if not used}


@pytest.fixture
async def walls(db: Database) -> Walls:
    return Walls([tuple(row) for row in await db.fetch(_CATALOGUE)])


async def test_sql_uses_only_what_lies_below(walls: Walls) -> None:
    assert not_allowed(walls.upward(), READS) == {}


async def test_sql_writes_only_its_own_tables(walls: Walls) -> None:
    assert not_allowed(walls.foreign_writes(), WRITES) == {}


async def test_sql_is_not_put_together_nor_found_by_a_search_path(walls: Walls) -> None:
    assert not_allowed(walls.mentions("EXECUTE"), EXECUTES) == {}
    assert not_allowed(walls.mentions("search_path"), PINS) == {}


async def test_triggers_run_what_lies_above_their_tables_only_for_a_reason(walls: Walls, db: Database) -> None:
    triggers = [tuple(row) for row in await db.fetch(_TRIGGERS)]
    assert not_allowed(walls.triggers_upward(triggers), TRIGGERS) == {}


BELOW = [("booking", "book", None), ("booking", "ticket", None)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO booking.book SELECT",
        "UPDATE ONLY booking.book SET version = 0",
        'update "booking" . "book" SET version = 0',
        "UPDATE -- with a remark\n /* or\n two */ Booking.Book SET version = 0",
        "DELETE FROM ONLY (booking.book)",
        "MERGE INTO booking.book USING",
        "TRUNCATE booking.book",
        'TRUNCATE TABLE ONLY "booking".ticket *, ONLY "booking"."book"',
        "COPY booking.book FROM STDIN",
    ],
)
def test_each_form_of_a_write_is_found(sql: str) -> None:
    walls = Walls([*BELOW, ("directory", "writes", sql)])
    assert walls.foreign_writes()["directory", "booking.book"] == {"directory.writes"}
    assert walls.upward()["directory", "booking.book"] == {"directory.writes"}


@pytest.mark.parametrize(
    "sql", ['SELECT FROM "booking"."book" FOR UPDATE', "DELETE FROM directory.city USING booking.book"]
)
def test_reading_is_not_writing(sql: str) -> None:
    walls = Walls([*BELOW, ("directory", "reads", sql)])
    assert walls.upward()["directory", "booking.book"] == {"directory.reads"}
    assert ("directory", "booking.book") not in walls.foreign_writes()


@pytest.mark.breaks_invariants
async def test_what_reaches_up_is_found(db: Database) -> None:
    await db.execute(
        """CREATE FUNCTION directory.reaches_up() RETURNS void LANGUAGE plpgsql AS $$
        BEGIN -- booking.claim is only named here
            UPDATE booking.book SET version = 0;
        END $$;
        CREATE VIEW directory.looks_up AS SELECT version FROM booking.book;
        CREATE FUNCTION directory.body() RETURNS bigint BEGIN ATOMIC SELECT version FROM booking.book; END;
        CREATE FUNCTION directory.hides() RETURNS trigger LANGUAGE plpgsql SET search_path = booking AS $$
        BEGIN
            EXECUTE 'UPDATE book SET version = 0';
        END $$;
        CREATE TRIGGER hides BEFORE UPDATE ON ledger.payment EXECUTE FUNCTION directory.hides()"""
    )
    walls = Walls([tuple(row) for row in await db.fetch(_CATALOGUE)])
    assert walls.upward()["directory", "booking.book"] == {
        "directory.reaches_up",
        "directory.looks_up",
        "directory.body",
    }
    assert "directory.reaches_up" in walls.foreign_writes()["directory", "booking.book"]
    assert ("directory", "booking.claim") not in walls.upward()
    assert ("directory", "directory.hides") in walls.mentions("EXECUTE")
    assert ("directory", "directory.hides") in walls.mentions("search_path")
    triggers = [tuple(row) for row in await db.fetch(_TRIGGERS)]
    assert ("directory.hides", "ledger.payment") in walls.triggers_upward(triggers)
