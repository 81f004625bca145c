from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.database import Range
from tests.pages.stage import SignedInPatient, Stage
from tests.pages.states import state

ZONE = ZoneInfo("Asia/Kolkata")


@dataclass
class Scene:
    """A doctor of this scene's own, with a morning of one slot, three days ahead, that somebody holds."""

    stage: Stage
    provider_id: int
    clinic_id: int
    starts_at: datetime
    holder: int
    hold_id: UUID

    @classmethod
    async def make(cls, stage: Stage) -> Scene:
        database = stage.product.database
        like = stage.product.data.two_clinics_doctor_id
        clinic_id = await database.fetch_value(
            "SELECT min(clinic_id) FROM directory.provider_clinic WHERE provider_id = $1", like
        )
        provider_id = await database.fetch_value(
            "INSERT INTO directory.provider (identifier, type, name) "
            "VALUES (gen_random_uuid(), 'doctor', 'Dr Asha Kulkarni-Deshpande') RETURNING provider_id"
        )
        await database.execute(
            "INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) "
            "VALUES ($1, $2, 50000, 'online')",
            provider_id,
            clinic_id,
        )
        await database.execute(
            "INSERT INTO directory.provider_speciality (provider_id, speciality_id) "
            "SELECT $1, speciality_id FROM directory.provider_speciality WHERE provider_id = $2",
            provider_id,
            like,
        )
        now: datetime = await database.fetch_value("SELECT public.app_now()")
        day = now.astimezone(ZONE).date() + timedelta(days=3)
        await database.execute(
            "INSERT INTO schedule.shift "
            "(provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, slots_max, valid) "
            "VALUES ($1, $2, $3, '10:20', '10:30', 10, 1, 1, $4)",
            provider_id,
            clinic_id,
            day.isoweekday(),
            Range(day, day + timedelta(days=1)),
        )
        starts_at = datetime(day.year, day.month, day.day, 10, 20, tzinfo=ZONE)
        holder, _ = await add_patient(database, "Holder")
        held = await Book(database).hold(provider_id, clinic_id, starts_at, 1, holder, Patient(holder))
        assert held.booking_id is not None
        return cls(stage, provider_id, clinic_id, starts_at, holder, held.booking_id)

    @property
    def book(self) -> Book:
        return Book(self.stage.product.database)

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
            patient_id, _ = await add_patient(self.stage.product.database, "Somebody")
            joined.append((patient_id, await self.join(patient_id)))
        return joined

    async def release(self) -> None:
        await self.book.release(self.provider_id, self.hold_id, Patient(self.holder))

    async def waits_before(self, *, position: int, waits: int, got: int) -> None:
        """Have so many waits ended before, straight in the table: they are only counted."""
        await self.stage.product.database.execute(
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

    scene: Scene
    patient: SignedInPatient
    ticket_id: UUID

    @property
    def path(self) -> str:
        return f"/doctor/{self.scene.provider_id}/wait/{self.ticket_id}"

    async def pass_over(self) -> None:
        """Write what the verbs do with a ticket that was away for a minute when a time came free."""
        database = self.scene.stage.product.database
        await database.execute("UPDATE booking.ticket SET absent = true WHERE ticket_id = $1", self.ticket_id)
        await database.fetch_value(
            "SELECT booking.append_event($1, public.app_now(), 'passed_over', NULL, $2, 'system')",
            self.scene.provider_id,
            self.ticket_id,
        )


async def wait(stage: Stage, *, ahead: int = 2, got: int | None = 34) -> Waiting:
    scene = await Scene.make(stage)
    await scene.ahead(ahead)
    if got is not None:
        await scene.waits_before(position=ahead + 1, waits=50, got=got)
    patient = await stage.patient()
    waiting = Waiting(scene, patient, await scene.join(patient.patient_id))
    await stage.go(waiting.path)
    return waiting


async def offer(stage: Stage) -> Waiting:
    waiting = await wait(stage, ahead=0)
    await waiting.scene.release()
    await stage.page.wait_for_selector("#turn")
    return waiting


@state("line")
async def line(stage: Stage) -> None:
    scene = await Scene.make(stage)
    await scene.ahead(2)
    await scene.waits_before(position=3, waits=50, got=34)
    await stage.go(scene.line)


@state("line-full")
async def line_full(stage: Stage) -> None:
    scene = await Scene.make(stage)
    await stage.patient()
    await stage.go(scene.line)
    await stage.book_for_other(scene.provider_id, scene.hold_id, scene.holder)
    await stage.press("Join the line")


@state("line-no-such-time")
async def line_no_such_time(stage: Stage) -> None:
    scene = await Scene.make(stage)
    await stage.patient()
    await stage.go(scene.line.replace("morning", "evening"))
    await stage.press("Join the line")


@state("line-poor-odds")
async def line_poor_odds(stage: Stage) -> None:
    scene = await Scene.make(stage)
    await scene.waits_before(position=1, waits=50, got=4)
    await stage.go(scene.line)


@state("wait")
async def waiting_third(stage: Stage) -> None:
    await wait(stage)


@state("wait-poor-odds")
async def poor_odds(stage: Stage) -> None:
    await wait(stage, got=4)


@state("wait-passed-over")
async def passed_over(stage: Stage) -> None:
    waiting = await wait(stage, ahead=0, got=None)
    await waiting.pass_over()
    await stage.go(waiting.path)


@state("wait-offered")
async def offered(stage: Stage) -> None:
    await offer(stage)


@state("wait-accepted")
async def accepted(stage: Stage) -> None:
    waiting = await offer(stage)
    await waiting.scene.book.accept(waiting.scene.provider_id, waiting.ticket_id, Patient(waiting.patient.patient_id))
    await stage.go(waiting.path)


@state("wait-lapsed")
async def lapsed(stage: Stage) -> None:
    waiting = await offer(stage)
    await stage.go(waiting.path)  # seen
    await stage.product.database.execute(
        "UPDATE booking.booking SET deadline = public.app_now() - interval '1 s' WHERE ticket_id = $1",
        waiting.ticket_id,
    )
    await stage.go(waiting.path)


@state("wait-full")
async def full(stage: Stage) -> None:
    waiting = await wait(stage)
    scene = waiting.scene
    await stage.book_for_other(scene.provider_id, scene.hold_id, scene.holder)
    await scene.book.advance(scene.provider_id)
    await stage.go(waiting.path)


@state("wait-left")
async def left(stage: Stage) -> None:
    await wait(stage)
    await stage.press("Leave the line")


@state("wait-hour-over")
async def hour_over(stage: Stage) -> None:
    waiting = await wait(stage)
    await stage.product.database.execute(
        "UPDATE booking.ticket SET expires_at = joined_at WHERE ticket_id = $1", waiting.ticket_id
    )
    await stage.go(waiting.path)


@state("queue-receipt")
async def receipt(stage: Stage) -> None:
    waiting = await offer(stage)
    await waiting.scene.ahead(2)
    await waiting.scene.book.accept(waiting.scene.provider_id, waiting.ticket_id, Patient(waiting.patient.patient_id))
    await stage.go(f"/doctor/{waiting.scene.provider_id}/queue/1")


@state("queue-receipt-broken")
async def broken_receipt(stage: Stage) -> None:
    waiting = await wait(stage)
    await stage.product.database.execute(
        "UPDATE booking.queue_entry SET at = at - interval '1 minute' WHERE provider_id = $1 AND number = 3",
        waiting.scene.provider_id,
    )
    await stage.go(f"/doctor/{waiting.scene.provider_id}/queue/3")
