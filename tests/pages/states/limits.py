"""What of one's own is in the way of what one wants, wherever that is found out."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from healthplus.accounts.persons import Persons
from tests.fixtures.codes import SECRET
from tests.pages.charts import a_chart, clear
from tests.pages.states import state
from tests.pages.states.people import family
from tests.pages.states.queue import FullMorning
from tests.pages.window import BrowserWindow, SignedInPatient


async def person_of(window: BrowserWindow, patient: SignedInPatient, number: int = 0) -> UUID:
    """Return the id of the holder, or of another person of the account."""
    person_id: UUID = (await Persons(window.product.database, SECRET).of(patient.patient_id))[number]["person_id"]
    return person_id


async def book_at(window: BrowserWindow, patient: SignedInPatient, provider_id: int, starts_at: datetime) -> None:
    """Have the holder be booked with a provider, straight in the table, in a seat that nobody else gets."""
    await window.product.database.execute(
        """INSERT INTO booking.booking (
            provider_id, clinic_id, patient_id, person_id, patient_name, during, seat, slots_needed, state, deadline,
            fee_minor, funding, created_at)
        SELECT provider_id, clinic_id, $2, $4, 'Asha Rao', tstzrange($3, $3::timestamptz + interval '5 minutes'),
            99 + (random() * 30000)::integer, 1,
            'booked', NULL, 50000, 'online', public.app_now()
        FROM directory.provider_clinic WHERE provider_id = $1 ORDER BY clinic_id LIMIT 1""",
        provider_id,
        patient.patient_id,
        starts_at,
        await person_of(window, patient),
    )


@state("chart-same-day")
async def same_day(window: BrowserWindow) -> None:
    chart = await a_chart(window, offset=8)
    await clear(window, chart)
    patient = await family(window)
    await window.go(chart.path())
    await window.page.locator(".slot.free input").nth(1).check()
    start = datetime.fromisoformat(str(await window.page.locator(".slot.free input").first.get_attribute("value")))
    await book_at(window, patient, chart.provider_id, start + timedelta(hours=1))
    await window.page.locator(".bar button").click()
    await window.page.wait_for_selector("#error")


@state("chart-elsewhere-then")
async def elsewhere_then(window: BrowserWindow) -> None:
    """At a time at which the holder, who books for nobody else, is with another doctor."""
    chart = await a_chart(window, offset=9)
    await clear(window, chart)
    patient = await window.patient()
    await window.go(chart.path())
    await window.page.locator(".slot.free input").first.check()
    start = datetime.fromisoformat(str(await window.page.locator(".slot.free input").first.get_attribute("value")))
    await book_at(window, patient, window.product.data.two_clinics_doctor_id, start)
    await window.page.locator(".bar button").click()
    await window.page.wait_for_selector("#error")


@state("hold-elsewhere-then")
async def hold_elsewhere_then(window: BrowserWindow) -> None:
    """Want for oneself what is held for a child."""
    patient = await family(window)
    hold = await window.hold(patient)
    provider_id = window.product.data.two_clinics_doctor_id
    await window.product.database.execute(
        "UPDATE booking.booking SET person_id = $2, patient_name = 'Tara Rao' WHERE booking_id = $1",
        hold.booking_id,
        await person_of(window, patient, 1),
    )
    other = await a_chart(window)
    await book_at(window, patient, other.provider_id, hold.starts_at)
    await window.go(f"/doctor/{provider_id}/hold/{hold.booking_id}")
    await window.page.locator("[name=who][value=me]").check()
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_selector("#error")


@state("line-same-day")
async def line_same_day(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    patient = await family(window)
    await book_at(window, patient, morning.provider_id, morning.starts_at + timedelta(hours=4))
    await window.go(morning.line)
    await window.press("Join the queue")
    await window.page.wait_for_selector("#error")


@state("visit-move-elsewhere-then")
async def move_elsewhere_then(window: BrowserWindow) -> None:
    patient = await window.patient()
    booked = await window.book(patient)
    provider_id = window.product.data.two_clinics_doctor_id
    await window.go(f"/appointments/{provider_id}/{booked.booking_id}/move")
    first = window.page.locator(".slot.free input").first
    start = datetime.fromisoformat(str(await first.get_attribute("value")))
    await book_at(window, patient, (await a_chart(window)).provider_id, start)
    await first.check()
    await window.page.locator(".bar button").click()
    await window.page.wait_for_selector("#error")


@state("chart-no-more-holds")
async def no_more_holds(window: BrowserWindow) -> None:
    chart = await a_chart(window, offset=10)
    await clear(window, chart)
    patient = await window.patient()
    await window.product.database.execute(
        "INSERT INTO booking.claim (patient_id, provider_id, booking_id, spent) SELECT $1, 0, gen_random_uuid(), "
        "array_agg(public.app_now()) FROM generate_series(1, 10)",
        patient.patient_id,
    )
    await window.go(chart.path())
    await window.page.locator(".slot.free input").first.check()
    await window.page.locator(".bar button").click()
    await window.page.wait_for_selector("#error")
