"""The days by which gateways list their payments: those of UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta


def seconds_of(day: date) -> tuple[int, int]:
    """Return when a day begins and when the next one does, in seconds since 1970."""
    start = datetime.combine(day, time(), UTC)
    return int(start.timestamp()), int((start + timedelta(days=1)).timestamp())
