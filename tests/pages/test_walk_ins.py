"""A walk-in by keyboard alone, with the keys counted."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.pages.states.callers import a_family
from tests.pages.states.staff import go
from tests.pages.states.walk_ins import a_full_day
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]

KEYS_MAX = 15


async def test_a_walk_in_by_keyboard_alone(window: BrowserWindow) -> None:
    day = await a_full_day(window)
    number = await a_family(window, day)
    await go(window, day.path)
    page = window.page
    keys = 0

    async def press(*pressed: str) -> None:
        nonlocal keys
        keys += len(pressed)
        for key in pressed:
            await page.keyboard.press(key)

    # With a row of their doctor in focus.
    await press("/", *"kab", "Enter")
    await expect(page.locator(f"#visit-{day.bookings['Kabir Rao']}")).to_be_focused()
    async with page.expect_navigation(url="**/walk-in?provider=*"):
        await press("w")
    await expect(page.locator("#q")).to_be_focused()
    async with page.expect_navigation(url="**/walk-in?*q=*"):
        await press(*number[-6:], "Enter")
    async with page.expect_navigation(url="**/walk-in?person=*"):
        await press("1")
    await expect(page.locator(f'[name=provider][value="{day.provider_id}"]')).to_be_checked()
    async with page.expect_navigation(url="**/token/*"):
        await press("Enter")
    await expect(page.locator(".slip-label")).to_have_text(re.compile("[A-Z]-001"))
    assert keys <= KEYS_MAX
    # That of the token: midnight may have passed.
    sheet = await page.locator("a.button[autofocus]").get_attribute("href")
    async with page.expect_navigation(url=f"**{sheet}"):
        await press("Enter")
    await expect(page.locator(".day-row:focus")).to_contain_text(re.compile("[A-Z]-001"))
