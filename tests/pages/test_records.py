"""One key in the office: confirm or refuse what is asked, and see an appointment's whole history."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.pages.states.records import ask, clinic_of
from tests.pages.states.staff import be, go
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_one_key_each(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser) as window:
        clinic_id = await ask(window)
        await be(window)
        await go(window, f"/office/{clinic_id}/asks")
        page = window.page
        first, second = (page.locator(".ask").nth(n) for n in range(2))
        await expect(first).to_be_focused()
        await page.keyboard.press("x")  # no key of ours does nothing
        await page.keyboard.press("ArrowDown")
        await expect(second).to_be_focused()
        await page.keyboard.press("n")
        await expect(page.locator(".notice[role=status]")).to_have_text("It is refused.")
        await expect(page.locator(".ask")).to_have_count(1)
        await page.keyboard.press("y")
        await expect(page.locator(".notice[role=status]")).to_contain_text("It is done")
        await go(window, f"/office/{await clinic_of(window)}/audit?what=confirm_ask")
        await page.locator(".entries a").first.focus()
        await page.keyboard.press("h")
        await expect(page.locator("h1")).to_contain_text("Whole history: HP-")
        await expect(page.locator("main")).to_contain_text("Arun Kulkarni demo-ward: Cancelled")
