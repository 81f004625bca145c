from __future__ import annotations

from tests.pages.states import state
from tests.pages.states.callers import a_family
from tests.pages.states.day import NAMES, Day, a_day
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

_FILL = """
WITH taken AS (
    INSERT INTO booking.booking (
        provider_id, clinic_id, patient_id, patient_name, during, seat, slots_needed, state, fee_minor, funding,
        created_at)
    SELECT $1, $2, $3, 'Walk-in', tstzrange(starts_at, ends_at), 1, 1, 'booked', 0, 'free', public.app_now()
    FROM booking.obtainable_runs(
        $1, $2, public.app_now(), public.app_now() + interval '2 days', 1, public.app_now(), p_is_desk => true)
    RETURNING 1)
SELECT count(*) FROM taken
"""


async def a_full_day(window: BrowserWindow) -> Day:
    """Have a clinic that allows walk-ins and overbooking, whose doctor has no time left today or tomorrow."""
    day = await a_day(window)
    db = window.product.database
    await db.execute(
        "UPDATE directory.clinic SET walk_in_cap = 12, overbook_cap = 2 WHERE clinic_id = $1", day.clinic_id
    )
    patient_id = await db.fetch_value("INSERT INTO accounts.patient (name) VALUES ('Nobody') RETURNING patient_id")
    await db.execute(_FILL, day.provider_id, day.clinic_id, patient_id)
    return day


async def who(window: BrowserWindow, day: Day, page: str = "walk-in", query: str = "") -> None:
    """Begin with the first of a family."""
    number = await a_family(window, day)
    await go(window, f"/desk/{day.clinic_id}/{page}?q={number}{query}")
    async with window.page.expect_navigation():
        await window.page.locator(".pick").first.click()


@state("desk-walk-in")
async def walk_in(window: BrowserWindow) -> None:
    await who(window, await a_full_day(window))


@state("desk-walk-in-token")
async def token(window: BrowserWindow) -> None:
    day = await a_full_day(window)
    await who(window, day)
    await window.page.locator(f'[name=provider][value="{day.provider_id}"]').check()
    async with window.page.expect_navigation(url="**/token/*"):
        await window.page.locator("#walk-in .button").click()


@state("desk-overbook")
async def overbook(window: BrowserWindow) -> None:
    """Say no reason."""
    day = await a_full_day(window)
    start = await window.product.database.fetch_value(
        "SELECT lower(during) FROM booking.booking WHERE booking_id = $1", day.bookings[NAMES[6]]
    )
    await who(window, day, "overbook", f"&provider={day.provider_id}&start={start.isoformat().replace('+', '%2B')}")
    await window.page.locator("#reason").evaluate("field => field.required = false")
    async with window.page.expect_navigation():
        await window.page.locator("form .button").last.click()


@state("office-walk-ins")
async def rules(window: BrowserWindow) -> None:
    day = await a_full_day(window)
    await go(window, f"/office/{day.clinic_id}/walk-ins")


@state("desk-day-walk-ins")
async def sheet(window: BrowserWindow) -> None:
    day = await a_full_day(window)
    await go(window, day.path)
