from __future__ import annotations

from typing import Literal, cast

import pytest

from healthplus.database import Database
from healthplus_bench.client import percentile_ms
from healthplus_bench.commands import run
from healthplus_bench.environment import BenchFailed, refuse_unless_durable
from healthplus_bench.holds import HoldsPlan, bench_holds
from healthplus_bench.overload import OverloadPlan, bench_overload
from healthplus_bench.surge import SurgePlan, bench_surge


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the one who runs the tests has set must not reach the bench's own app.
    monkeypatch.delenv("DATABASE_URL", raising=False)


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


def test_everyone_in_a_surge_is_held_queued_or_refused_and_the_queue_ends_with_the_last_slot() -> None:
    result = run(bench_surge, SurgePlan(clients=60, processes=1, warm_seconds=0))
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
        seconds=3, peak_seconds=1, warm_seconds=1, recover_seconds=2, clients=16, processes=1,
        cities=1, providers_per_city=60, patients=6000, waiting=10,
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
