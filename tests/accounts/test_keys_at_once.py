"""Many requests of one key at once, in several processes: all are counted, and no more are let in than may be."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from asyncpg.exceptions import DivisionByZeroError

from healthplus.accounts import keys
from healthplus.accounts.keys import KeyUse, KeyUses, add_key, revoke_key
from healthplus.accounts.sessions import hash_token, queries
from healthplus.database import Database
from healthplus.errors import OutOfScope, UnknownDeveloperKey
from tests.accounts.test_keys import ALLOWED, COUNT, GUARD, QUOTA, left, use_key, uses
from tests.fixtures.clock import move_clock, start_clock_tomorrow, until
from tests.fixtures.races import rewrite


async def made_at_once(processes: list[Database]) -> int:
    """Make ten times as many requests at once as a key may, through three processes; count those let in."""
    await start_clock_tomorrow(processes[0], "10:00:10")
    # All have seen that there is room before any of them is counted.
    await rewrite(processes[0], "accounts.use_developer_key", (COUNT, f"PERFORM pg_sleep(0.05); {COUNT}"))
    _, key = await add_key(processes[0], "Acme", ["search"], per_minute=QUOTA)
    counters = [KeyUses(process) for process in processes]
    made = await asyncio.gather(*(counters[n % 3].count(key, "search") for n in range(10 * QUOTA)))
    counted = sorted(left(use)[0] for use in made if use.counted)
    requests = await processes[0].fetch_value("SELECT requests FROM accounts.developer_key_use")
    assert requests == len(counted)
    if len(counted) == QUOTA:
        assert counted == list(range(QUOTA))  # each was answered another number
    return len(counted)


async def test_look_first_and_count_then_lets_more_in(processes: list[Database]) -> None:
    await rewrite(processes[0], "accounts.use_developer_key", (GUARD, ""), (ALLOWED, "abs(excluded.requests)"))
    assert await made_at_once(processes) > QUOTA


async def test_of_many_at_once_as_many_as_the_quota_are_let_in(processes: list[Database]) -> None:
    assert await made_at_once(processes) == QUOTA


async def test_requests_of_one_process_are_counted_together(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered as if it had come by itself, as long as there is room; what they are for is not mixed up."""
    await start_clock_tomorrow(db, "10:00:10")
    _, key = await add_key(db, "Acme", ["search"], per_minute=50, per_day=60)
    asked = await spied(db, monkeypatch)
    uses = KeyUses(db)
    made = [asyncio.create_task(uses.count(key, "search")) for _ in range(55)]
    wrong = asyncio.create_task(uses.count(key, "book"))
    await asyncio.sleep(0)
    made[7].cancel()  # it hung up, and counts
    done = await asyncio.gather(*made, return_exceptions=True)
    assert isinstance(done.pop(7), asyncio.CancelledError)
    assert [(use.counted, left(use)) for use in done if isinstance(use, KeyUse)] == [
        *((True, [49 - n, 59 - n]) for n in range(50) if n != 7),
        *[(False, [0, 10])] * 5,
    ]
    with pytest.raises(OutOfScope):
        await wrong
    assert sorted(asked) in ([1, 55], [1, 1, 54])
    await move_clock(db, minutes=1)
    made = [asyncio.create_task(uses.count(key, "search")) for _ in range(20)]
    assert sum(use.counted for use in await asyncio.gather(*made)) == 10  # what is left of the day


