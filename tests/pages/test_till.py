"""A fee is paid at the desk by keyboard alone, undone, paid again, and the till is closed."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.pages.states.day import a_day
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]

_LETTERS_APART_MS = 350
"""Of letters that come faster, the sheet takes the first alone."""


async def test_a_fee_is_paid_by_keyboard_alone(window: BrowserWindow) -> None:
    day = await a_day(window)
    page, booking = window.page, day.bookings["Lata Jadhav"]
    await go(window, f"{day.path}?about={booking}")
    row = page.locator(f"#visit-{booking}")
    for undone in (True, False):
        await expect(row).to_be_focused()
        await page.wait_for_timeout(_LETTERS_APART_MS)
        async with page.expect_navigation(url="**/pay"):
            await page.keyboard.press("s")
        if await page.locator("#float").count():
            await page.fill("#float", "1000")
            await page.locator("[name=method][value=cash]").focus()
        await page.keyboard.press("1" if undone else "2")
        async with page.expect_navigation(url="**changed=paid*"):
            await page.keyboard.press("Enter")
        await expect(row).to_contain_text("₹500 paid")
        if undone:
            await page.wait_for_timeout(_LETTERS_APART_MS)
            async with page.expect_navigation(url="**done=undo*"):
                await page.keyboard.press("u")
            await expect(row).to_contain_text("₹500 to pay")
    await page.wait_for_timeout(_LETTERS_APART_MS)
    async with page.expect_navigation(url="**/till"):
        await page.keyboard.press("z")
    for method in ("cash", "card", "upi"):
        said = await page.locator(f"#{method}_counted-hint").inner_text()
        await page.fill(f"#{method}_counted", said.partition("₹")[2].partition(" ")[0])
    async with page.expect_navigation(url="**done=closed"):
        await page.keyboard.press("Enter")
    await expect(page.get_by_text("The till is closed.")).to_be_visible()
