from __future__ import annotations

from healthplus.accounts.actors import Patient
from healthplus.accounts.persons import PersonDetails, Persons
from healthplus.booking.book import Book
from tests.fixtures.codes import SECRET
from tests.pages.states import state
from tests.pages.states.queue import FullMorning
from tests.pages.window import BrowserWindow, SignedInPatient

_FAMILY = (
    PersonDetails("Tara Rao", 2015, "female"),
    PersonDetails("Venkatanarasimharajuvaripeta Srinivasaraghavan", 1948, "male"),
    PersonDetails("मीरा राव", 1952),
)


async def family(window: BrowserWindow, count: int = len(_FAMILY)) -> SignedInPatient:
    """Sign somebody in who books for so many others."""
    patient = await window.patient()
    persons = Persons(window.product.database, SECRET)
    for number in range(count):
        details = _FAMILY[number] if number < len(_FAMILY) else PersonDetails(f"Person {number}", 1990 + number)
        await persons.add(patient.patient_id, details, f"person {number}")
    return patient


async def one_of(window: BrowserWindow, patient: SignedInPatient, number: int = 1) -> str:
    """Return the address of one of their people."""
    person = (await Persons(window.product.database, SECRET).of(patient.patient_id))[number]
    return f"/people/{person['person_id']}"


async def held(window: BrowserWindow, patient: SignedInPatient) -> str:
    hold = await window.hold(patient)
    return f"/doctor/{window.product.data.two_clinics_doctor_id}/hold/{hold.booking_id}"


@state("people")
async def people(window: BrowserWindow) -> None:
    await family(window)
    await window.go("/people?done=added")


@state("people-alone")
async def alone(window: BrowserWindow) -> None:
    await window.patient()
    await window.go("/people")


@state("people-full")
async def full(window: BrowserWindow) -> None:
    await family(window, 5)
    await window.go("/people")


@state("people-wrong")
async def wrong(window: BrowserWindow) -> None:
    await family(window, 1)
    await window.go("/people")
    await window.page.locator("#name").fill("Ravi Rao")
    await window.page.locator("#birth_year").fill("50")
    await window.press("Add")
    await window.page.wait_for_selector("#error")


@state("person")
async def person(window: BrowserWindow) -> None:
    await window.go(await one_of(window, await family(window)))


@state("person-remove")
async def remove(window: BrowserWindow) -> None:
    await window.go(f"{await one_of(window, await family(window))}/remove")


@state("person-remove-refused")
async def remove_refused(window: BrowserWindow) -> None:
    patient = await family(window)
    path = await one_of(window, patient)
    await window.go(f"{path}/remove")
    hold = await window.hold(patient)
    database = window.product.database
    await database.execute(
        "UPDATE booking.booking SET person_id = $2::text::uuid, patient_name = 'Tara Rao' WHERE booking_id = $1",
        hold.booking_id,
        path[-36:],
    )
    await window.pay(patient, hold)
    await window.press("Remove")


@state("hold-family")
async def hold_family(window: BrowserWindow) -> None:
    await window.go(await held(window, await family(window)))


@state("hold-someone-else")
async def hold_someone_else(window: BrowserWindow) -> None:
    await window.go(await held(window, await family(window, 1)))
    await window.page.locator("[name=who][value=other]").check()
    await window.page.locator("#other").fill("Ravi Rao")
    await window.page.locator("#birth_year").fill("50")
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_selector("#error")


@state("line-family")
async def line_family(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    await family(window)
    await window.go(morning.line)


@state("visits-family")
async def visits_family(window: BrowserWindow) -> None:
    """Have appointments of one's own and of a child, with the same doctor on one day."""
    patient = await family(window)
    provider_id = window.product.data.two_clinics_doctor_id
    for row in (await Persons(window.product.database, SECRET).of(patient.patient_id))[:2]:
        slot = (await window.free_slots(provider_id))[0]
        hold = await Book(window.product.database).hold(
            provider_id,
            slot["clinic_id"],
            slot["starts_at"],
            1,
            patient.patient_id,
            Patient(patient.patient_id),
            person_id=row["person_id"],
        )
        assert hold.code == "reserved"
        await window.pay(patient, hold)
    await window.go("/appointments")
