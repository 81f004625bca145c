from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.database import Range
from tests.fixtures.append_only import as_owner
from tests.fixtures.clock import INDIA, days_ahead, look_again
from tests.fixtures.directory import make_provider, make_shift
from tests.pages.states import state
from tests.pages.window import BrowserWindow, SignedInPatient


@dataclass
class FullMorning:
    """A new doctor's morning of one slot, three days ahead, that somebody holds."""

    window: BrowserWindow
    provider_id: int
    clinic_id: int
    starts_at: datetime
    holder: int
    hold_id: UUID

    @classmethod
    async def make(cls, window: BrowserWindow) -> FullMorning:
        database = window.product.database
        like = window.product.data.two_clinics_doctor_id
        clinic_id = await database.fetch_value(
            "SELECT min(clinic_id) FROM directory.provider_clinic WHERE provider_id = $1", like
        )
        clinics = {clinic_id: (50_000, "online")}
        provider_id = await make_provider(database, clinics, name="Dr Asha Kulkarni-Deshpande")
        await database.execute(
            "INSERT INTO directory.provider_speciality (provider_id, speciality_id) "
            "SELECT $1, speciality_id FROM directory.provider_speciality WHERE provider_id = $2",
            provider_id,
            like,
        )
        starts_at = (await days_ahead(database, 3, time(10, 20))).astimezone(INDIA)
        day = starts_at.date()
        valid = Range(day, day + timedelta(days=1))
        await make_shift(
            database, provider_id, clinic_id, day.isoweekday(), time(10, 20), time(10, 30), 10, valid=valid
        )
        holder, _ = await add_patient(database, "Holder")
        held = await Book(database).hold(provider_id, clinic_id, starts_at, 1, holder, Patient(holder))
        assert held.booking_id is not None
        return cls(window, provider_id, clinic_id, starts_at, holder, held.booking_id)

    @property
    def book(self) -> Book:
        return Book(self.window.product.database)

    @property
    def line(self) -> str:
        day = self.starts_at.date().isoformat()
        return f"/doctor/{self.provider_id}/dr-asha/{self.clinic_id}/line?day={day}&part=morning"

    async def join(self, patient_id: int) -> UUID:
        begins = self.starts_at.replace(hour=0, minute=0)
        outcome = await self.book.join_queue(
            self.provider_id, self.clinic_id, begins, begins + timedelta(hours=12), 1, patient_id, Patient(patient_id)
        )
        assert outcome.ticket_id is not None
        return outcome.ticket_id

    async def ahead(self, count: int) -> list[tuple[int, UUID]]:
        """Have others join."""
        joined = []
        for _ in range(count):
            patient_id, _ = await add_patient(self.window.product.database, "Somebody")
            joined.append((patient_id, await self.join(patient_id)))
        return joined

    async def release(self) -> None:
        await self.book.release(self.provider_id, self.hold_id, Patient(self.holder))

    async def waits_before(self, *, position: int, waits: int, got: int) -> None:
        """Have so many waits ended before, straight in the table: they are only counted."""
        await self.window.product.database.execute(
            "INSERT INTO booking.ticket (provider_id, number, patient_id, clinic_id, queue_window, slots_needed, "
            "state, joined_at, expires_at, present_at, joined_position, offer_id) "
            "SELECT $1, -n, $2, $3, tstzrange(at, at + interval '1 hour'), 1, "
            "(CASE WHEN n <= $6 THEN 'accepted' ELSE 'timed_out' END)::booking.ticket_state, "
            "at, at + interval '1 hour', at, $4, gen_random_uuid() "
            "FROM generate_series(1, $5::integer) AS n, CAST(app_now() - interval '9 days' AS timestamptz) AS at",
            self.provider_id,
            self.holder,
            self.clinic_id,
            position,
            waits,
            got,
        )


@dataclass
class Waiting:
    """A patient whose page in this window shows their wait."""

    morning: FullMorning
    patient: SignedInPatient
    ticket_id: UUID

    @property
    def path(self) -> str:
        return f"/doctor/{self.morning.provider_id}/wait/{self.ticket_id}"

    async def accept(self) -> None:
        await self.morning.book.accept(self.morning.provider_id, self.ticket_id, Patient(self.patient.patient_id))

    async def pass_over(self) -> None:
        """Write what the verbs do with a ticket that was away for a minute when a time came free."""
        database = self.morning.window.product.database
        async with database.transaction() as tx:
            await tx.execute("SELECT booking.lock_book($1)", self.morning.provider_id)
            await tx.execute("UPDATE booking.ticket SET absent = true WHERE ticket_id = $1", self.ticket_id)
            await tx.execute(
                "SELECT booking.append_event($1, public.app_now(), 'passed_over', NULL, $2, 'system')",
                self.morning.provider_id,
                self.ticket_id,
            )


async def wait(window: BrowserWindow, *, ahead: int = 2, got: int | None = 34) -> Waiting:
    morning = await FullMorning.make(window)
    await morning.ahead(ahead)
    if got is not None:
        await morning.waits_before(position=ahead + 1, waits=50, got=got)
    patient = await window.patient()
    waiting = Waiting(morning, patient, await morning.join(patient.patient_id))
    await window.go(waiting.path)
    return waiting


