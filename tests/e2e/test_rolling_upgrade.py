"""The trial of a rolling upgrade, small; and that it notices processes that are killed, and tables that are kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from healthplus_bench.client import connect
from healthplus_bench.commands import run
from healthplus_bench.environment import prepared_environment, start_app
from healthplus_bench.upgrade import UpgradePlan, UpgradeResult, bench_upgrade

SMALL = UpgradePlan(waiters=50, rounds=1, drain_seconds=1, quiet_seconds=0.5, passers=3)


def upgrade(plan: UpgradePlan) -> UpgradeResult:
    result = run(bench_upgrade, plan)
    print(result)
    # Whatever happens to processes and locks, the database keeps what was promised.
    assert (result.places_lost, result.overtaken, result.lost, result.violations) == (0, 0, 0, 0)
    assert result.offers > 1
    return result


@pytest.mark.long  # test_upgrade has both releases side by side, and test_kills who waits and is sent elsewhere
@pytest.mark.timeout(180)
def test_who_waits_while_the_product_is_upgraded_notices_nothing_but_another_process() -> None:
    result = upgrade(SMALL)
    assert result.errors == {}
    assert result.reconnects >= SMALL.waiters - result.offers
    assert result.is_good


@pytest.mark.long
def test_killed_processes_and_a_migration_that_keeps_a_table_are_noticed() -> None:
    keeping = "LOCK TABLE booking.booking; SELECT pg_sleep(5);"
    result = upgrade(replace(SMALL, processes=1, drains=False, migration=keeping))
    assert result.errors["poll: cut off"] > SMALL.waiters / 4
    assert any(error.endswith("503 busy") for error in result.errors)
    assert not result.is_good


@pytest.mark.timeout(60)
async def test_those_who_come_while_a_process_drains_are_served_and_sent_elsewhere(
    new_server: tuple[str, Path],
) -> None:
    def asking(path: str) -> bytes:
        return f"GET /api/v1/{path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()

    async with prepared_environment(*new_server, 1, 1) as environment:
        app = await start_app(environment, 2, drain_seconds=2)
        kept = await connect(app.port)
        assert (await kept.request(asking("cities"))).status == 200
        assert kept.is_open
        ending = asyncio.create_task(app.stop(20))
        came = 0
        while not ending.done():
            try:
                newcomer = await connect(app.port)
            except OSError:  # by now a balancer has seen that it drains
                break
            status = (await newcomer.request(asking("live"), 5)).status
            came += status == 503
            if status == 503:
                assert not newcomer.is_open
                if kept.is_open:
                    assert (await kept.request(asking("cities"))).status == 200
                    assert not kept.is_open
            newcomer.close()
            await asyncio.sleep(0.1)
            if came >= 10:  # a second of it
                break
        await ending
    assert came >= 10
