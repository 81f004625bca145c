"""The front desk logs bookings made by phone: through the same verbs, by the same rules."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import get_args

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book, Shift
from healthplus.booking.outcomes import Attendance
from healthplus.database import Database
from tests.fixtures.clock import days_ahead, move_clock_to
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients

pytestmark = pytest.mark.dates

STAFF = Staff(7)


@pytest.fixture
async def at_the_clinic(db: Database) -> tuple[int, int, datetime]:
    """A provider with one slot a day, paid for at the clinic; with the clinic and a start."""
    clinic = await make_clinic(db)
    provider = await make_provider(db, {clinic: (40000, "clinic")})
    await make_shift(db, provider, clinic, DAILY, time(9, 30), time(10), 30)
    start = await days_ahead(db, 3, time(9, 30))
    return provider, clinic, start


async def test_a_phone_booking_occupies_the_slot(db: Database, at_the_clinic: tuple[int, int, datetime]) -> None:
    provider, clinic, start = at_the_clinic
    caller, other = await make_patients(db, 2)
    book = Book(db)
    held = await book.hold(provider, clinic, start, 1, caller, STAFF, "call 1")
    assert held.booking_id
    booked = await book.confirm(provider, held.booking_id, None, STAFF, "call 1")
    assert booked.code == "booked"
    assert (booked.code, booked.funding, booked.fee_minor) == ("booked", "clinic", 40000)
    assert (await book.hold(provider, clinic, start, 1, other, Patient(other))).code == "slot_full"
    actors = await db.fetch("SELECT kind, actor FROM booking.event WHERE provider_id = $1 ORDER BY seq", provider)
    assert [tuple(row) for row in actors] == [("reserved", "staff:7"), ("booked", "staff:7")]


async def test_the_front_desk_overtakes_nobody(db: Database, at_the_clinic: tuple[int, int, datetime]) -> None:
    provider, clinic, start = at_the_clinic
    holder, waiter, caller = await make_patients(db, 3)
    book = Book(db)
    held = await book.hold(provider, clinic, start, 1, holder, Patient(holder))
    assert held.booking_id
    waiting = await book.join_queue(provider, clinic, start, start + timedelta(minutes=30), 1, waiter, Patient(waiter))
    assert waiting.ticket_id
    await book.release(provider, held.booking_id, Patient(holder))
    assert (await book.hold(provider, clinic, start, 1, caller, STAFF)).code == "slot_held"
    assert (await book.accept(provider, waiting.ticket_id, Patient(waiter))).code == "accepted"


async def test_a_caller_holds_one_slot_like_anyone(db: Database, at_the_clinic: tuple[int, int, datetime]) -> None:
    provider, clinic, start = at_the_clinic
    (caller,) = await make_patients(db, 1)
    book = Book(db)
    assert (await book.hold(provider, clinic, start, 1, caller, Patient(caller))).code == "reserved"
    later = start + timedelta(days=1)
    assert (await book.hold(provider, clinic, later, 1, caller, STAFF)).code == "claimed"


@pytest.mark.parametrize("attendance", get_args(Attendance))
async def test_a_patient_does_not_record_that_they_came(
    db: Database, at_the_clinic: tuple[int, int, datetime], attendance: Attendance
) -> None:
    provider, clinic, start = at_the_clinic
    (patient,) = await make_patients(db, 1)
    book = Book(db)
    held = await book.hold(provider, clinic, start, 1, patient, Patient(patient))
    assert held.booking_id
    assert (await book.confirm(provider, held.booking_id, None, Patient(patient))).code == "booked"
    assert (await book.attend(provider, held.booking_id, attendance, Patient(patient))).code == "not_found"
    await move_clock_to(db, start)
    assert (await book.attend(provider, held.booking_id, "arrived", STAFF)).code == "arrived"


async def test_a_patient_changes_no_schedule(db: Database, at_the_clinic: tuple[int, int, datetime]) -> None:
    provider, clinic, start = at_the_clinic
    (patient,) = await make_patients(db, 1)
    book, anybody = Book(db), Patient(patient)
    shift = Shift(provider, None, clinic, 1, time(14), time(15), 30, 1, 1)
    assert (await book.change_shift(shift, anybody)).code == "not_found"
    assert (await book.add_leave(provider, None, start, start + timedelta(hours=1), "", anybody)).code == "not_found"
    assert (await book.add_leave(provider, None, start, start + timedelta(hours=1), "", STAFF)).code == "changed"
    leave = await db.fetch_value("SELECT leave_id FROM schedule.leave")
    assert (await book.remove_leave(provider, leave, anybody)).code == "not_found"
    assert (await book.remove_leave(provider, leave, STAFF)).code == "changed"


@pytest.mark.parametrize("actor", [None, "", "1", "patient:", "patient:01", "staff", "staffs:1", "systems", "import"])
async def test_other_actors_may_do_nothing(db: Database, actor: str | None) -> None:
    for patient in (1, None):
        assert await db.fetch_value("SELECT booking.may_act($1, $2)", actor, patient) is False
