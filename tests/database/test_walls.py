"""The layers of pyproject.toml hold in SQL, too: an area uses what lies below it and writes only its own tables.

What a function uses is read from the catalogue: names with a schema in its body that are a table, type or function.
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
    ("waiting", "booking.presence"): "presence is noted in batches by each process; the verbs only read it",
    ("payments", "ledger.payment"): "a process that takes what is due moves its time, so that no other takes it, too",
    ("reviews", "directory.provider"): "the totals of the ratings stand in the provider's row, where search reads them",
    ("imports", "directory.*"): "files of providers are stored in bulk",
    ("imports", "schedule.shift"): "as are their shifts, under the locks of the books",
    ("imports", "booking.book"): "a new provider gets a book, so that no verb has to make it",
    ("ops", "*"): "the demo's data is made in bulk, into an empty database",
    ("privacy", "booking.booking"): "erasing clears the names of the people that a patient booked for",
    ("privacy", "booking.claim"): "erasing locks the claim, so that no verb makes a hold or ticket meanwhile",
    ("privacy", "booking.idempotency"): "erasing deletes the stored results of a patient's requests",
    ("privacy", "notices.notice"): "erasing deletes what a patient was sent",
}
"""What tables of others an area writes, and why. A booking, ticket or event is else written by verbs only."""

_CATALOGUE = """
SELECT nspname AS schema, relname AS name, NULL AS body
FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
WHERE relkind IN ('r', 'v', 'm', 'S', 'c')
UNION ALL
SELECT nspname, typname, NULL FROM pg_type JOIN pg_namespace ON typnamespace = pg_namespace.oid
UNION ALL
SELECT nspname, proname, prosrc FROM pg_proc JOIN pg_namespace ON pronamespace = pg_namespace.oid
"""


class Text(NamedTuple):
    """SQL of an area: a function's body or a named query."""

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
        self._name = re.compile(rf"\b({'|'.join(self._areas)})\.(\w+)")
        self._written = re.compile(rf"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+({'|'.join(self._areas)})\.(\w+)")

    def upward(self) -> dict[tuple[str, str], set[str]]:
        """Return what areas use that does not lie below them, each with the texts that use it."""
        found: dict[tuple[str, str], set[str]] = {}
        for text, schema, name in self._found(self._name):
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

    def _found(self, pattern: re.Pattern[str]) -> Iterator[tuple[Text, str, str]]:
        for text in self._texts:
            for schema, name in pattern.findall(re.sub(r"--.*", "", text.sql)):
                if (schema, name) in self._names:
                    yield text, schema, name


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


@pytest.mark.breaks_invariants
async def test_a_function_that_reaches_up_is_found(db: Database) -> None:
    await db.execute(
        """CREATE FUNCTION directory.reaches_up() RETURNS void LANGUAGE plpgsql AS $$
        BEGIN -- booking.claim is only named here
            UPDATE booking.book SET version = 0;
        END $$"""
    )
    walls = Walls([tuple(row) for row in await db.fetch(_CATALOGUE)])
    assert "directory.reaches_up" in walls.upward()["directory", "booking.book"]
    assert "directory.reaches_up" in walls.foreign_writes()["directory", "booking.book"]
    assert ("directory", "booking.claim") not in walls.upward()
