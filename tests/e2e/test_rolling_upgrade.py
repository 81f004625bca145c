"""The trial of a rolling upgrade, small; and that it notices processes that are killed, and tables that are kept."""

from __future__ import annotations

from dataclasses import replace

from healthplus_bench.commands import run
from healthplus_bench.upgrade import UpgradePlan, UpgradeResult, bench_upgrade

SMALL = UpgradePlan(waiters=50, rounds=1, drain_seconds=1, quiet_seconds=0.5)


def upgrade(plan: UpgradePlan) -> UpgradeResult:
    result = run(bench_upgrade, plan)
    print(result)
    # Whatever happens to processes and locks, the database keeps what was promised.
    assert (result.places_lost, result.overtaken, result.lost, result.violations) == (0, 0, 0, 0)
    assert result.offers > 1
    return result


def test_who_waits_while_the_product_is_upgraded_notices_nothing_but_another_process() -> None:
    result = upgrade(SMALL)
    assert result.errors == {}
    assert result.reconnects >= SMALL.waiters - result.offers
    assert result.is_good


def test_killed_processes_and_a_migration_that_keeps_a_table_are_noticed() -> None:
    keeping = "LOCK TABLE booking.booking; SELECT pg_sleep(5);"
    result = upgrade(replace(SMALL, drains=False, migration=keeping))
    assert result.errors["poll: cut off"] > SMALL.waiters / 4
    assert any(error.endswith("503 busy") for error in result.errors)
    assert not result.is_good
