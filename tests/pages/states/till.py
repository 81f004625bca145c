"""States of what is paid at the desk, and of tills."""

from __future__ import annotations

from tests.pages.states import state
from tests.pages.states.day import Day, a_day
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow


async def paying(window: BrowserWindow) -> Day:
    """Have a clinic with a UPI id, and be where Lata's fee is recorded; no till is open."""
    day = await a_day(window)
    upi = "UPDATE directory.clinic SET upi_id = 'ruby.clinic@okaxis' WHERE clinic_id = $1"
    await window.product.database.execute(upi, day.clinic_id)
    await go(window, f"{day.path}/visit/{day.bookings['Lata Jadhav']}/pay")
    return day


@state("desk-pay")
async def pay_page(window: BrowserWindow) -> None:
    await paying(window)


@state("desk-till")
async def till_page(window: BrowserWindow) -> None:
    """Have a till with two payments, and a difference that nobody has explained yet."""
    day = await paying(window)
    for name, method, amount in (("Lata Jadhav", "cash", "500"), ("Imran Qureshi", "upi", "200")):
        await go(window, f"{day.path}/visit/{day.bookings[name]}/pay")
        page = window.page
        await page.check(f'[name="method"][value="{method}"]')
        await page.fill("#amount", amount)
        await page.fill("#reference", "433512")
        if await page.locator("#float").count():
            await page.fill("#float", "1000")
        async with page.expect_navigation():
            await page.locator("form:has(#amount) button.button:not(.quiet)").click()
    await go(window, f"/desk/{day.clinic_id}/till")
    if await window.page.locator("#cash_counted").count():
        for method, counted in (("cash", "1490"), ("card", "0"), ("upi", "200")):
            await window.page.fill(f"#{method}_counted", counted)
        async with window.page.expect_navigation():
            await window.page.locator("form:has(#note) button").click()


@state("office-tills")
async def tills_page(window: BrowserWindow) -> None:
    day = await paying(window)
    await go(window, f"/office/{day.clinic_id}/tills")
