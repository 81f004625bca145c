"""Calls run in order of arrival, and one that gives up makes room for the next."""

from __future__ import annotations

import asyncio

import pytest

from healthplus.database import Bulkhead
from healthplus.errors import DatabaseBusy

NEVER = 1e9


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_only_so_many_run_at_once_and_in_their_order() -> None:
    bulkhead, order, running = Bulkhead(2), list[int](), list[int]()

    async def call(number: int) -> None:
        await bulkhead.enter("row", NEVER)
        order.append(number)
        running.append(number)
        assert len(running) <= 2
        await asyncio.sleep(0.001)
        running.remove(number)
        bulkhead.leave("row")

    await bulkhead.enter("another row", NEVER)
    calls = [asyncio.create_task(call(number)) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(*calls)
    assert order == list(range(20))
    bulkhead.leave("another row")
    assert bulkhead._calls == {}


async def test_a_call_that_is_not_let_in_is_refused_and_leaves_no_trace() -> None:
    bulkhead = Bulkhead(1)
    await bulkhead.enter("row", NEVER)
    with pytest.raises(DatabaseBusy):
        await bulkhead.enter("row", soon(0.01))
    waiting = asyncio.create_task(bulkhead.enter("row", NEVER))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    bulkhead.leave("row")
    assert bulkhead._calls == {}


async def test_too_many_are_refused_at_once() -> None:
    bulkhead = Bulkhead(1, waiting_max=1)
    await bulkhead.enter("row", NEVER)
    second = asyncio.create_task(bulkhead.enter("row", NEVER))
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusy):
        await bulkhead.enter("row", NEVER)
    bulkhead.leave("row")
    await second
    bulkhead.leave("row")


@pytest.mark.parametrize("gives_up_first", [False, True])
async def test_a_call_that_gives_up_as_it_is_let_in_lets_the_next_in(gives_up_first: bool) -> None:
    bulkhead = Bulkhead(1)
    await bulkhead.enter("row", NEVER)
    second, third = (asyncio.create_task(bulkhead.enter("row", NEVER)) for _ in range(2))
    await asyncio.sleep(0)
    if gives_up_first:
        second.cancel()
        bulkhead.leave("row")
    else:
        bulkhead.leave("row")
        second.cancel()
    async with asyncio.timeout(1):
        await third
    assert second.cancelled()
    bulkhead.leave("row")
    assert bulkhead._calls == {}