async def spied(db: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list to which each statement that counts adds how many requests it counts."""
    asked: list[int] = []
    fetch = db.fetch_row

    async def spy(sql: str, *args: Any) -> Any:
        asked.append(args[2])
        return await fetch(sql, *args)

    monkeypatch.setattr(db, "fetch_row", spy)
    return asked


async def counted(db: Database) -> int:
    """Return how many requests are counted, of every key."""
    return int(await db.fetch_value("SELECT coalesce(sum(requests), 0) FROM accounts.developer_key_use"))


async def until_counted(db: Database, requests: int) -> None:
    async def are_counted() -> bool:
        return await counted(db) == requests

    await until(are_counted)


async def test_requests_of_a_key_with_much_left_are_counted_a_moment_later(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_clock_tomorrow(db, "10:00:10")
    _, key = await add_key(db, "Acme", ["search"], per_minute=100_000, per_day=200_000)
    asked = await spied(db, monkeypatch)
    uses = KeyUses(db)
    made = [await uses.count(key, "search") for _ in range(300)]
    assert [left(use) for use in made] == [[99_999 - n, 199_999 - n] for n in range(300)]
    await until_counted(db, 300)
    assert len(asked) < 100  # how many, the machine's speed decides
    assert sum(asked) == 300
    await until(lambda: asyncio.sleep(0, not uses._let_in))  # nothing is kept of a key that is not used


async def test_a_revoked_key_with_much_left_is_refused_within_a_moment(db: Database) -> None:
    key_id, key = await add_key(db, "Acme", ["search"], per_minute=100_000, per_day=200_000)
    uses = KeyUses(db)
    assert (await uses.count(key, "search")).counted
    await revoke_key(db, key_id)

    async def is_refused() -> bool:
        try:
            await uses.count(key, "search")
        except UnknownDeveloperKey:
            return True
        return False

    await until(is_refused)
    assert await is_refused()


async def let_in_of_a_large_quota(processes: list[Database]) -> tuple[int, int]:
    """Return a quota of more than AHEAD_LEFT_MIN, and how many of twice as many requests were let in."""
    await start_clock_tomorrow(processes[0], "10:00:10")
    quota = keys.AHEAD_LEFT_MIN + 200
    _, key = await add_key(processes[0], "Acme", ["search"], per_minute=quota)
    counters = [KeyUses(process) for process in processes]

    async def are_counted() -> bool:
        return not any(let_in.uncounted for one in counters for let_in in one._let_in.values())

    made: list[KeyUse] = []
    while len(made) < 2 * quota:
        made += await asyncio.gather(*(counters[n % 3].count(key, "search") for n in range(120)))
        await until(are_counted)
    return quota, sum(use.counted for use in made)


async def test_letting_all_in_before_they_are_counted_lets_more_in(
    processes: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_more = keys._LetIn.one_more

    def whatever_is_left(let_in: keys._LetIn) -> KeyUse | None:
        let_in.use = msgspec.structs.replace(
            let_in.use, quotas=tuple(msgspec.structs.replace(one, left=10**6) for one in let_in.use.quotas)
        )
        return one_more(let_in)

    monkeypatch.setattr(keys._LetIn, "one_more", whatever_is_left)
    quota, let_in = await let_in_of_a_large_quota(processes)
    assert let_in > quota


async def test_the_last_of_a_large_quota_are_counted_before_they_are_let_in(processes: list[Database]) -> None:
    quota, let_in = await let_in_of_a_large_quota(processes)
    assert let_in == quota


async def test_what_cannot_be_counted_ahead_is_told_to_the_next(db: Database) -> None:
    _, key = await add_key(db, "Acme", ["search"], per_minute=100_000, per_day=200_000)
    uses = KeyUses(db)
    await uses.count(key, "search")
    await rewrite(db, "accounts.use_developer_key", (COUNT, f"PERFORM 1 / 0; {COUNT}"))
    assert (await uses.count(key, "search")).counted
    await until(lambda: asyncio.sleep(0, not uses._let_in))
    with pytest.raises(DivisionByZeroError):
        await uses.count(key, "search")


async def test_who_is_counted_when_the_process_ends_does_not_hang(db: Database) -> None:
    _, key = await add_key(db, "Acme", ["search"])
    await rewrite(db, "accounts.use_developer_key", (COUNT, f"PERFORM pg_sleep(0.2); {COUNT}"))
    uses = KeyUses(db)
    made = [asyncio.create_task(uses.count(key, "search")) for _ in range(3)]
    await asyncio.sleep(0.1)
    made.append(asyncio.create_task(uses.count(key, "search")))
    await asyncio.sleep(0)
    (counting,) = uses._tasks
    counting.cancel()
    async with asyncio.timeout(5):
        assert {type(one) for one in await asyncio.gather(*made, return_exceptions=True)} == {asyncio.CancelledError}
        assert (await uses.count(key, "search")).counted


async def test_each_hears_of_what_went_wrong(db: Database) -> None:
    _, key = await add_key(db, "Acme", ["search"])
    await rewrite(db, "accounts.use_developer_key", (COUNT, f"PERFORM 1 / 0; {COUNT}"))
    uses = KeyUses(db)
    made = await asyncio.gather(*(uses.count(key, "search") for _ in range(5)), return_exceptions=True)
    assert {type(error).__name__ for error in made} == {"DivisionByZeroError"}
    await rewrite(db, "accounts.use_developer_key", ("PERFORM 1 / 0; ", ""))
    assert (await uses.count(key, "search")).counted


async def counted_in_the_new_minute(db: Database) -> int:
    """Have a request read the clock before a minute begins, and be counted after others were counted in it."""
    await start_clock_tomorrow(db, "10:00:10")
    _, key = await add_key(db, "Acme", ["search"], per_minute=3)
    await use_key(db, key, "search")
    async with db.transaction() as transaction:
        await transaction.execute("SELECT FROM accounts.developer_key_use FOR UPDATE")
        late = asyncio.create_task(use_key(db, key, "search"))
        waiting = """SELECT EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock')"""

        async def is_waiting() -> bool:
            return bool(await db.fetch_value(waiting))

        await until(is_waiting)
        await move_clock(db, minutes=1)
        for _ in range(2):
            row = await transaction.fetch_row(queries.use_developer_key, hash_token(key), "search", 1)
            assert row is not None
            assert row["outcome"] == "counted"
    return 2 + sum(use.counted for use in [await late, *await uses(db, key, 3)])


async def test_a_window_that_comes_back_lets_more_in(db: Database) -> None:
    await rewrite(
        db,
        "accounts.use_developer_key",
        ("greatest(counted.minute_at, excluded.minute_at)", "excluded.minute_at"),
        ("CASE WHEN counted.minute_at < excluded", "CASE WHEN counted.minute_at <> excluded"),
        ("AND (counted.minute_at < excluded", "AND (counted.minute_at <> excluded"),
    )
    assert await counted_in_the_new_minute(db) > 3


async def test_a_window_never_comes_back(db: Database) -> None:
    assert await counted_in_the_new_minute(db) == 3
