from __future__ import annotations

import pytest

from healthplus.web.pages.acceptance_rate import AcceptanceRate


@pytest.mark.parametrize(
    ("got", "tickets", "rows"),
    [
        (34, 50, [10, 10, 10, 4]),
        (50, 50, [10] * 5),
        (0, 50, []),
        (1, 30, [2]),
        (68, 100, [10, 10, 10, 4]),
        (999, 1000, [10] * 5),
    ],
)
def test_fifty_dots_stand_for_all_who_joined(got: int, tickets: int, rows: list[int]) -> None:
    assert AcceptanceRate(3, tickets, got).rows == rows
