from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Literal, cast

import pytest

from healthplus.database import Database
from healthplus.errors import PaymentUnavailable
from healthplus.payments.gateway import GatewayPayment, GatewayRefund
from healthplus_bench.bank import METHOD, BankElsewhere
from healthplus_bench.client import percentile_ms
from healthplus_bench.commands import run
from healthplus_bench.environment import BenchFailed, refuse_unless_durable
from healthplus_bench.growth import GrowthPlan, bench_growth
from healthplus_bench.holds import HoldsPlan, bench_holds
from healthplus_bench.overload import OverloadPlan, bench_overload
from healthplus_bench.past import PastPlan
from healthplus_bench.processes import cpu_seconds
from healthplus_bench.restore import RestorePlan, bench_restore
from healthplus_bench.returning import AHEAD_MAX, DAYS, Returning
from healthplus_bench.surge import SurgePlan, bench_surge
from healthplus_bench.waiters import WaitersPlan, bench_waiters, overtaking


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the one who runs the tests has set must not reach the bench's own app.
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.mark.long  # that a bench is run and measures: test_packages
@pytest.mark.parametrize("bank", ["machine", "elsewhere"])
def test_holds_are_booked_over_http_and_then_pgbench_books_others(bank: Literal["machine", "elsewhere"]) -> None:
    plan = HoldsPlan(
        seconds=1, warm_seconds=1, clients=4, processes=2, providers=80, bank=bank, bank_ms=5 * (bank == "elsewhere"),
        pgbench_seconds=1, pgbench_warm_seconds=1, pgbench_clients=(2, 4) if bank == "machine" else (),
    )  # fmt: skip
    result = run(bench_holds, plan)
    assert result.confirmed_per_s > 0
    assert (result.refused, result.pgbench_refused, result.violations) == (0, 0, 0)
    assert result.p99_ms >= result.p50_ms > 0
    cpu = result.cpu_us_by_process
    assert result.cpu_us_per_booking == sum(cpu.values())
    assert (cpu["bank"] > 0) == (bank == "machine")
    # Nobody works for longer than the window on all cores; the window's ends are looked at some moments late.
    assert 0 < result.cpu_us_per_booking * result.confirmed < 2 * plan.seconds * result.cores * 1e6
    assert 0 < result.patients <= plan.http.patients
    assert 0 < result.bookings_per_patient_max <= 10
    assert list(result.pgbench_by_clients) == list(result.pgbench_cpu_us_by_clients) == list(plan.pgbench_clients)
    assert result.pgbench_pairs_per_s == max(result.pgbench_by_clients.values(), default=0)
    assert all(us > 0 for us in result.pgbench_cpu_us_by_clients.values())
    assert (result.ratio > 0) == (result.pgbench_patients > 0) == (bank == "machine")


@pytest.mark.parametrize("tries_max", [pytest.param(5, marks=pytest.mark.long), 1])
def test_everyone_in_a_surge_is_held_queued_or_refused_and_the_queue_ends_with_the_last_slot(tries_max: int) -> None:
    # Who tries once and then waits finds slots free, is offered one, and has to accept it.
    result = run(bench_surge, SurgePlan(clients=60, processes=1, warm_seconds=0, tries_max=tries_max))
    assert {"clients", "winners", "undecided", "p99_ms", "settled_ms", "violations"} <= set(result.__struct_fields__)
    assert (result.clients, result.winners, result.undecided) == (60, 36, 0)
    assert result.queued + result.refused == 24
    assert (result.booked, result.full) == (36, result.queued)
    assert result.p99_ms > 0
    assert result.settled_ms < 2000
    assert result.violations == 0


def test_nothing_is_counted_that_a_power_cut_could_undo() -> None:
    with pytest.raises(BenchFailed, match="fsync is off"):
        run(bench_surge, SurgePlan(clients=40), {"fsync": "off"})


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_each_setting_that_durability_needs_is_looked_at(setting: str) -> None:
    class Sessions:
        async def fetch(self, sql: str) -> list[dict[str, str]]:
            return [{"name": setting}] if f"'{setting}'" in sql else []

    with pytest.raises(BenchFailed, match=f"{setting} is off"):
        await refuse_unless_durable(cast(Database, Sessions()))


