from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import Database, migrate
from healthplus.errors import MigrationConflict


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two migrations and one function."""
    for folder in ("database/migrations", "schedule/functions", "booking/functions"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "database/migrations/0001_first.sql").write_text(
        "CREATE EXTENSION btree_gist; CREATE SCHEMA booking; CREATE TABLE booking.a (n int);"
    )
    (tmp_path / "database/migrations/0002_second.sql").write_text("CREATE TABLE booking.b (n int);")
    function(tmp_path, "verb", "one")
    return tmp_path


def function(package: Path, name: str, result: str) -> None:
    (package / f"booking/functions/{name}.sql").write_text(
        f"CREATE FUNCTION booking.{name}() RETURNS text LANGUAGE sql AS $$ SELECT '{result}' $$;"
    )


async def test_processes_that_start_together_apply_each_once(blank_dsn: str, package: Path) -> None:
    await asyncio.gather(*(migrate(blank_dsn, package) for _ in range(8)))
    async with await Database.connect(blank_dsn) as db:
        rows = await db.fetch("SELECT number, name FROM public.schema_migration ORDER BY number")
        assert [tuple(row) for row in rows] == [(0, "functions"), (1, "0001_first"), (2, "0002_second")]


async def test_functions_are_made_anew_when_a_file_changes(blank_dsn: str, package: Path) -> None:
    await migrate(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        before = await db.fetch_value("SELECT 'booking.verb'::regproc::oid")
        await migrate(blank_dsn, package)
        assert await db.fetch_value("SELECT 'booking.verb'::regproc::oid") == before

        function(package, "verb", "two")
        await migrate(blank_dsn, package)
        assert await db.fetch_value("SELECT booking.verb()") == "two"

        (package / "booking/functions/verb.sql").unlink()
        function(package, "other", "three")
        await migrate(blank_dsn, package)
        assert await db.fetch_value("SELECT to_regproc('booking.verb')") is None
        assert await db.fetch_value("SELECT booking.other()") == "three"


async def test_a_function_file_that_fails_leaves_the_old_functions(blank_dsn: str, package: Path) -> None:
    await migrate(blank_dsn, package)
    (package / "booking/functions/zz.sql").write_text("CREATE nonsense")
    with pytest.raises(asyncpg.PostgresSyntaxError) as caught:
        await migrate(blank_dsn, package)
    assert caught.value.__notes__ == ["while applying functions"]
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT booking.verb()") == "one"


async def test_a_function_a_table_depends_on_is_replaced_in_place(blank_dsn: str, package: Path) -> None:
    verb = package / "booking/functions/verb.sql"
    verb.write_text(verb.read_text().replace("CREATE", "CREATE OR REPLACE"))
    await migrate(blank_dsn, package)
    (package / "database/migrations/0003_third.sql").write_text(
        "CREATE TABLE booking.c (t text DEFAULT booking.verb(), n int);"
    )
    verb.write_text(verb.read_text().replace("one", "two"))
    await migrate(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("INSERT INTO booking.c (n) VALUES (1) RETURNING t") == "two"


async def test_a_changed_file_is_refused_by_name(blank_dsn: str, package: Path) -> None:
    await migrate(blank_dsn, package)
    (package / "database/migrations/0001_first.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationConflict, match=r"0001_first\.sql changed"):
        await migrate(blank_dsn, package)


async def test_a_database_newer_than_the_product_is_refused(blank_dsn: str, package: Path) -> None:
    await migrate(blank_dsn, package)
    (package / "database/migrations/0002_second.sql").unlink()
    with pytest.raises(MigrationConflict, match="0002_second, which this version"):
        await migrate(blank_dsn, package)


async def test_a_gap_in_the_numbers_is_refused(blank_dsn: str, package: Path) -> None:
    (package / "database/migrations/0004_fourth.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationConflict, match="should start with 0003_"):
        await migrate(blank_dsn, package)


async def test_a_migration_that_fails_leaves_nothing(blank_dsn: str, package: Path) -> None:
    (package / "database/migrations/0002_second.sql").write_text("CREATE TABLE booking.b (n int); CREATE nonsense")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT max(number) FROM public.schema_migration") == 1
        assert await db.fetch_value("SELECT to_regclass('booking.b')") is None


async def test_the_products_own_files_apply(blank_dsn: str) -> None:
    await migrate(blank_dsn)
    await migrate(blank_dsn)
