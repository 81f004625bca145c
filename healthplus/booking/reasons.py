"""Why a patient comes, for the clinic alone: in no log, message or event, and gone a month after the appointment."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from healthplus.booking.errors import HoldExpired, TooLate, WrongState
from healthplus.database import Database, load
from healthplus.errors import BadInput, NotFound
from healthplus.text import is_name, line

queries = load(Path(__file__).with_name("reasons.sql"))

REASON_MAX = 200
_REFUSALS = {"not_found": NotFound, "expired": HoldExpired, "too_late": TooLate, "wrong_state": WrongState}


async def give_reason(database: Database, provider_id: int, booking_id: UUID, patient_id: int, text: str) -> None:
    """Store why a patient comes, for a hold or an appointment of theirs that has not begun; an empty text removes it.

    Raises BadInput, NotFound, HoldExpired, TooLate or WrongState.
    """
    reason = line(text)
    if reason and not is_name(reason, REASON_MAX):
        raise BadInput(f"Write the reason in at most {REASON_MAX} letters.")
    code = await database.fetch_value(queries.give_reason, provider_id, booking_id, patient_id, reason or None)
    if code in _REFUSALS:
        raise _REFUSALS[code]
