"""Developers' keys: what they let in, how often, and what is kept of them."""

from __future__ import annotations

import asyncio
import hashlib
import math
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from healthplus.accounts.keys import KeyUse, KeyUses, Scope, add_key, list_keys, revoke_key
from healthplus.accounts.sessions import hash_token, queries
from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import BadInput, NotFound, OutOfScope, UnknownDeveloperKey
from healthplus.retention.retention import Retention
from tests.fixtures.clock import move_clock, start_clock_tomorrow

COUNT = "PERFORM set_config('synchronous_commit'"
GUARD = """WHERE counted.requests < held.per_day
            AND (counted.minute_at < excluded.minute_at OR counted.minute_requests < held.per_minute)"""
ALLOWED = "least(excluded.requests, held.per_day - counted.requests, held.per_minute - in_minute)"
QUOTA = 10


async def use_key(database: Database, key: str, scope: Scope) -> KeyUse:
    return await KeyUses(database).count(key, scope)


async def uses(database: Database, key: str, times: int) -> list[KeyUse]:
    return [await use_key(database, key, "search") for _ in range(times)]


def left(use: KeyUse) -> list[int]:
    return [quota.left for quota in use.quotas]


def ends_in(use: KeyUse) -> list[int]:
    return [quota.ends_in for quota in use.quotas]


@pytest.mark.dates
async def test_windows_are_fixed_and_follow_the_clock(db: Database) -> None:
    await start_clock_tomorrow(db, "10:00:10")
    _, key = await add_key(db, "Acme", ["search"], per_minute=3, per_day=5)
    first, second, third = await uses(db, key, 3)
    assert [left(use) for use in (first, second, third)] == [[2, 4], [1, 3], [0, 2]]
    assert all(use.counted for use in (first, second, third))
    assert [quota.window_seconds for quota in first.quotas] == [60, 86_400]
    full, again = await uses(db, key, 2)
    assert (full.counted, left(full)) == (False, [0, 2])
    assert (again.counted, left(again)) == (False, [0, 2])  # what was refused was not counted

    await move_clock(db, seconds=48)  # it is 10:00:58
    assert not (await use_key(db, key, "search")).counted
    await move_clock(db, seconds=3)
    assert [left(use) for use in await uses(db, key, 2)] == [[2, 1], [1, 0]]
    day_full = await use_key(db, key, "search")
    assert (day_full.counted, left(day_full)) == (False, [1, 0])
    await move_clock(db, minutes=1)  # a new minute does not help, and is whole
    assert left(await use_key(db, key, "search")) == [3, 0]
    await start_clock_tomorrow(db, "23:59:57")
    assert not (await use_key(db, key, "search")).counted
    await move_clock(db, seconds=3)
    midnight = await use_key(db, key, "search")
    assert (midnight.counted, left(midnight)) == (True, [2, 4])


@pytest.mark.dates
async def test_ends_are_rounded_up(db: Database) -> None:
    """Who comes back then is in the next window, and not a moment before it."""
    _, key = await add_key(db, "Acme", ["search"])
    for time in ("10:00:00", "11:30:56.4", "23:59:01.7"):
        await start_clock_tomorrow(db, time)
        before = await db.fetch_value("SELECT public.app_now()")
        use = await use_key(db, key, "search")
        after = await db.fetch_value("SELECT public.app_now()")
        for seconds, length in zip(ends_in(use), (60, 86_400), strict=True):
            assert math.ceil(to_go(after, length)) <= seconds <= math.ceil(to_go(before, length))


def to_go(now: datetime, window_seconds: int) -> float:
    return window_seconds - now.timestamp() % window_seconds


@pytest.mark.dates
async def test_who_is_let_in(db: Database, processes: list[Database]) -> None:
    key_id, key = await add_key(db, "Acme", ["search"], expires_in=timedelta(days=2))
    for process in processes:
        assert (await use_key(process, key, "search")).key_id == key_id
    with pytest.raises(OutOfScope, match="`book`"):
        await use_key(db, key, "book")
    for wrong in ("", "hp_", key[:-1], key + "x", key.swapcase(), "hp_" + "x" * 43, "hp_" + "é" * 43, key + "\n"):
        with pytest.raises(UnknownDeveloperKey, match="not known"):
            await use_key(db, wrong, "search")
    await move_clock(db, days=1, hours=23)
    assert (await use_key(db, key, "search")).counted
    await move_clock(db, hours=1)
    with pytest.raises(UnknownDeveloperKey, match="has expired"):
        await use_key(db, key, "search")

    key_id, key = await add_key(db, "Acme", ["search", "book", "book"])
    for process in processes:
        assert (await use_key(process, key, "book")).counted
    # By another process, on another connection: all the others know at once.
    assert await revoke_key(db, key_id) == "Acme"
    for process in processes:
        with pytest.raises(UnknownDeveloperKey, match="was revoked"):
            await use_key(process, key, "book")
    with pytest.raises(NotFound, match="key list"):
        await revoke_key(db, key_id)
    requests = await db.fetch("SELECT sum(requests) FROM accounts.developer_key_use GROUP BY key_id ORDER BY key_id")
    assert [row["sum"] for row in requests] == [4, 3]
    for name in ("", "   ", "Ac\ue000me", "x" * 201):
        with pytest.raises(BadInput):
            await add_key(db, name, ["search"])


