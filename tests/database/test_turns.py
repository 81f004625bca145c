"""Turns come in order of arrival, and one that is given up is the next one's."""

from __future__ import annotations

import asyncio

import pytest

from healthplus.database import Turns
from healthplus.errors import DatabaseBusy

NEVER = 1e9


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_only_so_many_go_at_once_and_in_their_order() -> None:
    turns, order, running = Turns(2), list[int](), list[int]()

    async def call(number: int) -> None:
        await turns.take("row", NEVER)
        order.append(number)
        running.append(number)
        assert len(running) <= 2
        await asyncio.sleep(0.001)
        running.remove(number)
        turns.give_back("row")

    await turns.take("another row", NEVER)
    calls = [asyncio.create_task(call(number)) for number in range(20)]
    await asyncio.sleep(0)
    assert turns.would_wait("row")
    await asyncio.gather(*calls)
    assert order == list(range(20))
    assert not turns.would_wait("row")
    turns.give_back("another row")
    assert turns._lines == {}


async def test_a_turn_that_does_not_come_is_refused_and_leaves_no_trace() -> None:
    turns = Turns(1)
    await turns.take("row", NEVER)
    with pytest.raises(DatabaseBusy):
        await turns.take("row", soon(0.01))
    waiting = asyncio.create_task(turns.take("row", NEVER))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    turns.give_back("row")
    assert turns._lines == {}


async def test_too_many_are_refused_at_once() -> None:
    turns = Turns(1, waiting_max=1)
    await turns.take("row", NEVER)
    second = asyncio.create_task(turns.take("row", NEVER))
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusy):
        await turns.take("row", NEVER)
    turns.give_back("row")
    await second
    turns.give_back("row")


@pytest.mark.parametrize("gives_up_first", [False, True])
async def test_a_turn_that_is_given_up_as_it_comes_is_the_next_ones(gives_up_first: bool) -> None:
    turns = Turns(1)
    await turns.take("row", NEVER)
    second, third = (asyncio.create_task(turns.take("row", NEVER)) for _ in range(2))
    await asyncio.sleep(0)
    if gives_up_first:
        second.cancel()
        turns.give_back("row")
    else:
        turns.give_back("row")
        second.cancel()
    async with asyncio.timeout(1):
        await third
    assert second.cancelled() or (await asyncio.gather(second, return_exceptions=True))
    turns.give_back("row")
    assert turns._lines == {}