def test_a_percentile_is_the_least_time_that_so_many_do_not_exceed() -> None:
    seconds = [number / 1000 for number in range(1, 101)]
    assert (percentile_ms(seconds, 50), percentile_ms(seconds, 99), percentile_ms(seconds, 100)) == (50.0, 99.0, 100.0)
    assert percentile_ms([], 99) == 0.0


def test_ten_times_too_many_are_told_so_and_who_pays_is_served() -> None:
    plan = OverloadPlan(
        seconds=2, peak_seconds=1, warm_seconds=0.5, calm_seconds=1, recover_seconds=1, clients=16, processes=1,
        cities=1, providers_per_city=30, patients=4000, waiting=10,
    )  # fmt: skip
    result = run(bench_overload, plan)
    asked = {"goodput_ratio", "pay_ok", "refusal_p99_ms", "recovered_s", "violations"}
    assert asked <= set(result.__struct_fields__)
    assert result.offered_per_s == pytest.approx(10 * result.peak_per_s, rel=0.01)
    assert result.refused > 0
    assert result.refused == sum(statuses.get("503", 0) for statuses in result.answers.values())
    assert set(result.answers) == {"search", "page", "poll", "hold", "pay"}
    assert result.paid > 0
    assert result.pay_ok > 0.9
    assert result.goodput_ratio > 0.3
    assert 0 < result.refusal_p50_ms <= result.refusal_p99_ms
    assert 0 <= result.recovered_s <= plan.recover_seconds
    assert result.violations == 0


@pytest.mark.long  # what is kept and what is forgotten: tests/retention
def test_what_is_over_is_weighed_by_table_and_the_verbs_are_run_with_and_without_it() -> None:
    past = PastPlan(bookings=12 * 75, providers=12, rounds=1, clients=2, warm_seconds=1, seconds=1)
    result = run(bench_growth, GrowthPlan(appointments=100, past=past))
    assert result.violations == 0
    assert result.past_bookings == 900
    assert result.bytes_per_booking == sum(heap + indexes for heap, indexes in result.bytes_by_table.values()) > 0
    # A booking, its events and its money stay; the answer to its request does not.
    assert min(result.bytes_by_table["booking.booking"] + result.bytes_by_table["ledger.payment"]) > 0
    assert any("event" in name and min(both) > 0 for name, both in result.bytes_by_table.items())
    assert "booking.idempotency" not in result.bytes_by_table
    assert min(result.cpu_us_per_pair_with + result.cpu_us_per_pair_without) > 0
    assert result.tables["booking.idempotency"][0] > result.tables["booking.idempotency"][1] == 0


@pytest.mark.timeout(180)
@pytest.mark.long
def test_what_is_lost_with_a_disk_is_counted_and_how_soon_all_is_there_again() -> None:
    result = run(bench_restore, RestorePlan(PastPlan(bookings=300), seconds=2, clients=4))
    assert (result.past_bookings, result.violations, result.rehearsal_problem) == (300, 0, None)
    assert result.rto_seconds >= result.restore_seconds > 0
    assert 0 < result.rpo_seconds_median <= result.rpo_seconds_max
    assert 0 <= result.lost_commits < result.acknowledged_commits
    assert (result.lost_seconds > 0) == (result.lost_commits > 0)


@pytest.mark.long  # shorter, and by its command: test_packages
def test_the_first_of_many_who_wait_get_what_is_given_back() -> None:
    result = run(bench_waiters, WaitersPlan(open=40, offers=6, processes=2, quiet_seconds=0.2))
    assert (result.open, result.offers, result.violations) == (40, 6, 0)
    assert 0 < result.offer_p50_ms <= result.offer_p99_ms
    assert 0 <= result.overtaken < 1
    assert (result.overtaken_ms > 0) == (result.overtaken > 0)