async def test_keys_are_random_and_kept_only_as_hashes(db: Database) -> None:
    keys = [(await add_key(db, "Acme", ["search"]))[1] for _ in range(3)]
    assert len({*keys}) == 3
    for key in keys:
        assert key.startswith("hp_")
        assert len(key) == len("hp_") + 43  # 32 bytes in base64
        await use_key(db, key, "search")
    hashes = {row["key_hash"] for row in await db.fetch("SELECT key_hash FROM accounts.developer_key")}
    assert hashes == {hashlib.sha256(key.encode()).digest() for key in keys}
    tables = await db.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname !~ '^pg_|^information_'"
    )
    assert "accounts.developer_key" in {row["name"] for row in tables}
    for table in tables:
        text = await db.fetch_value(f"SELECT string_agg(one::text, ' ') FROM {table['name']} AS one") or ""
        assert not any(key.removeprefix("hp_") in text for key in keys)


async def test_nobody_waits_for_the_disc_to_count(db: Database) -> None:
    _, key = await add_key(db, "Acme", ["search"], per_minute=1)
    async with db.transaction() as transaction:
        await transaction.execute("SET LOCAL synchronous_commit = on")
        for outcome, setting in (("unknown", "on"), ("counted", "off")):
            sent = key if outcome == "counted" else "another"
            row = await transaction.fetch_row(queries.use_developer_key, hash_token(sent), "search", 1)
            assert row is not None
            assert row["outcome"] == outcome
            assert await transaction.fetch_value("SHOW synchronous_commit") == setting


async def command(*words: str) -> Result:
    # In a thread: the command runs an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, main, ["key", *words])


@pytest.mark.dates
async def test_the_commands(dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    await start_clock_tomorrow(db, "10:00:10")
    added = await command("add", "Acme Clinics", "--scope", "search", "--scope", "book", "--per-day", "100")
    assert added.exit_code == 0, added.output
    said, key = added.output.splitlines()
    assert said == "Key 1"
    assert (await command("add", "Trial", "--per-minute", "2", "--expires-days", "3")).exit_code == 0
    # Two uses on each of these days, beside today's.
    day = await db.fetch_value("SELECT (public.app_now() AT TIME ZONE 'UTC')::date")
    for days in (400, 401, 30, 29, 7, 6):
        await db.execute(
            "INSERT INTO accounts.developer_key_use VALUES ($1, 1, 2, $1::date::timestamp AT TIME ZONE 'UTC', 2)",
            day - timedelta(days=days),
        )
    await uses(db, key, 2)
    acme, trial = (await command("list")).output.splitlines()
    assert acme == (
        "1 Acme Clinics: search and book, 60 a minute, 100 a day, good until revoked; "
        f"2 today, 4 in 7 days, 8 in 30 days, last used {day} 10:00 UTC"
    )
    expires_on = day + timedelta(days=3)
    assert trial == (
        f"2 Trial: search, 2 a minute, 5000 a day, expires {expires_on}; 0 today, 0 in 7 days, 0 in 30 days"
    )
    assert key not in acme
    await Retention(db).forget()
    kept = await db.fetch("SELECT $1::date - day AS days FROM accounts.developer_key_use ORDER BY day", day)
    assert [row["days"] for row in kept] == [400, 30, 29, 7, 6, 0]

    revoked = await command("revoke", "1")
    assert (revoked.exit_code, revoked.output) == (0, "The key of Acme Clinics is revoked.\n")
    with pytest.raises(UnknownDeveloperKey, match="was revoked"):
        await use_key(db, key, "search")
    await move_clock(db, days=4)
    acme, trial = (await command("list")).output.splitlines()
    assert f"revoked {day}; 0 today, 2 in 7 days" in acme
    assert f"expired {expires_on}" in trial
    assert [row["is_expired"] for row in await list_keys(db)] == [None, True]
    for words in (("revoke", "1"), ("revoke", "99"), ("add", "\n"), ("add", "X", "--scope", "all"), ("revoke", "0")):
        refused = await command(*words)
        assert refused.exit_code != 0
        assert "Error: " in refused.output
