"""`bench faults` finds nothing wrong with the product beside faults, and finds what is wrong where a guard is off."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from healthplus.database import Database
from healthplus_bench.commands import run
from healthplus_bench.environment import BenchFailed, new_database, running_app, running_server
from healthplus_bench.faults import FaultsPlan, FaultsResult, bench_faults
from healthplus_bench.judging import not_linearizable, overtaken
from healthplus_bench.promises import Join, Operation, inversions, told_states
from tests.fixtures.races import rewrite, stub, switch_lock_off, without_plain_case

QUICK = FaultsPlan(
    app_kills=0, database_kills=0, stops=0, restarts=0, patients=24, processes=2, operations=300, seconds_max=20
)
_serial = itertools.count(1)


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Path]]:
    """The DSN and the folder of a durable server, whose database is migrated and empty."""
    with running_server() as found:
        yield found


@pytest.fixture
async def bench(server: tuple[str, Path]) -> tuple[str, Path]:
    """The DSN of an empty database of this test's own, and a folder for the bench."""
    dsn, folder = server
    return await new_database(dsn, f"faults_{next(_serial)}"), folder


@pytest.mark.timeout(120)
def test_nothing_is_wrong_after_each_kind_of_fault() -> None:
    plan = FaultsPlan(
        app_kills=2, database_kills=1, stops=2, stop_seconds=1, restarts=1, patients=24, processes=2, operations=300,
        rest_seconds_max=1,
    )  # fmt: skip
    result = run(bench_faults, plan)
    assert result.is_clean, result.wrong
    assert result.faults == {"app_kill": 2, "app_stop": 1, "app_restart": 1, "database_kill": 1, "database_stop": 1}
    assert set(result.slowest_recovery_seconds) >= {"database_kill", "database_stop"}
    assert all(0 < seconds < 30 for seconds in result.slowest_recovery_seconds.values())
    assert result.operations >= 300
    assert 0 < result.maybes <= result.tries_lost
    assert result.slots == 12
    assert result.joins > 10
    assert "500" not in result.answers
    assert result.outcomes["hold"].keys() >= {"done", "slot_held"}
    for asked in ("pay", "cancel", "release", "offer", "accept", "repeat", "poll"):
        assert result.outcomes[asked]["done"] > 0


def test_nothing_is_counted_where_commits_may_be_lost() -> None:
    with pytest.raises(BenchFailed, match="synchronous_commit is off"):
        run(bench_faults, QUICK, {"synchronous_commit": "off"})


# Guards switched off, each of which the bench itself must notice.


async def two_may_hold_one_time(database: Database) -> None:
    await database.execute("ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap")
    await rewrite(database, "booking.plain_place", ("booking.occupies AND booking.during && run", "false"))
    await rewrite(database, "booking.hold_plainly", ("head.is_queued IS NOT FALSE OR ", ""))


async def keys_are_forgotten(database: Database) -> None:
    await rewrite(database, "booking.find_result", ("IF NOT FOUND THEN", "IF true THEN"))


async def last_come_first_served(database: Database) -> None:
    order = "AND state = 'waiting' AND NOT absent ORDER BY number"
    await rewrite(database, "booking.offer_in_order", (order, f"{order} DESC"))


async def newcomers_pass_the_queue(database: Database) -> None:
    await stub(database, "booking.make_offers", "RETURN;")


async def held_is_said_to_be_booked(database: Database) -> None:
    await rewrite(database, "booking.why_not", ("state <> 'reserved'", "true"))


async def holds_last_a_second_longer(database: Database) -> None:
    late = "p_booking.deadline + interval '1 second' <= p_now"
    await rewrite(database, "booking.is_due", ("p_booking.deadline <= p_now", late))


async def money_is_not_given_back(database: Database) -> None:
    await stub(database, "ledger.order_return", "RETURN;")


async def receipts_are_not_chained(database: Database) -> None:
    hashed = "booking.queue_hash(previous, link)"
    await rewrite(database, "booking.append_queue_entry", (hashed, "booking.queue_hash(''::bytea, link)"))


async def nobody_is_locked_out(database: Database) -> None:
    await database.execute("ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap")
    await without_plain_case(database)
    await switch_lock_off(database)


async def found(bench: tuple[str, Path], plan: FaultsPlan, spoil: object) -> FaultsResult:
    result = await bench_faults(*bench, plan, spoil)  # type: ignore[arg-type]
    print(result)
    return result


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        pytest.param(held_is_said_to_be_booked, "not_linearizable", marks=pytest.mark.long),
        pytest.param(keys_are_forgotten, "double", marks=pytest.mark.long),
        pytest.param(last_come_first_served, "inversions", marks=pytest.mark.long),
        pytest.param(newcomers_pass_the_queue, "inversions", marks=pytest.mark.long),
        pytest.param(two_may_hold_one_time, "not_linearizable", marks=pytest.mark.long),
        pytest.param(money_is_not_given_back, "violations", marks=pytest.mark.long),
        pytest.param(receipts_are_not_chained, "inversions", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(120)
async def test_a_guard_that_is_off_is_noticed(bench: tuple[str, Path], spoil: object, what: str) -> None:
    result = await found(bench, QUICK, spoil)
    assert getattr(result, what) > 0
    assert not result.is_clean


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "plan"),
    [
        (holds_last_a_second_longer, replace(QUICK, patients=60, operations=5000, seconds_max=60)),
        (nobody_is_locked_out, replace(QUICK, patients=100, operations=5000, seconds_max=60)),
    ],
)
@pytest.mark.timeout(240)
async def test_a_guard_that_is_needed_seldom_is_noticed(
    bench: tuple[str, Path], spoil: object, plan: FaultsPlan
) -> None:
    assert (await found(bench, plan, spoil)).not_linearizable > 0


