from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import Database, migrate, migrations
from healthplus.database.areas import Area
from healthplus.database.migrations import check_migrated
from healthplus.errors import DatabaseError, DatabaseNotSetUp, MigrationConflict


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two migrations and one function."""
    for folder in ("database/migrations", "booking/functions"):
        (tmp_path / folder).mkdir(parents=True)
    migration(
        tmp_path,
        "0001_first.sql",
        "CREATE EXTENSION btree_gist; CREATE SCHEMA booking; CREATE TABLE booking.a (n int);",
    )
    migration(tmp_path, "0002_second.sql", "CREATE TABLE booking.b (n int);")
    function(tmp_path, "verb", "one")
    return tmp_path


def migration(package: Path, name: str, sql: str) -> None:
    (package / "database/migrations" / name).write_text(sql)


def function(package: Path, name: str, result: str) -> None:
    (package / f"booking/functions/{name}.sql").write_text(
        f"CREATE FUNCTION booking.{name}() RETURNS text LANGUAGE sql AS $$ SELECT '{result}' $$;"
    )


async def apply(dsn: str, package: Path, release: int = 1) -> None:
    """Migrate to a package whose function files are all that there are."""
    await migrate(dsn, package, [its_area(package)], release)


def its_area(package: Path) -> Area:
    return Area(
        "booking", "booking", tuple(sorted(path.name for path in (package / "booking/functions").glob("*.sql")))
    )


async def test_processes_that_start_together_apply_each_once(blank_dsn: str, package: Path) -> None:
    await asyncio.gather(*(apply(blank_dsn, package) for _ in range(8)))
    async with await Database.connect(blank_dsn) as db:
        rows = await db.fetch("SELECT number, name FROM public.schema_migration ORDER BY number")
        assert [tuple(row) for row in rows] == [(0, "functions"), (1, "0001_first"), (2, "0002_second")]


async def test_functions_are_made_again_when_a_file_changes(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        before = await db.fetch_value("SELECT 'booking.verb'::regproc::oid")
        await apply(blank_dsn, package)
        assert await db.fetch_value("SELECT 'booking.verb'::regproc::oid") == before

        function(package, "verb", "two")
        await apply(blank_dsn, package)
        assert await db.fetch_value("SELECT booking.verb()") == "two"

        (package / "booking/functions/verb.sql").unlink()
        function(package, "other", "three")
        await apply(blank_dsn, package)
        assert await db.fetch_value("SELECT to_regproc('booking.verb')") is None
        assert await db.fetch_value("SELECT booking.other()") == "three"


async def test_a_function_file_that_fails_leaves_the_old_functions(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package)
    (package / "booking/functions/zz.sql").write_text("CREATE FUNCTION booking.zz() nonsense")
    with pytest.raises(asyncpg.PostgresSyntaxError) as caught:
        await apply(blank_dsn, package)
    assert caught.value.__notes__ == ["while applying booking/functions/zz.sql, booking.zz"]
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT booking.verb()") == "one"


async def test_a_function_a_table_depends_on_is_replaced_in_place(blank_dsn: str, package: Path) -> None:
    verb = package / "booking/functions/verb.sql"
    verb.write_text(verb.read_text().replace("CREATE", "CREATE OR REPLACE"))
    await apply(blank_dsn, package)
    migration(package, "0003_third.sql", "CREATE TABLE booking.c (t text DEFAULT booking.verb(), n int);")
    verb.write_text(verb.read_text().replace("one", "two"))
    await apply(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("INSERT INTO booking.c (n) VALUES (1) RETURNING t") == "two"


async def test_a_changed_file_is_refused_by_name(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package)
    migration(package, "0001_first.sql", "SELECT 1;")
    with pytest.raises(MigrationConflict, match=r"0001_first\.sql changed"):
        await apply(blank_dsn, package)


async def test_a_database_newer_than_the_product_is_refused(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package)
    (package / "database/migrations/0002_second.sql").unlink()
    with pytest.raises(MigrationConflict, match="0002_second, which this version"):
        await apply(blank_dsn, package)


async def test_a_gap_in_the_numbers_is_refused(blank_dsn: str, package: Path) -> None:
    migration(package, "0004_fourth.sql", "SELECT 1;")
    with pytest.raises(MigrationConflict, match="should start with 0003_"):
        await apply(blank_dsn, package)


async def test_a_migration_that_fails_leaves_nothing(blank_dsn: str, package: Path) -> None:
    migration(package, "0002_second.sql", "CREATE TABLE booking.b (n int); CREATE nonsense")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await apply(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT max(number) FROM public.schema_migration") == 1
        assert await db.fetch_value("SELECT to_regclass('booking.b')") is None


async def test_what_needs_the_functions_is_applied_after_them_and_once(blank_dsn: str, package: Path) -> None:
    ending = "DO $$ BEGIN COMMIT; END $$"  # which a transaction around all of it would not allow
    migration(package, "0003_filled.after.sql", f"INSERT INTO booking.b SELECT length(booking.verb()); {ending};")
    await apply(blank_dsn, package)
    migration(
        package, "0003_filled.after.sql", "INSERT INTO booking.b VALUES (3)"
    )  # suits a new database; this one has it
    migration(package, "0004_fourth.sql", "CREATE TABLE booking.d (n int)")
    await apply(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT array_agg(n ORDER BY n) FROM booking.b") == [3]


async def test_what_breaks_off_after_the_functions_is_done_again(blank_dsn: str, package: Path) -> None:
    migration(
        package, "0003_filled.after.sql", "INSERT INTO booking.b VALUES (1); SELECT 1 / (count(*) - 1) FROM booking.b"
    )
    with pytest.raises(asyncpg.DivisionByZeroError) as caught:
        await apply(blank_dsn, package)
    assert caught.value.__notes__ == ["while applying 0003_filled.after"]
    await apply(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT count(*) FROM booking.b") == 2


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of; steps that are told besides, where somebody looks on, are none."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("ending", ["sql", "after.sql"])
async def test_a_table_that_is_in_use_is_asked_for_again(
    blank_dsn: str, package: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    monkeypatch.setattr(migrations, "_LOCK_WAIT_MS", 50)
    monkeypatch.setattr(migrations, "_PAUSE_SECONDS", 0.05)
    await apply(blank_dsn, package)
    migration(package, f"0003_third.{ending}", "ALTER TABLE booking.a ADD COLUMN m int")
    async with await Database.connect(blank_dsn) as db:
        async with db.transaction() as import_:
            await import_.execute("INSERT INTO booking.a VALUES (1)")
            upgrade = asyncio.create_task(apply(blank_dsn, package))
            for _ in range(10):
                await asyncio.sleep(0.05)
                await asyncio.wait_for(db.execute("INSERT INTO booking.a VALUES (2)"), 1)  # nobody waits behind it
            assert not upgrade.done()
        await upgrade
        waiting = f"0003_third.{ending}".removesuffix(".sql")
        assert [message.partition(":")[0] for message in warnings_in(caplog)] == [waiting]
        assert await db.fetch_value("SELECT count(*) FROM booking.a WHERE m IS NULL") == 11

        monkeypatch.setattr(migrations, "_TRIES", 2)
        migration(package, "0004_fourth.sql", "ALTER TABLE booking.a DROP COLUMN m")
        async with db.transaction() as import_:
            await import_.execute("INSERT INTO booking.a VALUES (1)")
            with pytest.raises(DatabaseError, match="0004_fourth could not be applied"):
                await apply(blank_dsn, package)


async def test_the_products_own_files_apply_without_a_warning(blank_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await migrate(blank_dsn)
        await migrate(blank_dsn)
    assert warnings_in(caplog) == []


async def test_a_warning_is_told_with_its_function(
    blank_dsn: str, package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (package / "booking/functions/verb.sql").write_text(
        "CREATE FUNCTION booking.verb() RETURNS int LANGUAGE plpgsql AS $$ DECLARE found int; BEGIN RETURN 1; END $$"
    )
    await apply(blank_dsn, package)
    assert warnings_in(caplog) == [
        'booking/functions/verb.sql, booking.verb: variable "found" shadows a previously defined variable'
    ]


async def check(dsn: str, package: Path, release: int = 1) -> None:
    await check_migrated(dsn, package, [its_area(package)], release)


async def test_a_check_refuses_what_lacks_anything_and_applies_nothing(blank_dsn: str, package: Path) -> None:
    with pytest.raises(DatabaseNotSetUp, match="not set up for this version; run `healthplus migrate`"):
        await check(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT to_regclass('public.schema_migration') IS NULL")
        await apply(blank_dsn, package)
        await check(blank_dsn, package)

        function(package, "verb", "two")
        with pytest.raises(DatabaseNotSetUp):
            await check(blank_dsn, package)
        assert await db.fetch_value("SELECT booking.verb()") == "one"
        await apply(blank_dsn, package)

        migration(package, "0003_third.after.sql", "SELECT 1")
        with pytest.raises(DatabaseNotSetUp):
            await check(blank_dsn, package)
        await apply(blank_dsn, package)
        await check(blank_dsn, package)

        migration(package, "0001_first.sql", "SELECT 1;")
        with pytest.raises(MigrationConflict, match=r"0001_first\.sql changed"):
            await check(blank_dsn, package)


async def test_the_older_of_two_releases_refuses_and_the_newer_asks_for_migrate(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package, release=1)
    with pytest.raises(
        DatabaseNotSetUp, match="is of release 1 of HealthPlus, this is release 2; run `healthplus migrate`"
    ):
        await check(blank_dsn, package, release=2)
    await apply(blank_dsn, package, release=2)
    await check(blank_dsn, package, release=2)
    for refusing in (check, apply):
        with pytest.raises(
            MigrationConflict, match="is of release 2 of HealthPlus, this is release 1; run release 2 or"
        ):
            await refusing(blank_dsn, package, release=1)


async def test_the_release_before_may_go_on_where_it_was(blank_dsn: str, package: Path) -> None:
    async def go_on(release: int) -> None:
        await migrate(blank_dsn, package, [its_area(package)], release, may_be_next=True)

    await apply(blank_dsn, package, release=1)
    await apply(blank_dsn, package, release=2)
    await go_on(1)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT release FROM public.schema_migration WHERE number = 0") == 2
    await apply(blank_dsn, package, release=3)
    migration(package, "0003_third.sql", "CREATE TABLE booking.c (n int)")
    with pytest.raises(MigrationConflict, match="this is release 1"):
        await go_on(1)  # what it uses is gone
    await apply(blank_dsn, package, release=3)
    with pytest.raises(MigrationConflict, match="this is release 2"):
        await go_on(2)  # it was never of a release 2 that has the third


async def test_a_newer_release_that_broke_off_shuts_the_older_out(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package, release=1)
    migration(package, "0003_third.sql", "CREATE TABLE booking.c (n int)")
    migration(package, "0004_fourth.sql", "SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await apply(blank_dsn, package, release=2)
    for name in ("0003_third.sql", "0004_fourth.sql"):
        (package / "database/migrations" / name).unlink()
    with pytest.raises(MigrationConflict, match="is of release 2"):
        await apply(blank_dsn, package, release=1)


async def test_a_database_from_before_releases_were_numbered_is_upgraded(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        await db.execute("ALTER TABLE public.schema_migration DROP COLUMN release")
        with pytest.raises(DatabaseNotSetUp, match="release 0"):
            await check(blank_dsn, package)
        with pytest.raises(MigrationConflict, match="Stop HealthPlus"):
            await apply(blank_dsn, package)
    (package / "booking/functions/verb.sql").unlink()
    function(package, "other", "two")
    await apply(blank_dsn, package)
    await check(blank_dsn, package)
    async with await Database.connect(blank_dsn) as db:
        assert await db.fetch_value("SELECT release FROM public.schema_migration WHERE number = 0") == 1
        assert await db.fetch_value("SELECT to_regproc('booking.verb')") is None  # nobody is left who calls it


async def test_a_release_is_skipped_only_while_the_product_is_stopped(blank_dsn: str, package: Path) -> None:
    await apply(blank_dsn, package, release=1)
    async with await Database.connect(blank_dsn) as db:
        with pytest.raises(MigrationConflict, match=r"Processes of release 1 have [0-9]+ connections"):
            await apply(blank_dsn, package, release=3)
        assert await db.fetch_value("SELECT max(release) FROM public.schema_migration") == 1
        await apply(blank_dsn, package, release=2)
    await apply(blank_dsn, package, release=4)
    await check(blank_dsn, package, release=4)
