"""What many viewers read is read once for them, and never shown when it is older than it may be."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthplus.web.shared_reads import KEEP_SECONDS, SharedReads
from tests.fixtures.clock import StoppedClock


class Source:
    """What is read: a number that says how often it was. A read ends when `gate` is set."""

    def __init__(self) -> None:
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.reads += 1
        number = self.reads
        await self.gate.wait()
        return number


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nothing_is_shown_that_is_older_than_a_second() -> None:
    clock, source = StoppedClock(), Source()
    reads = SharedReads(clock)
    shown = []
    for passed in (0, KEEP_SECONDS - 0.001, 0.001, KEEP_SECONDS, 0):
        clock.seconds += passed
        shown.append(await reads.read("a", source))
    assert shown == [1, 1, 2, 3, 3]
    # Its age counts from when it began to be read: one that took longer than that is for those who came in time.
    source.gate.clear()
    clock.seconds += KEEP_SECONDS
    first = asyncio.create_task(reads.read("a", source))
    await settle()
    clock.seconds += KEEP_SECONDS
    second = asyncio.create_task(reads.read("a", source))
    await settle()
    source.gate.set()
    assert [await first, await second, await reads.read("a", source)] == [4, 5, 5]
    # A read may be kept for longer, where it says so.
    assert await reads.read("b", source, seconds=60) == 6
    clock.seconds += 59
    assert await reads.read("b", source, seconds=60) == 6
    clock.seconds += 1
    assert await reads.read("b", source, seconds=60) == 7


async def test_all_who_ask_at_once_cost_one_read_a_key() -> None:
    source = Source()
    reads = SharedReads(StoppedClock())
    assert await asyncio.gather(*(reads.read("a", source) for _ in range(50))) == [1] * 50
    assert await asyncio.gather(*(reads.read(("b", number % 2), source) for number in range(50))) == [2, 3] * 25


async def test_one_who_has_changed_something_gets_what_began_after_that() -> None:
    source = Source()
    reads = SharedReads(StoppedClock())
    source.gate.clear()
    before = asyncio.create_task(reads.read("a", source))
    await settle()
    own = asyncio.create_task(reads.read("a", source, afresh=True))
    await settle()
    after = asyncio.create_task(reads.read("a", source))
    await settle()
    source.gate.set()
    # The earlier read ends later than it began, and does not take the place of the newer one.
    assert [await before, await own, await after, await reads.read("a", source)] == [1, 2, 2, 2]


async def test_an_error_goes_to_all_who_wait_and_is_not_kept() -> None:
    reads = SharedReads(StoppedClock())
    tries = 0

    async def fail_first() -> str:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if tries == 1:
            raise LookupError
        return "found"

    failed = await asyncio.gather(*(reads.read("a", fail_first) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in failed] == [LookupError] * 5
    assert await reads.read("a", fail_first) == "found"


async def _hang_up_first() -> tuple[list[object], int]:
    """Have the first of three who ask hang up; return what the others get, and how many reads that took."""
    source = Source()
    reads = SharedReads(StoppedClock())
    source.gate.clear()
    asking = [asyncio.create_task(reads.read("a", source)) for _ in range(3)]
    await settle()
    asking[0].cancel()
    await settle()
    source.gate.set()
    await settle()
    got: list[object] = list(await asyncio.gather(*asking[1:], return_exceptions=True))
    return got, source.reads


async def test_the_first_who_asks_may_hang_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _hang_up_first() == ([1, 1], 1)
    # Without the shield, the others would lose their read with the first.
    monkeypatch.setattr(asyncio, "shield", lambda task: task)
    got, _ = await _hang_up_first()
    assert [type(one) for one in got] == [asyncio.CancelledError] * 2


async def test_a_failure_that_nobody_awaits_any_more_is_not_complained_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reads = SharedReads(StoppedClock())
    gate = asyncio.Event()

    async def fail() -> None:
        await gate.wait()
        raise LookupError

    alone = asyncio.create_task(reads.read("a", fail))
    await settle()
    alone.cancel()
    await settle()
    gate.set()
    await settle()
    gc.collect()
    assert not caplog.records


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.floats(0, 0.7)), max_size=60))
def test_it_keeps_no_more_than_it_may_and_what_was_asked_for_last(steps: list[tuple[int, int, float]]) -> None:
    async def run() -> None:
        clock = StoppedClock()
        reads = SharedReads(clock, reads_max=4, bytes_max=100)
        kept: dict[int, tuple[int, float]] = {}  # by key, in order of asking: its size, and until when
        for key, size, passed in steps:
            clock.seconds += passed
            was_read = False

            async def make(size: int = size) -> int:
                nonlocal was_read
                was_read = True
                return size

            got = await reads.read(key, make, size=lambda value: value)
            await settle()
            known = kept.pop(key, None)
            is_kept = known is not None and clock.seconds < known[1]
            assert was_read is not is_kept
            kept[key] = known if known is not None and is_kept else (size, clock.seconds + KEEP_SECONDS)
            assert got == kept[key][0]
            while not is_kept and (
                len(kept) > 4
                or sum(size for size, _ in kept.values()) > 100
                or next(iter(kept.values()))[1] <= clock.seconds
            ):
                kept.pop(next(iter(kept)))

    asyncio.run(run())


async def test_what_is_too_old_is_forgotten_when_the_next_is_read() -> None:
    class Page:
        pass

    async def make() -> Page:
        return Page()

    clock = StoppedClock()
    reads = SharedReads(clock)
    old = weakref.ref(await reads.read("near one's house", make))
    await settle()
    assert old() is not None
    clock.seconds += KEEP_SECONDS
    await reads.read("elsewhere", make)
    await settle()
    gc.collect()
    assert old() is None
