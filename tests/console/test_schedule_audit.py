"""What a change of schedule says of itself, and notes, is what it did."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from healthplus.console.logins import Logins
from healthplus.database import Database, Range
from tests.console.conftest import console_of, log_in
from tests.fixtures.environment import PROVIDER, Environment

_NOTED = "SELECT action, is_refused FROM staff.audit_entry WHERE actor = $1 ORDER BY entry_id"


async def test_it_counts_what_was_moved_and_notes_what_was_refused(
    db: Database, logins: Logins, environment: Environment
) -> None:
    staff_id, token = await log_in(db, "warda", "ward")
    ward = console_of(logins, "ward", token)
    # Somebody else's appointment, or one that there is not, is not moved.
    day = environment.instant(9) + timedelta(days=300)
    moves = {str(uuid4()): day.isoformat()}
    sql = "SELECT console.add_leave($1, $2, 1, $3, $4, 'x', NULL, now(), $5) AS answer"
    row = await ward.fetch_row(sql, PROVIDER, Range(day, day + timedelta(hours=1)), moves)
    assert row is not None
    assert (row["answer"]["code"], row["answer"]["moved"]) == ("changed", 0)
    # A clinic that is open cannot be opened.
    assert await ward.fetch_value("SELECT console.set_clinic_closed($1, $2, 1, NULL)") == "not_found"
    # A shift that another has changed meanwhile.
    shift_id = await db.fetch_value("SELECT min(shift_id) FROM schedule.shift WHERE provider_id = $1", PROVIDER)
    sql = "SELECT console.change_shifts($1, $2, 1, $3, '{}', '[]', $4, now(), NULL) AS answer"
    row = await ward.fetch_row(sql, PROVIDER, {str(shift_id): "what it was"})
    assert row is not None
    assert row["answer"]["code"] == "stale"
    noted = [tuple(one) for one in await db.fetch(_NOTED, f"staff:{staff_id}")]
    assert noted[-3:] == [
        ("add_leave", False),
        ("open_clinic", True),
        ("change_shifts", True),
    ]
