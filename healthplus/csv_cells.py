"""Cells of the CSV files that people open in a spreadsheet."""

from __future__ import annotations

from datetime import date, datetime

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> str:
    """Return a value as a cell, "" for None; what a spreadsheet would take for a formula is made text."""
    text = value.isoformat() if isinstance(value, date | datetime) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
