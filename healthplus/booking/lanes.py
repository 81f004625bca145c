"""Lanes: calls of one kind gather in a process while one is under way, and then go to the database together.

One transaction for up to LANE_MAX calls, each at another book, costs half as much as one for each. Nothing in it ever
waits for a lock (functions/lanes.sql): a call for which something is locked, or which is no plain case, goes again
alone, and the later ones of its book wait for it. What gathers for one book is a rush, and goes as one call for that
book (functions/rush.sql). Both go in order of asking. A call that comes when nothing is under way goes at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from functools import partial
from typing import Any

from healthplus.database import Database, Record
from healthplus.errors import (
    DatabaseBusy,
    DatabaseReadOnly,
    DatabaseUnreachable,
    DiskFull,
    HealthPlusError,
    OutcomeUnknown,
)
from healthplus.idle import idle

logger = logging.getLogger(__name__)

LANE_MAX = 16
"""Calls in one transaction, each at another book. 0: every call goes alone, and at once."""
RUSH_MAX = 32
"""Calls in one transaction at one book, which others wait for meanwhile."""
REFUSED_MAX = 128
"""Calls in one statement at one book of which many may be refused without its lock."""
WAITING_MAX = 2000
"""Calls that wait for one book in a process; one more is refused at once. A rush on one doctor has hundreds."""

LOCK_NOT_AVAILABLE = "55P03"
"""The SQLSTATE of who would have to wait for a lock longer than it may."""
_FOR_ALL = (DatabaseUnreachable, DatabaseReadOnly, DiskFull)
"""Errors that would meet a call that goes alone, too."""


class Call:
    """A call that may go together with others: `row` has its arguments, one for each array of the statement.

    Of the calls of one `book`, one is under way at a time; it is a provider's id, or whatever else may have one call at
    a time. `row` None: it must go alone. `until`: how long it may wait, by the event loop's clock. `has_key`: asked
    again, it answers the same. `has_turn`: it goes alone, and the later ones of its book wait. `is_unknown`: it was
    sent before, and the answer got lost.
    """

    __slots__ = ("answer", "book", "has_key", "has_turn", "is_unknown", "is_waiting", "patient_id", "row", "until")

    def __init__(
        self, book: int, patient_id: int | None, row: Sequence[object] | None, until: float, *, has_key: bool
    ) -> None:
        self.book = book
        self.patient_id = patient_id
        self.row = row
        self.until = until
        self.has_key = has_key
        self.is_unknown = self.is_waiting = self.has_turn = False
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        """Raise an error where the call is waited for, if it still is."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Lane:
    """The calls of one kind in this process: what has gathered, and what is under way."""

    def __init__(
        self,
        database: Database,
        sql: str,
        decode: Callable[[int, Record], Any],
        *,
        rush_sql: str | None = None,
        run_rush: Callable[[int, Callable[[float], Awaitable[Any]]], Awaitable[Any]] | None = None,
        refuses: bool = False,
    ) -> None:
        """Have calls go by `sql`, which takes an array for each of their arguments, and `decode` its rows.

        `rush_sql`: the same for calls at one book, which comes first; without it, they go one after another.
        `run_rush` sends it within the bounds of the book, for which it waits. `refuses`: it refuses without the lock
        what it can, and its last argument is how many others may have their turn.
        """
        self._database = database
        self._sql = sql
        self._decode = decode
        self._rush_sql = rush_sql
        self._run_rush = run_rush
        self._refuses = refuses
        self._books: dict[int, deque[Call]] = {}
        """The calls that have gathered, by book, in order of asking."""
        self._under_way: set[int] = set()
        """Books of which a call is at the database, or goes alone."""
        self._next: dict[int, None] = {}
        """Books whose first call goes with the next lane, in order."""
        self._is_lane_under_way = False
        self._tasks: set[asyncio.Task[None]] = set()

    def would_wait(self, book: int) -> bool:
        """Return whether a call would have to wait for another one of its book."""
        return book in self._under_way or book in self._books

    async def ask(self, call: Call) -> Any:
        """Return the answer; or None where the call is to go alone, when it has the turn of its book, until `leave`.

        Raises DatabaseBusy, with nothing changed, when its turn does not come in time or too many wait; and
        DatabaseReadOnly, DatabaseUnreachable, DiskFull and OutcomeUnknown.
        """
        if not LANE_MAX:
            return None
        calls = self._books.setdefault(call.book, deque())
        if len(calls) >= WAITING_MAX:
            raise DatabaseBusy
        calls.append(call)
        call.is_waiting = True
        timer = asyncio.get_running_loop().call_at(call.until, self._expire, call)
        if call.book not in self._under_way:
            self._go_on(call.book)
        try:
            async with idle():
                return await call.answer
        except BaseException:
            self._drop(call)
            self.leave(call)
            raise
        finally:
            timer.cancel()

    def leave(self, call: Call) -> None:
        """End the turn of a call that went alone, if it still has it: the next call of its book may go."""
        if call.has_turn:
            call.has_turn = False
            self._end_turn(call.book)

    def _expire(self, call: Call) -> None:
        if call.is_waiting:
            self._drop(call)
            call.fail(_late(call))

    def _drop(self, call: Call) -> None:
        """Have a call that is given up wait no more."""
        if call.is_waiting:
            self._remove(call)
            if call.book in self._books and call.book not in self._under_way:
                self._go_on(call.book)

    def _remove(self, call: Call) -> None:
        call.is_waiting = False
        calls = self._books[call.book]
        calls.remove(call)
        if not calls:
            del self._books[call.book]
            self._next.pop(call.book, None)

    def _end_turn(self, book: int) -> None:
        self._under_way.discard(book)
        if book in self._books:
            self._go_on(book)

    def _go_on(self, book: int) -> None:
        """Have the first call of a book go, of which none is under way: alone, in a rush, or with the next lane."""
        calls = self._books[book]
        while calls and calls[0].answer.done():  # cancelled just now, and its caller has not run since
            self._remove(calls[0])
        if not calls:
            return
        if calls[0].row is None:
            self._next.pop(book, None)
            call = self._take(book)
            call.has_turn = True
            call.answer.set_result(None)
        elif self._rush_sql is not None and len(calls) > 1:
            self._next.pop(book, None)
            self._under_way.add(book)
            self._start(self._send_rush(book, self._rush_sql))
        else:
            self._next[book] = None
            if not self._is_lane_under_way:
                self._is_lane_under_way = True
                self._start(self._send_lanes())

    def _take(self, book: int) -> Call:
        """Take the first call of a book, of which one is then under way."""
        call = self._books[book][0]
        self._remove(call)
        self._under_way.add(book)
        return call

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # It works for many: none of them is at work, or idle, because it is.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_lanes(self) -> None:
        """Send one lane after another, until nothing has gathered."""
        while self._next:
            batch: list[Call] = []
            try:
                # Taken only once there is a connection, so that what gathers until then goes, too.
                rows = await self._database.fetch_late(self._sql, partial(self._fill_lane, batch))
                again = self._answer(batch, rows or [])
            except BaseException as error:  # each caller is told: by what it raises, or by going alone
                if not batch and not isinstance(error, DatabaseBusy):
                    batch = [self._take(book) for book in list(self._next)]
                again = self._answer_failed(batch, error)
            for call in reversed(again):
                self._put_back(call)
            for call in batch:
                self._end_turn(call.book)
        self._is_lane_under_way = False

    def _fill_lane(self, batch: list[Call]) -> list[list[object]] | None:
        """Take the first call of each book, each patient once; return the arguments of the statement."""
        patients = set()
        for book in list(self._next):
            if len(batch) < LANE_MAX and (patient := self._books[book][0].patient_id) not in patients:
                del self._next[book]
                batch.append(self._take(book))
                patients.add(patient)
        return _columns(batch)

    async def _send_rush(self, book: int, sql: str) -> None:
        """Send the calls that have gathered for one book."""
        batch: list[Call] = []
        busy: list[Call] = []

        async def send(wait_seconds: float) -> Any:
            try:
                return await self._database.fetch_late(sql, partial(self._fill_rush, book, batch), wait_seconds)
            except DatabaseBusy:
                # Nothing was changed. Each waits on for as long as it may, perhaps for the book.
                for call in reversed(batch):
                    self._put_back(call)
                busy[:] = batch
                batch.clear()
                raise

        try:
            assert self._run_rush is not None
            again = self._answer(batch, await self._run_rush(book, send) or [])
        except DatabaseBusy:
            # What was not sent waits on, but for the first, which is told so where too many wait. What was, and failed
            # by another lock than the book's, goes alone.
            again = []
            for call in busy or list(self._books.get(book, ()))[:1]:
                call.row = None
        except BaseException as error:  # each caller is told, as in _send_lanes
            if not batch:
                self._fill_rush(book, batch)
            again = self._answer_failed(batch, error)
        for call in reversed(again):
            self._put_back(call)
        self._end_turn(book)

    def _fill_rush(self, book: int, batch: list[Call]) -> list[object] | None:
        """Take the first calls of a book, each patient once; return the arguments of the statement."""
        patients = set()
        while book in self._books and len(batch) < (REFUSED_MAX if self._refuses else RUSH_MAX):
            call = self._books[book][0]
            if call.row is None or call.patient_id in patients:
                break
            batch.append(self._take(book))
            patients.add(call.patient_id)
        columns = _columns(batch)
        return None if columns is None else [book, *columns[1:], *([RUSH_MAX] if self._refuses else [])]

    def _answer(self, batch: list[Call], rows: list[Record]) -> list[Call]:
        """Answer calls; return those that must go again, most of them alone."""
        answers = {row["ordinal"]: row for row in rows}
        again = []
        for ordinal, call in enumerate(batch, start=1):
            row = answers[ordinal]
            if row["failed_with"] is not None or row["code"] is None:
                if row["failed_with"] not in (None, LOCK_NOT_AVAILABLE):
                    # Alone, it may do well, or be refused in order: the fault must be known all the same.
                    logger.error("a call of a lane failed with SQLSTATE %s, and goes again", row["failed_with"])
                if row["reason"] != "later":
                    call.row = None
                again.append(call)
            else:
                answer = self._decode(call.book, row)
                if not call.answer.done():
                    call.answer.set_result(answer)
        return again

    def _answer_failed(self, batch: list[Call], error: BaseException) -> list[Call]:
        """Tell what became of calls whose statement failed; return those that go alone instead."""
        if isinstance(error, Exception) and not isinstance(error, HealthPlusError):
            logger.error("a lane failed (%s), and its calls go alone", type(error).__name__)
        alone = []
        for call in batch:
            if isinstance(error, OutcomeUnknown) and call.has_key:
                call.is_unknown = True
                alone.append(call)
            elif isinstance(error, _FOR_ALL) or not isinstance(error, Exception):
                call.fail(error)
            else:
                alone.append(call)
        for call in alone:
            call.row = None
        return alone

    def _put_back(self, call: Call) -> None:
        """Have a call that was sent wait again, before the later ones of its book."""
        if call.answer.done():  # its caller has gone
            return
        if call.until <= asyncio.get_running_loop().time():
            call.fail(_late(call))
            return
        call.is_waiting = True
        self._books.setdefault(call.book, deque()).appendleft(call)


def _columns(batch: list[Call]) -> list[list[object]] | None:
    """Return an array for each argument; None where there are no calls."""
    rows = [call.row for call in batch if call.row is not None]
    return [list(column) for column in zip(*rows, strict=True)] if rows else None


def _late(call: Call) -> HealthPlusError:
    """Return the error for a call that may wait no longer."""
    return OutcomeUnknown() if call.is_unknown else DatabaseBusy()
