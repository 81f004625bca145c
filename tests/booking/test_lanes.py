"""What gathers in a process goes together, in order of asking, and each caller is told what became of their call."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthplus.booking import calls, lanes
from healthplus.booking.calls import BookCalls
from healthplus.booking.lanes import LANE_MAX, Call, Lane
from healthplus.database import EmbeddedServer, migrate
from healthplus.errors import DatabaseBusy, DatabaseUnreachable, OutcomeUnknown
from tests.conftest import FAST
from tests.fixtures.clock import until
from tests.fixtures.lanes import SLOTS, outcomes_of, pause, process


async def test_what_gathers_goes_together(dsn: str) -> None:
    async with process(dsn) as (race, database):
        providers, patients = await race.providers(40, SLOTS), await race.patients(42)
        await pause(race, "booking.hold_lane")
        database.sent.clear()

        first = asyncio.create_task(race.hold(providers[0], patients[0]))
        await until(lambda: database.sent)  # one that comes when nothing is under way goes at once, alone
        others = [asyncio.create_task(race.hold(*one)) for one in zip(providers[1:], patients[1:40], strict=True)]
        answers = await asyncio.gather(first, *others)

        assert outcomes_of(answers) == ["reserved"] * 40
        assert database.sent == [("hold_lane", 1), ("hold_lane", LANE_MAX), ("hold_lane", LANE_MAX), ("hold_lane", 7)]


async def test_a_lane_has_each_book_and_each_patient_once(dsn: str) -> None:
    async with process(dsn) as (race, database):
        providers, (one, two, three) = await race.providers(4, SLOTS), await race.patients(3)
        await pause(race, "booking.hold_lane")
        database.sent.clear()
        first = asyncio.create_task(race.hold(providers[0], one))
        await until(lambda: database.sent)
        answers = await asyncio.gather(
            first,
            race.hold(providers[1], two),
            race.hold(providers[2], two),  # after the one before, by which the patient has a claim
            race.hold(providers[3], three),
        )

        assert outcomes_of(answers) == ["reserved", "reserved", "claimed", "reserved"]
        assert database.sent[:2] == [("hold_lane", 1), ("hold_lane", 2)]


async def test_a_rush_goes_as_one_call_in_order_of_asking(dsn: str) -> None:
    async with process(dsn) as (race, database):
        provider, (holder, *patients) = await race.provider(1), await race.patients(2 * lanes.RUSH_MAX)
        await race.held(provider, holder)
        database.sent.clear()

        answers = await asyncio.gather(*(race.join(provider, patient) for patient in patients))

        assert [answer.number for answer in answers] == list(range(1, 2 * lanes.RUSH_MAX))
        assert [name for name, _ in database.sent].count("join_many") == 2
        assert sum(count for name, count in database.sent if name == "join_many") >= 2 * lanes.RUSH_MAX - 2


async def test_a_refusal_waits_for_no_lock(dsn: str) -> None:
    async with process(dsn) as (race, _):
        provider, (holder, first, *patients) = await race.provider(SLOTS), await race.patients(10)
        await race.booked(provider, holder)
        async with race.gate(provider):
            waiting = asyncio.create_task(race.hold(provider, first, 1))
            await race.until_locked_out(1)
            async with asyncio.timeout(2):
                refused = await asyncio.gather(*(race.hold(provider, patient) for patient in patients))
            assert {answer.code for answer in refused} == {"slot_full"}
            assert not waiting.done()
        assert (await waiting).code == "reserved"


@pytest.mark.parametrize("guarded", [False, True])
async def test_later_calls_of_a_book_wait_for_one_that_goes_alone(
    dsn: str, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Joins of one process, of which the first finds the book busy for a moment."""
    go_alone = BookCalls._go_alone
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def late(*args: Any) -> Any:
        if not asked.is_set():  # the first of them
            asked.set()
            await go_on.wait()
        return await go_alone(*args)

    async with process(dsn) as (race, _):
        provider, (holder, *patients) = await race.provider(1), await race.patients(4)
        await race.held(provider, holder)
        monkeypatch.setattr(BookCalls, "_go_alone", late)
        if not guarded:
            monkeypatch.setattr(Lane, "_take", unguarded_take)
        async with race.gate(provider):
            first = asyncio.create_task(race.join(provider, patients[0]))
            await asked.wait()
        later = [asyncio.create_task(race.join(provider, patient)) for patient in patients[1:]]
        if guarded:
            await asyncio.sleep(0.2)
            assert not any(join.done() for join in later)
        else:
            await asyncio.gather(*later)
        go_on.set()
        numbers = [(await join).number for join in (first, *later)]

        assert numbers == ([1, 2, 3] if guarded else [3, 1, 2])


