"""Text of twice the usual size on a phone: nothing is cut off, and nothing covers what is read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from healthplus_bench.pages import browser_path
from tests.pages.charts import a_chart
from tests.pages.states.appointments import path_of
from tests.pages.states.hold import held
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


_OVER_WORDS = """() => [...document.querySelectorAll(".bar")]
    .filter(bar => bar.checkVisibility() && getComputedStyle(bar).position !== "static").map(bar => bar.textContent)"""


_WIDTH_OF_WORDS = """() => [...document.querySelectorAll(".live p:not([role]), .strip .width > div, .bar > *")]
    .filter(words => words.checkVisibility()).map(words => ({text: words.textContent, width: words.clientWidth}))"""


# What asks for the width in rem is laid out again within two frames.
_ENLARGE = """async () => {
    document.documentElement.style.fontSize = "32px";
    await new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)));
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def large(product: Product, browser: Browser) -> AsyncIterator[BrowserWindow]:
    """A window of a browser whose reader has chosen 32 pixels."""
    arguments = ["--no-sandbox", "--blink-settings=defaultFontSize=32"]
    other = await browser.browser_type.launch(executable_path=browser_path(), args=arguments)
    async with BrowserWindow.open(product, other) as window:
        yield window
    await other.close()


async def test_pages_are_read_without_scrolling_sideways(large: BrowserWindow) -> None:
    chart, laboratory = await a_chart(large), large.product.data.lab_id
    for path in ("/", "/in/pune", "/in/pune?view=map", chart.path(), f"/doctor/{laboratory}/lab", await held(large)):
        await large.go(path)
        assert await large.page.evaluate("getComputedStyle(document.body).fontSize") == "32px"
        assert await large.overflow() == 0, path
        assert await large.page.evaluate(_OVER_WORDS) == [], path


async def test_pages_are_read_with_the_text_of_a_readers_own_style(product: Product, browser: Browser) -> None:
    """As an extension or a style sheet of theirs sets it: media queries do not know of that."""
    async with BrowserWindow.open(product, browser) as window:
        chart = await a_chart(window)
        patient = await window.patient("Asha Rao")
        appointment = path_of(window, await window.book(patient))
        held_time = await window.hold(patient)
        hold = f"/doctor/{window.product.data.two_clinics_doctor_id}/hold/{held_time.booking_id}"
        faults = {}
        for path in ("/in/pune", chart.path(), hold, appointment, "/appointments", "/notifications"):
            await window.go(path)
            await window.page.evaluate(_ENLARGE)
            if over := await window.overflow():
                faults[path] = over
            faults |= {
                one["text"]: one["width"] for one in await window.page.evaluate(_WIDTH_OF_WORDS) if one["width"] < 200
            }
        assert faults == {}


async def test_the_bar_covers_nothing_in_a_short_window(product: Product, browser: Browser) -> None:
    """As at 200 % of 1280 by 1024; and on a phone, as long as something is typed."""
    where = "() => getComputedStyle(document.querySelector('.pay > .bar')).position"
    async with BrowserWindow.open(product, browser) as window:
        await window.go(await held(window))
        assert await window.page.evaluate(where) == "sticky"
        for width, height, while_read in ((640, 512, "static"), (640, 360, "static"), (360, 600, "sticky")):
            await window.page.set_viewport_size({"width": width, "height": height})
            await window.page.evaluate("document.activeElement.blur()")
            assert await window.page.evaluate(where) == while_read, (width, height)
            await window.page.focus("#reason")
            await window.page.keyboard.type("Itching")
            assert await window.page.evaluate(where) == "static", (width, height)


async def test_a_chosen_time_can_be_held_at_once_in_a_short_window(product: Product, browser: Browser) -> None:
    """As at 200 % of 1280 by 800."""
    async with BrowserWindow.open(product, browser) as window:
        await window.patient()
        chart = await a_chart(window)
        await window.page.set_viewport_size({"width": 640, "height": 400})
        await window.go(chart.path())
        await window.page.locator(".slot.free input").first.check()
        await expect(window.page.locator("#chart > .bar .button")).to_be_in_viewport(ratio=1)
