"""The board in a browser, and a doctor's order by keyboard."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.pages.states.day import a_day, board_path, record
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

_CUT = """() => {
  const columns = document.querySelector(".cols");
  const one = columns.querySelector(".col");
  const both = (en, hi) => `<span class="part">${en} ·</span> <span class="part">${hi}</span>`;
  const fill = (selector, html) => { one.querySelector(selector).innerHTML = html; };
  fill("h2", "Dr Venkata Lakshmi Narasimha Subrahmanyam Chandrasekharan");
  document.querySelector("h1").textContent = "Sri Ramakrishna Multi-speciality Hospital, Vivekananda Road";
  one.querySelector(".serves").className = "serves";
  fill(".serves", `<p>${both("Nobody is in the room now", "अभी कमरे में कोई नहीं")}</p><strong>A-1047</strong>`);
  fill(".after", `<p>${both("Next", "अगला")}</p><p class="next"><b>A-1047</b><b>A-1048</b><b>A-1049</b></p>
    <p class="late">${both("100 min late", "100 मिनट की देरी")}</p>`);
  document.querySelector("#live").insertAdjacentHTML("beforeend", `<div class="missed">
    <p>Called and missed? Come to the desk: <b>A-1047</b> <b>A-1048</b></p><p>पुकार छूट गई? काउंटर पर आइए:</p></div>`);
  const cut = [];
  for (let count = 1; count <= 13; count += 1) {
    columns.className = `cols of-${count}`;
    columns.replaceChildren(...Array.from({ length: count }, () => one.cloneNode(true)));
    for (const part of document.querySelectorAll("html, main, #live, .cols, .col, .serves, .after, .missed")) {
      const [wide, high] = [part.scrollWidth - part.clientWidth, part.scrollHeight - part.clientHeight];
      if (wide > 1 || high > 1) cut.push(`${count} ${part.className || part.tagName} ${wide} ${high}`);
    }
  }
  document.querySelector(".missed").remove();
  return [...new Set(cut)];
}"""
"""How many sessions, and what of them does not fit on the screen."""

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
    # Nobody scrolls a screen on a wall: all of up to thirteen sessions is on it, with long names and words.
    for width, height in ((1920, 1080), (1366, 768), (1080, 1920)):
        await board.set_viewport_size({"width": width, "height": height})
        assert await board.evaluate(_CUT) == [], (width, height)
    await board.close()
