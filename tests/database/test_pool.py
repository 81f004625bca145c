from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import Database, migrate, pool
from healthplus.errors import DatabaseTooOld, DatabaseUnreachable, ExtensionMissing
from tests.fixtures.clock import until


async def test_rows_in_and_out(db: Database) -> None:
    await db.execute("CREATE SCHEMA odd; CREATE TABLE odd.pair (n int, j jsonb)")
    await db.copy_rows("odd.pair", ["n", "j"], [(1, {"a": [1, None]}), (2, "text")])
    await db.execute_many("INSERT INTO odd.pair VALUES ($1, $2)", [(3, None), (4, True)])
    rows = await db.fetch("SELECT n, j FROM odd.pair WHERE j IS NOT NULL ORDER BY n")
    assert [tuple(row) for row in rows] == [(1, {"a": [1, None]}), (2, "text"), (4, True)]
    assert await db.fetch_row("SELECT FROM odd.pair WHERE n = 9") is None
    assert await db.fetch_value("SELECT count(*) FROM odd.pair") == 4
    assert await db.execute("DELETE FROM odd.pair") == "DELETE 4"


async def test_a_transaction_commits_or_rolls_back(db: Database) -> None:
    await db.execute("CREATE TABLE public.odd (n int)")
    async with db.transaction() as transaction:
        await transaction.execute("INSERT INTO public.odd VALUES (1)")

    async def fail() -> None:
        async with db.transaction() as transaction:
            await transaction.execute("INSERT INTO public.odd VALUES (2)")
            await transaction.execute("SELECT 1/0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await fail()
    assert await db.fetch_value("SELECT array_agg(n) FROM public.odd") == [1]


async def test_sessions_are_alike_whatever_the_database_says(db: Database, dsn: str) -> None:
    name = await db.fetch_value("SELECT current_database()")
    await db.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    await db.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    async with await Database.connect(dsn) as fresh:
        assert await fresh.fetch_value("SHOW transaction_isolation") == "read committed"
        assert await fresh.fetch_value("SHOW timezone") == "UTC"


async def test_a_lost_connection_means_unreachable_and_the_next_call_works(db: Database) -> None:
    own_end = "SELECT pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(DatabaseUnreachable):
        await db.execute(own_end)

    async def lose() -> None:
        async with db.transaction() as transaction:
            await transaction.execute(own_end)

    with pytest.raises(DatabaseUnreachable):
        await lose()
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_statement_that_takes_too_long_means_unreachable(dsn: str) -> None:
    async with await Database.connect(dsn, statement_seconds_max=0.2) as impatient:
        with pytest.raises(DatabaseUnreachable):
            await impatient.execute("SELECT pg_sleep(5)")


async def test_a_call_that_another_release_overtook_is_made_again(blank_dsn: str) -> None:
    """The server plans a call before it runs: what it answers may have been given more while it waited for a lock."""
    async with await Database.connect(blank_dsn) as db:
        await db.execute("""
            CREATE TYPE answer AS (code text);
            CREATE TABLE calls (n int);
            CREATE FUNCTION say() RETURNS answer LANGUAGE plpgsql AS $$
                DECLARE said answer; BEGIN said.code := 'done'; RETURN said; END $$;
            CREATE FUNCTION verb(p_n int) RETURNS answer LANGUAGE plpgsql AS $$
                DECLARE said answer;
                BEGIN
                    PERFORM pg_advisory_xact_lock(1);
                    INSERT INTO calls VALUES (p_n);
                    said := say();
                    RETURN said;
                END $$;
            """)
        async with db.transaction() as gate:
            await gate.execute("SELECT pg_advisory_xact_lock(1)")
            call = asyncio.create_task(db.fetch_row("SELECT * FROM verb($1)", 7))
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await until(lambda: db.fetch_value(waiting))
            await db.execute("ALTER TYPE answer ADD ATTRIBUTE reason text")
        row = await call
        assert row is not None
        assert row["code"] == "done"
        assert await db.fetch_value("SELECT array_agg(n) FROM calls") == [7]  # once


async def test_nobody_there(tmp_path: Path) -> None:
    nowhere = f"postgresql://healthplus@/healthplus?host={tmp_path}&port=5432"
    with pytest.raises(DatabaseUnreachable):
        await Database.connect(nowhere)
    with pytest.raises(DatabaseUnreachable):
        await migrate(nowhere)


async def test_a_database_that_does_not_exist(dsn: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="does not exist"):
        await Database.connect(dsn.replace("/test_", "/missing_"))


@pytest.mark.parametrize(
    ("facts", "error", "complaint"),
    [
        ((17, set(pool.EXTENSIONS)), DatabaseTooOld, "is PostgreSQL 17; HealthPlus needs 18"),
        (
            (18, {"btree_gist", "cube", "unaccent"}),
            ExtensionMissing,
            "lacks the extensions earthdistance, fuzzystrmatch, pg_trgm",
        ),
    ],
)
async def test_an_unfit_server(
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    facts: tuple[int, set[str]],
    error: type[Exception],
    complaint: str,
) -> None:
    async def pretend(_: object) -> tuple[int, set[str]]:
        await asyncio.sleep(0)
        return facts

    monkeypatch.setattr(pool, "server_facts", pretend)
    with pytest.raises(error, match=complaint):
        await Database.connect(dsn)
    with pytest.raises(error, match=complaint):
        await migrate(dsn)
