from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import Database, Limits, migrate, pool
from healthplus.errors import (
    DatabaseBusy,
    DatabaseReadOnly,
    DatabaseTooOld,
    DatabaseUnreachable,
    ExtensionMissing,
    OutcomeUnknown,
)
from tests.fixtures.clock import until

ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
OWN_END = "SELECT pg_terminate_backend(pg_backend_pid())"


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


async def test_a_lost_connection_means_unknown_and_the_next_call_works(db: Database) -> None:
    with pytest.raises(OutcomeUnknown):
        await db.execute(OWN_END)
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_transaction_whose_connection_is_lost_has_changed_nothing(db: Database) -> None:
    await db.execute("CREATE TABLE public.odd (n int)")

    async def lose() -> None:
        async with db.transaction() as transaction:
            await transaction.execute("INSERT INTO public.odd VALUES (1)")
            await transaction.execute(OWN_END)

    with pytest.raises(DatabaseUnreachable) as caught:
        await lose()
    assert type(caught.value) is DatabaseUnreachable
    assert await db.fetch_value("SELECT count(*) FROM public.odd") == 0


async def test_a_transaction_that_is_lost_as_it_commits_is_unknown(db: Database) -> None:
    await db.execute("""
        CREATE TABLE public.odd (n int);
        CREATE FUNCTION public.fall() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER fall AFTER INSERT ON public.odd DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.fall()""")

    async def lose() -> None:
        async with db.transaction() as transaction:
            await transaction.execute("INSERT INTO public.odd VALUES (1)")

    with pytest.raises(OutcomeUnknown):
        await lose()


async def test_a_statement_that_takes_too_long_is_rolled_back(db: Database, dsn: str) -> None:
    await db.execute("CREATE TABLE public.odd (n int)")
    async with await Database.connect(dsn, 1, 1, Limits(1, None, 0.2, None)) as impatient:
        pid = await impatient.fetch_value("SELECT pg_backend_pid()")
        with pytest.raises(DatabaseBusy):
            await impatient.execute("INSERT INTO public.odd SELECT 1 FROM pg_sleep(5)")
        assert await impatient.fetch_value("SELECT pg_backend_pid()") == pid  # the connection is as good as before
    assert await db.fetch_value("SELECT count(*) FROM public.odd") == 0


async def test_a_lock_that_is_not_to_be_had_is_given_up(db: Database, dsn: str) -> None:
    await db.execute("CREATE TABLE public.odd (n int)")
    async with await Database.connect(dsn, 1, 1, Limits(1, 0.1, 5, None)) as impatient, db.transaction() as other:
        await other.execute("LOCK TABLE public.odd")
        with pytest.raises(DatabaseBusy):
            await impatient.execute("INSERT INTO public.odd VALUES (1)")


async def test_what_is_given_up_ends_at_the_server_before_its_place_is_used_again(db: Database, dsn: str) -> None:
    at_work = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'given up'"
    async with await Database.connect(dsn, 1, 2, Limits(5, None, None, None), "given up") as pool:
        for _ in range(3):
            calls = [asyncio.create_task(pool.execute("SELECT pg_sleep(60)")) for _ in range(2)]
            await until(
                lambda: db.fetch_value("SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE '%sleep(60)'")
            )
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            # It takes a connection that has ended to open another.
            assert await pool.fetch_value(at_work) <= 2
            assert (
                await db.fetch_value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") <= 1
            )
    await until(lambda: db.fetch_value(f"SELECT ({at_work}) = 0"))


async def test_a_statement_whose_answer_does_not_come_is_unknown_and_cancelled(
    db: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that would go on for longer than it was told to, as one that hangs.
    monkeypatch.setattr(Limits, "answer_seconds", 0.2)
    async with await Database.connect(dsn, 1, 1, Limits(5, None, None, None)) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.execute("SELECT pg_sleep(60)")
        await until(
            lambda: db.fetch_value("SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%sleep(60)'"), 5
        )
        assert await pool.fetch_value("SELECT 1") == 1


async def test_the_wait_for_a_connection_ends(dsn: str) -> None:
    async with await Database.connect(dsn, 1, 1, Limits(0.1, None, None, None)) as pool:
        async with pool.transaction():
            with pytest.raises(DatabaseBusy):
                await pool.fetch_value("SELECT 1")
        assert await pool.fetch_value("SELECT 1") == 1


async def test_a_session_that_leaves_a_transaction_open_is_ended(dsn: str) -> None:
    async def leave_open(pool: Database) -> None:
        async with pool.transaction() as transaction:
            await asyncio.sleep(0.5)
            await transaction.execute("SELECT 1")

    async with await Database.connect(dsn, 1, 1, Limits(1, None, None, 0.1)) as pool:
        with pytest.raises(DatabaseUnreachable) as caught:
            await leave_open(pool)
        assert type(caught.value) is DatabaseUnreachable
        assert await pool.fetch_value("SELECT 1") == 1


async def test_a_read_only_database_says_so(db: Database) -> None:
    await db.execute("CREATE TABLE public.odd (n int)")
    await db.execute("SET default_transaction_read_only = on")
    with pytest.raises(DatabaseReadOnly):
        await db.execute("INSERT INTO public.odd VALUES (1)")
    assert await db.fetch_value("SELECT count(*) FROM public.odd") == 0


@pytest.mark.parametrize("is_transaction", [False, True])
async def test_a_pool_leaves_a_server_that_takes_no_writes(db: Database, dsn: str, is_transaction: bool) -> None:
    """Where servers fail over, new connections lead to another, and what decides must not be read at the old one."""
    await db.execute("CREATE TABLE public.odd (n int)")
    database = await db.fetch_value("SELECT current_database()")
    await db.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    async with await Database.connect(dsn, min_size=3, max_size=3) as old:
        await db.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")

        async def write() -> None:
            if not is_transaction:
                await old.execute("INSERT INTO public.odd VALUES (1)")
                return
            async with old.transaction() as transaction:
                await transaction.execute("INSERT INTO public.odd VALUES (1)")

        with pytest.raises(DatabaseReadOnly):
            await write()
        await asyncio.gather(*(write() for _ in range(3)))


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
    with pytest.raises(DatabaseUnreachable, match="nothing was changed"):
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
