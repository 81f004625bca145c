"""Tells patients who asked for it that a time before their appointment has come free."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from healthplus.database import Database, Record, load, repeat
from healthplus.notices.texts import id_of_code

queries = load(Path(__file__).with_name("queries.sql"))

BOOKS_MAX = 50
EVERY_SECONDS = 10.0

Asked: TypeAlias = Literal["on", "not_found", "too_late", "many_free"]


class Told(NamedTuple):
    """Where the link of a message leads: an appointment, and the time to which it could be moved."""

    provider_id: int
    booking_id: UUID
    free_at: datetime


class EarlierTimes:
    """Who is told of earlier times, and the background task that tells them; any number of processes may run it.

    The database knows which books changed since they were looked into, and looks into no others.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        trouble = "patients could not be told of earlier times"
        await repeat(self.tell, EVERY_SECONDS, trouble, self._database, name="earlier times")

    async def tell(self) -> None:
        """Look into all books that changed, and put what patients are to be told into the outbox."""
        while await self._database.fetch_value(queries.tell_earlier, BOOKS_MAX) == BOOKS_MAX:
            pass

    async def ask(self, provider_id: int, booking_id: UUID, patient_id: int) -> Asked:
        """Tell a patient of earlier times from now on, or say why not: see the function in SQL."""
        answer: Asked = await self._database.fetch_value(queries.ask_earlier, provider_id, booking_id, patient_id)
        return answer

    async def stop(self, provider_id: int, booking_id: UUID, patient_id: int) -> bool:
        """Tell a patient no more; return False where the appointment is not theirs."""
        is_theirs: bool = await self._database.fetch_value(queries.stop_earlier, provider_id, booking_id, patient_id)
        return is_theirs

    async def of(self, patient_id: int) -> list[Record]:
        """Return the appointments for which a patient is told of earlier times, the next first."""
        return await self._database.fetch(queries.earlier_alerts, patient_id)

    async def state(self, provider_id: int, booking_id: UUID, patient_id: int) -> Record | None:
        """Return whether a patient can be told for an appointment, is, and what is free now; None where none can be."""
        return await self._database.fetch_row(queries.earlier_state, provider_id, booking_id, patient_id)

    async def told_of(self, code: str, patient_id: int) -> Told | None:
        """Return where a message's link leads; None where it is not this patient's."""
        told_id = id_of_code(code)
        row = told_id and await self._database.fetch_row(queries.told_of, told_id, patient_id)
        return Told(*row.values()) if row else None
