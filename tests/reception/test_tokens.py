"""Tokens as they are said: a letter for each doctor of a day, and no token twice."""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from tests.fixtures.clock import days_ahead, freeze_clock, set_clock
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients

pytestmark = pytest.mark.dates


async def doctor(db: Database, clinic_id: int, name: str) -> int:
    provider_id = await make_provider(db, {clinic_id: (0, "free")}, name=name)
    for start in (9, 14):
        await make_shift(db, provider_id, clinic_id, DAILY, time(start), time(start + 1), 10)
    return provider_id


async def book(db: Database, provider_id: int, clinic_id: int, start: datetime) -> UUID:
    patient = (await make_patients(db, 1))[0]
    held = await Book(db).hold(provider_id, clinic_id, start, 1, patient, Patient(patient))
    assert held.booking_id
    assert (await Book(db).confirm(provider_id, held.booking_id, None, Patient(patient))).code == "booked"
    return held.booking_id


async def test_a_doctor_has_a_letter_by_name_and_their_tokens_go_on_through_the_day(db: Database) -> None:
    await freeze_clock(db)
    clinic = await make_clinic(db)
    opens = await days_ahead(db, 1, time(9))
    last, first, second = [await doctor(db, clinic, name) for name in ("Dr Zed", "Dr Amin", "Dr Bose")]
    wanted = {
        provider: [await book(db, provider, clinic, opens + timedelta(minutes=minutes)) for minutes in (0, 10, 300)]
        for provider in (last, first, second)
    }
    await set_clock(db, opens - timedelta(minutes=10))

    async def arrive(provider: int, which: int) -> None:
        await db.fetch(
            "SELECT * FROM reception.record($1, $2, $3, 'arrive', 'staff:1')", provider, wanted[provider][which], clinic
        )

    async def label(provider: int, which: int) -> str:
        found: str = await db.fetch_value(
            "SELECT reception.token_label(letter, token) FROM reception.attendance"
            " JOIN reception.session USING (provider_id, session_id) WHERE booking_id = $1",
            wanted[provider][which],
        )
        return found

    # All at once, as two who take letters at once must not have the same.
    await asyncio.gather(*(arrive(provider, 0) for provider in wanted))
    assert [await label(provider, 0) for provider in (first, second, last)] == ["A-001", "B-001", "C-001"]
    # Who comes early for the afternoon has the next number, and the morning goes on after it.
    await arrive(first, 2)
    await arrive(first, 1)
    assert [await label(first, which) for which in (0, 2, 1)] == ["A-001", "A-002", "A-003"]
    # One who is added, and is first by name, takes what is free.
    added = await doctor(db, clinic, "Dr Aaron")
    wanted[added] = [await book(db, added, clinic, opens + timedelta(hours=5))]
    await arrive(added, 0)
    assert await label(added, 0) == "D-001"


async def test_labels_have_three_digits_and_letters_go_on_after_z(db: Database) -> None:
    labels = await db.fetch(
        "SELECT reception.token_label(letter, n) FROM (VALUES ('A', 7), ('B', 1000), (NULL, 12)) AS _ (letter, n)"
    )
    assert [row[0] for row in labels] == ["A-007", "B-1000", "012"]
    letters = await db.fetch("SELECT reception.letter_of(n) FROM unnest(ARRAY[1, 26, 27, 52, 53]) AS n")
    assert [row[0] for row in letters] == ["A", "Z", "AA", "AZ", "BA"]
