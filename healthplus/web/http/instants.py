"""Which instants a request may name."""

from __future__ import annotations

from datetime import datetime

from healthplus.errors import BadInput

YEAR_MIN, YEAR_MAX = 2000, 2199
"""No appointment is ever outside, and near the ends of the years 1 to 9999 not every instant can be kept in UTC."""


def checked_instant(name: str, instant: datetime) -> datetime:
    """Return the instant if it has an offset from UTC and its year is in range; `name` is the parameter it came in.

    Raises BadInput.
    """
    if instant.tzinfo is None:
        raise BadInput(
            f"{name}: say which offset from UTC you mean, as in 2026-11-23T10:00:00+05:30 (in a URL, + is %2B)."
        )
    if not YEAR_MIN <= instant.year <= YEAR_MAX:
        raise BadInput(f"{name}: the year must be between {YEAR_MIN} and {YEAR_MAX}.")
    return instant
