"""Which requests a process works on when more come than it can do: by class, those that end a booking well first.

A process has one processor core at most. Beyond a few requests at once, more of them only make each take longer, so
that all are late. So few work at once, and fewer when the event loop is late. The others wait, in order of arrival
within their class, and classes take turns by their weights; one that would wait for too long is refused at once. A
request that waits for something outside the process does not count meanwhile (`healthplus/idle.py`), nor does one that
has taken SLOW_SECONDS: it waits for a lock, or for a disc.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from healthplus.errors import Overloaded
from healthplus.metrics import LOOP_LAG, LOOP_RAN, REFUSED, WAITING, WORKING

logger = logging.getLogger(__name__)

WORKING_MAX = 16
"""Requests that work at once in a process: some that compute, and enough for its connections to the database."""
SLOW_SECONDS = 1.0
"""After this long, a request counts as slow, and no more as one that works."""
SLOW_MAX = 256
"""Slow requests of a class; while there are so many, no more of the class are let in."""
WORKING_MIN = 4
"""So many work however late the event loop is."""
LATE_SECONDS = 0.02
"""Once the event loop is later than this, fewer work: a refusal, too, has to wait for it."""
LOOK_EVERY_SECONDS = 0.02
LOG_EVERY_SECONDS = LAG_SECONDS = 10.0
_SURELY, _HARDLY = 0.5, 1.5
"""Parts of the wait that a class allows. A new request may wait if its forecast is below the first; one that waits
already is refused once its forecast exceeds the second. Between them is a gap, as a refusal after waiting is worse."""
_STILL_SECONDS = 0.1
"""For this long, that none starts tells nothing: the event loop may be busy with those who come."""
_SMOOTHING = 0.1
"""The weight of the latest start in the estimate of how often one of a class may start."""


class Traffic(IntEnum):
    """The classes of requests; of those whose turn it is, the first goes first."""

    PAY = 0
    """Paying for what is held, the bank's webhooks, and what frees a time: release, cancel, leave."""
    HOLD = 1
    """Holding, joining, accepting, moving, and signing in to do so."""
    POLL = 2
    PAGE = 3
    SEARCH = 4


class Limits(NamedTuple):
    """What a class may use of a process.

    `working` may work at once. Of those that start, the class has a share of its `weight` over the sum of the weights
    of the classes that wait. `waiting` may wait, none of them for more than `wait_seconds`, as far as can be foreseen;
    beyond, the answer is 503, and to ask again in `retry_seconds`. When some have waited for that long without a pause,
    it is `standing_seconds` for those who come, until for as long nobody would have waited longer: what stands does not
    end by waiting.
    """

    weight: float
    working: int
    waiting: int
    wait_seconds: float
    standing_seconds: float
    retry_seconds: int


LIMITS = {
    # First, as long as it can be done at all: paying is what everything else is for. Others still start now and then.
    # A bank gives up on a webhook after some seconds, and asks again.
    Traffic.PAY: Limits(100, WORKING_MAX, 512, 8.0, 8.0, 1),
    # People wait 4 s for a popular doctor without harm: 1,000 who come at once are served within that.
    Traffic.HOLD: Limits(8, 12, 1024, 4.0, 0.5, 2),
    # Most of a poll is idle. After a restart all who wait come at once; one that is refused is present for 60 s.
    Traffic.POLL: Limits(20, 12, 1024, 3.0, 0.5, 2),
    # A page takes some 4 ms of a core; 100 are what can be had in the second after which people look elsewhere.
    Traffic.PAGE: Limits(1, 12, 128, 1.5, 0.5, 5),
    # A search takes three times as much, and a patient whose search is refused can still open the doctor's own page.
    Traffic.SEARCH: Limits(0.5, 8, 32, 1.5, 0.5, 10),
}


_BACK_AT_ONCE = (Traffic.PAY, Traffic.HOLD)
"""Classes of which one works again at once when it was idle: the bank answers, or the book is free for one, seldom for
many at a time, and others wait behind it. After a change, all who poll may come back together."""
_BACK_MAX = 2
"""Times as many as may work; beyond, those, too, wait for a place: the database may have answered all after a pause."""


