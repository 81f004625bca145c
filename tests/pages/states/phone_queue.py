from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book
from healthplus.booking.outcomes import TicketChanged
from tests.fixtures.patients import make_patients
from tests.fixtures.phone import DeskBook
from tests.pages.states import state
from tests.pages.states.day import Day, a_day
from tests.pages.states.staff import go, staff_id_of
from tests.pages.window import BrowserWindow

NAMES = ("Ramesh Jadhav", "Farida Sheikh", "Harish Gowda")
_TOMORROW_AT_11 = """SELECT (date_trunc('day', public.app_now(), 'Asia/Kolkata') + interval '35 hours')"""


class Callers:
    """Three callers of the ward administrator's clinic, who wait for a time that somebody holds."""

    def __init__(self, window: BrowserWindow, day: Day, at: datetime, holder: int) -> None:
        self.window, self.day, self.at, self.holder = window, day, at, holder
        self.tickets: list[UUID] = []
        self.persons: list[UUID] = []
        self.held: UUID | None = None

    async def release(self) -> None:
        """Have the time come free: it is the first caller's turn."""
        assert self.held
        book = Book(self.window.product.database)
        released = await book.release(self.day.provider_id, self.held, Patient(self.holder))
        assert released.code == "released"


async def callers(window: BrowserWindow, waiting: int = 3) -> Callers:
    """Have so many callers wait, the others be known to the clinic."""
    day = await a_day(window)
    db = window.product.database
    await db.execute("DELETE FROM booking.phone_ticket WHERE clinic_id = $1", day.clinic_id)  # of another state
    at: datetime = await db.fetch_value(_TOMORROW_AT_11)
    holder, *patients = await make_patients(db, 1 + len(NAMES))
    found = Callers(window, day, at, holder)
    held = await Book(db).hold(day.provider_id, day.clinic_id, at, 1, holder, Patient(holder))
    assert held.code == "reserved"
    found.held = held.booking_id
    staff = Staff(await staff_id_of(window, "demo-ward"))
    for place, (name, patient) in enumerate(zip(NAMES, patients, strict=True)):
        await db.execute("UPDATE accounts.patient SET name = $2 WHERE patient_id = $1", patient, name)
        # Nobody else has the number, which is real to nobody.
        await db.execute("UPDATE accounts.patient SET phone = NULL WHERE phone = $1", f"+9198000412{place:02}")
        await db.execute(
            "UPDATE accounts.patient SET phone = $2 WHERE patient_id = $1", patient, f"+9198000412{place:02}"
        )
        person = await db.fetch_value("SELECT person_id FROM accounts.person WHERE patient_id = $1", patient)
        await db.execute("SELECT reception.meet($1, $2, public.app_now())", day.clinic_id, person)
        found.persons.append(person)
        if place < waiting:
            joined = await DeskBook(db).join_by_phone(
                *(day.provider_id, day.clinic_id, at, at + timedelta(minutes=10), 1, patient),
                desk=day.clinic_id,
                actor=staff,
            )
            assert isinstance(joined, TicketChanged), joined
            found.tickets.append(joined.ticket_id)
    return found


@state("desk-day-call-now")
async def call_now(window: BrowserWindow) -> None:
    found = await callers(window)
    await found.release()
    await go(window, found.day.path)
    await window.page.locator(".turn-now").wait_for()
    # At the page's end, however wide, the band lies over nothing that can be pressed.
    await window.page.evaluate("""() => {
        const end = () => scrollTo(0, document.documentElement.scrollHeight);
        addEventListener("resize", end);
        end();
    }""")


@state("desk-callers")
async def calling(window: BrowserWindow) -> None:
    """Be calling one, while others wait."""
    found = await callers(window)
    await found.release()
    await go(window, f"/desk/{found.day.clinic_id}/queue")
    await window.page.locator("[data-call-key=y]").click()
    await window.page.locator("[data-call-key=b]").wait_for()


@state("desk-caller-joins")
async def joins(window: BrowserWindow) -> None:
    """Have somebody join who cannot: the time is over."""
    found = await callers(window, waiting=2)
    await go(window, f"/desk/{found.day.clinic_id}/queue?person={found.persons[2]}&provider={found.day.provider_id}")
    await window.page.locator("#from").fill("00:00")
    await window.page.locator("#to").fill("00:00")
    await (
        window.page.get_by_role("button", name="Join", exact=False)
        .or_(window.page.get_by_role("button", name="कतार में लगें"))
        .first.click()
    )
    await window.page.get_by_role("alert").first.wait_for()
