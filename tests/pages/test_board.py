"""The board in a browser, and a doctor's order by keyboard."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.pages.states.day import a_day, board_path, record
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]


@pytest.mark.timeout(120)
async def test_a_doctors_order_by_keys_is_on_the_board(window: BrowserWindow) -> None:
    day = await a_day(window)
    names = ("Kabir Rao", "Thomas Kurian")
    for name in names:
        await record(window, day, name, "arrive")
    page = window.page
    board = await page.context.new_page()
    await board.goto(f"{window.product.url}{await board_path(window, day)}")
    served = board.locator(f"section[aria-labelledby=provider-{day.provider_id}] strong")
    await expect(served).to_have_text("–")
    order = f"/desk/{day.clinic_id}/order/{day.provider_id}"
    await go(window, order)

    async def press(key: str, act: str) -> None:
        async with page.expect_navigation(url=f"**{order}?done={act}&about=*"):
            await page.keyboard.press(key)

    label = await page.locator(".order-label").first.text_content()
    assert label
    assert label.endswith("-001")
    await press("c", "call")
    # Without a press or a reload there.
    await expect(served).to_have_text(label)
    await expect(board.locator(".serves.new")).to_have_count(1)
    await press("i", "enter")
    await expect(page.locator(".order-token")).to_have_text(label)
    await expect(board.locator(".serves.new")).to_have_count(0)
    await press("d", "finish")
    await press("u", "undo")
    await expect(page.locator(".order-token")).to_have_text(label)
    await board.close()