class _Class:
    """A class: how many of its requests work, and which wait to. One that comes back from being idle goes first."""

    def __init__(self, traffic: Traffic, limits: Limits) -> None:
        self.limits = limits
        self.name = traffic.name.lower()
        REFUSED.open(self.name)
        self.is_back_at_once = traffic in _BACK_AT_ONCE
        self.working = 0
        self.slow = 0
        self.waiting = 0
        self.returning: deque[asyncio.Future[None]] = deque()
        self.coming: deque[asyncio.Future[None]] = deque()
        self.refused = 0
        self.turn = 0.0
        """Where the class is in the line of classes: with each that starts, it goes back by 1 / weight."""
        self._waited_since = self._standing_until = 0.0
        self._last_start = 0.0
        self._start_seconds = 0.0

    def will_wait_too_long(self, now: float) -> bool:
        """Return whether one more should not wait."""
        if self.waiting == 0:
            return False
        wait_seconds = self.limits.wait_seconds
        is_standing = now < self._standing_until or now - self._waited_since > wait_seconds
        # Where none could start of late, that says more than what was before.
        start_seconds = max(self._start_seconds, (now - self._last_start - _STILL_SECONDS) / 3)
        forecast = (self.waiting + 1) * start_seconds
        is_too_long = forecast > _SURELY * (self.limits.standing_seconds if is_standing else wait_seconds)
        if is_standing and is_too_long:
            self._standing_until = now + wait_seconds
        return is_too_long or self.waiting >= self.limits.waiting

    def note_wait(self, now: float, turn: float) -> None:
        """Note that one more waits; `turn`: of the class that started last, as nobody saves up turns unused."""
        if self.waiting == 0:
            self._waited_since = self._last_start = now
            self.turn = max(self.turn, turn)
        self.waiting += 1

    def pop_hopeless(self) -> asyncio.Future[None] | None:
        """Return the future of the last that came, if its forecast is too long by now."""
        while self.coming and self.waiting * self._start_seconds > _HARDLY * self.limits.wait_seconds:
            waiter = self.coming.pop()
            if not waiter.done():
                return waiter
        return None

    def refusal(self) -> Overloaded:
        """Count a refusal, and return it."""
        self.refused += 1
        REFUSED.add(self.name)
        return Overloaded(retry_after=self.limits.retry_seconds)

    def next_waiting(self) -> asyncio.Future[None] | None:
        """Return the future of the first that still waits."""
        for waiters in (self.returning, self.coming):
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    return waiter
        return None

    def note_start(self, now: float) -> None:
        """Note that one who waited may start, which tells how soon others will."""
        self.waiting -= 1
        self.working += 1
        self.turn += 1 / self.limits.weight
        took, self._last_start = now - self._last_start, now
        self._start_seconds += (took - self._start_seconds) * _SMOOTHING
        if not self.waiting:  # the next may come long after, and what was slow may be over by then
            self._start_seconds /= 2


class Call:
    """One request that was let in. It must be told to `end`."""

    __slots__ = ("_admission", "_is_over", "_is_slow", "_is_working", "class_", "on_slow", "since")

    def __init__(self, admission: Admission, class_: _Class) -> None:
        self._admission = admission
        self.class_ = class_
        self.since = 0.0
        self.on_slow: Callable[[], None] | None = None
        self._is_working = True
        self._is_slow = self._is_over = False

    def leave(self) -> None:
        if self._is_working:
            self._is_working = False
            self._admission.give_place(self.class_)
        elif self._is_slow:
            self._is_slow = False
            self.class_.slow -= 1

    async def come_back(self) -> None:
        if self._is_working or self._is_slow or self._is_over:
            return
        await self._admission.take_place(self.class_)
        self._is_working = True
        self.since = self._admission.watch(self)

    def end(self) -> None:
        self._is_over = True
        self.on_slow = None
        self.leave()

    def become_slow(self) -> None:
        """Stop counting as one that works, and say so to `on_slow`, whatever it is doing."""
        if self._is_over:
            return
        if self._is_working:
            self._is_working, self._is_slow = False, True
            self.class_.slow += 1
            self._admission.give_place(self.class_)
        if self.on_slow is not None:
            on_slow, self.on_slow = self.on_slow, None
            on_slow()