async def offer(window: BrowserWindow) -> Waiting:
    waiting = await wait(window, ahead=0)
    await waiting.morning.release()
    await window.page.wait_for_selector("#turn")
    return waiting


async def call(window: BrowserWindow) -> Waiting:
    """Have this window's patient called for the time, with one who is ahead."""
    waiting = await wait(window, ahead=1)
    await window.product.database.execute(
        "UPDATE booking.book SET turns_let_go = 2, turn_let_go_at = public.app_now() WHERE provider_id = $1",
        waiting.morning.provider_id,
    )
    await waiting.morning.release()
    await window.page.wait_for_selector("#turn")
    return waiting


@state("line")
async def line(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    await morning.ahead(2)
    await morning.waits_before(position=3, waits=50, got=34)
    await window.go(morning.line)


@state("line-full")
async def line_full(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    await window.patient()
    await window.go(morning.line)
    await window.book_for_other(morning.provider_id, morning.hold_id, morning.holder)
    await window.press("Join the queue")


@state("line-no-such-time")
async def line_no_such_time(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    await window.patient()
    await window.go(morning.line.replace("morning", "evening"))
    await window.press("Join the queue")


@state("line-poor-odds")
async def line_poor_odds(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    await morning.waits_before(position=1, waits=50, got=4)
    await window.go(morning.line)


@state("wait")
async def waiting_third(window: BrowserWindow) -> None:
    await wait(window)


@state("wait-poor-odds")
async def poor_odds(window: BrowserWindow) -> None:
    await wait(window, got=4)


@state("wait-passed-over")
async def passed_over(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0, got=None)
    await waiting.pass_over()
    await window.go(waiting.path)


@state("wait-offered")
async def offered(window: BrowserWindow) -> None:
    await offer(window)


@state("wait-accepted")
async def accepted(window: BrowserWindow) -> None:
    waiting = await offer(window)
    await waiting.accept()
    await window.go(waiting.path)


@state("wait-given-back")
async def given_back(window: BrowserWindow) -> None:
    waiting = await offer(window)
    await waiting.accept()
    offer_id = await window.product.database.fetch_value(
        "SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", waiting.ticket_id
    )
    patient_id = waiting.patient.patient_id
    await waiting.morning.book.release(waiting.morning.provider_id, offer_id, Patient(patient_id))
    await window.go(waiting.path)


@state("wait-lapsed")
async def lapsed(window: BrowserWindow) -> None:
    waiting = await offer(window)
    await window.go(waiting.path)  # seen
    await window.product.database.execute(
        "UPDATE booking.booking SET deadline = public.app_now() - interval '1 s' WHERE ticket_id = $1",
        waiting.ticket_id,
    )
    await look_again(window.product.database)
    await window.go(waiting.path)


@state("wait-called")
async def called(window: BrowserWindow) -> None:
    await call(window)


@state("wait-answered")
async def answered(window: BrowserWindow) -> None:
    await call(window)
    await window.press("Yes, I’ll take it")


@state("wait-outrun")
async def outrun(window: BrowserWindow) -> None:
    waiting = await call(window)
    morning = waiting.morning
    for row in await window.product.database.fetch(
        "SELECT patient_id, ticket_id FROM booking.ticket WHERE provider_id = $1 AND state = 'called' "
        "ORDER BY number LIMIT 1",
        morning.provider_id,
    ):
        await morning.book.answer(morning.provider_id, row["ticket_id"], Patient(row["patient_id"]))
    await window.go(waiting.path)


@state("wait-full")
async def full(window: BrowserWindow) -> None:
    waiting = await wait(window)
    morning = waiting.morning
    await window.book_for_other(morning.provider_id, morning.hold_id, morning.holder)
    await morning.book.advance(morning.provider_id)
    await window.go(waiting.path)


@state("wait-left")
async def left(window: BrowserWindow) -> None:
    await wait(window)
    await window.press("Leave the queue")


@state("wait-hour-over")
async def hour_over(window: BrowserWindow) -> None:
    waiting = await wait(window)
    await window.product.database.execute(
        "UPDATE booking.ticket SET expires_at = joined_at WHERE ticket_id = $1", waiting.ticket_id
    )
    await look_again(window.product.database)
    await window.go(waiting.path)


@state("queue-receipt")
async def receipt(window: BrowserWindow) -> None:
    waiting = await offer(window)
    await waiting.morning.ahead(2)
    await waiting.accept()
    await window.go(f"/doctor/{waiting.morning.provider_id}/queue/1")


@state("queue-receipt-broken")
async def broken_receipt(window: BrowserWindow) -> None:
    waiting = await wait(window)
    tampering = "UPDATE booking.queue_entry SET at = at - interval '1 minute' WHERE provider_id = {} AND number = 3"
    await window.product.database.execute(
        as_owner(tampering.format(waiting.morning.provider_id), "booking.queue_entry")
    )
    await window.go(f"/doctor/{waiting.morning.provider_id}/queue/3")


@state("bar-waiting")
async def bar_waiting(window: BrowserWindow) -> None:
    await wait(window)
    await window.go("/help")


@state("bar-offered")
async def bar_offered(window: BrowserWindow) -> None:
    await offer(window)
    await window.go("/help")


@state("bar-called")
async def bar_called(window: BrowserWindow) -> None:
    await call(window)
    await window.go("/help")
