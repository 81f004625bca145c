"""Removing a person from an account: not while a clinic or a queue expects them, which accounts cannot see."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from healthplus.country import HERE
from healthplus.database import Database, Record, load
from healthplus.errors import HolderStays, NotFound, PersonStillBooked

queries = load(Path(__file__).with_name("persons.sql"))


async def remove_person(database: Database, patient_id: int, person_id: UUID) -> None:
    """Remove a person from an account. What was booked for them before keeps their name.

    Raises NotFound, HolderStays for whose account it is, and PersonStillBooked while `expected` returns anything.
    """
    match await database.fetch_value(queries.remove_person, patient_id, person_id):
        case "not_found":
            raise NotFound
        case "holder":
            raise HolderStays
        case "expected":
            raise PersonStillBooked


async def expected(database: Database, patient_id: int, person_id: UUID) -> list[Record]:
    """Return what is ahead for a person, the next first: appointments, a live hold or offer, and a waiting ticket.

    `state` is "waiting" for a ticket, and `id` then the ticket's; else they are the booking's.
    """
    return await database.fetch(queries.expected, patient_id, person_id, HERE.time_zone)
