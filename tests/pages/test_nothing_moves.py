"""That nothing on a chart moves with what others do, however many lines and figures the words take."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.pages.charts import a_chart, take
from tests.pages.test_booking import PROMPTLY, hold_by_other, starts
from tests.pages.window import NARROW, NARROWEST, WIDE, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("width", "language", "font"),
    [
        (NARROWEST, "en", "monospace"),
        pytest.param(NARROW, "hi", "", marks=pytest.mark.dates),
        (WIDE, "en", ""),
    ],
)
async def test_nothing_moves_whatever_is_said(
    product: Product, browser: Browser, width: int, language: str, font: str
) -> None:
    """What they are depends on the day, the language and the fonts."""
    async with BrowserWindow.open(product, browser, width=width, language=language) as window:
        chart = await a_chart(window, days_ahead=20, offset=8)
        await take(window, chart, "booked", but=10)
        page = window.page
        await window.go(chart.path())
        await page.evaluate("font => { document.body.style.fontFamily = font; }", font)
        first, second, *_ = await starts(page)
        count = page.locator("h3 [data-of-part]").last
        await expect(count).to_contain_text("10")
        await page.locator(f"[value='{second}']").check()
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await window.watch_shifts()
        await hold_by_other(window, chart, first)
        await expect(count).to_contain_text("9", timeout=PROMPTLY)
        assert await window.shifts() == []
        await hold_by_other(window, chart, second)
        await expect(page.locator("#chosen-day")).to_be_hidden(timeout=PROMPTLY)
        assert await window.shifts() == []
        # Something to press comes up, though not in the way of anything: all is held, and then some of it is let go.
        await take(window, chart, "reserved")
        await expect(page.locator("#join")).to_be_visible(timeout=PROMPTLY)
        assert await window.shifts() == []
        await take(window, chart, "booked", but=12)
        await expect(page.locator("#changed")).to_be_visible(timeout=PROMPTLY)
        assert await window.shifts() == []
