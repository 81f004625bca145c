"""A cell of an export is never a formula, whatever somebody has typed."""

from __future__ import annotations

from datetime import date

import pytest

from healthplus.csv_cells import cell


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\r="])
def test_what_begins_like_a_formula_is_text(first: str) -> None:
    assert cell(f"{first}1+1") == f"'{first}1+1"


def test_all_else_stays_as_it_is() -> None:
    assert [cell(one) for one in (None, "", "a=1", 7, date(2026, 11, 3))] == ["", "", "a=1", "7", "2026-11-03"]
