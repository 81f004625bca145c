"""Attacks on a queue: accounts that let their turns go keep nobody else from being served."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthplus_bench.fairness import HONEST, FairnessPlan, bench_fairness


@pytest.mark.timeout(300)
async def test_accounts_that_ignore_their_turns_cannot_starve_a_queue(dsn: str, tmp_path: Path) -> None:
    """56 accounts join before five patients, see each offer and let it pass, and join again while they may."""
    result = await bench_fairness(dsn, tmp_path, FairnessPlan((("ignore", 56),)))

    served, starved = result.cases
    assert (served.has_rule, served.served) == (True, HONEST)
    assert served.first_minutes is not None
    assert served.first_minutes < 15
    # The same attack, with the rule switched off, keeps the time from everyone until the hour is over.
    assert (starved.has_rule, starved.served) == (False, 0)
    assert result.violations == 0
