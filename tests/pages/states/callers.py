from __future__ import annotations

from itertools import count

from tests.pages.states import state
from tests.pages.states.day import Day, a_day
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

_serial = count(1)
_ACCOUNT = "INSERT INTO accounts.patient (phone, name) VALUES ($1, $2) RETURNING patient_id"
_PERSON = """
INSERT INTO accounts.person (patient_id, name, birth_year, sex, created_at)
SELECT $1, name, extract(year FROM public.app_now()) - age, sex::accounts.sex, now() - age * interval '1 second'
FROM (VALUES
    ('Lata Jadhav', 49, 'female'), ('Om Jadhav', 12, 'male')) AS one (name, age, sex)
"""
_MEET = "SELECT reception.meet($1, person_id, public.app_now()) FROM accounts.person WHERE patient_id = $2"


async def a_family(window: BrowserWindow, day: Day) -> str:
    """Have a clinic know three people with one number; return the number as it is typed."""
    db = window.product.database
    number = f"98000{next(_serial):05}"
    patient_id = await db.fetch_value(_ACCOUNT, f"+91{number}", "Ramesh Jadhav")
    await db.execute(_PERSON, patient_id)
    await db.execute(_MEET, day.clinic_id, patient_id)
    return number


@state("desk-callers-family")
async def family(window: BrowserWindow) -> None:
    day = await a_day(window)
    await go(window, f"/desk/{day.clinic_id}/book?q={await a_family(window, day)}")


@state("desk-callers-new")
async def somebody_new(window: BrowserWindow) -> None:
    """Leave the consent out."""
    day = await a_day(window)
    await go(window, f"/desk/{day.clinic_id}/book?q=9765400001")
    await window.page.locator("#name").fill("Meera Kale")
    async with window.page.expect_navigation():
        await window.page.locator("#new .button").click()


@state("desk-callers-times")
async def times(window: BrowserWindow) -> None:
    """Book what somebody else books meanwhile."""
    day = await a_day(window)
    await go(window, f"/desk/{day.clinic_id}/book?q={await a_family(window, day)}&provider={day.provider_id}")
    async with window.page.expect_navigation():
        await window.page.locator(".pick").first.click()
    await window.page.locator("[name=start]").first.check()
    await window.product.database.execute(
        "UPDATE booking.booking SET during = tstzrange(at, at + interval '10 minutes') "
        "FROM CAST($2 AS timestamptz) AS at WHERE booking_id = $1",
        day.bookings["Zoya Khan"],
        await window.product.database.fetch_value(
            "SELECT (reception.next_starts($1, $2, NULL, public.app_now(), 1, public.app_now()))[1]",
            *(day.provider_id, day.clinic_id),
        ),
    )
    await (
        window.page.get_by_role("button", name="Book", exact=True)
        .or_(window.page.get_by_role("button", name="बुक करें", exact=True))
        .click()
    )
    await window.page.get_by_role("alert").wait_for()