class Admission:
    """The requests that one process works on."""

    def __init__(self, limits: dict[Traffic, Limits] = LIMITS, working_max: int = WORKING_MAX) -> None:
        self._classes = [_Class(traffic, limits[traffic]) for traffic in Traffic]
        self._working_max = working_max
        self._room: float = working_max
        self._working = 0
        self._waiting = 0
        self._turn = 0.0
        self._watched: deque[tuple[float, Call]] = deque()
        self._lags = (0.0, 0.0)
        self._lag_since = 0.0

    def let_in(self, traffic: Traffic) -> Call | None:
        """Return a call that may work now, or None where it would have to wait. Raises Overloaded."""
        class_ = self._classes[traffic]
        if class_.slow >= SLOW_MAX:
            raise class_.refusal()
        if class_.waiting == 0 and self._has_place(class_):
            self._working += 1
            class_.working += 1
            return self._call(class_)
        if class_.will_wait_too_long(asyncio.get_running_loop().time()):
            raise class_.refusal()
        return None

    async def wait(self, traffic: Traffic) -> Call:
        """Return a call once it may work. Raises Overloaded when that takes too long."""
        class_ = self._classes[traffic]
        try:
            await self._wait(class_, class_.coming, class_.limits.wait_seconds)
        except TimeoutError:
            raise class_.refusal() from None
        return self._call(class_)

    async def take_place(self, class_: _Class) -> None:
        """Wait until one who was idle may work again, however long that takes: the work is half done."""
        is_at_once = class_.is_back_at_once and self._working < _BACK_MAX * self._working_max
        if is_at_once or (class_.waiting == 0 and self._has_place(class_)):
            self._working += 1
            class_.working += 1
        else:
            await self._wait(class_, class_.returning, None)

    def give_place(self, class_: _Class) -> None:
        """Have the next start in place of one who no longer works."""
        self._working -= 1
        class_.working -= 1
        if self._waiting:
            self._start_waiting()

    def watch(self, call: Call) -> float:
        """Look at a call again once it should be over; return the time now."""
        now = asyncio.get_running_loop().time()
        self._watched.append((now, call))
        return now

    async def run(self) -> None:
        """See how late the event loop is, find the slow calls, and log what was refused, until cancelled."""
        now = asyncio.get_running_loop().time
        log_at = now()
        while True:
            due = now() + LOOK_EVERY_SECONDS
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            self._note_lag(now(), due)
            self.note_late(now() - due)
            while self._watched and self._watched[0][0] < now() - SLOW_SECONDS:
                since, call = self._watched.popleft()
                if call.since == since:  # else it has come back meanwhile, and is looked at later
                    call.become_slow()
            if now() >= log_at and (refused := self._take_refused()):
                log_at = now() + LOG_EVERY_SECONDS
                logger.warning("more requests come than can be served; refused of late: %s", refused)

    def sample(self) -> None:
        """Set the gauges of how many work and wait."""
        for class_ in self._classes:
            WORKING.set(class_.working, class_.name)
            WAITING.set(class_.waiting, class_.name)

    def _note_lag(self, now: float, due: float) -> None:
        """Note that the event loop runs, and how late it was at worst in the last ten seconds, in two halves."""
        if now - self._lag_since > LAG_SECONDS / 2:
            self._lag_since, self._lags = now, (0.0, self._lags[0])
        self._lags = (max(self._lags[0], now - due), self._lags[1])
        LOOP_RAN.note_now()
        LOOP_LAG.set(max(self._lags))

    def note_late(self, seconds: float) -> None:
        """Have fewer work when the event loop is late, down to WORKING_MIN, and slowly more when it is not."""
        if seconds > LATE_SECONDS:
            self._room = max(WORKING_MIN, self._room - 1)
        elif self._room < self._working_max:
            self._room = min(self._working_max, self._room + 0.2)
            self._start_waiting()

    def _call(self, class_: _Class) -> Call:
        call = Call(self, class_)
        call.since = self.watch(call)
        return call

    def _has_place(self, class_: _Class) -> bool:
        return self._working < self._room and class_.working < class_.limits.working

    async def _wait(self, class_: _Class, waiters: deque[asyncio.Future[None]], seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        waiters.append(waiter)
        class_.note_wait(loop.time(), self._turn)
        self._waiting += 1
        timer = loop.call_later(seconds, self._give_up, class_, waiter) if seconds is not None else None
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                class_.waiting -= 1
                self._waiting -= 1
            elif waiter.exception() is None:
                self.give_place(class_)  # it was let in just now
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if waiter.cancelled() or waiter.exception() is not None:
                with contextlib.suppress(ValueError):
                    waiters.remove(waiter)

    def _give_up(self, class_: _Class, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            class_.waiting -= 1
            self._waiting -= 1
            waiter.set_exception(TimeoutError())

    def _start_waiting(self) -> None:
        """Give the places there are to those who wait."""
        now = asyncio.get_running_loop().time()
        classes = [class_ for class_ in self._classes if class_.waiting]
        while classes and self._working < self._room:
            class_ = min(classes, key=_turn)
            # Without a waiter, the one that waited was cancelled just now, and has not run since.
            if class_.working >= class_.limits.working or (waiter := class_.next_waiting()) is None:
                classes.remove(class_)
                continue
            self._turn = max(self._turn, class_.turn)  # one that could not have more at work may be behind
            class_.note_start(now)
            self._waiting -= 1
            self._working += 1
            waiter.set_result(None)
            if not class_.waiting:
                classes.remove(class_)
        for class_ in self._classes:
            while (waiter := class_.pop_hopeless()) is not None:
                self._give_up(class_, waiter)

    def _take_refused(self) -> str:
        text = ", ".join(
            f"{class_.refused} {traffic.name.lower()}"
            for traffic, class_ in zip(Traffic, self._classes, strict=True)
            if class_.refused
        )
        for class_ in self._classes:
            class_.refused = 0
        return text


def _turn(class_: _Class) -> float:
    return class_.turn
