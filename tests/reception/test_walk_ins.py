"""Walk-ins, and times that are booked once more: capped, seen by the public, in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book
from healthplus.database import Database, Record
from healthplus.waiting.receipts import Entry, Verification
from tests.fixtures.clock import INDIA, days_ahead, freeze_clock, set_clock
from tests.fixtures.directory import make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients, see

pytestmark = pytest.mark.dates
MINUTE = timedelta(minutes=1)
DESK = "staff:1"


@dataclass
class Morning:
    """A doctor who works from nine to half past, in three times of ten minutes; the clock stands at half past eight."""

    db: Database
    clinic: int
    doctor: int
    opens: datetime

    async def at(self, minutes: int) -> None:
        await set_clock(self.db, self.opens + minutes * MINUTE)

    async def book(self, *minutes: int) -> list[UUID]:
        """Book times, each for a patient of its own."""
        found = []
        for minute, patient in zip(minutes, await make_patients(self.db, len(minutes)), strict=True):
            book, actor = Book(self.db), Patient(patient)
            held = await book.hold(self.doctor, self.clinic, self.opens + minute * MINUTE, 1, patient, actor)
            assert held.booking_id
            assert (await book.confirm(self.doctor, held.booking_id, None, actor)).code == "booked"
            found.append(held.booking_id)
        return found

    async def person(self, patient: int | None = None) -> UUID:
        patient = patient or (await make_patients(self.db, 1))[0]
        found: UUID = await self.db.fetch_value("SELECT person_id FROM accounts.person WHERE patient_id = $1", patient)
        await self.db.execute("SELECT reception.meet($1, $2, public.app_now())", self.clinic, found)
        return found

    async def walk_in(self, person: UUID | None = None, key: str | None = None, actor: str = DESK) -> Record:
        row = await self.db.fetch_row(
            "SELECT * FROM reception.walk_in($1, $2, NULL, $3, '', $4, $5)",
            *(self.doctor, self.clinic, person or await self.person(), actor, key),
        )
        assert row is not None
        return row

    async def overbook(self, minute: int, reason: str = "fever", actor: str = DESK, person: UUID | None = None) -> str:
        code: str = await self.db.fetch_value(
            """SELECT code FROM accounts.person
            CROSS JOIN booking.overbook($1, $2, $3, NULL, patient_id, person_id, $5, $6, NULL)
            WHERE person_id = $4""",
            *(self.doctor, self.clinic, self.opens + minute * MINUTE, person or await self.person(), reason, actor),
        )
        return code

    async def undo(self, booking: UUID, actor: str = DESK) -> str:
        code: str = await self.db.fetch_value(
            "SELECT code FROM reception.undo($1, $2, $3, $4)", self.doctor, booking, self.clinic, actor
        )
        return code

    async def act(self, booking: UUID, act: str) -> str:
        code: str = await self.db.fetch_value(
            "SELECT code FROM reception.record($1, $2, $3, $4, $5)", self.doctor, booking, self.clinic, act, DESK
        )
        return code

    async def allow(self, *, walk_ins: int = 0, overbooked: int = 0) -> None:
        await self.db.execute("UPDATE directory.clinic SET walk_in_cap = $1, overbook_cap = $2", walk_ins, overbooked)

    async def row(self, booking: UUID) -> Record:
        row = await self.db.fetch_row(
            """SELECT seat, fee_minor, patient_id, needs_rebooking, lower(during) AS starts_at,
                upper(during) AS ends_at, booking.state::text AS state, extra::text AS extra,
                funding::text AS funding, token
            FROM booking.booking LEFT JOIN reception.attendance USING (provider_id, booking_id)
            WHERE booking_id = $1""",
            booking,
        )
        assert row is not None
        return row

    async def chart(self) -> list[Any]:
        rows = await self.db.fetch(
            """SELECT starts_at, state, fits
            FROM booking.chart($1, $2, $3, $3::timestamptz + interval '1 day', 1, NULL, NULL, public.app_now())
            ORDER BY 1""",
            *(self.doctor, self.clinic, self.opens),
        )
        free = await self.db.fetch_value("SELECT next_free_at FROM booking.book WHERE provider_id = $1", self.doctor)
        return [*map(tuple, rows), free]

    async def chain(self) -> list[Entry]:
        """Return the public record of the queue, which is unbroken."""
        rows = await self.db.fetch(
            """SELECT entry, booking.hashed_instant(at) AS at, kind, number, clinic_id, slots_needed,
                encode(hash, 'hex') AS hash, booking.hashed_instant(lower(during)) AS begins,
                booking.hashed_instant(upper(during)) AS ends
            FROM booking.queue_entry WHERE provider_id = $1 ORDER BY entry""",
            self.doctor,
        )
        entries = [
            Entry(
                entry=row["entry"], at=row["at"], kind=row["kind"], ticket=row["number"], clinic_id=row["clinic_id"],
                from_=row["begins"], to=row["ends"], slots=row["slots_needed"], hash=row["hash"],
            )
            for row in rows
        ]  # fmt: skip
        verification = Verification(self.doctor)
        verification.read(entries)
        assert verification.faults == []
        return entries


async def doctor_at(db: Database, starts: time, ends: time, funding: tuple[int, str] = (0, "free")) -> Morning:
    await freeze_clock(db)
    clinic = await make_clinic(db)
    opens = await days_ahead(db, 1, starts)
    doctor = await make_provider(db, {clinic: funding})
    await make_shift(db, doctor, clinic, opens.astimezone(INDIA).isoweekday(), starts, ends, 10)
    await db.execute("SELECT booking.advance($1)", doctor)
    morning = Morning(db, clinic, doctor, opens)
    await morning.at(-30)
    return morning


@pytest.fixture
async def morning(db: Database) -> Morning:
    return await doctor_at(db, time(9), time(9, 30), (50_000, "clinic"))


def codes(answers: Sequence[Record]) -> list[str]:
    return sorted(answer["code"] for answer in answers)


async def test_who_comes_gets_the_next_free_time_and_a_token_and_pays_at_the_clinic(
    db: Database, morning: Morning
) -> None:
    await db.execute("UPDATE directory.provider_clinic SET funding = 'online'")
    await morning.at(5)
    person = await morning.person()
    first = await morning.walk_in(person, "key")
    found = await morning.row(first["booking_id"])
    assert (found["state"], found["token"], found["starts_at"]) == ("arrived", 1, morning.opens + 20 * MINUTE)
    assert (found["funding"], found["fee_minor"], found["extra"], found["seat"]) == ("clinic", 50_000, None, 1)
    assert (await morning.walk_in(actor=f"patient:{found['patient_id']}"))["code"] == "not_found"
    # The same press, sent twice, is one; another press for somebody who has an appointment today says so.
    assert (await morning.walk_in(person, "key"))["booking_id"] == first["booking_id"]
    assert (await morning.walk_in())["code"] == "no_token"
    await morning.allow(walk_ins=1)
    assert (await morning.walk_in(person))["code"] == "same_day"
    assert await morning.chain() == []
    # Of a token that was taken back, the press sent again says so, and another gets a new one.
    assert await morning.undo(first["booking_id"]) == "undone"
    assert (await morning.walk_in(person, "key"))["code"] == "taken_back"
    assert (await morning.walk_in(person, "again"))["code"] == "booked"


async def test_a_time_that_becomes_free_is_the_queue_s_and_not_a_walk_in_s(db: Database, morning: Morning) -> None:
    booked = (await morning.book(0))[0]
    came = await morning.walk_in()
    holds, waits = await make_patients(db, 2)
    await Book(db).hold(morning.doctor, morning.clinic, morning.opens + 20 * MINUTE, 1, holds, Patient(holds))
    joined = await Book(db).join_queue(
        morning.doctor, morning.clinic, morning.opens, morning.opens + 30 * MINUTE, 1, waits, Patient(waits)
    )
    assert joined.ticket_id, joined
    await see(db, morning.doctor, joined.ticket_id)
    # Taken back: the time goes to who waits, and to nobody who comes in meanwhile; nobody is told of it.
    assert await morning.undo(came["booking_id"]) == "undone"
    assert (await morning.walk_in())["code"] == "no_token"
    assert await db.fetch_value("SELECT state FROM booking.ticket") == "offered"
    assert (await morning.row(came["booking_id"]))["state"] == "cancelled"
    assert await db.fetch_value("SELECT count(*) FROM notices.notice WHERE kind = 'cancelled'") == 0
    assert (await Book(db).cancel(morning.doctor, booked, Staff(1))).code == "cancelled"


async def test_when_no_time_is_free_there_are_so_many_tokens(db: Database, morning: Morning) -> None:
    await morning.book(0, 10, 20)
    assert (await morning.walk_in())["code"] == "no_token"
    await morning.allow(walk_ins=2)
    before = await morning.chart()
    await morning.at(3)
    came = await morning.walk_in()
    found = await morning.row(came["booking_id"])
    assert (found["extra"], found["state"], found["token"]) == ("walk_in", "arrived", 1)
    assert (found["starts_at"], found["ends_at"]) == (morning.opens + 3 * MINUTE, morning.opens + 13 * MINUTE)
    # Of two desks that give the last token at once, one does.
    people = [await morning.person() for _ in range(2)]
    both = await asyncio.gather(*(morning.walk_in(one, actor=f"staff:{n}") for n, one in enumerate(people, 1)))
    assert codes(both) == ["booked", "no_token"]
    assert await morning.undo(came["booking_id"], "staff:2") == "too_late"
    assert await morning.undo(came["booking_id"]) == "undone"
    assert (await morning.walk_in())["code"] == "booked"
    assert (await morning.walk_in())["code"] == "no_token"
    await morning.at(-30)
    assert await morning.chart() == before
    # Everybody can see that three were let in beside the queue; who, nobody can.
    assert [(one.kind, one.ticket, one.clinic_id) for one in await morning.chain()] == [
        ("walk_in", 0, morning.clinic)
    ] * 3


async def test_a_time_that_is_taken_is_booked_again_for_a_reason(db: Database, morning: Morning) -> None:
    booked = await morning.book(0, 10)
    assert await morning.overbook(0) == "cap_reached"
    await morning.allow(overbooked=1)
    assert await morning.overbook(20) == "is_free"
    assert await morning.overbook(0, "") == "no_reason"
    assert await morning.overbook(-20) == "no_such_slot"
    assert await morning.overbook(5) == "no_such_slot"
    patient = (await make_patients(db, 1))[0]
    person = await morning.person(patient)
    assert await morning.overbook(0, actor=f"patient:{patient}", person=person) == "not_found"
    before = await morning.chart()
    assert await morning.overbook(0, person=person) == "booked"
    assert await morning.chart() == before
    assert await morning.overbook(10) == "cap_reached"
    extra = await db.fetch_value("SELECT booking_id FROM booking.booking WHERE extra = 'overbooked'")
    reasons = await db.fetch("SELECT kind, reason FROM booking.event WHERE booking_id = $1 ORDER BY seq", extra)
    assert [tuple(row) for row in reasons] == [("reserved", ""), ("booked", "overbooked")]  # not why
    assert [one.kind for one in await morning.chain()] == ["overbooked"]
    # Both stand in the line of the booked, by token where they booked the same time.
    for one in (extra, booked[0]):
        assert await morning.act(one, "arrive") == "recorded"
    order = await db.fetch(
        "SELECT booking_id, line FROM reception.session"
        " CROSS JOIN reception.order_of(provider_id, session_id, public.app_now()) ORDER BY place"
    )
    assert [tuple(row) for row in order] == [(extra, "booked"), (booked[0], "booked")]


async def test_what_is_overbooked_is_moved_and_cancelled_as_any_other(db: Database, morning: Morning) -> None:
    await morning.book(0, 10)
    await morning.allow(overbooked=2)
    for minute in (0, 10):
        assert await morning.overbook(minute) == "booked"
    first, second = [
        row["booking_id"]
        for row in await db.fetch("SELECT booking_id FROM booking.booking WHERE extra IS NOT NULL ORDER BY during")
    ]
    book = Book(db)
    moved = await book.reschedule(morning.doctor, first, morning.opens + 20 * MINUTE, Staff(1))
    assert moved.code == "moved"
    found = await morning.row(first)
    assert (found["seat"], found["extra"]) == (1, None)
    assert (await book.cancel(morning.doctor, second, Staff(1))).code == "cancelled"
    # Neither counts any more.
    assert [await morning.overbook(0), await morning.overbook(10), await morning.overbook(20)] == [
        "booked",
        "booked",
        "cap_reached",
    ]


async def test_a_leave_while_the_day_runs(db: Database, morning: Morning) -> None:
    await morning.book(0, 10, 20)
    await morning.allow(walk_ins=3, overbooked=1)
    await morning.at(2)
    came = await morning.walk_in()
    assert await morning.overbook(20) == "booked"
    away = (
        "SELECT code, cardinality(conflicts)"
        " FROM booking.change_leave($1, NULL, NULL, tstzrange($2, $3), '', NULL, $4, 'staff:1')"
    )
    during = (morning.opens + 10 * MINUTE, morning.opens + 25 * MINUTE)
    # Those who are there are in nobody's way; the overbooked one is asked for another time as the others are.
    conflict = await db.fetch_row(away, morning.doctor, *during, False)
    assert conflict is not None
    assert tuple(conflict) == ("conflict", 3)
    assert await db.fetch_value(away, morning.doctor, *during, True) == "changed"
    assert (await morning.row(came["booking_id"]))["needs_rebooking"] is False
    # Who comes meanwhile is for what is left of the session.
    await morning.at(12)
    late = await morning.row((await morning.walk_in())["booking_id"])
    assert (late["starts_at"], late["ends_at"]) == (morning.opens + 25 * MINUTE, morning.opens + 30 * MINUTE)
    await db.fetch(away, morning.doctor, morning.opens + 25 * MINUTE, morning.opens + 40 * MINUTE, True)
    assert (await morning.walk_in())["code"] == "not_working"


async def test_a_walk_in_shortly_before_midnight(db: Database) -> None:
    evening = await doctor_at(db, time(23, 40), time.max.replace(microsecond=0, second=0))
    await db.execute("UPDATE schedule.shift SET ends = '24:00'")
    await evening.book(0, 10)
    await evening.allow(walk_ins=2)
    await evening.at(18)
    came = await evening.walk_in()
    found = await evening.row(came["booking_id"])
    assert (found["starts_at"], found["ends_at"]) == (evening.opens + 18 * MINUTE, evening.opens + 20 * MINUTE)
    # After midnight the session goes on, and takes nobody more.
    await evening.at(23)
    assert (await evening.walk_in())["code"] == "not_working"
    for act in ("call", "enter", "finish"):
        assert await evening.act(came["booking_id"], act) == "recorded"
    shown = await db.fetch_value(
        "SELECT reception.day_of($1, $2, reception.during_day($2, $3), public.app_now())",
        *(evening.doctor, evening.clinic, evening.opens.astimezone(INDIA).date()),
    )
    assert [(one["extra"], one["state"]) for one in shown if one["extra"]] == [("walk_in", "done")]