@pytest.mark.long
@pytest.mark.timeout(240)
def test_commits_that_are_lost_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def take_anything(_: Database) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("healthplus_bench.environment.refuse_unless_durable", take_anything)
    monkeypatch.setattr("healthplus_bench.faults.running_app", partial(running_app, allow_unsafe_commits=True))
    plan = replace(QUICK, database_kills=3)
    # The server that `serve` starts again has the product's own settings; the first kill meets one that has not.
    assert run(bench_faults, plan, {"synchronous_commit": "off", "wal_writer_delay": "10s"}).lost > 0


# The checks by themselves.

START = datetime(2030, 1, 1, 9, tzinfo=UTC)


def operation(asked: str, sent: float, answered: float, booking_id: str = "", **more: object) -> Operation:
    values = {"start": START, "booking_id": booking_id, "hold_id": booking_id, **more}
    return Operation(1, asked, 1, sent, answered, **values)  # type: ignore[arg-type]


HISTORY = [
    operation("hold", 0, 1, "a", until=8.5),
    operation("hold", 2, 3, outcome="slot_held"),
    operation("pay", 3, 4, "a"),
    operation("hold", 4, 5, outcome="slot_full"),
    operation("cancel", 6, 7, "a"),
    operation("hold", 6.5, 8, "b", until=15),
    operation("release", 9, 10, "b"),
    operation("offer", 9.5, 11, "c", until=17),
    operation("accept", 12, 13, "c", until=20.5),
    operation("hold", 22, 23, "d", until=30),
    operation("pay", 30.4, 31, "e", hold_id="d"),  # late: booked again, as nobody had taken it
    operation("cancel", 32, 33, "e"),
]


def test_a_true_history_is_explained() -> None:
    assert not_linearizable(HISTORY, 8) == []


@pytest.mark.parametrize(
    ("place", "false"),
    [
        (1, operation("hold", 2, 3, "x", until=10)),  # held by two
        (1, operation("hold", 2, 2.8, outcome="slot_full")),  # told to be booked before anybody paid
        (3, operation("hold", 4.2, 5, outcome="slot_held")),  # told to be held when it was booked
        (2, operation("pay", 8.7, 9, "a")),  # paid for after its end
        (5, operation("hold", 5.2, 5.5, "b", until=15)),  # held before the appointment was cancelled
        (8, operation("accept", 17.2, 18, "c", until=25.5)),  # accepted after the offer's end
        (10, operation("pay", 30.4, 31, "d")),  # late, and yet the same hold
    ],
)
def test_one_false_answer_is_found(place: int, false: Operation) -> None:
    assert not_linearizable([*HISTORY[:place], false, *HISTORY[place + 1 :]], 8) != []


def test_what_has_no_certain_answer_may_have_been_done() -> None:
    unknown = operation("hold", 0, 1, outcome="claimed", tries_lost=1)
    booked = operation("hold", 2, 3, "b", until=11)
    assert not_linearizable([unknown, booked], 8) == []
    paid = operation("pay", 4, 5, "b", outcome="expired", tries_lost=1)
    full = operation("hold", 6, 7, outcome="slot_full")
    assert not_linearizable([booked, paid, full], 8) == []
    assert not_linearizable([booked, replace(paid, tries_lost=0), full], 8) != []
    found_later = operation("found", 4, 9, "b")
    assert not_linearizable([booked, paid, full, found_later, operation("cancel", 10, 11, "b")], 8) == []


def test_what_a_booking_is_told_to_be_is_what_was_told_last() -> None:
    assert told_states(HISTORY) == {"a": "cancelled", "b": "released", "e": "cancelled"}
    assert told_states(HISTORY[:4]) == {"a": "booked"}
    assert told_states([*HISTORY[:4], operation("cancel", 5, 6, "a", outcome="not_found", tries_lost=1)]) == {}


def test_an_inversion_is_noticed() -> None:
    first, second, third = Join(1, "a", 1, 0.0, 1.0), Join(1, "b", 2, 2.0, 3.0), Join(1, "c", 3, 0.5, 4.0)
    assert inversions([second, third, first]) == []
    assert inversions([Join(1, "a", 2, 0.0, 1.0), Join(1, "b", 1, 2.0, 3.0)]) != []
    assert inversions([Join(1, "a", 2, 0.0, 1.0), Join(2, "b", 1, 2.0, 3.0)]) == []


def test_a_newcomer_before_the_queue_is_noticed() -> None:
    joined, held = (1, "waiting", "t", False), (1, "reserved", None, True)
    assert overtaken([joined, held]) != []
    assert overtaken([held, joined]) == []
    for kind in ("offered", "called", "passed_over", "missed", "left", "full", "timed_out"):
        assert overtaken([joined, (1, kind, "t", False), held]) == []
    assert overtaken([joined, (1, "passed_over", "t", False), (1, "resumed", "t", False), held]) != []
    assert overtaken([joined, (2, "reserved", None, True)]) == []
