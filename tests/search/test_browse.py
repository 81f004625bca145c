from __future__ import annotations

import asyncio
from datetime import datetime
from types import SimpleNamespace

import pytest

from healthplus.database import Database
from healthplus.search import browse
from healthplus.search.browse import CachedCount


class Counter:
    """Counts how often it was asked; fails while `broken`, and answers once `may_end`."""

    def __init__(self) -> None:
        self.calls = 0
        self.broken = False
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def count(self) -> int:
        self.calls += 1
        await self.may_end.wait()
        if self.broken:
            raise OSError
        return self.calls


async def test_a_count_is_shared_and_never_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(browse, "time", SimpleNamespace(monotonic=lambda: now))
    counter = Counter()
    counted = CachedCount(counter.count, seconds_max=10)
    assert await asyncio.gather(*(counted.get() for _ in range(5))) == [1] * 5
    now += 4
    assert await counted.get() == 1
    # Past half its life it is still given, at once, while one new count begins.
    now += 2
    counter.may_end.clear()
    assert [await counted.get() for _ in range(3)] == [1] * 3
    await asyncio.sleep(0)
    assert counter.calls == 2
    # Past all of it, those who ask wait for the new one.
    now += 5
    asked = [asyncio.create_task(counted.get()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(one.done() for one in asked)
    counter.may_end.set()
    assert await asyncio.gather(*asked) == [2] * 3


async def test_a_failed_count_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(browse, "time", SimpleNamespace(monotonic=lambda: now))
    counter = Counter()
    counted = CachedCount(counter.count, seconds_max=10)
    counter.broken = True
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        await counted.get()
    counter.broken = False
    assert await counted.get() == 2
    counter.broken = True
    now += 6
    assert await counted.get() == 2  # and fails unseen, as nobody needed it
    await asyncio.sleep(0)
    now += 5
    with pytest.raises(OSError):  # noqa: PT011
        await counted.get()


async def test_who_goes_away_does_not_stop_the_count_for_others() -> None:
    counter = Counter()
    counter.may_end.clear()
    counted = CachedCount(counter.count)
    gone, stays = (asyncio.create_task(counted.get()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    counter.may_end.set()
    assert await stays == 1


async def test_times_are_spread_over_the_day(db: Database) -> None:
    async def spread(*times: str, count: int = 3) -> list[str]:
        starts = [datetime.fromisoformat(f"2026-12-01T{time}:00+05:30") for time in times]
        places = await db.fetch_value("SELECT search.spread($1, $2, 'Asia/Kolkata')", starts, count)
        return [times[place - 1] for place in sorted(places)]

    quarters = [f"{hour:02}:{minute:02}" for hour in range(9, 20) for minute in (0, 15, 30, 45)]
    assert await spread(*quarters) == ["09:00", "12:00", "17:00"]
    assert await spread(*quarters[:12]) == ["09:00", "10:00", "11:00"]
    # Of two parts, one more of that which has most.
    assert await spread(*quarters[:12], "13:00", "13:15") == ["09:00", "11:00", "13:00"]
    assert await spread("11:45", *quarters[12:20]) == ["11:45", "12:00", "13:15"]
    assert await spread("11:45", "12:00", "16:45", "17:00") == ["11:45", "12:00", "17:00"]
    assert await spread("18:00", "18:15", "18:30", "18:45") == ["18:00", "18:15", "18:30"]
    assert await spread("00:00", "23:59") == ["00:00", "23:59"]
    for count in (1, 2):
        assert await spread(*quarters, count=count) == ["09:00", "12:00"][:count]