def unguarded_take(lane: Lane, book: int) -> Call:
    call = lane._books[book][0]
    lane._remove(call)
    return call


@pytest.mark.parametrize("is_committed", [False, True])
async def test_a_lost_connection_leaves_each_call_of_a_lane_unknown(dsn: str, is_committed: bool) -> None:
    """Each is asked again, alone: by its key it learns what became of it."""
    async with process(dsn) as (race, database):
        providers, patients = await race.providers(9, SLOTS), await race.patients(9)
        await pause(race, "booking.hold_lane")
        first = asyncio.create_task(race.hold(providers[8], patients[8]))
        await until(lambda: ("hold_lane", 1) in database.sent)
        keys = [f"key {number}" if number % 2 else None for number in range(8)]
        holds = [
            asyncio.create_task(race.hold(*one)) for one in zip(providers[:8], patients[:8], [0] * 8, keys, strict=True)
        ]
        await first
        if is_committed:
            database.lose = lambda _: True
        else:
            await until(lambda: ("hold_lane", 8) in database.sent)
            await race.db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%booking.hold_lane%' "
                "AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()"
            )
        answers = await asyncio.gather(*holds, return_exceptions=True)

        assert outcomes_of(answers) == [OutcomeUnknown, "reserved"] * 4
        for number, provider in enumerate(providers[:8]):
            assert await race.occupants(provider) == (1 if number % 2 or is_committed else 0)


