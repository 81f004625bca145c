"""A caller's turn at the desk, by keyboard: what is shown, and the keys that answer."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.pages.states.phone_queue import NAMES, callers
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]

_CATCH = """() => {
    let sent = null;
    const hold = event => { sent = event.submitter.value; event.preventDefault(); };
    document.addEventListener("submit", hold);
    window.release = () => { document.removeEventListener("submit", hold); return sent; };
}"""
"""Have no form be sent, until `release`, which returns what the button said that would have sent it last."""


async def test_a_callers_turn_is_shown_at_once_and_answered_by_two_keys(window: BrowserWindow) -> None:
    found = await callers(window, waiting=2)
    await go(window, found.day.path)
    page = window.page
    row = page.locator(".day-row[data-find]").first
    await row.focus()
    await found.release()
    turn = page.locator(".turn-now")
    await expect(turn).to_contain_text(NAMES[0])
    await expect(turn).to_contain_text("+91 98000 41200")
    await expect(turn.locator("[data-left]")).to_have_text(re.compile(r"^[01]:\d\d$"))
    await expect(row).to_be_focused()
    # On a patient's row this key would be about them.
    await page.evaluate(_CATCH)
    await page.keyboard.press("x")
    assert (await page.evaluate("release()") or "miss").startswith("miss")
    state = "SELECT state::text FROM booking.ticket WHERE ticket_id = $1"
    assert await window.product.database.fetch_value(state, found.tickets[0]) == "offered"
    await page.wait_for_timeout(400)  # a letter that comes at once after another is none of the keys
    async with page.expect_navigation(url="**?done=accepted*"):
        await page.keyboard.press("y")
    await expect(turn).to_contain_text("Calling")
    async with page.expect_navigation(url="**?done=booked*"):
        await page.keyboard.press("b")
    await expect(page.locator(".turn-now")).to_have_count(0)
