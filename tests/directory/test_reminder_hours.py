"""How long before an appointment a clinic's patients are reminded, as operators write it."""

from __future__ import annotations

import pytest

from healthplus.directory.reminder_hours import parse_reminder_hours, reminder_text
from healthplus.errors import BadInput


@pytest.mark.parametrize(
    ("text", "hours", "written"),
    [
        ("24h, 2h", [24, 2], "24h, 2h"),
        ("2h,24 h,2h", [24, 2], "24h, 2h"),
        ("168h", [168], "168h"),
        (" Off ", [], "off"),
        ("24\u202fh,\u200b \u0662h", [24, 2], "24h, 2h"),
    ],
)
def test_hours_are_read_and_written(text: str, hours: list[int], written: str) -> None:
    assert parse_reminder_hours(text) == hours
    assert reminder_text(hours) == written


@pytest.mark.parametrize("text", ["", "24", "0h", "169h", "1.5h", "-2h", "24h;2h", "1h,2h,3h,4h,5h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_reminder_hours(text)