async def test_without_a_key_a_call_is_not_asked_again(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard off: it is told that it has a claim, which is its own."""
    async with process(dsn) as (race, database):
        provider, patient = await race.provider(SLOTS), await race.patient()
        database.lose = lambda _: True
        monkeypatch.setattr(calls, "Call", keyed)

        assert (await race.hold(provider, patient)).code == "slot_held"


def keyed(*args: Any, has_key: bool) -> Call:
    return Call(*args, has_key=True)


async def test_a_refusal_whose_answer_is_lost_leaves_nothing_unknown(dsn: str) -> None:
    async with process(dsn) as (race, database):
        provider, patients = await race.provider(SLOTS), await race.patients(2)
        await pause(race, "booking.hold_lane")
        database.sent.clear()
        database.lose = lambda name: name == "refuse_holds"
        first = asyncio.create_task(race.hold(provider, patients[0]))
        await until(lambda: database.sent)
        second = await race.hold(provider, patients[1], 1)

        assert ("refuse_holds", 1) in database.sent
        assert outcomes_of([await first, second]) == ["reserved"] * 2


async def test_what_stays_unknown_is_told_so(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose answer got lost is not told that nothing was changed, whatever meets it when it is asked again."""
    async with process(dsn) as (race, database):
        provider, patient = await race.provider(SLOTS), await race.patient()
        database.lose = lambda _: True

        async def unreachable(*_: object, **__: object) -> None:
            raise DatabaseUnreachable

        monkeypatch.setattr(BookCalls, "_ask", unreachable)
        with pytest.raises(OutcomeUnknown):
            await race.hold(provider, patient, key="key")


async def test_a_caller_that_hangs_up_harms_nobody(dsn: str) -> None:
    async with process(dsn) as (race, database):
        providers, patients = await race.providers(5, SLOTS), await race.patients(5)
        await pause(race, "booking.hold_lane")
        database.sent.clear()
        holds = [asyncio.create_task(race.hold(*one)) for one in zip(providers[:3], patients[:3], strict=True)]
        await until(lambda: database.sent)
        gathered = [asyncio.create_task(race.hold(*one)) for one in zip(providers[3:], patients[3:], strict=True)]
        await asyncio.sleep(0.05)
        holds[1].cancel()  # under way
        gathered[0].cancel()  # not sent yet
        answers = await asyncio.gather(*holds, *gathered, return_exceptions=True)

        assert outcomes_of(answers) == [
            "reserved",
            asyncio.CancelledError,
            "reserved",
            asyncio.CancelledError,
            "reserved",
        ]
        assert [await race.occupants(provider) for provider in providers] == [1, 1, 1, 0, 1]
        assert (await race.hold(providers[3], patients[3])).code == "reserved"  # nothing of it is left behind


async def test_a_caller_that_hangs_up_gives_its_turn_away(dsn: str) -> None:
    async with process(dsn) as (race, _):
        provider, (first, second) = await race.provider(SLOTS), await race.patients(2)
        async with race.gate(provider):
            alone = asyncio.create_task(race.hold(provider, first))
            await race.until_locked_out(1)
            alone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await alone
        assert (await race.hold(provider, second)).code == "reserved"


async def test_what_does_not_get_its_turn_is_told_in_time(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "WAIT_SECONDS_MAX", 0.5)
    async with process(dsn) as (race, _):
        (locked, other), patients = await race.providers(2, SLOTS), await race.patients(4)
        async with race.gate(locked):
            holds = [asyncio.create_task(race.hold(locked, patient)) for patient in patients[1:]]
            async with asyncio.timeout(2):
                assert (await race.hold(other, patients[0])).code == "reserved"
                answers = await asyncio.gather(*holds, return_exceptions=True)
        assert outcomes_of(answers) == [DatabaseBusy] * 3
        assert await race.occupants(locked) == 0


JOINS = 200


async def overtaken(dsn: str) -> tuple[int, int]:
    """Have many join one queue by two processes at once.

    Return by how many who asked later somebody was overtaken at most: within a process, and over both.
    """
    async with process(dsn) as (first, _), process(dsn) as (second, _):
        # Both have planned what they will run, so that neither is late for the lock because of that.
        for race in (first, second):
            provider = await first.provider(1)
            holder, *patients = await first.patients(4)
            await race.held(provider, holder)
            await asyncio.gather(*(race.join(provider, patient) for patient in patients))
        provider, (holder, *patients) = await first.provider(1), await first.patients(1 + JOINS)
        await first.held(provider, holder)
        joined = await asyncio.gather(
            *((first if number % 2 else second).join(provider, patient) for number, patient in enumerate(patients))
        )
        numbers = [answer.number or 0 for answer in joined]
        assert sorted(numbers) == list(range(1, JOINS + 1))

        def worst(numbers: list[int]) -> int:
            return max(sum(later < number for later in numbers[at:]) for at, number in enumerate(numbers))

        return max(worst(numbers[0::2]), worst(numbers[1::2])), worst(numbers)


async def test_overtaking_between_processes_is_bounded(dsn: str) -> None:
    """By one batch while the processes take turns, and by another where one misses a turn; a busy machine has more."""
    tries = [await overtaken(dsn) for _ in range(3)]

    assert [within for within, _ in tries] == [0, 0, 0]
    assert min(between for _, between in tries) <= 2 * lanes.RUSH_MAX


async def test_without_its_bound_a_batch_overtakes_many(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 2 * lanes.RUSH_MAX
    monkeypatch.setattr(lanes, "RUSH_MAX", JOINS)
    tries = [await overtaken(dsn) for _ in range(3)]

    assert min(between for _, between in tries) > bound


@pytest.fixture
def own_server(server_folder: Path) -> Iterator[str]:
    """The DSN of a server of this test's own, which may be killed."""
    with EmbeddedServer(server_folder, FAST) as dsn:
        yield dsn


async def test_a_lane_is_answered_right_after_the_server_was_killed(own_server: str) -> None:
    """Whatever each caller was told, asking again with the same key tells the truth: one booking each."""
    await migrate(own_server)
    async with process(own_server) as (race, database):
        providers, patients = await race.providers(LANE_MAX + 1, SLOTS), await race.patients(LANE_MAX + 1)
        await pause(race, "booking.hold_lane", 1)
        first = asyncio.create_task(race.hold(providers[-1], patients[-1]))
        await until(lambda: ("hold_lane", 1) in database.sent)
        asked = list(zip(providers[:-1], patients[:-1], strict=True))
        holds = [asyncio.create_task(race.hold(*one, key="key")) for one in asked]
        await first
        await until(lambda: ("hold_lane", LANE_MAX) in database.sent)
        working = await race.db.fetch_value(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE '%booking.hold_lane%' AND state = 'active' "
            "AND pid <> pg_backend_pid()"
        )
        os.kill(working, signal.SIGKILL)
        answers = await asyncio.gather(*holds, return_exceptions=True)
        assert set(outcomes_of(answers)) <= {"reserved", OutcomeUnknown}

        async def is_back() -> bool:
            try:
                return bool(await race.db.fetch_value("SELECT true"))
            except DatabaseUnreachable:
                return False

        await until(is_back)
        again = await asyncio.gather(*(race.hold(*one, key="key") for one in asked))
        assert outcomes_of(again) == ["reserved"] * LANE_MAX
        assert [await race.occupants(provider) for provider, _ in asked] == [1] * LANE_MAX
