"""Lanes go on whatever becomes of a call: no book is left without a turn, and nobody is told wrong."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from healthplus.booking import lanes
from healthplus.booking.lanes import Call, Lane
from healthplus.errors import DatabaseBusy, DatabaseUnreachable, DiskFull, HealthPlusError, OutcomeUnknown
from healthplus.idle import idle, worker

BOOK = 7


class Scripted:
    """A database of which each statement of a lane waits for `go_on`, and then does what comes next in `script`.

    That is an error to raise, before anything is sent where `has_connection` is False; without one, all is answered.
    """

    def __init__(self, *script: Exception | None, has_connection: bool = True) -> None:
        self.script = list(script)
        self.has_connection = has_connection
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.asked = 0

    async def fetch_late(
        self, _: str, arguments: Callable[[], Sequence[Any] | None], __: float | None = None
    ) -> list[dict[str, Any]] | None:
        self.asked += 1
        error = self.script.pop(0) if self.script else None
        if error is not None and not self.has_connection:
            raise error
        args = arguments()
        await self.go_on.wait()
        if error is not None:
            raise error
        if args is None:
            return None
        count = max(len(arg) for arg in args if isinstance(arg, list))
        return [
            {"ordinal": number + 1, "failed_with": None, "code": "done", "reason": None, "number": number}
            for number in range(count)
        ]


def call(number: int, *, alone: bool = False, seconds: float = 4.0) -> Call:
    until = asyncio.get_running_loop().time() + seconds
    return Call(BOOK, number, None if alone else (BOOK, number), until, has_key=True)


def lane_of(database: Any, run_rush: Callable[[int, Callable[[float], Awaitable[Any]]], Awaitable[Any]]) -> Lane:
    return Lane(database, "lane", lambda _, row: row["code"], rush_sql="rush", run_rush=run_rush)


async def at_once(_: int, send: Callable[[float], Awaitable[Any]]) -> Any:
    return await send(1.0)


async def answer_of(lane: Lane, one: Call) -> Any:
    """Return what a lane answers, and "alone" for a call that had to go alone."""
    try:
        answer = await lane.ask(one)
        if answer is None:
            await asyncio.sleep(0)
            return "alone"
        return answer
    finally:
        lane.leave(one)


async def test_a_call_that_is_given_up_as_its_turn_comes_holds_nobody_up() -> None:
    database = Scripted()
    lane = lane_of(database, at_once)
    database.go_on.clear()
    first = asyncio.create_task(answer_of(lane, call(1)))
    await asyncio.sleep(0)
    gone = [asyncio.create_task(answer_of(lane, call(number, alone=True))) for number in (2, 3)]
    later = asyncio.create_task(answer_of(lane, call(4)))
    await asyncio.sleep(0.01)
    database.go_on.set()
    for one in gone:  # in the same turn of the event loop in which the first is answered
        one.cancel()
    answers = await asyncio.gather(first, *gone, later, return_exceptions=True)

    assert answers[0] == answers[3] == "done"
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[1:3])
    assert await answer_of(lane, call(5)) == "done"


@pytest.mark.parametrize("error", [DatabaseUnreachable(), OutcomeUnknown()])
async def test_a_rush_without_a_connection_is_told_at_once(error: HealthPlusError) -> None:
    database = Scripted(None, *[error] * 1000, has_connection=False)
    lane = lane_of(database, at_once)
    database.go_on.clear()
    first = asyncio.create_task(answer_of(lane, call(1)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(answer_of(lane, call(number))) for number in range(2, 6)]
    await asyncio.sleep(0.01)
    database.go_on.set()
    async with asyncio.timeout(1):
        answers = await asyncio.gather(*others, return_exceptions=True)

    assert await first == "done"
    assert answers == ["alone" if isinstance(error, OutcomeUnknown) else error] * 4
    assert database.asked < 10


@pytest.mark.parametrize("error", [DatabaseUnreachable(), OutcomeUnknown(), RuntimeError()])
async def test_an_error_while_a_rush_waits_for_its_book_is_told_once(error: Exception) -> None:
    """The rush finds its book locked, and then looking whether it still is fails."""

    async def run_rush(_: int, send: Callable[[float], Awaitable[Any]]) -> Any:
        try:
            return await send(1.0)
        except DatabaseBusy:
            await asyncio.sleep(0.01)
            raise error from None

    database = Scripted(None, DatabaseBusy())
    lane = lane_of(database, run_rush)
    database.go_on.clear()
    first = asyncio.create_task(answer_of(lane, call(1)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(answer_of(lane, call(number))) for number in range(2, 6)]
    await asyncio.sleep(0.01)
    database.go_on.set()
    async with asyncio.timeout(1):
        answers = await asyncio.gather(first, *others, return_exceptions=True)

    expected = error if isinstance(error, DatabaseUnreachable) and not isinstance(error, OutcomeUnknown) else "alone"
    assert answers == ["done", *[expected] * 4]
    assert await answer_of(lane, call(6)) == "done"


async def test_a_rush_that_is_not_let_in_is_told_so() -> None:
    """As many newcomers as may wait for the book do so already."""
    tries = 0

    async def run_rush(_: int, send: Callable[[float], Awaitable[Any]]) -> Any:
        nonlocal tries
        tries += 1
        raise DatabaseBusy

    database = Scripted()
    lane = lane_of(database, run_rush)
    database.go_on.clear()
    first = asyncio.create_task(answer_of(lane, call(1)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(answer_of(lane, call(number))) for number in range(2, 6)]
    await asyncio.sleep(0.01)
    database.go_on.set()
    async with asyncio.timeout(1):
        answers = await asyncio.gather(first, *others, return_exceptions=True)

    assert answers[:4] == ["done", "alone", "alone", "alone"]
    assert tries < 10


class Request:
    """A request of which only is counted how often it says that it is idle, and comes back."""

    def __init__(self) -> None:
        self.left = self.came_back = 0

    def leave(self) -> None:
        self.left += 1

    async def come_back(self) -> None:
        self.came_back += 1


async def test_a_rush_is_work_of_no_request() -> None:
    """Else that whose call began it would come back twice, and one of its two places would never be given back."""

    async def run_rush(_: int, send: Callable[[float], Awaitable[Any]]) -> Any:
        async with idle():  # as while it waits for its book
            await asyncio.sleep(0)
        return await send(1.0)

    async def requested(number: int) -> tuple[Any, Request]:
        request = Request()
        worker.set(request)
        return await answer_of(lane, call(number)), request

    database = Scripted()
    lane = lane_of(database, run_rush)
    database.go_on.clear()
    requests = [asyncio.create_task(requested(1))]
    await asyncio.sleep(0)
    requests += [asyncio.create_task(requested(number)) for number in range(2, 6)]
    await asyncio.sleep(0.01)
    database.go_on.set()

    answers = await asyncio.gather(*requests)
    assert [(answer, request.left, request.came_back) for answer, request in answers] == [("done", 1, 1)] * 5


BOOKS, CALLS = 3, 120


class Unreliable:
    """A database that is slow, full, or gone, now and then, and the bulkhead before it; it sees to one call a book."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.at_work: Counter[int] = Counter()
        self.faults: list[str] = []

    async def pause(self) -> None:
        if self.random.random() < 0.6:
            await asyncio.sleep(self.random.random() * 0.003)

    def fails(self, *errors: Exception, often: float = 0.1) -> None:
        if self.random.random() < often:
            raise self.random.choice(errors)

    def begin(self, books: set[int]) -> None:
        self.faults += [f"two at once at {book}" for book in books if self.at_work[book]]
        self.at_work.update(books)

    async def fetch_late(
        self, sql: str, arguments: Callable[[], Sequence[Any] | None], _: float | None = None
    ) -> list[dict[str, Any]] | None:
        await self.pause()
        self.fails(DatabaseBusy(), DatabaseUnreachable())
        if (args := arguments()) is None:
            return None
        numbers = next(arg for arg in reversed(args) if isinstance(arg, list))
        books = set(args[0]) if sql == "lane" else {args[0]}
        self.begin(books)
        try:
            await self.pause()
            self.fails(DatabaseBusy(), DatabaseUnreachable(), OutcomeUnknown(), DiskFull(), RuntimeError())
            rows = [self.row(ordinal, number) for ordinal, number in enumerate(numbers, start=1)]
            self.random.shuffle(rows)
            return rows
        finally:
            self.at_work.subtract(books)

    def row(self, ordinal: int, number: int) -> dict[str, Any]:
        code, failed_with, reason = self.random.choice(
            [*[("done", None, None)] * 6, (None, "55P03", None), (None, None, "busy"), (None, None, "later")]
        )
        return {"ordinal": ordinal, "code": code, "failed_with": failed_with, "reason": reason, "number": number}

    async def run_rush(self, _: int, send: Callable[[float], Awaitable[Any]]) -> Any:
        self.fails(DatabaseBusy(), RuntimeError())
        await self.pause()
        while True:
            try:
                return await send(1.0)
            except DatabaseBusy:  # perhaps the book was locked
                self.fails(DatabaseBusy(), DatabaseUnreachable(), OutcomeUnknown(), RuntimeError(), often=0.6)
                await self.pause()