def test_overtaking_is_counted_between_neighbours_and_by_how_long_at_most() -> None:
    joins = [(0.0, 1), (0.3, 2), (0.1, 3), (0.2, 4), (0.4, 5)]
    assert overtaking(joins) == (0.25, 200.0)
    assert overtaking(joins[:2]) == (0.0, 0.0)


def test_patients_come_back_within_the_rules() -> None:
    returning = Returning(group=2 * DAYS, groups=3, providers=1)
    turns = [returning.turn(number) for number in range(returning.bookings_max)]
    assert Counter(turn.patient for turn in turns) == dict.fromkeys(range(returning.patients), AHEAD_MAX)
    assert len({(turn.patient, turn.day) for turn in turns}) == len(turns), "two on one day"
    assert len({(turn.day, turn.rank) for turn in turns}) == len(turns), "one slot twice"
    assert all(turn.day < DAYS and turn.rank < returning.slots_a_day for turn in turns)
    # Nobody returns while others of the group are still served.
    assert all(len({turn.patient for turn in turns[at : at + 2 * DAYS]}) == 2 * DAYS for at in range(0, 200, 2 * DAYS))
    with pytest.raises(BenchFailed, match="too few providers"):
        Returning(group=DAYS, groups=8, providers=1)


async def test_two_processes_ask_one_bank_elsewhere() -> None:
    one, other = BankElsewhere(), BankElsewhere("what the sandbox is told", None)
    authorised = await one.authorise("1:a", 500, "INR", METHOD)
    assert await other.authorise("1:a", 500, "INR", METHOD) == authorised
    assert await other.fetch("1:a") == [GatewayPayment(authorised.name, "authorised", 500, "INR")]
    assert await other.refund(authorised.name, 500, "INR") == "authorised"  # not taken yet
    assert await other.capture(authorised.name, 500, "INR") == "captured"
    assert await one.void(authorised.name) == "captured"
    assert await one.fetch("1:a") == [GatewayPayment(authorised.name, "captured", 500, "INR")]
    assert await one.refund(authorised.name, 400, "INR") == GatewayRefund(authorised.name, "", 400, "processed")
    assert await other.fetch("1:a") == [GatewayPayment(authorised.name, "refunded", 500, "INR", 400)]
    assert await one.fetch("1:b") == []
    with pytest.raises(PaymentUnavailable):
        await one.capture("sandbox-1:b", 500, "INR")


def test_the_product_loads_no_bank_elsewhere() -> None:
    loads = "import sys, healthplus.preload, healthplus.serving; sys.exit('healthplus_bench' in sys.modules)"
    subprocess.run([sys.executable, "-c", loads], check=True)


@pytest.mark.parametrize("kind", ["database", "app", "bank"])
def test_cpu_time_is_counted_by_kind_and_with_processes_that_have_ended(kind: str, tmp_path: Path) -> None:
    # Each kind is told by where it is and by its command line. The work is done by a child that then ends.
    work = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); sys.stdin.read()"
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    words = {"database": [], "app": ["serve"], "bank": ["serve", "healthplus_sandbox"]}[kind]
    pid_file = tmp_path / "server/data/postmaster.pid"
    pid_file.parent.mkdir(parents=True)
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle,
        subprocess.Popen([sys.executable, "-c", work, burn, *words], stdin=subprocess.PIPE) as process,
    ):
        pid_file.write_text(f"{(process if kind == 'database' else idle).pid}\n/a/folder\n")
        deadline = time.monotonic() + 60
        while (used := cpu_seconds(tmp_path))[kind] < 0.2:
            assert time.monotonic() < deadline, f"not counted: {used}"
            time.sleep(0.02)
        assert sum(seconds for other, seconds in used.items() if other not in (kind, "client")) < used[kind]
        for one in (idle, process):
            one.communicate(b"\n")
