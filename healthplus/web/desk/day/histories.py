"""What became of one appointment, as its history says it: each act once, with the reason that was given for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from healthplus.database import Record
from healthplus.web.desk.office.audit_details import Part, Reader, details_of

_WROTE_WITHIN = timedelta(seconds=5)
"""The audit's entry of an act is written at the end of the transaction that wrote the act's events."""
_COVERED = {
    *("book", "walk_in", "overbook", "serve_caller", "change_booking", "confirm_ask"),
    *("record_attendance", "undo_attendance"),
}
"""What leaves an event, whose words say more."""
_WITH_AMOUNT = {"change_booking", "confirm_ask"}
"""What of these says how much goes back, where that is a part."""


def told_once(rows: Sequence[Record], reader: Reader) -> list[tuple[Record, list[Part]]]:
    """Return the rows of console.booking_history, the latest first, each with what it says besides its action.

    An entry of the audit that an event covers is left out: the event says its reason. So is the hold of what was booked
    at once.
    """
    told: list[tuple[Record, list[Part]]] = []
    reasons: dict[int, str] = {}
    amounts: dict[int, str] = {}
    for place, row in enumerate(rows):
        if not row["is_event"] and not row["is_refused"] and row["action"] in _COVERED:
            event = _event_of(place, rows)
            if event is not None:
                act, _, reasons[event] = row["detail"].partition(": ")
                amounts[event] = act.removeprefix("refund ") if row["action"] in _WITH_AMOUNT else ""
                continue
        parts = details_of(dict(row), reader)
        if amounts.get(place, "").isdecimal():
            parts.append(reader.money(amounts[place]))
        reason = reasons.get(place, "")
        if reason and not any(reason in part.text for part in parts):
            parts.append(Part(f"“{reason}”", is_typed=True))
        if row["action"] != "reserved" or not _is_booked_at_once(row, told):
            told.append((row, parts))
    return told


def _event_of(place: int, rows: Sequence[Record]) -> int | None:
    """Return where the event stands that an entry of the audit is about."""
    entry = rows[place]
    for later, row in enumerate(rows[place + 1 :], place + 1):
        if entry["at"] - row["at"] > _WROTE_WITHIN:
            return None
        if row["actor"] == entry["actor"]:
            return later if row["is_event"] else None
    return None


def _is_booked_at_once(held: Record, told: list[tuple[Record, list[Part]]]) -> bool:
    if not told or not held["actor"].startswith("staff:"):
        return False
    after, _ = told[-1]
    return bool(
        after["is_event"]
        and after["action"] == "booked"
        and after["actor"] == held["actor"]
        and after["at"] - held["at"] <= _WROTE_WITHIN
    )
