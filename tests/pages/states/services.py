from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from tests.fixtures.terms import set_terms
from tests.pages.offered import ASKED, Offer, a_dentist, a_laboratory
from tests.pages.states import state
from tests.pages.states.appointments import money_is
from tests.pages.window import BrowserWindow

BLOOD_AND_BRAIN = ("cbc", "mri-brain")
HALF_AN_HOUR = timedelta(minutes=30)


@state("services")
async def services(window: BrowserWindow) -> None:
    await window.go((await a_dentist(window)).path())


@state("service-chosen")
async def chosen(window: BrowserWindow) -> None:
    dentist = await a_dentist(window)
    await window.go(dentist.path("root-canal", day=dentist.day))
    await window.page.locator(".slot.free input").nth(1).check()


@state("service-changed")
async def changed(window: BrowserWindow) -> None:
    dentist = await a_dentist(window)
    await dentist.reprice("scaling", 150_000)
    await window.go(dentist.path("scaling", day=dentist.day))


@state("service-too-long")
async def too_long(window: BrowserWindow) -> None:
    """Every half hour is taken by somebody for ten minutes."""
    dentist = await a_dentist(window)
    await window.product.database.execute(
        """INSERT INTO booking.booking (
            provider_id, clinic_id, patient_id, during, seat, slots_needed, state, fee_minor, funding, created_at)
        SELECT $1, $2, 1, tstzrange(at, at + interval '10 minutes'), 1, 1, 'booked', 50000, 'online', app_now()
        FROM generate_series(
            $3::timestamptz + interval '20 minutes', $3 + interval '170 minutes', interval '30 minutes') AS at""",
        dentist.provider_id,
        dentist.clinic_id,
        dentist.starts_at,
    )
    await window.go(dentist.path("root-canal", day=dentist.day))


@state("service-hold")
async def service_hold(window: BrowserWindow) -> None:
    await window.go(await held(window, await a_dentist(window), "root-canal"))


@state("tests")
async def tests(window: BrowserWindow) -> None:
    laboratory = await a_laboratory(window)
    await window.go(laboratory.path())
    for slug in BLOOD_AND_BRAIN:
        await window.page.locator(f"[value='{laboratory.ids[slug]}']").check()


@state("tests-asked")
async def asked(window: BrowserWindow) -> None:
    """Choose a test of which the laboratory says itself what it costs, beside another."""
    laboratory = await a_laboratory(window)
    await window.go(laboratory.path())
    for slug in ("cbc", ASKED):
        await window.page.locator(f"[value='{laboratory.ids[slug]}']").check()


@state("tests-none-chosen")
async def none_chosen(window: BrowserWindow) -> None:
    await window.go((await a_laboratory(window)).path())
    await window.press("See times")


@state("tests-found")
async def found(window: BrowserWindow) -> None:
    await window.go((await a_laboratory(window)).path())
    await window.page.fill("#test", "profile")


@state("tests-times")
async def times(window: BrowserWindow) -> None:
    laboratory = await a_laboratory(window)
    await window.go(laboratory.path(*BLOOD_AND_BRAIN, day=laboratory.day))
    await window.page.locator(".slot.free input").nth(2).check()


@state("tests-not-that-day")
async def not_that_day(window: BrowserWindow) -> None:
    laboratory = await a_laboratory(window)
    laboratory = await a_laboratory(window, weekdays={"ecg": 127 - (1 << (laboratory.starts_at.isoweekday() - 1))})
    await window.go(laboratory.path("ecg", "cbc", day=laboratory.day))


@state("tests-never-together")
async def never_together(window: BrowserWindow) -> None:
    laboratory = await a_laboratory(window, weekdays={"ecg": 0b0000111, "cbc": 0b1111000})
    await window.go(laboratory.path("ecg", "cbc"))


@state("tests-hold")
async def tests_hold(window: BrowserWindow) -> None:
    await window.go(await held(window, await a_laboratory(window), *BLOOD_AND_BRAIN))


@state("tests-hold-asked")
async def hold_asked(window: BrowserWindow) -> None:
    await window.go(await held(window, await a_laboratory(window), "cbc", ASKED))


@state("tests-booked")
async def tests_booked(window: BrowserWindow) -> None:
    await tests_hold(window)
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_selector("a[href$='visit.ics']")


@state("tests-appointment")
async def tests_appointment(window: BrowserWindow) -> None:
    await tests_booked(window)
    await window.page.locator(".changes a[href*='/appointments/']").last.click()
    await window.page.wait_for_url(re.compile("/appointments/[0-9]+/[^/]+$"))


@state("tests-receipt")
async def tests_receipt(window: BrowserWindow) -> None:
    await tests_appointment(window)
    path = window.page.url
    await money_is(window, UUID(path.rsplit("/", maxsplit=1)[-1]), "captured")
    await window.page.goto(f"{path}/receipt")


