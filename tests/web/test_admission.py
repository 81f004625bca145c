"""Who works and who waits in one process, without any requests: `web/admission.py` alone."""

from __future__ import annotations

import asyncio
import random

import pytest

from healthplus.errors import Overloaded
from healthplus.idle import idle, worker
from healthplus.web import admission as module
from healthplus.web.admission import LIMITS, WORKING_MAX, WORKING_MIN, Admission, Call, Limits, Traffic

_PLENTY = Limits(1, 4, 100, 60.0, 60.0, 1)


def small(**changed: Limits) -> Admission:
    """Return an admission of four places, in which of five that start four pay, if so many do."""
    limits = dict.fromkeys(Traffic, _PLENTY) | {Traffic.PAY: Limits(16, 4, 100, 60.0, 60.0, 1)}
    return Admission(limits | {Traffic[name]: limit for name, limit in changed.items()}, working_max=4)


async def enter(admission: Admission, traffic: Traffic) -> Call:
    return admission.let_in(traffic) or await admission.wait(traffic)


def fill(admission: Admission, traffic: Traffic, count: int = 4) -> list[Call]:
    calls = [admission.let_in(traffic) for _ in range(count)]
    assert all(calls)
    return [call for call in calls if call]


async def started(turns: list[asyncio.Task[Call]]) -> list[int]:
    """Return which of them may work."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return [number for number, turn in enumerate(turns) if turn.done()]


def test_the_limits_make_sense() -> None:
    weights = sum(limits.weight for traffic, limits in LIMITS.items() if traffic is not Traffic.PAY)
    assert LIMITS[Traffic.PAY].weight > 3 * weights  # three in four at least, if so many pay
    assert 1 <= WORKING_MIN <= WORKING_MAX
    assert all(limits.weight > 0 and 0 < limits.working <= WORKING_MAX for limits in LIMITS.values())
    waits = [LIMITS[traffic].wait_seconds for traffic in Traffic]
    assert waits == sorted(waits, reverse=True)
    assert all(limits.standing_seconds <= limits.wait_seconds for limits in LIMITS.values())


async def order_of_starts(admission: Admission, calls: list[Call], order: list[Traffic]) -> list[int]:
    """Return in which order those who come in `order` start, each when one before has ended."""
    turns = [asyncio.create_task(enter(admission, traffic)) for traffic in order]
    assert await started(turns) == []
    ended: list[int] = []
    while len(ended) < len(turns):
        before = set(ended)
        (calls.pop(0) if calls else turns[ended[-1]].result()).end()
        ended += [number for number in await started(turns) if number not in before]
    for one in (*calls, *(turn.result() for turn in turns)):
        one.end()
    return ended


async def test_classes_take_turns_by_weight_and_each_class_in_order_of_arrival() -> None:
    admission = small()
    calls = fill(admission, Traffic.PAY)
    order = [*[Traffic.SEARCH] * 3, *[Traffic.HOLD] * 3, *[Traffic.PAY] * 20]
    starts = await order_of_starts(admission, calls, order)
    by_class = [[number for number in starts if order[number] is traffic] for traffic in Traffic]
    assert all(numbers == sorted(numbers) for numbers in by_class)
    kinds = [order[number] for number in starts]
    assert kinds[:3] == [Traffic.PAY, Traffic.HOLD, Traffic.SEARCH]  # of those whose turn it is, the first class
    assert kinds[:18].count(Traffic.PAY) == 16
    assert kinds[18:21] != [Traffic.PAY] * 3


async def test_nobody_saves_up_turns() -> None:
    """Those of a class that has not come for long start in turn with the others, and not all at once before them."""
    admission = small()
    calls = fill(admission, Traffic.HOLD)
    await order_of_starts(admission, calls, [Traffic.HOLD] * 50)
    calls = fill(admission, Traffic.HOLD)
    order = [*[Traffic.HOLD] * 6, *[Traffic.SEARCH] * 6]
    starts = await order_of_starts(admission, calls, order)
    assert 2 <= sum(order[number] is Traffic.SEARCH for number in starts[:6]) <= 4


async def test_a_flood_of_one_class_does_not_keep_the_others_out() -> None:
    admission = small()
    calls = fill(admission, Traffic.HOLD)
    flood = [asyncio.create_task(enter(admission, Traffic.HOLD)) for _ in range(50)]
    search = asyncio.create_task(enter(admission, Traffic.SEARCH))
    await asyncio.sleep(0)
    for _ in range(4):
        calls.pop(0).end()
        await started(flood)
    assert search.done()
    for turn in (*flood, search):
        turn.cancel()


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    admission = small(PAGE=Limits(1, 4, 2, 60.0, 60.0, 7))
    fill(admission, Traffic.PAGE)
    turns = [asyncio.create_task(enter(admission, Traffic.PAGE)) for _ in range(2)]
    assert await started(turns) == []
    with pytest.raises(Overloaded) as refused:
        admission.let_in(Traffic.PAGE)
    assert refused.value.members == {"retry_after": 7}
    assert admission.let_in(Traffic.PAY) is None  # it may wait
    for turn in turns:
        turn.cancel()


async def test_a_wait_is_foreseen_from_how_often_one_may_start() -> None:
    """One starts every 50 ms, so the third who waits would wait for longer than half of the 0.24 s that are allowed."""
    admission = small(PAGE=Limits(1, 1, 100, 0.24, 0.24, 1))
    call = fill(admission, Traffic.PAGE, 1)[0]
    waited: list[float] = []
    refused = 0
    now = asyncio.get_running_loop().time

    async def visit() -> None:
        began = now()
        page = await enter(admission, Traffic.PAGE)
        waited.append(now() - began)
        await asyncio.sleep(0.05)
        page.end()

    visits: list[asyncio.Task[None]] = []
    call.end()
    for _ in range(100):
        visits.append(asyncio.create_task(visit()))
        await asyncio.sleep(0.01)
    for outcome in await asyncio.gather(*visits, return_exceptions=True):
        refused += isinstance(outcome, Overloaded)
    assert refused > 50
    assert len(waited) + refused == 100
    assert len(waited) > 8  # it never stands still
    assert admission.let_in(Traffic.PAGE) is not None


def test_a_burst_may_wait_and_what_stands_may_not() -> None:
    """One starts every 10 ms: half of 0.5 s allows 25 to wait; half of 0.05 s, once some have waited that long, 2.

    The times are made up, so that nothing hangs on the machine.
    """
    page = module._Class(Traffic.PAGE, Limits(1, 1, 100, 0.5, 0.05, 1))

    def come(milliseconds: range) -> tuple[int, int]:
        """Have one come every 3 ms, and return how many waited at most, and how many were refused."""
        most = refused = 0
        for millisecond in milliseconds:
            now = millisecond / 1000
            if page.waiting and millisecond % 10 == 0:
                page.note_start(now)
            if millisecond % 3 == 0:
                if page.will_wait_too_long(now):
                    refused += 1
                else:
                    page.note_wait(now, 0.0)
            most = max(most, page.waiting)
        return most, refused

    def empty(now: float) -> None:
        while page.waiting:
            page.note_start(now)

    most, refused = come(range(1000, 1500))
    assert 20 <= most <= 40  # the first starts are no measure yet
    assert refused > 0
    come(range(1500, 2000))
    most, refused = come(range(2000, 3000))
    assert most <= 5
    assert refused > 200
    # Until nobody has come for as long, and not only until nobody waits.
    empty(3.0)
    most, _ = come(range(3050, 3500))
    assert most <= 5
    empty(3.5)
    most, _ = come(range(4100, 4600))
    assert 20 <= most <= 40  # the first starts are no measure yet


async def test_a_wait_that_lasts_too_long_after_all_ends_with_a_refusal() -> None:
    admission = small(PAGE=Limits(1, 4, 100, 0.05, 0.05, 1))
    fill(admission, Traffic.PAGE)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Overloaded):
        await enter(admission, Traffic.PAGE)
    assert 0.04 < asyncio.get_running_loop().time() - began < 1


async def test_who_pays_or_holds_works_again_at_once() -> None:
    admission = small()
    call = fill(admission, Traffic.HOLD, 1)[0]
    call.leave()
    working = fill(admission, Traffic.PAGE)
    async with asyncio.timeout(1):
        await call.come_back()
    working.pop().end()
    assert admission.let_in(Traffic.PAGE) is None  # there are four still
    call.end()
    fill(admission, Traffic.PAGE, 1)


async def test_not_all_work_again_at_once() -> None:
    """After a pause of the database, say."""
    admission = small()
    idle_calls = []
    for _ in range(50):
        (call,) = fill(admission, Traffic.HOLD, 1)
        call.leave()
        idle_calls.append(call)
    backs = [asyncio.create_task(call.come_back()) for call in idle_calls]
    for _ in range(3):
        await asyncio.sleep(0)
    assert sum(back.done() for back in backs) == 8
    for back, call in zip(backs, idle_calls, strict=True):
        async with asyncio.timeout(5):
            await back
        call.end()
    fill(admission, Traffic.PAY)


async def test_those_who_are_idle_hold_up_nobody_and_wait_to_come_back() -> None:
    admission = small()
    sleepers = []
    for _ in range(1000):
        call = admission.let_in(Traffic.POLL)
        assert call is not None
        call.leave()
        sleepers.append(call)
    working = fill(admission, Traffic.HOLD)
    back = [asyncio.create_task(sleeper.come_back()) for sleeper in sleepers[:3]]
    new = asyncio.create_task(enter(admission, Traffic.POLL))
    await asyncio.sleep(0)
    working.pop().end()
    await asyncio.sleep(0)
    assert (back[0].done(), back[1].done(), new.done()) == (True, False, False)
    for turn in (*back, new):
        turn.cancel()


async def test_idle_is_of_the_request_that_the_task_works_for() -> None:
    admission = small()
    (call, *_) = fill(admission, Traffic.POLL)
    token = worker.set(call)
    async with idle():
        other = admission.let_in(Traffic.PAGE)
        assert other is not None
        other.end()
    assert admission.let_in(Traffic.PAGE) is None
    worker.reset(token)
    async with idle():  # of nobody
        assert admission.let_in(Traffic.PAGE) is None


async def test_a_slow_request_makes_place_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(module, "SLOW_MAX", 4)
    admission = small()
    running = asyncio.create_task(admission.run())
    calls = fill(admission, Traffic.HOLD)
    told = 0

    def note_slow() -> None:
        nonlocal told
        told += 1

    for call in calls:
        call.on_slow = note_slow
    async with asyncio.timeout(5):
        turn = await enter(admission, Traffic.HOLD)  # no other was ended
    assert told > 0
    # But as many as can wait for anything do, and more of this class would be too many.
    async with asyncio.timeout(5):
        while told < 4:
            await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        admission.let_in(Traffic.HOLD)
    for call in (*calls, turn):
        call.end()
    fill(admission, Traffic.HOLD)
    running.cancel()


async def test_a_late_event_loop_has_fewer_work() -> None:
    admission = Admission()
    for _ in range(100):
        admission.note_late(0.1)
    fill(admission, Traffic.PAY, WORKING_MIN)
    assert admission.let_in(Traffic.PAY) is None
    turn = asyncio.create_task(admission.wait(Traffic.PAY))
    await asyncio.sleep(0)
    for _ in range(5):
        admission.note_late(0)
    assert await started([turn]) == [0]


async def test_nothing_is_left_of_requests_however_they_end() -> None:
    draw = random.Random(5)
    admission = small(PAGE=Limits(1, 2, 3, 0.01, 0.01, 1), SEARCH=Limits(1, 1, 1, 0.001, 0.001, 1))

    async def visit() -> None:
        call = await enter(admission, draw.choice(list(Traffic)))
        token = worker.set(call)
        try:
            for _ in range(draw.randrange(3)):
                await asyncio.sleep(draw.random() / 500)
                async with idle():
                    await asyncio.sleep(draw.random() / 500)
                if draw.random() < 0.1:
                    call.become_slow()
        finally:
            call.end()
            worker.reset(token)

    visits = []
    for _ in range(1500):
        visits.append(asyncio.create_task(visit()))
        if draw.random() < 0.3:
            draw.choice(visits[-20:]).cancel()
        if draw.random() < 0.3:
            await asyncio.sleep(draw.random() / 500)
    outcomes = await asyncio.gather(*visits, return_exceptions=True)
    kinds = {type(outcome) for outcome in outcomes}
    assert kinds == {type(None), Overloaded, asyncio.CancelledError}
    fill(admission, Traffic.PAY)  # all four places are free again
    assert admission.let_in(Traffic.PAY) is None