@pytest.mark.parametrize("seed", range(16))
async def test_no_book_is_left_without_a_turn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls come, fail, take too long and are given up at any moment; each gets its own answer or an error."""
    for name in ("LANE_MAX", "RUSH_MAX", "REFUSED_MAX"):
        monkeypatch.setattr(lanes, name, 3)
    database = Unreliable(seed)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: database.faults.append(str(context)))
    rushes: dict[str, Any] = {"rush_sql": "rush", "run_rush": database.run_rush} if seed % 2 else {}
    lane = Lane(database, "lane", lambda book, row: (book, row["number"]), refuses=seed % 3 == 0, **rushes)  # type: ignore[arg-type]

    async def ask(number: int) -> None:
        book = database.random.randrange(BOOKS)
        row = None if database.random.random() < 0.15 else (book, number)
        until = asyncio.get_running_loop().time() + database.random.choice([0.005, 0.02, 1.0])
        one = Call(book, database.random.randrange(20), row, until, has_key=database.random.random() < 0.6)
        try:
            if (answer := await lane.ask(one)) is None:
                database.begin({book})
                try:
                    await database.pause()
                finally:
                    database.at_work.subtract({book})
            elif answer != (book, number):
                database.faults.append(f"{answer} for {number}")
        except (DatabaseBusy, DatabaseUnreachable, DiskFull):
            pass
        finally:
            lane.leave(one)

    asked: list[asyncio.Task[None]] = []
    for number in range(CALLS):
        asked.append(asyncio.create_task(ask(number)))
        await database.pause()
        if database.random.random() < 0.3:
            database.random.choice(asked).cancel()
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*asked, return_exceptions=True)
        while lane._tasks:
            await asyncio.sleep(0.001)

    assert {type(answer) for answer in answers} <= {type(None), asyncio.CancelledError}
    assert database.faults == []
    assert (lane._books, lane._under_way, lane._next, lane._is_lane_under_way) == ({}, set(), {}, False)
