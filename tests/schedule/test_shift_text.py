from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthplus.errors import BadInput
from healthplus.schedule.shift_text import Shift, first_overlap, parse_shifts


def test_days_seats_and_runs() -> None:
    assert parse_shifts("Mon,Wed 7:00-11:00/15 seats=4; Sat-Sun 22:00-24:00/30 slots_max=2;") == (
        Shift(1, 420, 660, 15, seats=4),
        Shift(3, 420, 660, 15, seats=4),
        Shift(6, 1320, 1440, 30, slots_max=2),
        Shift(7, 1320, 1440, 30, slots_max=2),
    )
    assert parse_shifts("  ") == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Mondays", "does not read like"),
        ("Moo 09:00-10:00/10", "no day"),
        ("Fri-Mon 09:00-10:00/10", "backwards"),
        ("Mon 09:60-10:00/10", "no time of day"),
        ("Mon 09:00-24:10/10", "no time of day"),
        ("Mon 10:00-09:00/10", "ends before"),
        ("Mon 09:00-09:05/10", "too short"),
        ("Mon 09:00-10:00/4", "slots of 4 minutes"),
        ("Mon 09:00-10:00/10 seats=0", "1 to 100 seats"),
        ("Mon 09:00-10:00/10 slots_max=21", "slots_max between"),
        ("Mon 09:00-10:00/10; Mon-Tue 09:50-11:00/10", "overlap"),
    ],
)
def test_nonsense_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        parse_shifts(text)


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(0, 20), st.integers(1, 9)), max_size=6))
def test_overlap_is_found_as_by_comparing_all_pairs(drawn: list[tuple[int, int, int]]) -> None:
    shifts = [Shift(day, start, start + length, 1) for day, start, length in drawn]
    overlapping = any(
        a.weekday == b.weekday and a.starts < b.ends and b.starts < a.ends
        for index, a in enumerate(shifts)
        for b in shifts[:index]
    )
    assert (first_overlap(shifts) is not None) == overlapping
