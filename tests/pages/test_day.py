"""A day at the desk by keyboard alone, and without script."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.pages.states.changes import tomorrow
from tests.pages.states.day import NAMES, a_day, record
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]


async def test_a_day_by_keyboard_alone(window: BrowserWindow) -> None:
    day = await a_day(window)
    await go(window, day.path)
    page = window.page
    first = page.locator(f"#visit-{day.bookings[NAMES[4]]}")
    second = page.locator(f"#visit-{day.bookings[NAMES[5]]}")

    async def press(key: str, act: str) -> None:
        async with page.expect_navigation(url=f"**?done={act}&about=*"):
            await page.keyboard.press(key)

    # An arrival: the name's beginning, Enter, and the first button.
    await page.keyboard.press("/")
    await page.keyboard.type("kab")
    await page.keyboard.press("Enter")
    await expect(first).to_be_focused()
    await expect(second).to_be_hidden()
    await press("Enter", "arrive")
    await expect(first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(second).to_be_focused()
    await page.keyboard.press("ArrowUp")
    for key, act, stands in (("c", "call", "called"), ("i", "enter", "in_room"), ("d", "finish", "done")):
        await press(key, act)
        assert stands in (await first.get_attribute("class") or "")
    await press("u", "undo")
    assert "in_room" in (await first.get_attribute("class") or "")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_have_attribute("open", "")
    await expect(page.locator("#keys summary")).to_be_focused()
    async with page.expect_navigation():
        await page.keyboard.press("ArrowRight")
    assert day.path not in page.url


async def test_what_others_record_is_seen_within_seconds_and_takes_no_focus(window: BrowserWindow) -> None:
    day = await a_day(window)
    await go(window, day.path)
    row = window.page.locator(f"#visit-{day.bookings[NAMES[5]]}")
    await row.focus()
    await record(window, day, NAMES[5], "arrive")
    await expect(row).to_have_class(re.compile("here"))
    await expect(row).to_be_focused()


async def test_an_appointment_is_moved_and_moved_back_by_keys(window: BrowserWindow) -> None:
    """`m`, arrows and Enter; then `u`: seven keys at most for one that waits for nobody."""
    day = await tomorrow(window)
    await go(window, day.path)
    page = window.page
    row = page.locator(f"#visit-{day.booking}")
    await row.focus()
    async with page.expect_navigation(url="**?do=move"):
        await page.keyboard.press("m")
    chosen = page.locator('input[name="start"]:checked')
    await expect(chosen).to_be_focused()
    await page.keyboard.press("ArrowUp")  # to the last, as the first may begin too soon to be taken back
    async with page.expect_navigation(url="**?changed=move&about=*"):
        await page.keyboard.press("Enter")
    await expect(page.locator(".changed")).to_contain_text("Moved")
    async with page.expect_navigation(url="**?done=undo&about=*"):
        await page.keyboard.press("u")
    await expect(row).to_be_focused()
    for key, address in (("k", "**?do=cancel"), ("Escape", f"**{day.path}?about=*"), ("h", "**/history")):
        async with page.expect_navigation(url=address):
            await page.keyboard.press(key)
