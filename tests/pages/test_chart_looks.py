"""What a chart shows first, how few steps lead to it, and a form that stays where there is no network."""

from __future__ import annotations

from datetime import time

import pytest
from playwright.async_api import Browser, expect

from tests.fixtures.clock import INDIA, days_ahead
from tests.fixtures.directory import DAILY, make_provider, make_shift
from tests.pages.charts import Chart, a_chart, clear, take
from tests.pages.states.hold import held
from tests.pages.test_booking import PROMPTLY, hold_by_other, starts
from tests.pages.window import NARROW, NARROWEST, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST_TIME_ABOVE = 420


@pytest.mark.parametrize("language", ["en", "hi"])
async def test_the_first_free_time_is_in_sight(product: Product, browser: Browser, language: str) -> None:
    async with BrowserWindow.open(product, browser, width=NARROW, language=language) as window:
        chart = await a_chart(window, offset=19)
        await clear(window, chart)
        await window.go(chart.path())
        box = await window.page.locator(".slot.free").first.bounding_box()
        assert box is not None
        assert box["y"] < FIRST_TIME_ABOVE


async def test_a_handful_of_tabs_leads_to_the_first_time(window: BrowserWindow) -> None:
    chart = await a_chart(window, offset=19)
    await clear(window, chart)
    await window.go(chart.path())
    page = window.page
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # skip to content
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to times")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.name") == "start"
    assert [await page.evaluate("document.activeElement.value")] == (await starts(page))[:1]


@pytest.mark.parametrize("width", [NARROWEST, NARROW])
async def test_the_bar_says_from_when_to_when_in_two_lines(product: Product, browser: Browser, width: int) -> None:
    async with BrowserWindow.open(product, browser, width=width) as window:
        chart = await a_chart(window, offset=19)
        await clear(window, chart)
        await window.go(chart.path(n=2))
        await window.page.locator(".slot.free input").last.check()
        assert await window.overflow() == 0
        lines = "chosen => chosen.getBoundingClientRect().height / parseFloat(getComputedStyle(chosen).fontSize)"
        assert await window.page.locator("#chosen").evaluate(lines) < 3
        assert await window.page.locator(".bar").evaluate("bar => bar.scrollHeight <= bar.clientHeight")


@pytest.mark.parametrize("scripts", [True, False])
async def test_what_is_taken_is_shown_when_asked_for(product: Product, browser: Browser, scripts: bool) -> None:
    async with BrowserWindow.open(product, browser, scripts=scripts) as window:
        chart = await a_chart(window, days_ahead=20, offset=20)
        await clear(window, chart)
        await window.go(chart.path())
        page = window.page
        first, second, *_ = await starts(page)
        await hold_by_other(window, chart, first)
        await page.wait_for_timeout(1200)  # so long at most a page is shared
        await page.reload()
        taken = page.locator(".slot.held")
        await expect(taken).to_be_hidden()
        await page.get_by_label("Show booked and held times").check()
        await expect(taken).to_be_visible()
        await page.get_by_label("Show booked and held times").uncheck()
        if scripts:
            # What stays out of sight moves nothing when it changes, and what is in sight stays there.
            await window.watch_shifts()
            await hold_by_other(window, chart, second)
            await expect(page.locator(".slot.held")).to_have_count(2, timeout=PROMPTLY)
            await expect(page.locator(".slot.held").nth(1)).to_be_visible()
            await expect(page.locator(".slot.held").first).to_be_hidden()
            assert await window.shifts() == []


async def test_a_full_part_of_the_day_is_one_line_that_says_what_is_on_hold(window: BrowserWindow) -> None:
    database, clinic_id = window.product.database, (await a_chart(window)).clinic_id
    provider_id = await make_provider(database, {clinic_id: (50_000, "online")}, name="Dr Two Halves")
    for begins, ends in ((time(9), time(11)), (time(16), time(18))):
        await make_shift(database, provider_id, clinic_id, DAILY, begins, ends, 10)
    day = (await days_ahead(database, 3, time(9))).astimezone(INDIA).date()
    chart = Chart(provider_id, clinic_id, "Dr Two Halves", day)
    await take(window, chart, "reserved", but=2)
    await window.go(chart.path())
    folded = window.page.locator(".fold").first
    await expect(folded.locator("summary")).to_contain_text("on hold")
    await expect(folded.locator(".slot").first).to_be_hidden()
    await folded.locator("summary").click()
    await expect(folded.locator(".slot").first).to_be_visible()
    await expect(folded.get_by_role("link", name="Join the queue")).to_be_visible()


@pytest.mark.dates
async def test_any_day_is_two_steps_away(window: BrowserWindow) -> None:
    chart = await a_chart(window, days_ahead=30, offset=22)
    await clear(window, chart)
    page = window.page
    await window.go(chart.path().split("?")[0])
    await page.get_by_role("link", name="Month").click()
    # Also of days that are over, which only a hidden text tells.
    await page.wait_for_url("**/month?*")
    assert await window.overflow() == 0
    while not await page.locator(f"a[href*='day={chart.day}']").count():
        async with page.expect_navigation():
            await page.get_by_role("link", name="Next month").click()
    await page.locator(f"a[href*='day={chart.day}']").click()
    await page.wait_for_url(lambda url: f"day={chart.day}" in url)
    await expect(page.locator(".slot.free").first).to_be_visible()


async def test_offline_a_form_stays_with_what_was_typed(window: BrowserWindow) -> None:
    await window.go(await held(window))
    page = window.page
    await page.fill("#reason", "Itching")
    await window.context.set_offline(True)
    await page.locator("form .button").first.click()
    await expect(page.locator("#connection")).to_contain_text("nothing was sent")
    await expect(page.locator("#connection")).to_be_in_viewport()
    assert await page.input_value("#reason") == "Itching"
    await window.context.set_offline(False)
    await expect(page.locator("#connection")).to_be_empty()
    await page.locator("form .button").first.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Booked")
    # What is shared says when and where, and nothing of what for or with whom.
    shared = await page.locator("#share").get_attribute("data-text")
    provider = await page.locator(".slip h2").inner_text()
    assert shared is not None
    assert "Itching" not in shared
    assert provider not in shared