@state("tests-list")
async def tests_list(window: BrowserWindow) -> None:
    await tests_booked(window)
    await window.go("/appointments")


@state("tests-move")
async def tests_move(window: BrowserWindow) -> None:
    await tests_appointment(window)
    await window.page.locator("a[href$='/move']").click()
    await window.page.wait_for_selector(".days")


@state("service-line")
async def line(window: BrowserWindow) -> None:
    dentist = await a_dentist(window)
    await full(dentist)
    await window.go(dentist.path("scaling", day=dentist.day).replace("?", "/line?") + "&part=morning")


@state("service-wait")
async def wait(window: BrowserWindow) -> None:
    await window.patient("Asha Rao")
    await line(window)
    await window.press("Join the queue")
    await window.page.wait_for_url("**/wait/*")


@state("service-offered")
async def offered(window: BrowserWindow) -> None:
    """Wait for a day that others hold, and be offered what one of them gives back."""
    await window.patient("Asha Rao")
    dentist = await a_dentist(window)
    holders = await full(dentist)
    await window.go(dentist.path("scaling", day=dentist.day).replace("?", "/line?") + "&part=morning")
    await window.press("Join the queue")
    await window.page.wait_for_url("**/wait/*")
    booking_id, actor = holders[1]
    assert (await Book(window.product.database).release(dentist.provider_id, booking_id, actor)).code == "released"
    await window.page.wait_for_selector("#turn")


@state("services-about")
async def about(window: BrowserWindow) -> None:
    dentist = await a_dentist(window)
    await window.go(f"/doctor/{dentist.provider_id}?about")


@state("service-busy")
async def busy(window: BrowserWindow) -> None:
    await tests_hold(window)
    dentist = await a_dentist(window)
    await window.go(dentist.path("scaling", day=dentist.day))
    await window.page.locator(".slot.free input").first.check()
    await window.page.locator(".bar button").click()
    await window.page.wait_for_url("**/busy?*")


async def held(window: BrowserWindow, offer: Offer, *slugs: str) -> str:
    """Hold services for a patient; return the path of the hold's page."""
    patient = await window.patient("Asha Rao")
    outcome = await Book(window.product.database).hold(
        offer.provider_id,
        offer.clinic_id,
        offer.starts_at,
        1,
        patient.patient_id,
        Patient(patient.patient_id),
        service_ids=[offer.ids[slug] for slug in slugs],
    )
    assert outcome.booking_id is not None, outcome
    return f"/doctor/{offer.provider_id}/hold/{outcome.booking_id}"


async def full(offer: Offer) -> list[tuple[UUID, Patient]]:
    """Have others hold the whole day, in visits of half an hour; return their holds, the earliest first."""
    book = Book(offer.window.product.database)
    holds = []
    for half_hours in range(6):
        patient_id, _ = await add_patient(offer.window.product.database, "Holder")
        actor = Patient(patient_id)
        start = offer.starts_at + half_hours * HALF_AN_HOUR
        outcome = await book.hold(offer.provider_id, offer.clinic_id, start, 3, patient_id, actor)
        assert outcome.booking_id is not None, outcome
        holds.append((outcome.booking_id, actor))
    return holds


@state("terms-hold")
async def terms_hold(window: BrowserWindow) -> None:
    path = await held(window, await a_laboratory(window), *BLOOD_AND_BRAIN)
    await add_terms(window, path)
    await window.go(path)


@state("terms-appointment")
async def terms_appointment(window: BrowserWindow) -> None:
    await terms_hold(window)
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_selector("a[href$='visit.ics']")
    await window.page.locator(".changes a").last.click()
    await window.page.wait_for_selector("a[href$='/cancel']")


@state("terms-cancel")
async def terms_cancel(window: BrowserWindow) -> None:
    await terms_appointment(window)
    await window.page.locator("a[href$='/cancel']").click()
    await window.page.wait_for_selector("form .danger")


@state("terms-move")
async def terms_move(window: BrowserWindow) -> None:
    await terms_appointment(window)
    await window.page.locator("a[href$='/move']").click()
    await window.page.wait_for_selector(".days")


async def add_terms(window: BrowserWindow, path: str) -> None:
    """Have a part be kept of one hold alone: others are at its clinic, too."""
    database = window.product.database
    booking_id = path.rsplit("/", maxsplit=1)[-1]
    clinic_id = await database.fetch_value(
        "SELECT clinic_id FROM booking.booking WHERE booking_id = $1::text::uuid", booking_id
    )
    terms_id = await set_terms(database, clinic_id, {96: "10%", 24: "50%", 4: "100%"})
    await database.execute("UPDATE directory.clinic SET terms_id = NULL WHERE clinic_id = $1", clinic_id)
    await database.execute(
        "UPDATE booking.booking SET terms_id = $2 WHERE booking_id = $1::text::uuid", booking_id, terms_id
    )
